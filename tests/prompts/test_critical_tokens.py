"""The list of critical tokens, and marks on the pieces of real tokenizers against a slow marking by characters."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from assertkd.models.tokenizer import train_tokenizer
from assertkd.prompts.critical_tokens import CRITICAL_TOKENS, critical_pieces
from assertkd.prompts.prompt import Prompt

CATEGORY_SIZES = {
    "junit": 87,
    "testng": 45,
    "mocking": 38,
    "logical": 25,
    "exception": 22,
    "collection": 20,
    "string": 16,
    "numeric": 14,
    "structural": 18,
    "lifecycle": 12,
    "domain": 13,
}
CATEGORIES = json.loads(CRITICAL_TOKENS.read_text(encoding="utf-8"))
TOKENS = [token for category in CATEGORIES.values() for token in category["tokens"]]

ASSERTIONS = [
    "assertEquals(expected, actual);",
    "assertEquals(2, list.size());",
    'assertTrue("should be empty", list.isEmpty() && !map.containsKey("naïve"));',
    "assertThrows(IllegalArgumentException.class, () -> parser.parse(null));",
    "assertNotNull(notNull);",
    "assertThat(result).isEqualTo(new String[] {});",
    'Assert.assertEquals("日本語 result 🎉", value, 1e-9);',
    "verify(mock, times(2)).close();",
    "assertEqualsX(myResult, result_2, $value);",
    "assertTrue(a != b || a == b);\n\treturn  this;",
    "@Test(expectedExceptions = IOException.class)",
]


def visible(piece: str) -> bool:
    return bool(piece.strip())


def critical_characters(text: str) -> list[bool]:
    """Scan from the left; at each place take the longest token that stands there as a whole word."""

    def joins(place: int) -> bool:
        return 0 <= place < len(text) and (text[place].isalnum() or text[place] in "_$")

    critical = [False] * len(text)
    place = 0
    while place < len(text):
        longest = 0
        for token in TOKENS:
            end = place + len(token)
            whole = not token[-1].isalnum() or not (joins(place - 1) or joins(end))
            if text[place:end] == token and whole:
                longest = max(longest, len(token))
        critical[place : place + longest] = [True] * longest
        place += max(1, longest)
    return critical


def slow_marks(text: str, offsets: list[tuple[int, int]]) -> list[bool]:
    critical = critical_characters(text)
    marks = []
    for start, end in offsets:
        seen = [critical[place] for place in range(start, end) if visible(text[place])]
        marks.append(bool(seen) and all(seen))
    return marks


@pytest.fixture(scope="module")
def small_pieces() -> PreTrainedTokenizerFast:
    """Barely more than single bytes: every critical token takes several pieces."""
    return train_tokenizer(ASSERTIONS, vocab_size=280)


@pytest.fixture(scope="module")
def large_pieces() -> PreTrainedTokenizerFast:
    """Whole words, and the spaces before them, in one piece, as CodeT5 has them."""
    inner = Tokenizer(models.BPE(unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(
        vocab_size=2000, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    inner.train_from_iterator(ASSERTIONS * 3, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="</s>", pad_token="<pad>", unk_token="<unk>")


@pytest.fixture(scope="module")
def trimming(large_pieces: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """The same pieces with spans that leave out the leading space, as RoBERTa's tokenizers give them."""
    inner = Tokenizer.from_str(large_pieces.backend_tokenizer.to_str())
    inner.post_processor = processors.ByteLevel(trim_offsets=True)
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="</s>", pad_token="<pad>", unk_token="<unk>")


@pytest.fixture(scope="module")
def word_pieces() -> PreTrainedTokenizerFast:
    """T5's kind of pieces: words behind a `▁` that stands for the space."""
    vocabulary = {"<unk>": 0, "</s>": 1, "▁assertEquals(expected,": 2, "▁actual": 3, "▁&&": 4, "▁result": 5}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="</s>", unk_token="<unk>")


def offsets_of(tokenizer: PreTrainedTokenizerFast, text: str) -> list[tuple[int, int]]:
    return tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]


