"""Links of real projects, judged by reading: how many were right, and that those with an excerpt are still chosen.

`judged_links.jsonl` has tests of Debian's source packages, drawn at random (98 of 14 packages, then 83 of jackson-core,
jsoup, mockito and okio): the method that was chosen at first (`before`), the one that is chosen (null where none is),
and the one that is tested. `benchmarks/judged_links.py` chooses again, on the packages' sources.
"""

import json
from collections import Counter
from pathlib import Path

import pytest

from assertkd.java.declarations import read_declarations
from assertkd.java.focal import Linker
from assertkd.java.index import ProjectIndex

JUDGED = [json.loads(line) for line in Path(__file__).with_name("judged_links.jsonl").read_text("utf-8").splitlines()]

EXCERPTS = {
    "IOUtilsTestCase.testToByteArray_InputStream_SizeLong": (
        {
            "IOUtils": """public static byte[] toByteArray(final InputStream input, final int size) { return f(1); }
                public static byte[] toByteArray(final InputStream input, final long size) { return f(2); }"""
        },
        "InputStream fin = f(); IOUtils.toByteArray(fin, (long) Integer.MAX_VALUE + 1);",
    ),
    "HexTest.testEncodeHexReadOnlyByteBuffer": (
        {
            "Hex": """public static char[] encodeHex(final byte[] data) { return f(data, true); }
                public static char[] encodeHex(final ByteBuffer data) { return f(data, true); }"""
        },
        "char[] chars = Hex.encodeHex(ByteBuffer.wrap(new byte[]{10}).asReadOnlyBuffer());",
    ),
    "DynamicParameterTest.differentAssignment": (
        {
            "JCommander": "public JCommander(Object o) { f(o); } public void parse(String... args) { f(args); }",
            "Maps": "public static <T> Map<T, T> newHashMap(T... parameters) { return f(parameters); }",
        },
        'new JCommander(ds).parse("-D", "a=b"); Assert.assertEquals(ds.params, Maps.newHashMap("a", "b"));',
    ),
    "ParseTest.testFileParseNoCharsetMethod": (
        {
            "Jsoup": """public static Document parse(String html) { return f(html, 1); }
                public static Document parse(File file) { return f(file, 1); }""",
            "Document": "public Elements select(String query) { return f(query, 1); }",
            "Elements": "public String text() { return f(this, 1); }",
        },
        'File in = getFile("x"); Document doc = Jsoup.parse(in); assertEquals("X", doc.select("#x").text());',
    ),
    "MultiKeyTest.testConstructorsByArray": (
        {
            "MultiKey": """public MultiKey(final K[] keys) { this(keys, true); }
                public MultiKey(final K[] keys, final boolean makeClone) { f(keys, makeClone); }
                public K[] getKeys() { return keys.clone(); }"""
        },
        "mk = new MultiKey<>(keys, false); assertTrue(Arrays.equals(new Object[] {}, mk.getKeys()));",
    ),
    "HashSetValuedHashMapTest.testSetValuedMapEqualsHashCodeContract": (
        {
            "AbstractMultiValuedMap": """public boolean put(final K key, final V value) { return f(key, value); }
                public boolean equals(final Object obj) { return f(obj); }
                public int hashCode() { return f(1); }""",
            "HashSetValuedHashMap extends AbstractMultiValuedMap": "public HashSetValuedHashMap() { super(1); }",
        },
        'HashSetValuedHashMap map1 = new HashSetValuedHashMap(); map1.put("a", "a1"); assertEquals(map1, map2);',
    ),
    "ExpandedInformationDecoderTest.testNoAi": (
        {
            "AbstractExpandedDecoder": """public abstract String parseInformation();
                public static AbstractExpandedDecoder createDecoder(BitArray information) {
                    if (f(information)) return new AnyAIDecoder();
                    return new AI013x0xDecoder();
                }""",
            "AnyAIDecoder extends AbstractExpandedDecoder": "public String parseInformation() { return f(1); }",
            "AI013x0xDecoder extends AbstractExpandedDecoder": "public String parseInformation() { return f(2); }",
        },
        "AbstractExpandedDecoder decoder = AbstractExpandedDecoder.createDecoder(x); decoder.parseInformation();",
    ),
    "StringUtilTest.joins_with_line_prefix": (
        {
            "StringUtil": """public static String join(Object... linesToBreak) { return f(linesToBreak); }
                public static String join(String start, Collection<?> lines) { return f(start, lines); }
                public static String join(String start, String linePrefix, Collection<?> lines) { return f(1); }"""
        },
        'assertEquals("Hey!", StringUtil.join("Hey!", " - ", asList("a", "b")));',
    ),
}
"""Of some tests the signatures of what they can mean, with other bodies, and what they call."""


def test_nine_of_ten_links_were_right_when_last_chosen() -> None:
    assert len({(row["package"], row["file"], row["line"]) for row in JUDGED}) == len(JUDGED) == 181
    assert len({row["package"] for row in JUDGED}) == 14
    for name, verdict in (("before", "verdict_before"), ("chosen", "verdict")):
        assert all((row[name] is None) == (row[verdict] is None) for row in JUDGED)
        assert all(row[verdict] == "right" for row in JUDGED if row[name] == row["right"])
    verdicts = Counter(row["verdict"] for row in JUDGED)
    linked = verdicts["right"] + verdicts["wrong"]
    assert verdicts["right"] / linked >= 0.9
    assert linked / len(JUDGED) >= 0.97


@pytest.mark.parametrize("name", EXCERPTS)
def test_what_was_judged_is_still_chosen(name: str) -> None:
    classes, body = EXCERPTS[name]
    test_class, _, method = name.partition(".")
    (row,) = (row for row in JUDGED if f"{row['class']}.{row['method']}" == name)
    files = [
        read_declarations(
            f"package p; public {'abstract ' * ('abstract' in code)}class {head} {{ {code} }}".encode(),
            f"src/main/java/p/{head.partition(' ')[0]}.java",
        )
        for head, code in classes.items()
    ]
    test = f"package p; class {test_class} {{ @Test public void {method}() {{ {body} assertTrue(x); }} }}"
    file = read_declarations(test.encode(), f"src/test/java/p/{test_class}.java")
    assert not any(one.fault or one.in_part for one in [*files, file])
    (declared,) = file.classes
    (found,) = declared.tests
    (link,) = Linker(ProjectIndex([*files, file])).links(file, declared, found, [found.assertions[-1].span.end])
    chosen = None if isinstance(link, str) else f"{link.focal.label}({', '.join(link.focal.method.parameters)})"
    assert chosen == row["chosen"]
