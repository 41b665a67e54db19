"""Metrics that compare tokens: hand-computed cases, Counter arithmetic, and sacrebleu called directly."""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from assertkd.metrics.bleu import bleu, bleu_counts, corpus_bleu
from assertkd.metrics.critical_token_accuracy import critical_token_accuracy, most_aligned
from assertkd.metrics.exact_match import exact_match, exact_match_lenient, exact_match_unspaced
from assertkd.metrics.lexer import java_tokens
from assertkd.metrics.overlap import f1, precision, recall, token_accuracy
from assertkd.metrics.registry import pair_metrics

EQUALS = "assertEquals(3, list.size());"
EQUALS_TOKENS = ["assertEquals", "(", "3", ",", "list", ".", "size", "(", ")", ")", ";"]

JAVA_PIECES = st.lists(
    st.sampled_from([*EQUALS_TOKENS, "assertTrue", "x", '"a b"', "->", "::", "0x1F", "'c'", "1.5e3", "é"]), max_size=20
)


class TestLexer:
    def test_tokens_of_java(self) -> None:
        assert list(java_tokens(EQUALS)) == EQUALS_TOKENS
        assert java_tokens("  assertEquals( 3 ,list . size() ) ; // three") == java_tokens(EQUALS)

    def test_a_literal_is_one_token(self) -> None:
        assert list(java_tokens('fail("a b");')) == ["fail", "(", '"a b"', ")", ";"]

    def test_blank_text_has_no_tokens(self) -> None:
        assert java_tokens("") == java_tokens(" \n\t") == ()

    @pytest.mark.parametrize(
        ("text", "tokens"),
        [
            ('f("open, 1', ["f", "(", '"', "open", ",", "1"]),
            ('f("a b", "open', ["f", "(", '"a b"', ",", '"', "open"]),
            ("a # b", ["a", "#", "b"]),
            ("/* open", ["/", "*", "open"]),
        ],
    )
    def test_what_java_refuses_is_split_into_words_and_signs(self, text: str, tokens: list[str]) -> None:
        assert list(java_tokens(text)) == tokens

    @pytest.mark.parametrize("number", ["0", "7", "0x1F", "1L", "2.5f"])
    def test_a_number_may_end_the_text(self, number: str) -> None:
        assert list(java_tokens(f"x + {number}")) == ["x", "+", number]


class TestExactMatch:
    def test_blanks_and_comments_do_not_matter(self) -> None:
        assert exact_match(" assertEquals(3,list.size()) ;\n", EQUALS) == 1.0
        assert exact_match("assertEquals(3, list.size()); // size", EQUALS) == 1.0

    @pytest.mark.parametrize(
        ("prediction", "reference"),
        [
            ("assertEquals(4, list.size());", EQUALS),
            ('assertEquals("a", x);', 'assertEquals("b", x);'),
            ('assertEquals("a b", x);', 'assertEquals("a  b", x);'),
            ('assertEquals("\\s a b", x);', 'assertEquals("\\s a  b", x);'),
            ("assertEquals(1, x);", "assertEquals(1L, x);"),
            ("assertTrue(x)", "assertTrue(x);"),
            ("Assert.assertTrue(x);", "assertTrue(x);"),
            ("", EQUALS),
        ],
    )
    def test_values_signs_and_qualifiers_do(self, prediction: str, reference: str) -> None:
        assert exact_match(prediction, reference) == 0.0

    @pytest.mark.parametrize(
        ("prediction", "reference", "equal"),
        [
            ("Assert.assertTrue(x);", "assertTrue(x);", 1.0),
            ("assertTrue(x);", "Assertions.assertTrue(x);", 1.0),
            ("org.junit.Assert.assertTrue(x);", "Assertions.assertTrue(x);", 1.0),
            ("assertAll(() -> Assertions.assertTrue(x));", "assertAll(() -> assertTrue(x));", 1.0),
            ("Mockito.verify(mock).run();", "verify(mock).run();", 1.0),
            ("TestUtils.assertTrue(x);", "assertTrue(x);", 0.0),
            ("Assert.assertTrue(y);", "assertTrue(x);", 0.0),
            ("assertEquals(Assert.class, x);", "assertEquals(class, x);", 0.0),
            ("assertTrue(a.b.Assert);", "assertTrue(Assert);", 0.0),
            ("Assert.", "", 0.0),
        ],
    )
    def test_lenient_ignores_assertion_classes_alone(self, prediction: str, reference: str, equal: float) -> None:
        assert exact_match_lenient(prediction, reference) == equal

    def test_unspaced_leaves_out_all_blanks_and_nothing_else(self) -> None:
        assert exact_match_unspaced('f ( "a  b" ) ;', 'f("a b");') == 1.0
        assert exact_match_unspaced("f(x); // x", "f(x);") == 0.0

    def test_what_a_comment_swallows_counts_where_a_parenthesis_stays_open(self) -> None:
        # Quotes that were escaped twice end the literal, and the address becomes a comment.
        reference = r'assertEquals ( "<a href=\\"http://x.org\\">" , text ) ;'
        assert exact_match(reference, reference) == 1.0
        assert exact_match(reference.replace("x.org", "y.org"), reference) == 0.0
        assert exact_match("assertEquals ( 1 /* of */ , x ) ; // (", "assertEquals ( 1 , x ) ;") == 1.0


