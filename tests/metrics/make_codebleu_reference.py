"""Writes data/codebleu_reference.json: pairs of Java texts, and what the package `codebleu` 0.7.0 says of them.

The package needs a tree-sitter of its own time, so the figures are made in an environment of their own:

    python tests/evaluation/metrics/make_codebleu_reference.py pairs /tmp/pairs.json
    python3.11 -m venv /tmp/reference
    /tmp/reference/bin/pip install codebleu==0.7.0 tree-sitter==0.22.3 tree-sitter-java==0.21.0
    /tmp/reference/bin/python tests/evaluation/metrics/make_codebleu_reference.py figures /tmp/pairs.json \
        tests/evaluation/metrics/data/codebleu_reference.json

The package keeps names in sets, so that its data flow depends on Python's hash seed where a value comes from several
variables. Every figure is made under several seeds, and marked where they differ.
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

HASH_SEEDS = range(4)

WRITTEN = [
    ("assertEquals(x, y);", "assertEquals(x, x);"),
    ("assertEquals(y, y);", "assertEquals(x, x);"),
    ("assertSame(a.b(c), a.d(c));", "assertSame(a.b(c), c.d(a));"),
    ("int n = list.size();", "int n = list.size(); assertEquals(3, n);"),
    ("int n = list.size(); assertEquals(3, n);", "int n = list.size(); assertEquals(n, n);"),
    ("int m = list.size(); assertEquals(4, m);", "int n = list.size(); assertEquals(3, n);"),
    ("assertAll(() -> assertTrue(x), () -> assertTrue(y));", "assertAll(() -> assertTrue(x), () -> assertTrue(x));"),
    ("i++; assertEquals(1, i);", "i++; assertEquals(2, i);"),
    ("x = 1; assertEquals(1, x);", "x = y; assertEquals(y, x);"),
    ("if (x) { y = 1; } else { y = 2; } assertTrue(y);", "if (x) { y = 1; } assertTrue(y);"),
    ("if (x) { y = 1; } else if (z) { y = 2; } else { y = z; } f(y);", "if (x) { y = 1; } else { y = z; } f(y);"),
    (
        "for (int i = 0; i < n; i++) { assertEquals(i, a[i]); }",
        "for (int i = 0; i < n; i++) { assertEquals(i, b[i]); }",
    ),
    ("for (i = 0; i < n; i++) f(i);", "for (int i = 0; i < n; i++) f(i);"),
    ("for (String s : names) { assertNotNull(s); }", "for (String name : all) { assertNotNull(name); }"),
    ("while (it.hasNext()) { x = it.next(); f(x); }", "while (it.hasNext()) { y = it.next(); f(y, it); }"),
    ("do { x = f(x); } while (x > 0);", "do { x = g(x); } while (x > 0);"),
    ("try { f(x); fail(); } catch (Error e) { assertNull(e); }", "try { f(x); fail(); } catch (Error x) { f(x); }"),
    ("int x; x = 3; f(x);", "int x; x = 3; g(x);"),
    ("int a = b + c; f(a);", "int a = c + b; f(a);"),
    ('assertEquals("a b", s.trim() + s);', 'assertEquals("a  b", s.trim() + s);'),
    ("assertEquals('a', s.charAt(i) + s.charAt(i));", "assertEquals('b', s.charAt(i) + s.charAt(j));"),
    ("assertTrue(x", "assertTrue(x);"),
    ("assertTrue(x;", "assertTrue(x);"),
    ("assertTrue(x));", "assertTrue(x);"),
    ("assertTrue(x); }", "assertTrue(x, x);"),
    ("} void u() {", "assertTrue(x, x);"),
    ("( ( ( (", "assertEquals(x, x);"),
    ("int = ;", "int x = y; f(x);"),
    ("x = ; f(x);", "x = y; f(x);"),
    ("a a a a a a a a", "assertTrue(a);"),
    ("fail", "fail();"),
    ("fail();", "fail"),
    ("x y", "y z"),
    ("return true;", "return false;"),
    ("if (true) throw new Error();", "if (false) throw new Error();"),
    ("assertThat(x).isEqualTo(y).isNotNull();", "assertThat(x).isNotNull().isEqualTo(y);"),
    ("assertEquals(1, new Foo() { int bar() { return 1; } }.bar());", "assertEquals(2, new Foo() { }.bar());"),
    ("assertArrayEquals(new int[] {1, 2}, a);", "assertArrayEquals(new int[] {1, 2, 3}, a);"),
    ("assertEquals((long) x, (int) y);", "assertEquals((long) x, (long) x);"),
    ("assertEquals(x > 0 ? a : b, x > 0 ? a : c);", "assertEquals(x > 0 ? a : b, x);"),
    ("assertTrue(x instanceof Foo && x != null);", "assertTrue(x instanceof Bar && x != null);"),
    ("this.x = x; assertEquals(this.x, x);", "this.x = y; assertEquals(this.x, y);"),
    ("Map<String, List<Integer>> m = f(); assertTrue(m.isEmpty());", "Map<String, Integer> m = f(); assertNull(m);"),
    ("assert x > 1 : x;", "assert x > 2;"),
]
GENERATED = 160


def write_pairs(target: Path) -> None:
    """Write the pairs, lexed: those above, and assertions of the generated corpus beside damaged and other ones."""
    from assertkd.metrics.lexer import java_tokens
    from assertkd.synthetic import generate

    rng = random.Random(1)
    references = [java_tokens(record.assertion) for record in generate(GENERATED, 5)]
    pairs = [(java_tokens(one), java_tokens(other)) for one, other in WRITTEN]
    for index, gold in enumerate(references):
        other = list(gold)
        place = rng.randrange(len(other))
        match index % 4:
            case 0:
                other[place] = rng.choice(references[rng.randrange(len(references))])
            case 1:
                del other[place]
            case 2:
                other.insert(place, rng.choice(other))
            case _:
                other = list(references[(index + 1) % len(references)])
        if tuple(other) != gold:
            pairs.append((tuple(other), gold))
    lexed = [[" ".join(one), " ".join(other)] for one, other in pairs]
    target.write_text(json.dumps([pair for pair in lexed if all(text.isascii() for text in pair)]), encoding="utf-8")


def figures_of(pairs: list[list[str]]) -> list[dict[str, object]]:
    """Return what the package says of each pair, and whether the reference has a data flow."""
    from codebleu import calc_codebleu
    from codebleu.dataflow_match import dfg_function, get_data_flow, get_tree_sitter_language
    from tree_sitter import Parser

    parser = Parser()
    parser.language = get_tree_sitter_language("java")
    found = []
    for prediction, reference in pairs:
        figures = calc_codebleu([reference], [prediction], lang="java")
        flows = get_data_flow(reference, [parser, dfg_function["java"]])
        parts = ("ngram_match_score", "weighted_ngram_match_score", "syntax_match_score", "dataflow_match_score")
        found.append({name: figures[name] for name in parts} | {"has_dataflow": bool(flows)})
    return found


def write_figures(source: Path, target: Path) -> None:
    """Write the pairs with their figures, made under several hash seeds."""
    pairs = json.loads(source.read_text(encoding="utf-8"))
    runs = []
    for seed in HASH_SEEDS:
        environment = os.environ | {"PYTHONHASHSEED": str(seed)}
        command = [sys.executable, __file__, "print", str(source)]
        runs.append(json.loads(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout))
    lines = []
    for (prediction, reference), *figures in zip(pairs, *runs, strict=True):
        stable = all(one == figures[0] for one in figures)
        lines.append({"prediction": prediction, "reference": reference, **figures[0], "stable": stable})
    target.write_text("[\n" + ",\n".join(json.dumps(line) for line in lines) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["pairs", target]:
            write_pairs(Path(target))
        case ["figures", source, target]:
            write_figures(Path(source), Path(target))
        case ["print", source]:
            print(json.dumps(figures_of(json.loads(Path(source).read_text(encoding="utf-8")))))
        case _:
            sys.exit(__doc__)
