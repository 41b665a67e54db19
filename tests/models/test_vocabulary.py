"""A vocabulary cut to a corpus: the corpus is split as before, any text can be written, a model says the same."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models
from tokenizers.pre_tokenizers import ByteLevel
from transformers import PreTrainedTokenizerFast

from assertkd.errors import UserError
from assertkd.models.registry import build_model
from assertkd.models.tokenizer import load_tokenizer, train_tokenizer
from assertkd.models.vocabulary import cut_vocabulary, kept_entries
from assertkd.prompts.prompt_form import choose_form, form_of
from assertkd.settings import ModelSettings

WORDS = ["assertEquals(expected, actual);", "assertTrue(list.isEmpty());", "int count = queue.size();", "return null;"]
CORPUS = ["assertEquals(expected, actual);", "int countAll = queue;"]


def with_special_tokens_last() -> PreTrainedTokenizerFast:
    """A tokenizer as Qwen's: its end and padding tokens stand behind all others."""
    content = json.loads(train_tokenizer(WORDS * 20, 400).backend_tokenizer.to_str())
    special = [token["content"] for token in content["added_tokens"]]
    order = [token for token in content["model"]["vocab"] if token not in special]
    content["model"]["vocab"] = {token: number for number, token in enumerate([*order, *special])}
    for token in content["added_tokens"]:
        token["id"] = content["model"]["vocab"][token["content"]]
    tokenizer = Tokenizer.from_str(json.dumps(content))
    roles = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        additional_special_tokens=["<extra_id_0>"],
        clean_up_tokenization_spaces=False,
        **roles,
    )


@pytest.fixture(scope="module", params=["first", "last"])
def whole(request: pytest.FixtureRequest) -> PreTrainedTokenizerFast:
    return train_tokenizer(WORDS * 20, 400) if request.param == "first" else with_special_tokens_last()


@pytest.fixture(scope="module")
def cut(whole: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    return cut_vocabulary(whole, CORPUS)


def tokens(tokenizer: PreTrainedTokenizerFast, text: str) -> list[str]:
    ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids
    found: list[str] = tokenizer.convert_ids_to_tokens(ids)
    return found


def test_the_corpus_is_split_as_before_with_fewer_entries(
    whole: PreTrainedTokenizerFast, cut: PreTrainedTokenizerFast
) -> None:
    assert len(cut) < len(whole)
    for text in CORPUS:
        assert tokens(cut, text) == tokens(whole, text)
    kept = kept_entries(cut)
    assert kept is not None
    assert whole.convert_ids_to_tokens(kept) == cut.convert_ids_to_tokens(range(len(cut)))
    assert kept_entries(whole) is None
    # `isEmpty` is not in the corpus: it is no single entry now, and was one.
    assert len(tokens(cut, "isEmpty")) > len(tokens(whole, "isEmpty"))


@given(st.text(max_size=40))
def test_any_text_can_be_written(cut: PreTrainedTokenizerFast, text: str) -> None:
    ids = cut(text, add_special_tokens=False, split_special_tokens=True).input_ids
    assert cut.decode(ids) == text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def test_it_is_saved_with_its_roles_and_form(whole: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    formed = train_tokenizer(WORDS * 20, 400)
    choose_form(formed, "continuation")
    cut = cut_vocabulary(formed, CORPUS)
    cut.save_pretrained(str(tmp_path))
    again = load_tokenizer(tmp_path)
    assert kept_entries(again) == kept_entries(cut)
    assert (again.pad_token, again.eos_token) == (whole.pad_token, whole.eos_token)
    forms = [form_of(one) for one in (formed, again)]
    assert forms[0] is not None
    assert forms[1] is not None
    for before, after in zip(*forms, strict=True):
        assert formed.convert_ids_to_tokens(before) == again.convert_ids_to_tokens(after)


@pytest.mark.parametrize("family", ["t5", "causal"])
def test_a_model_of_the_whole_vocabulary_says_the_same(
    whole: PreTrainedTokenizerFast, cut: PreTrainedTokenizerFast, tmp_path: Path, family: str
) -> None:
    sizes: dict[str, Any] = {"family": family, "d_model": 16, "d_ff": 32, "heads": 2}
    model = build_model(ModelSettings(name="scratch", scratch=sizes), whole, 0.0).eval()
    model.save(whole, tmp_path)
    smaller = build_model(ModelSettings(name=str(tmp_path)), cut, 0.0).eval()
    assert smaller.vocab_size == len(cut)
    kept = torch.tensor(kept_entries(cut))
    target = torch.tensor([cut(CORPUS[0], add_special_tokens=False).input_ids])
    source = torch.tensor([cut(CORPUS[1], add_special_tokens=False).input_ids])
    with torch.no_grad():
        mask = torch.ones_like(source)
        before = model(kept[source], mask, kept[target]).logits[..., kept]
        torch.testing.assert_close(smaller(source, mask, target).logits, before)
    assert smaller.pad_token_id == cut.pad_token_id
    # A model that is cut already is taken as it is.
    smaller.save(cut, tmp_path / "cut")
    again = build_model(ModelSettings(name=str(tmp_path / "cut")), cut, 0.0)
    assert all(torch.equal(again.weights()[name], weight) for name, weight in smaller.weights().items())


def test_a_cut_of_a_cut_has_the_ids_of_the_first(whole: PreTrainedTokenizerFast, cut: PreTrainedTokenizerFast) -> None:
    twice = cut_vocabulary(cut, CORPUS[:1])
    kept = kept_entries(twice)
    assert kept is not None
    assert len(kept) < len(cut)
    assert whole.convert_ids_to_tokens(kept) == twice.convert_ids_to_tokens(range(len(twice)))


def test_merges_in_any_order_are_kept(whole: PreTrainedTokenizerFast) -> None:
    content = json.loads(whole.backend_tokenizer.to_str())
    base = {token["content"] for token in content["added_tokens"]} | set(ByteLevel.alphabet())
    order = [*sorted(base), "cd", "bcd", "abcd", "ab"]
    content["model"]["vocab"] = {token: number for number, token in enumerate(order)}
    content["model"]["merges"] = [["c", "d"], ["a", "bcd"], ["b", "cd"], ["a", "b"]]
    for token in content["added_tokens"]:
        token["id"] = content["model"]["vocab"][token["content"]]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(content)), pad_token="<pad>", eos_token="</s>"
    )
    text = "abcd"
    assert tokens(cut_vocabulary(tokenizer, [text]), text) == tokens(tokenizer, text)


def test_a_padded_model_without_a_tokenizer_of_its_own_is_cut_too(
    whole: PreTrainedTokenizerFast, cut: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    sizes: dict[str, Any] = {"family": "t5", "d_model": 16, "d_ff": 32, "heads": 2}
    model = build_model(ModelSettings(name="scratch", scratch=sizes), whole, 0.0, len(whole) + 20)
    model.save(whole, tmp_path)
    for file in tmp_path.glob("tokenizer*"):
        file.unlink()
    assert build_model(ModelSettings(name=str(tmp_path)), cut, 0.0).vocab_size == len(cut)


def test_other_kinds_of_tokenizers_are_refused() -> None:
    words = Tokenizer(models.WordLevel({"a": 0, "<pad>": 1, "</s>": 2}, unk_token="a"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="</s>")
    with pytest.raises(UserError, match=r"tokenizer\.keep: corpus: .* no byte-level BPE"):
        cut_vocabulary(tokenizer, ["a"])