class TestOverlap:
    def test_by_hand(self) -> None:
        # 4 of 5 tokens are shared: ( x ) ;  against  ( x ) ; and a name.
        assert f1("assertTrue(x);", "assertFalse(x);") == pytest.approx(4 / 5)
        # a a a against a a b b: 2 shared.
        assert precision("a a a", "a a b b") == pytest.approx(2 / 3)
        assert recall("a a a", "a a b b") == pytest.approx(2 / 4)
        assert f1("a a a", "a a b b") == pytest.approx(4 / 7)

    def test_token_accuracy_by_hand(self) -> None:
        assert token_accuracy("assertTrue(x);", "assertTrue(y);") == pytest.approx(4 / 5)
        assert token_accuracy("a b c", "a b") == pytest.approx(2 / 3)
        assert token_accuracy("b c", "a b c") == 0.0
        assert token_accuracy("a b c", "a b c") == 1.0

    def test_repeating_a_word_earns_nothing(self) -> None:
        assert f1("a a a a a", "a") == pytest.approx(2 / 6)

    def test_empty_texts(self) -> None:
        for metric in (precision, recall, f1, token_accuracy):
            assert metric("", "a") == metric("a", "") == 0.0
            assert metric("", "") == 1.0

    @given(JAVA_PIECES, JAVA_PIECES)
    def test_against_counters(self, one: list[str], other: list[str]) -> None:
        # Blanks between keep every piece a token of its own.
        a, b = " ".join(one), " ".join(other)
        assert list(java_tokens(a)) == one
        shared = sum(min(count, other.count(token)) for token, count in Counter(one).items())
        if one and other:
            assert precision(a, b) == pytest.approx(shared / len(one))
            assert recall(a, b) == pytest.approx(shared / len(other))
            if shared:
                harmonic = 2 * precision(a, b) * recall(a, b) / (precision(a, b) + recall(a, b))
                assert f1(a, b) == pytest.approx(harmonic)


def aligned_by_trial(predicted: Sequence[str], expected: Sequence[str], is_counted: Sequence[bool]) -> int:
    """Try every subsequence of `expected`, the longest first."""

    def stands_in_prediction(places: Sequence[int]) -> bool:
        left = iter(predicted)
        return all(expected[place] in left for place in places)

    for length in range(len(expected), -1, -1):
        found = [places for places in combinations(range(len(expected)), length) if stands_in_prediction(places)]
        if found:
            return max(sum(is_counted[place] for place in places) for places in found)
    raise AssertionError


class TestCriticalTokenAccuracy:
    @pytest.mark.parametrize(
        ("prediction", "reference", "accuracy"),
        [
            # Critical: assertEquals and size.
            ("assertEquals(4, list.size());", EQUALS, 1.0),
            ("assertSame(3, list.size());", EQUALS, 1 / 2),
            ("assertSame(3, list.length());", EQUALS, 0.0),
            ("assertEquals(", EQUALS, 1 / 2),
            # What is inserted shifts nothing.
            ("org.junit.Assert.assertEquals(0, 3, list.get(0).size());", EQUALS, 1.0),
            # Out of place: size( ) , is shorter than assertEquals ( 3 , ( ) ) ;
            ("size(), assertEquals(3, ());", EQUALS, 1 / 2),
            ('fail("assertEquals size");', EQUALS, 0.0),
            ("assertTrue(a == b);", "assertTrue(a != b);", 1 / 2),
            ("@Test int x;", "@Test int y;", 1.0),
            # Without a critical token, all count: check ( x ) ;
            ("check(y);", "check(x);", 4 / 5),
            ("", "check(x);", 0.0),
            ("", "", 1.0),
            ("x", "", 0.0),
        ],
    )
    def test_by_hand(self, prediction: str, reference: str, accuracy: float) -> None:
        assert critical_token_accuracy(prediction, reference) == pytest.approx(accuracy)

    @given(
        st.lists(st.sampled_from("abc"), max_size=9),
        st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=8),
    )
    def test_alignment_against_every_subsequence(self, predicted: list[str], pairs: list[tuple[str, bool]]) -> None:
        expected, is_counted = [token for token, _ in pairs], [counted for _, counted in pairs]
        assert most_aligned(predicted, expected, is_counted) == aligned_by_trial(predicted, expected, is_counted)