def marked(text: str, *pieces: str) -> list[bool]:
    """Cut `text`, which must be the pieces in a row, and return their marks."""
    assert "".join(pieces) == text
    ends = [len("".join(pieces[: count + 1])) for count in range(len(pieces))]
    return critical_pieces(text, [(end - len(piece), end) for piece, end in zip(pieces, ends, strict=True)])


def test_the_list_has_the_sizes_that_it_names() -> None:
    assert all(category.keys() == {"group", "tokens"} for category in CATEGORIES.values())
    assert {name: len(category["tokens"]) for name, category in CATEGORIES.items()} == CATEGORY_SIZES
    groups: dict[str, int] = {}
    for category in CATEGORIES.values():
        groups[category["group"]] = groups.get(category["group"], 0) + len(category["tokens"])
    assert groups == {"JUnit": 87, "TestNG": 45, "Mockito": 38, "logical": 25, "exceptions": 22, "structural": 93}
    assert len(TOKENS) == len(set(TOKENS)) == 310
    assert all(token and not any(character.isspace() for character in token) for token in TOKENS)


@pytest.mark.parametrize(
    ("category", "token"),
    [
        ("junit", "assertEquals"),
        ("testng", "assertThat"),
        ("testng", "expectThrows"),
        ("mocking", "verify"),
        ("logical", "should"),
        ("exception", "throws"),
        ("structural", "class"),
        ("lifecycle", "@Before"),
        ("domain", "expected"),
    ],
)
def test_tokens_stand_in_their_category(category: str, token: str) -> None:
    assert token in CATEGORIES[category]["tokens"]


def test_every_token_is_marked_whole_where_it_stands_alone() -> None:
    for token in TOKENS:
        pieces = ["(x ", *token, " y)"]
        assert marked("".join(pieces), *pieces) == [False, *[True] * len(token), False], token


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["assertEquals", "X", "("], [False, False, False]),
        (["my", "assertEquals", "("], [False, False, False]),
        (["my_", "result"], [False, False]),
        (["result", "$1"], [False, False]),
        (["é", "result"], [False, False]),
        (["assert", "NotNull", "("], [True, True, False]),
        (["assertNot", "null", "("], [False, False, False]),
        (["assertNot", "Null", "(", "null", ")"], [True, True, False, True, False]),
        (["a", "&&", "b"], [False, True, False]),
        (["a", " &", "& ", "b"], [False, True, True, False]),
        (["a", " &", " & ", "b"], [False, False, False, False]),
        (["!", "=", "!"], [True, True, True]),
        (["!(", "a", ")"], [False, False, False]),
        (["@", "Test", "\n"], [True, True, False]),
        (["Test", "\n"], [False, False]),
        (["x@", "Test"], [False, False]),
        (["@Test", "s"], [False, False]),
        (["(", " expected", ",", " actual", ")"], [False, True, False, True, False]),
        (["x", "\n\tresult ", " ", "y"], [False, True, False, False]),
        (["a", " result is", " b"], [False, False, False]),
        (["result", ")."], [True, False]),
        (["", "null", ""], [False, True, False]),
    ],
)
def test_whole_words_alone_are_marked(pieces: list[str], expected: list[bool]) -> None:
    assert marked("".join(pieces), *pieces) == expected


def test_no_pieces_have_no_marks() -> None:
    assert critical_pieces("", []) == []
    assert critical_pieces("", [(0, 0)]) == [False]


@pytest.mark.parametrize("text", ["", *ASSERTIONS])
@pytest.mark.parametrize("kind", ["small_pieces", "large_pieces", "trimming"])
def test_marks_equal_those_by_characters(kind: str, text: str, request: pytest.FixtureRequest) -> None:
    offsets = offsets_of(request.getfixturevalue(kind), text)
    assert critical_pieces(text, offsets) == slow_marks(text, offsets)


