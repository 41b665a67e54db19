"""Log-probabilities as servers answer them: each form gives the store that the logits give, and faults are located."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from assertkd.errors import UserError
from assertkd.logits.codecs.support import TopLogprobs
from assertkd.logits.codecs.topk import TopKCodec
from assertkd.logits.interchange.import_file import import_file
from assertkd.logits.interchange.logprobs import read_top_logprobs
from assertkd.logits.interchange.token_names import TokenNames
from assertkd.logits.store.reader import StoreReader
from assertkd.records import read_records


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


class Served:
    """What a server answers along a target, in each form, from a table of log-probabilities (T, V)."""

    def __init__(self, tokenizer: Any, target: list[int], log_p: np.ndarray, top_k: int) -> None:
        self.names, self.target, self.log_p, self.top_k = TokenNames(tokenizer), target, log_p, top_k

    def top(self, row: int) -> list[int]:
        return np.argsort(-self.log_p[row], kind="stable")[: self.top_k].tolist()

    def prompt_logprobs(self) -> list[Any]:
        """With three rows of the prompt before."""
        rows: list[Any] = [None, {"5": {"logprob": -0.1}}, {"6": {"logprob": -0.2}}]
        for row, target in enumerate(self.target):
            ids = [target, *(identity for identity in self.top(row) if identity != target)]
            rows.append(
                {
                    str(identity): {
                        "logprob": float(self.log_p[row, identity]),
                        "rank": int((self.log_p[row] > self.log_p[row, identity]).sum()) + 1,
                        "decoded_token": self.names.text(identity),
                    }
                    for identity in ids
                }
            )
        return rows

    def completions(self, name: Callable[[int], str]) -> dict[str, Any]:
        rows = [{name(i): float(self.log_p[row, i]) for i in self.top(row)} for row in range(len(self.target))]
        own = [float(self.log_p[row, target]) for row, target in enumerate(self.target)]
        return {
            "text_offset": [0] * (len(own) + 1),
            "tokens": ["x", *map(name, self.target)],
            "token_logprobs": [None, *own],
            "top_logprobs": [None, *rows],
        }

    def chat(self, raw: Callable[[int], list[int] | None]) -> dict[str, Any]:
        def token(row: int, identity: int) -> dict[str, Any]:
            logprob = float(self.log_p[row, identity])
            return {"token": self.names.text(identity), "logprob": logprob, "bytes": raw(identity)}

        rows = [
            token(row, target) | {"top_logprobs": [token(row, identity) for identity in self.top(row)]}
            for row, target in enumerate(self.target)
        ]
        return {"content": rows}


def served(run: Any, tokenizer: Any, record: str = "test-1", top_k: int = 400) -> Served:
    return Served(tokenizer, run.targets[record], log_softmax(run.logits(record)), top_k)


def true_bytes(tokenizer: Any) -> Callable[[int], list[int]]:
    """The bytes of a token by the tokenizers library: of what its piece decodes to among pieces that make it whole."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    byte_of = {sign: byte for byte, sign in bytes_to_unicode().items()}
    return lambda identity: [byte_of[sign] for sign in tokenizer.convert_ids_to_tokens(identity)]


def stored(run: Any, tmp_path: Path, value: Any, record: str = "test-1") -> StoreReader:
    """Import one line that has the record's assertion and this value."""
    [assertion] = [one.assertion for one in read_records(run.folder / "corpus/test.jsonl") if one.id == record]
    file = tmp_path / "served.jsonl"
    file.write_text(json.dumps({"id": record, "assertion": assertion, "teacher_logprobs": value}) + "\n")
    import_file(file, str(run.folder / "corpus/tokenizer"), tmp_path / "store", "topk", 24, (2.0,))
    return StoreReader(tmp_path / "store")


def by_id(identity: int) -> str:
    return f"token_id:{identity}"