class TestBleu:
    def test_against_sacrebleu(self) -> None:
        prediction, reference = "assertEquals(4, list.get(0).size());", EQUALS
        expected = sacrebleu.sentence_bleu(
            "assertEquals ( 4 , list . get ( 0 ) . size ( ) ) ;",
            ["assertEquals ( 3 , list . size ( ) ) ;"],
            tokenize="none",
            use_effective_order=True,
        )
        assert 0 < expected.score < 100
        assert bleu(prediction, reference) == pytest.approx(expected.score / 100)

    def test_bounds(self) -> None:
        assert bleu(EQUALS, EQUALS) == pytest.approx(1.0)
        assert bleu("x", "x") == pytest.approx(1.0)
        assert bleu("", EQUALS) == bleu("foo bar", EQUALS) == 0.0

    def test_blanks_between_tokens_do_not_matter(self) -> None:
        assert bleu("assertEquals( 3,list.size( ));", EQUALS) == pytest.approx(1.0)

    def test_a_literal_is_one_token(self) -> None:
        # fail ( "…" ) ; : 4 of 5 unigrams, 2 of 4 bigrams, none of 3 trigrams and 2 4-grams (smoothed to 1/2 and 1/4).
        expected = (4 / 5 * 2 / 4 * (1 / 2) / 3 * (1 / 4) / 2) ** (1 / 4)
        assert bleu('fail("a b c d");', 'fail("a b c e");') == pytest.approx(expected)

    def test_corpus_against_sacrebleu(self) -> None:
        predictions = ["assertTrue(x);", "assertEquals(4, list.size());", ""]
        references = ["assertTrue(y);", EQUALS, "fail();"]
        expected = sacrebleu.corpus_bleu(
            ["assertTrue ( x ) ;", "assertEquals ( 4 , list . size ( ) ) ;", ""],
            [["assertTrue ( y ) ;", "assertEquals ( 3 , list . size ( ) ) ;", "fail ( ) ;"]],
            tokenize="none",
            force=True,
        )
        score, signature = corpus_bleu(map(bleu_counts, predictions, references))
        assert score == pytest.approx(expected.score / 100)
        assert "tok:none" in signature
        assert f"version:{sacrebleu.__version__}" in signature


PATHOLOGICAL = [
    "@A(",
    "f(" * 500 + ")" * 500 + ";",
    "(" * 3000,
    "(a)" * 3000 + "b;",
    "{" * 4000 + "}" * 4000,
    "x->" * 500 + "1;",
    "a<" * 200 + ";",
    "if(x) " * 300 + ";",
    '"' * 999,
    "x" * 200_000,
    "\0",
    "\ud800",
    "assertEquals(\u0660, x);",
    "\\u",
    "日本語 é",
    "/*",
    "0x",
]


@pytest.mark.parametrize("name", pair_metrics())
class TestEveryMetric:
    @pytest.mark.parametrize("text", PATHOLOGICAL, ids=lambda text: ascii(text[:12]))
    def test_survives_pathological_predictions(self, name: str, text: str) -> None:
        assert 0.0 <= pair_metrics()[name](text, EQUALS) <= 1.0

    def test_is_one_for_the_reference_itself(self, name: str) -> None:
        assert pair_metrics()[name](EQUALS, EQUALS) == pytest.approx(1.0)

    def test_is_zero_for_nothing(self, name: str) -> None:
        assert pair_metrics()[name]("", EQUALS) == 0.0

    @settings(max_examples=50)
    @given(prediction=st.text(max_size=60), reference=JAVA_PIECES)
    def test_stays_between_zero_and_one(self, name: str, prediction: str, reference: list[str]) -> None:
        assert 0.0 <= pair_metrics()[name](prediction, " ".join(reference)) <= 1.0
