"""Model inputs and targets: never too long, cut where it hurts least, and readable again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from assertkd.models.tokenizer import PLACEHOLDER_TOKEN, train_tokenizer
from assertkd.prompts.prompt import Prompt
from assertkd.records import MARKER, Record

TOKENIZER = train_tokenizer(["assertEquals(expected, actual);"], 300)
GAP_ID = TOKENIZER.convert_tokens_to_ids(PLACEHOLDER_TOKEN)
END_ID = TOKENIZER.eos_token_id


def prompt(max_input_len: int = 64, max_output_len: int = 16) -> Prompt:
    return Prompt(TOKENIZER, max_input_len, max_output_len)


def digits(count: int, digit: str) -> str:
    """Return text of exactly `count` tokens, since no two digits were merged."""
    return digit * count


def encoded(focal: int, left: int, right: int, max_input_len: int) -> tuple[str, int]:
    """Return the decoded input, without the end token, of texts of these lengths (f, l and r), and how much was cut."""
    result = prompt(max_input_len).encode_input(digits(focal, "1"), digits(left, "2") + MARKER + digits(right, "3"))
    assert result.ids[-1] == END_ID
    assert END_ID not in result.ids[:-1]
    return TOKENIZER.decode(result.ids[:-1]), result.cut


def test_an_input_that_fits_is_whole() -> None:
    focal, test = "int f() { return 1; }  \n", f"void t() {{\n    {MARKER}\n}}"
    result = prompt(512).encode_input(focal, test)
    text = TOKENIZER.decode(result.ids)
    assert text == f"int f() {{ return 1; }}\n\nvoid t() {{\n    {PLACEHOLDER_TOKEN}\n}}</s>"
    assert result.cut == 0
    assert result.ids.count(GAP_ID) == 1


@pytest.mark.parametrize(
    ("lengths", "room", "expected"),
    [
        # Focal method and blank line of 10 + 2, test of 5 + gap + 5.
        ((10, 5, 5), 24, "1111111111\n\n22222<gap>33333"),
        ((10, 5, 5), 23, "1111111111\n\n22222<gap>33333"),
        # First the focal method's tail goes, down to a quarter of the room.
        ((10, 5, 5), 22, "1111111111\n22222<gap>33333"),
        ((10, 5, 5), 16, "11111" + "22222<gap>33333"),
        # Then the test's head.
        ((20, 30, 5), 20, "11111" + "222222222<gap>33333"),
        # Then, where what follows is longer than half of the test's room, its end.
        ((20, 30, 30), 20, "11111" + "2222222<gap>3333333"),
        ((20, 3, 30), 20, "11111" + "222<gap>33333333333"),
        ((20, 0, 30), 20, "11111" + "<gap>33333333333333"),
        # A focal method below its quarter leaves its room to the test.
        ((1, 30, 30), 20, "1\n\n22222222<gap>33333333"),
    ],
)
def test_the_order_of_cutting(lengths: tuple[int, int, int], room: int, expected: str) -> None:
    text, cut = encoded(*lengths, max_input_len=room + 1)
    assert text == expected.replace("<gap>", PLACEHOLDER_TOKEN)
    assert cut == sum(lengths) + 3 - len(expected.replace("<gap>", "g"))


@given(st.integers(0, 80), st.integers(0, 80), st.integers(0, 80), st.integers(16, 90))
def test_no_input_is_too_long_and_the_gap_keeps_its_neighbours(focal: int, left: int, right: int, most: int) -> None:
    text, cut = encoded(focal, left, right, most)
    assert text.count(PLACEHOLDER_TOKEN) == 1
    before, _, after = text.partition(PLACEHOLDER_TOKEN)
    focal_part = before.rstrip("2")
    kept_left = before[len(focal_part) :]
    assert set(focal_part) <= {"1", "\n"}
    assert set(after) <= {"3"}
    length = len(before) + 1 + len(after) + 1
    assert length <= most
    assert cut == focal + 2 + left + 1 + right + 1 - length
    assert length == most or cut == 0, "no more is cut than must be"
    assert not left or kept_left
    assert not right or after
    room = most - 1
    if len(focal_part) < focal + 2:
        assert len(focal_part) >= room // 4
    if len(focal_part) > room // 4 and len(focal_part) < focal + 2:
        assert (len(kept_left), len(after)) == (left, right), "the focal method goes first"
    if len(after) < right:
        assert len(kept_left) <= len(after) + 1, "the end goes only where it is longer than half of the room"


def test_a_record_is_its_focal_method_and_test() -> None:
    record = Record("i", "int f();", f"t {MARKER}", "a();")
    assert prompt().encode_record(record) == prompt().encode_input("int f();", f"t {MARKER}")


JAVA = st.text(st.characters(exclude_categories=["Cs"]), max_size=40).map(str.strip)


@given(JAVA)
def test_targets_round_trip(text: str) -> None:
    whole = prompt(max_output_len=4096)
    ids = whole.encode_target(text)
    assert whole.decode(ids) == text
    assert ids[-1] == END_ID
    assert len(ids) == whole.target_length(text)


@pytest.mark.parametrize(
    "text", ['x("</s>");', '"<s>a</s><pad><unk>"', f'"{PLACEHOLDER_TOKEN}"', '"ü 𝒳 \u2028 . , n\'t"', "a  b"]
)
def test_what_looks_special_is_text(text: str) -> None:
    whole = prompt(max_output_len=4096)
    assert whole.decode(whole.encode_target(text)) == text
    ids = whole.encode_input(text, f"{text}{MARKER}{text}").ids
    special = [index for index in ids if index in TOKENIZER.all_special_ids]
    assert special in ([GAP_ID], [GAP_ID, END_ID])
    assert ids.count(GAP_ID) == 1


@given(st.integers(0, 40), st.integers(4, 30))
def test_a_target_that_is_cut_keeps_its_end_token(length: int, most: int) -> None:
    ids = prompt(max_output_len=most).encode_target(digits(length, "5"))
    assert len(ids) == min(length + 1, most)
    assert ids[-1] == END_ID
    assert END_ID not in ids[:-1]
    assert prompt(max_output_len=most).target_length(digits(length, "5")) == length + 1


def test_padding_is_no_part_of_a_text() -> None:
    ids = [*prompt().encode_target("a();"), TOKENIZER.pad_token_id, TOKENIZER.pad_token_id]
    assert prompt().decode(ids) == "a();"


def test_a_tokenizer_without_the_gap_token_sees_the_marker() -> None:
    backend = train_tokenizer(["a b"], 300).backend_tokenizer
    backend_json = backend.to_str().replace(PLACEHOLDER_TOKEN, "<other>")
    plain = PreTrainedTokenizerFast(
        tokenizer_object=type(backend).from_str(backend_json), pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    assert PLACEHOLDER_TOKEN not in plain.get_vocab()
    ids = Prompt(plain, 200, 16).encode_input("f();", f"t();{MARKER}u();").ids
    assert plain.decode(ids) == f"f();\n\nt();{MARKER}u();</s>"
