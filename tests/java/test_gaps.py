"""Gaps for pre-training: what is cut out goes back in, and is what the draw says."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assertkd.java.gaps import cut_statements, cut_tokens
from assertkd.java.source import leaves, parse
from assertkd.records import MARKER

TEST = """@Test
void adds() {
    int one = 1;
    list.add(one); // once
    for (int n : list) { seen.add(n); }
    assertEquals(1, list.size());
}"""


def tokens(code: str) -> list[str]:
    return [str(leaf.text, "utf-8") for leaf in leaves(parse(code.encode()).root_node)]


def test_every_statement_but_those_named_is_cut_out_once() -> None:
    cut = cut_statements(TEST, 20, ["assertEquals(1, list.size());"], random.Random(0))
    assert {statement for _, statement in cut} == {"int one = 1;", "list.add(one);", "seen.add(n);"}
    for method, statement in cut:
        assert method.count(MARKER) == 1
        assert tokens(method.replace(MARKER, statement)) == tokens(TEST)


def test_no_more_statements_are_cut_out_than_asked_for() -> None:
    assert len(cut_statements(TEST, 2, [], random.Random(0))) == 2
    assert cut_statements(TEST, 0, [], random.Random(0)) == []
    assert cut_statements("@Test void nothing() { }", 3, [], random.Random(0)) == []


@given(st.integers(0, 1000), st.floats(0.05, 0.5), st.integers(3, 40))
def test_a_run_of_tokens_goes_back_in(seed: int, share: float, longest: int) -> None:
    method = 'int f(int x) { String é = "naïve"; while (x > 0) { x = x - g(x, é.length() + 1); } return x; }'
    cut = cut_tokens(method, share, longest, random.Random(seed))
    count = min(round(share * len(tokens(method))), longest)
    if count < 3:
        assert cut is None
        return
    assert cut is not None
    assert cut[0].replace(MARKER, cut[1]) == method
    start = len(cut[0].partition(MARKER)[0].encode())
    end = start + len(cut[1].encode())
    inside = [leaf for leaf in leaves(parse(method.encode()).root_node) if start <= leaf.start_byte < end]
    assert len(inside) == count
    assert inside[-1].end_byte == end


@pytest.mark.parametrize("method", ["int f() { return 1; }", "void g() {}"])
def test_short_methods_have_no_gap(method: str) -> None:
    assert cut_tokens(method, 0.15, 32, random.Random(0)) is None
