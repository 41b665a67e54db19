"""Tokens of two tokenizers on one text."""

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from assertkd.models.token_alignment import Span, TokenBytes, aligned_spans, first_tokens
from assertkd.models.tokenizer import train_tokenizer
from assertkd.prompts.prompt import Prompt

TEXTS = ["assertEquals(3, sum);", 'assertEquals("naïve — ✓", names.get(0));', "assertTrue(list.isEmpty());"]


def metaspace_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer as Llama's: blanks as `▁`, one before each text, and bytes for what it has no token of."""
    words = ["<pad>", "</s>", "<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    words += ["▁", *sorted({*'assertEquals(3, sum);ist.py"0'} - {" "}), "as", "▁as", "um", "▁s", "▁sum"]
    merges = [("a", "s"), ("▁", "as"), ("u", "m"), ("▁", "s"), ("▁s", "um")]
    vocabulary = {word: number for number, word in enumerate(words)}
    backend = Tokenizer(models.BPE(vocabulary, merges, byte_fallback=True, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


TOKENIZERS = {
    "small": train_tokenizer(TEXTS, 300),
    "large": train_tokenizer(TEXTS * 3 + ["assertEquals assertTrue sum names get list isEmpty"] * 5, 420),
    "metaspace": metaspace_tokenizer(),
}


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("text", TEXTS)
def test_ends_are_where_the_tokens_parts_of_the_text_end(name: str, text: str) -> None:
    tokenizer = TOKENIZERS[name]
    ids = Prompt(tokenizer, 64, 64).encode_target(text)
    ends = TokenBytes(tokenizer).ends(ids, text)
    assert len(ends) == len(ids)
    assert ends[-2:] == [len(text.encode()), len(text.encode()) + 1]
    for count, end in enumerate(ends[:-1], start=1):
        # An independent reading: the decoder of the tokenizer.
        assert tokenizer.decode(ids[:count]).encode().startswith(text.encode()[:end].decode(errors="ignore").encode())


def test_a_target_that_was_cut_has_no_end_of_the_text() -> None:
    tokenizer, text = TOKENIZERS["small"], TEXTS[0]
    ids = Prompt(tokenizer, 64, 6).encode_target(text)
    ends = TokenBytes(tokenizer).ends(ids, text)
    assert len(ends) == len(ids) - 1
    assert ends[-1] < len(text)


def test_tokens_of_another_text_are_left_out() -> None:
    tokenizer = TOKENIZERS["small"]
    ids = Prompt(tokenizer, 64, 64).encode_target("assertTrue(x);")
    assert TokenBytes(tokenizer).ends(ids, "assertEquals(1, x);")[-1] == len("assert")


def test_spans_are_the_shortest_that_no_token_reaches_across() -> None:
    spans = aligned_spans([3, 5, 9, 10], [1, 3, 9, 10, 12])
    assert spans == [
        Span(range(1), range(2)),
        Span(range(1, 3), range(2, 3)),
        Span(range(3, 4), range(3, 4)),
    ]
    assert aligned_spans([2], [3]) == []


@pytest.mark.parametrize("student", TOKENIZERS)
@pytest.mark.parametrize("teacher", TOKENIZERS)
def test_each_token_begins_with_the_longest_of_the_others_that_fits(teacher: str, student: str) -> None:
    one, other = TOKENIZERS[teacher], TOKENIZERS[student]
    first = first_tokens(one, other, len(one) + 3, len(other)).tolist()
    assert first[len(one) :] == [-1, -1, -1]
    assert first[one.eos_token_id] == other.eos_token_id
    spelt = TokenBytes(one).spelt, TokenBytes(other).spelt
    known = [whole for whole in spelt[1] if whole]
    for number, whole in enumerate(spelt[0]):
        if whole:
            found = spelt[1][first[number]]
            assert found == max((part for part in known if whole.startswith(part)), key=len)
    if teacher == student:
        assert first[: len(one)] == [*range(len(one))]


def test_an_end_token_that_also_pads_begins_with_the_students_end() -> None:
    for teacher_role, student in (("pad", "small"), ("bos", "metaspace"), ("unk", "large")):
        teacher = train_tokenizer(TEXTS, 300)
        setattr(teacher, f"{teacher_role}_token", teacher.eos_token)
        other = TOKENIZERS[student]
        tokens = first_tokens(teacher, other, len(teacher), len(other))
        assert tokens[teacher.eos_token_id] == other.eos_token_id


def test_tokens_that_were_added_as_plain_text_are_spelt() -> None:
    tokenizer = train_tokenizer(TEXTS, 300)
    tokenizer.add_tokens(["    ", "assertThat"])
    text = "assertThat(a,    b);"
    ids = Prompt(tokenizer, 64, 64).encode_target(text)
    assert {*tokenizer.convert_tokens_to_ids(["    ", "assertThat"])} <= {*ids}
    ends = TokenBytes(tokenizer).ends(ids, text)
    assert (len(ends), ends[-1]) == (len(ids), len(text) + 1)