FORMS: dict[str, Callable[[Served, Any], Any]] = {
    "prompt_logprobs": lambda one, _: one.prompt_logprobs(),
    "plain numbers": lambda one, _: [
        row and {i: t["logprob"] for i, t in row.items()} for row in one.prompt_logprobs()
    ],
    "whole completion": lambda one, _: {"choices": [{"logprobs": None, "prompt_logprobs": one.prompt_logprobs()}]},
    "whole chat answer": lambda one, _: {"choices": [{"logprobs": None}], "prompt_logprobs": one.prompt_logprobs()},
    "completions by id": lambda one, _: one.completions(by_id),
    "chat with bytes": lambda one, tokenizer: {"choices": [{"logprobs": one.chat(true_bytes(tokenizer))}]},
}


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_give_the_store_that_the_logits_give(make_run, tiny_tokenizer, tmp_path, form: str) -> None:
    run = make_run("dense")
    one = served(run, tiny_tokenizer)
    if form == "chat with bytes":
        # A special token has its own sign, which is no byte.
        one.log_p[:, :4] = -50.0
        one.log_p = log_softmax(one.log_p)
        one.target[-1] = int(one.target[0])
        value = FORMS[form](one, tiny_tokenizer)
        names = TokenNames(tiny_tokenizer)
        top = read_top_logprobs(value, "f:1", one.target, names, names.entries)
        assert names.unresolved == 0
        assert np.allclose(top.logits(), one.log_p, atol=1e-5)
        return
    reader = stored(run, tmp_path, FORMS[form](one, tiny_tokenizer))
    kept = reader.read("test-1", one.target)
    expected = TopKCodec(len(tiny_tokenizer), 1, (2.0,)).encode_logits(one.log_p.astype(np.float32))
    assert np.array_equal(kept["ids"], expected["ids"])
    assert np.array_equal(kept["k"], expected["k"])
    assert np.abs(kept["levels"].astype(int) - expected["levels"].astype(int)).max() <= 1
    assert np.allclose(kept["tail"], expected["tail"], atol=2e-2)


def test_the_rest_is_even_at_one_and_follows_from_that_at_others(make_run, tiny_tokenizer) -> None:
    """Against the definition, in float64, with few tokens given and every k allowed to be chosen."""
    run = make_run("dense")
    one, names = served(run, tiny_tokenizer, top_k=7), TokenNames(tiny_tokenizer)
    top = read_top_logprobs(one.prompt_logprobs(), "f:1", one.target, names, names.entries)
    whole = np.full(one.log_p.shape, np.nan)
    for row, target in enumerate(one.target):
        given = sorted({target, *one.top(row)})
        others = np.setdiff1d(np.arange(names.entries), given)
        whole[row, given] = one.log_p[row, given]
        whole[row, others] = math.log((1 - np.exp(one.log_p[row, given]).sum()) / len(others))
    assert np.allclose(top.logits(), whole, atol=1e-5)
    for max_k in (2, 256):
        codec = TopKCodec(names.entries, 1, (0.5, 2.0, 8.0), 1e-6, max_k)
        encoded = codec.encode_top(top)
        codec.validate(encoded, len(one.target))
        starts = np.cumsum(encoded["k"].astype(int) + 1)[:-1]
        for row, ids in enumerate(np.split(encoded["ids"].astype(int), starts)):
            assert set(ids) <= {one.target[row], *one.top(row)}
            for column, temperature in enumerate(codec.temperatures):
                mass = np.exp(whole[row] / temperature)
                odds = math.log(np.delete(mass, ids).sum() / mass[ids].sum())
                assert encoded["tail"][row, column] == pytest.approx(odds, abs=2e-3 * max(1, abs(odds)))


def test_a_whole_vocabulary_leaves_no_mass_for_others() -> None:
    top = TopLogprobs(np.array([[2, 0, 1]]), np.log([[0.5, 0.3, 0.1999]]), 3)
    encoded = TopKCodec(3, 1, (), 1e-9).encode_top(top)
    # What is left of two of three tokens is the third.
    assert encoded["ids"].tolist() == [2, 0]
    assert encoded["tail"].item() == pytest.approx(math.log(0.1999 / 0.8), abs=1e-3)


