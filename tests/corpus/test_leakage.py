"""Which focal methods are the same up to literals, comments and layout, and which records repeat others."""

import pytest

from assertkd.corpus.leakage import focal_key, triple_key
from assertkd.corpus.record_audit import RecordAudit
from assertkd.records import Record


def record(focal: str, identity: str = "i", test: str = "t", assertion: str = "a") -> Record:
    return Record(identity, focal, test, assertion)


PLAIN = "int f(int a) { return a + 1; }"


@pytest.mark.parametrize(
    "same",
    [
        "int f(int a) { return a + 27; }",
        "int f(int a){return a+1;}",
        "int f(int a)\n{\n\treturn a + 1 ;\n}\n",
        "/** Adds 1, doesn't it? */ int f(int a) { // first \"a\n  return a + /* one */ 1; // don't\n}",
        "int f(int a) { /* \n many\n lines */\n\n // and this\n return a + 0x1F; }",
        "int f(int a) { return a + 1_000L; }",
        "int f(int a) { return a + 2.5f; }",
        "int f(int a) { return a + 'x'; }",
        "int f(int a) { return a +'\\''; }",
        "int f(int/**/a) { return a + '\"'; }",
        'int f(int a) { return a + "// no comment \\" \' here"; }',
        'int f(int a) { return a + """\n  block "quoted" // text\n"""; }',
    ],
)
def test_literals_comments_and_layout_do_not_matter(same: str) -> None:
    assert focal_key(record(same)) == focal_key(record(PLAIN))


@pytest.mark.parametrize(
    "other",
    [
        "int f(int b) { return b + 1; }",
        "int f(int a) { return a - 1; }",
        "int f(int a) { return a1 + 1; }",
        "int f(int a) { return a + a; }",
        "int g(int a) { return a + 1; }",
        "int f(int a) { return a + 1 + 1; }",
        "long f(int a) { return a + 1; }",
        "int f(int a) { int b; return a + 1; }",
    ],
)
def test_other_code_matters(other: str) -> None:
    assert focal_key(record(other)) != focal_key(record(PLAIN))


def test_numbers_in_identifiers_are_no_literals() -> None:
    keys = {focal_key(record(f"int {name}() {{ return 1; }}")) for name in ("f1", "f2", "f_1", "f$1", "f", "x1y")}
    assert len(keys) == 6


def test_comment_signs_in_strings_hide_no_code() -> None:
    with_url = 'String u() { return "http://a" + x; }'
    assert focal_key(record(with_url)) != focal_key(record('String u() { return "http://a" + y; }'))
    assert focal_key(record(with_url)) == focal_key(record('String u() { return "" + x; }'))
    assert focal_key(record("f('\"'); g(x); h('\"');")) != focal_key(record("f('\"'); g(y); h('\"');"))
    assert focal_key(record("f('\\\\'); g(x); h('a');")) == focal_key(record("f('b'); g(x); h('\\\\');"))
    assert focal_key(record("f('\\\\'); g(x); h('a');")) != focal_key(record("f('b'); g(y); h('\\\\');"))


def test_words_stay_apart() -> None:
    assert focal_key(record("return x;")) != focal_key(record("returnx;"))
    assert focal_key(record('return"a";')) == focal_key(record("return 1;")) != focal_key(record("return0;"))


def test_triples_ignore_white_space_alone() -> None:
    spaced = record("a  b\n", test=" t\tu", assertion="x; ")
    assert triple_key(spaced) == triple_key(record("a b", test="t u", assertion="x;"))
    fields = [("f", "t", "a"), ("f2", "t", "a"), ("f", "t2", "a"), ("f", "t", "a2")]
    keys = {triple_key(record(focal, identity, *rest)) for focal, *rest in fields for identity in ("1", "2")}
    assert len(keys) == 4


def test_duplicates_after_the_first_are_dropped() -> None:
    records = [record("a", "1"), record("b", "2"), record(" a ", "3"), record("b", "4", test="u"), record("a", "5")]
    audit = RecordAudit(places={r.id: ("a.jsonl", int(r.id)) for r in records})
    assert [r.id for r in audit.without_duplicates(records)] == ["1", "2", "4"]
    assert [rejection.line for rejection in audit.rejections] == [3, 5]


def test_records_like_others_are_dropped() -> None:
    records = [record(PLAIN, "1"), record("x", "2"), record("int f(int a){return a+2;}", "3")]
    audit = RecordAudit(places={r.id: ("a.jsonl", int(r.id)) for r in records})
    assert [r.id for r in audit.without_overlap(records, [record(PLAIN)], focal_key, "seen")] == ["2"]
    assert [rejection.line for rejection in audit.rejections] == [1, 3]