def test_a_token_of_several_pieces_is_marked_on_every_one(small_pieces: PreTrainedTokenizerFast) -> None:
    text = "assertIterableEquals(日, actual);"
    offsets = offsets_of(small_pieces, text)
    spelt = [text[start:end] for start, end in offsets]
    marks = critical_pieces(text, offsets)
    name = [piece for piece, (_, end) in zip(spelt, offsets, strict=True) if end <= text.index("(")]
    assert len(name) > 2
    assert marks[: len(name)] == [True] * len(name)
    assert spelt.count("日") > 1, "a character of three bytes takes several pieces"
    critical = "".join(piece for piece, mark in zip(spelt, marks, strict=True) if mark)
    assert critical.replace(" ", "") == "assertIterableEqualsactual"


def test_a_leading_space_does_not_matter(
    large_pieces: PreTrainedTokenizerFast, trimming: PreTrainedTokenizerFast
) -> None:
    text = "assertEquals(expected, actual);"
    wide, narrow = offsets_of(large_pieces, text), offsets_of(trimming, text)
    assert " actual" in [text[start:end] for start, end in wide]
    assert "actual" in [text[start:end] for start, end in narrow]
    marks = critical_pieces(text, wide)
    assert marks == critical_pieces(text, narrow)
    assert [text[start:end].strip() for (start, end), mark in zip(wide, marks, strict=True) if mark] == [
        "assertEquals",
        "expected",
        "actual",
    ]


def test_pieces_behind_a_metaspace_are_marked(word_pieces: PreTrainedTokenizerFast) -> None:
    text = "assertEquals(expected, actual && result"
    assert critical_pieces(text, offsets_of(word_pieces, text)) == [False, True, True, True]


FRAGMENTS = [
    *TOKENS,
    " ",
    "\n\t",
    "(",
    ")",
    ".",
    ",",
    ";",
    "X",
    "_",
    "$",
    "2",
    "é",
    "日本",
    "🎉",
    "e\u0301",
    "&",
    "=",
    "-",
]
TEXTS = st.one_of(st.text(st.characters(exclude_categories=["Cs"])), st.lists(st.sampled_from(FRAGMENTS)).map("".join))


@settings(max_examples=200)
@given(text=TEXTS)
@example(text="🎉assertEquals 日result&&result日")
@example(text="!!== ===>=->")
def test_marks_on_any_text_equal_those_by_characters(text: str, small_pieces: PreTrainedTokenizerFast) -> None:
    offsets = offsets_of(small_pieces, text)
    marks = critical_pieces(text, offsets)
    assert marks == slow_marks(text, offsets)
    critical = critical_characters(text)
    for (start, end), mark in zip(offsets, marks, strict=True):
        if mark:
            assert all(critical[place] or not visible(text[place]) for place in range(start, end))


@settings(max_examples=200)
@given(text=TEXTS, cuts=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60))))
def test_marks_on_any_spans_equal_those_by_characters(text: str, cuts: list[tuple[int, int]]) -> None:
    offsets = [(min(start, end, len(text)), min(max(start, end), len(text))) for start, end in cuts]
    assert critical_pieces(text, offsets) == slow_marks(text, offsets)


@pytest.mark.parametrize("most", [1, 2, 5, 64])
@pytest.mark.parametrize("kind", ["small_pieces", "large_pieces"])
def test_marked_targets_are_the_targets(kind: str, most: int, request: pytest.FixtureRequest) -> None:
    tokenizer = request.getfixturevalue(kind)
    prompt = Prompt(tokenizer, max_input_len=32, max_output_len=most)
    for text in ["", "</s> assertTrue(true);", *ASSERTIONS]:
        ids, marks = prompt.encode_target_marked(text)
        assert ids == prompt.encode_target(text)
        assert len(marks) == len(ids) <= most
        assert marks[-1] is False
        offsets = tokenizer(text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)
        assert marks[:-1] == slow_marks(text, offsets["offset_mapping"])[: most - 1]


def test_a_token_split_by_the_cut_stays_marked(small_pieces: PreTrainedTokenizerFast) -> None:
    prompt = Prompt(small_pieces, max_input_len=32, max_output_len=3)
    assert len(prompt.encode_target("assertIterableEquals")) == 3
    assert prompt.encode_target_marked("assertIterableEquals")[1] == [True, True, False]