def test_a_large_vocabulary_takes_no_memory_of_its_size() -> None:
    rng, vocabulary, tokens, k = np.random.default_rng(0), 151_936, 4096, 21
    log_p = -np.sort(-np.log(rng.dirichlet(np.ones(k + 1), tokens)[:, :k]), axis=1)
    ids = np.stack([rng.choice(vocabulary, k, replace=False) for _ in range(64)] * (tokens // 64))
    codec = TopKCodec(vocabulary, 1, (1.0, 2.0))
    # All of it would be 2.5 GB in float32.
    import tracemalloc

    tracemalloc.start()
    encoded = codec.encode_top(TopLogprobs(ids, log_p, vocabulary))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    codec.validate(encoded, tokens)
    assert peak < 64e6


def test_texts_that_tokens_share_go_to_the_tail_and_are_counted(make_run, tiny_tokenizer, caplog, tmp_path) -> None:
    run = make_run("dense")
    one = served(run, tiny_tokenizer, "test-3", top_k=30)
    names = one.names
    shared = [identity for identity in range(names.entries) if len(names.ids(names.text(identity))) > 1]
    assert shared, "single bytes of longer characters have no text of their own"
    assert set(shared) & set(one.target), "and the target has some, which its own place tells"
    one.log_p[:, shared[:5]] = one.log_p.max(axis=1, keepdims=True)
    one.log_p = log_softmax(one.log_p)
    reader = stored(run, tmp_path, one.completions(names.text), "test-3")
    assert "their mass is in the tails" in caplog.text
    kept = reader.read("test-3", one.target)
    starts = np.cumsum(kept["k"].astype(int) + 1)[:-1]
    for target, ids in zip(one.target, np.split(kept["ids"].astype(int), starts), strict=True):
        assert set(ids.tolist()) & set(shared) <= {target}
    # Bytes that are those of the replacement character are no help.
    fake = one.chat(lambda identity: list(names.text(identity).encode()))
    before = read_top_logprobs(fake, "f:1", one.target, TokenNames(tiny_tokenizer), names.entries)
    for row, target in enumerate(one.target):
        assert set(before.ids[row, : before.held[row]].tolist()) & set(shared) <= {target}


def character_rows(names: TokenNames, target: list[int]) -> list[int]:
    """The places in a target of tokens that are a part of a character."""
    return [place for place, identity in enumerate(target) if "\ufffd" in names.text(identity)]


@pytest.mark.parametrize("texts", [("", ""), ("\ufffd", "\ufffd"), ("", "é"), ("\ufffd", "é")])
def test_a_character_of_several_tokens_is_taken_however_a_server_writes_it(tiny_tokenizer, texts) -> None:
    """Texts as vLLM gives them: nothing or a replacement for the first, and for the last that, or the character."""
    target = tiny_tokenizer('f("é");', add_special_tokens=False).input_ids
    names = TokenNames(tiny_tokenizer)
    parts = character_rows(names, target)
    assert len(parts) == 2
    rng = np.random.default_rng(4)
    one = Served(tiny_tokenizer, target, log_softmax(rng.normal(size=(len(target), names.entries))), 5)
    spoken = {target[place]: text for place, text in zip(parts, texts, strict=True)}

    def name(identity: int) -> str:
        return spoken.get(identity, names.text(identity))

    rows = one.prompt_logprobs()
    for row, identity in zip(rows[3:], target, strict=True):
        row[str(identity)]["decoded_token"] = name(identity)
    top = read_top_logprobs(rows, "f:1", target, names, names.entries)
    assert all(target[row] in top.ids[row, : top.held[row]] for row in range(len(target)))
    chat = one.chat(lambda identity: list(name(identity).encode()))
    for row, identity in zip(chat["content"], target, strict=True):
        row["token"] = name(identity)
    for value in (one.completions(name), chat):
        top = read_top_logprobs(value, "f:1", target, names, names.entries)
        for row, identity in enumerate(target):
            held = dict(zip(top.ids[row, : top.held[row]].tolist(), top.log_p[row].tolist(), strict=False))
            assert held[identity] == pytest.approx(one.log_p[row, identity])


def test_a_whole_character_is_not_counted_twice(tiny_tokenizer) -> None:
    """The last token of a character, named as the whole, is not the token that spells the whole."""
    names = TokenNames(tiny_tokenizer)
    target = next(identity for identity in range(names.entries) if "\ufffd" in names.text(identity))
    whole = tiny_tokenizer.convert_tokens_to_ids("a")
    value = {"tokens": ["a"], "token_logprobs": [-0.1], "top_logprobs": [{"a": -0.1, "b": -4.0}]}
    top = read_top_logprobs(value, "f:1", [target], names, names.entries)
    held = top.ids[0, : top.held[0]].tolist()
    assert target in held
    assert whole not in held


def test_a_special_token_may_have_no_text(tiny_tokenizer) -> None:
    names, end = TokenNames(tiny_tokenizer), tiny_tokenizer.eos_token_id
    row = {str(end): {"logprob": -0.5, "decoded_token": ""}, "9": {"logprob": -2.0, "rank": 2}}
    assert read_top_logprobs([row], "f:1", [end], names, names.entries).held.tolist() == [2]


def test_bytes_and_blanks_of_sentencepiece_tell_tokens_apart() -> None:
    """A tokenizer as Llama's, which writes blanks as `▁` and decodes none before a text."""
    words = ["<pad>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "a", "▁a", "b"]
    backend = Tokenizer(models.BPE({word: number for number, word in enumerate(words)}, [], byte_fallback=True))
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    names = TokenNames(PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="</s>"))
    assert names.text(words.index("▁a")) == "a"
    assert names.ids(" a", b" a") == names.ids(" a") == [words.index("▁a")]
    assert names.ids("\ufffd", b"\xe2") == [words.index("<0xE2>")]
    assert names.ids("</s>", b"</s>") == [1]
    assert len(names.ids("a")) > 1, "a server may write so for both"
    assert names.ids("\udc00") == [], "half of a pair of surrogates is no question mark"


def edited(change: Callable[[dict[str, Any]], Any]) -> Callable[[Served], Any]:
    """Prompt log-probabilities whose fifth row (the target's second) is changed."""

    def make(one: Served) -> Any:
        rows = one.prompt_logprobs()
        rows[4] = change(rows[4])
        return rows

    return make


def first(row: dict[str, Any], **fields: Any) -> dict[str, Any]:
    name = next(iter(row))
    return row | {name: row[name] | fields}


PLACE = "row 5, target token 2 of "


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda one: 3, "is none of the forms that are read"),
        (lambda one: [], "0 rows, and the target has "),
        (lambda one: one.prompt_logprobs()[4:], " rows, and the target has "),
        (lambda one: {"content": one.chat(lambda _: None)["content"][1:]}, " rows, and the target has "),
        (edited(lambda row: None), f"{PLACE}**: is null"),
        (edited(lambda row: 7), "a row is neither null nor an object"),
        (edited(lambda row: {}), f"{PLACE}**: has nothing on the target's token "),
        (edited(lambda row: {"x": -1.0}), "'x' is no token id"),
        (edited(lambda row: {"9" * 5000: -1.0}), "is no token id"),
        (edited(lambda row: dict(list(row.items())[1:])), f"{PLACE}**: has nothing on the target's token "),
        (edited(lambda row: {k: v | {"rank": 9} for k, v in list(row.items())[:1]}), "holds the target's token alone"),
        (edited(lambda row: first(row, decoded_token="Ω")), "calls the token "),
        (edited(lambda row: first(row, logprob=None)), "is None, no number up to 0"),
        (edited(lambda row: first(row, logprob="-1")), "is '-1', no number up to 0"),
        (edited(lambda row: first(row, logprob=True)), "is True, no number up to 0"),
        (edited(lambda row: first(row, logprob=0.01)), "is 0.01, no number up to 0"),
        (edited(lambda row: first(row, logprob=-(10**400))), ", no number up to 0"),
        (edited(lambda row: {k: v | {"logprob": -0.1} for k, v in row.items()}), f"{PLACE}**: the probabilities sum"),
        (lambda one: one.completions(by_id) | {"top_logprobs": None}, "holds the target's token alone"),
        (lambda one: one.completions(by_id) | {"tokens": ["x"]}, "not lists of one length"),
        (lambda one: one.completions(by_id) | {"tokens": 3}, "is none of the forms"),
        (lambda one: one.completions(by_id) | {"top_logprobs": [3] * (len(one.target) + 1)}, "neither null nor"),
        (lambda one: one.completions(lambda i: by_id(i + 1)), "is for 'token_id:"),
        (lambda one: {"content": [{"token": 3, "top_logprobs": []}] * 30}, "a token has no text"),
        (lambda one: {"content": [{"token": "a"}] * 30}, "a row has no list top_logprobs"),
        (lambda one: {"content": [r | {"top_logprobs": []} for r in one.chat(lambda _: None)["content"]]}, "alone"),
    ],
)  # fmt: skip
def test_a_fault_is_named_by_file_line_and_position(make_run, tiny_tokenizer, tmp_path, make, said: str) -> None:
    run = make_run("dense")
    one = served(run, tiny_tokenizer, top_k=20)
    with pytest.raises(UserError) as fault:
        stored(run, tmp_path, make(one))
    assert fault.value.problem.startswith(f"{tmp_path / 'served.jsonl'}:1: teacher_logprobs: ")
    assert said.replace("**", str(len(one.target))) in fault.value.problem
    is_of_other_tokens = any(word in said for word in ("has nothing on", "calls the token", "is for"))
    assert ("Name the tokenizer of the server's model" in fault.value.remedy) == is_of_other_tokens
    assert not (tmp_path / "store").exists()


