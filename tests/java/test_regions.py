"""Comments and literals are told from code, in broken code too and in time."""

import time

import pytest

from assertkd.java.regions import code_tokens, regions


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("f();", [("code", "f();")]),
        ("a(); // b \"c\nd();", [("code", "a(); "), ("comment", '// b "c'), ("code", "\nd();")]),
        ("a(/* \" */);", [("code", "a("), ("comment", '/* " */'), ("code", ");")]),
        (r'f("x\"// y");', [("code", "f("), ("literal", r'"x\"// y"'), ("code", ");")]),
        (r"""f('"', '\'', '\u0041');""", [
            ("code", "f("), ("literal", "'\"'"), ("code", ", "), ("literal", r"'\''"), ("code", ", "),
            ("literal", r"'\u0041'"), ("code", ");"),
        ]),
        ('f("open);\ng();', [("code", "f("), ("literal", '"open);'), ("code", "\ng();")]),
        ("a(); /* b\n// c", [("code", "a(); "), ("comment", "/* b\n// c")]),
        ('a("""\nb\\', [("code", "a("), ("literal", '"""\nb\\')]),
        ('"""\n// "a"\n""" b', [("literal", '"""\n// "a"\n"""'), ("code", " b")]),
    ],
)  # fmt: skip
def test_a_text_falls_into_regions(text: str, kinds: list[tuple[str, str]]) -> None:
    found = list(regions(text))
    assert [(one.kind, text[one.start : one.end]) for one in found] == kinds
    assert "".join(text[one.start : one.end] for one in found) == text


def test_tokens_leave_comments_out() -> None:
    text = 'Assert . assertEquals(0 /* "n" */, "a b"); // end'
    assert [token.text for token in code_tokens(text)] == [
        "Assert",
        ".",
        "assertEquals",
        "(",
        "0",
        ",",
        '"a b"',
        ")",
        ";",
    ]
    assert all(text[token.start : token.end] == token.text for token in code_tokens(text))


@pytest.mark.parametrize("part", ["'\\", '"\\', '\\"', '"""', "/*", "/* ", '\\"""\n', "'", '"', "//\n", "*/"])
def test_no_text_takes_long(part: str) -> None:
    text = part * (20_000 // len(part))
    started = time.process_time()
    assert "".join(text[one.start : one.end] for one in regions(text)) == text
    assert time.process_time() - started < 1