def test_another_target_shows_both_tokens(make_run, tiny_tokenizer, tmp_path) -> None:
    run = make_run("dense")
    one = served(run, tiny_tokenizer)
    with pytest.raises(UserError, match=r"target token 1 of \d+: is for 'token_id:7', not for the target's token \d+ "):
        stored(run, tmp_path, one.completions(lambda identity: by_id(7)))


def test_other_codecs_and_two_kinds_in_a_line_are_refused(make_run, tiny_tokenizer, tmp_path) -> None:
    run = make_run("dense")
    value = served(run, tiny_tokenizer).prompt_logprobs()
    stored(run, tmp_path, value)
    file, tokenizer = tmp_path / "served.jsonl", str(run.folder / "corpus/tokenizer")
    with pytest.raises(UserError, match=r"served.jsonl:1: log-probabilities of .* codec `dense`") as fault:
        import_file(file, tokenizer, tmp_path / "other", "dense", 24)
    assert "--codec topk" in fault.value.remedy
    line = json.loads(file.read_text()) | {"teacher_logits_compressed": "AAAA"}
    file.write_text(json.dumps(line))
    with pytest.raises(UserError, match=r"served.jsonl:1: both teacher_logits_compressed and teacher_logprobs"):
        import_file(file, tokenizer, tmp_path / "other", "topk", 24)
