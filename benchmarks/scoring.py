"""Scoring 10,000 predictions, as a ratio to calling each library naively in one process.

    python benchmarks/scoring.py                                     generated references, most of them damaged
    python benchmarks/scoring.py --predictions evaluation/teacher/predictions.jsonl      a model's own

Baseline: for every example each library is called as its documentation does, one after the other, on one thread:
`sacrebleu.sentence_bleu`, `javalang.parse.parse` on the statement in a class, a new tree-sitter parser, CodeBLEU with
nothing kept from another metric, `SentenceTransformer.encode` of prediction and reference, and the token metrics, each
lexing for itself. It is timed on a part of the predictions and scaled. Ours is the whole of `score`: reading, every
metric in parallel processes, writing, bootstrap. Both once with and once without sentence embeddings. Beside the time
on the wall stands the processor time of all processes, which a busy machine hardly changes.
"""

import argparse
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import javalang
import sacrebleu
import tree_sitter_java
from tree_sitter import Language, Parser

from assertkd.evaluation.params import ScoreParams
from assertkd.evaluation.score import score
from assertkd.metrics.ast_validity import parses_as_one_statement
from assertkd.metrics.bleu import bleu_counts
from assertkd.metrics.codebleu import codebleu_parts
from assertkd.metrics.codebleu_dataflow import parsed, relations
from assertkd.metrics.lexer import java_tokens
from assertkd.metrics.pans import ngram_positions
from assertkd.metrics.registry import pair_metrics
from assertkd.metrics.syntax_validity import only_statement
from assertkd.models.encoders import PACKAGED, TextEncoder
from assertkd.predictions import Prediction, read_predictions, write_predictions
from assertkd.synthetic import generate

CACHES = (
    java_tokens,
    bleu_counts,
    codebleu_parts,
    relations,
    parsed,
    ngram_positions,
    parses_as_one_statement,
    only_statement,
)
BY_LIBRARY = {"bleu", "ast_validity", "syntax_validity"}
"""Metrics that the baseline takes from a library itself."""


def damaged(references: Sequence[str], count: int, rng: random.Random) -> Iterator[Prediction]:
    """Yield predictions as a student half-way writes them: right, one token off, cut short, another gold, broken."""
    for index in range(count):
        gold = references[index % len(references)]
        tokens = list(java_tokens(gold))
        place = rng.randrange(len(tokens))
        match rng.choices(("right", "changed", "cut", "other", "broken"), (30, 40, 10, 15, 5))[0]:
            case "right":
                yield Prediction(f"e{index}", gold, gold)
                continue
            case "changed":
                tokens[place] = rng.choice(java_tokens(rng.choice(references)))
            case "cut":
                del tokens[place:]
            case "other":
                tokens = list(java_tokens(rng.choice(references)))
            case "broken":
                tokens.insert(place, rng.choice(["(", ")", "{", "}", '"', ";"]))
        yield Prediction(f"e{index}", " ".join(tokens), gold)


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return seconds on the wall and of the processor, children that have ended included."""
    started, before = time.perf_counter(), sum(os.times()[:4])
    work()
    return time.perf_counter() - started, sum(os.times()[:4]) - before


def naive(predictions: Sequence[Prediction], encode: Callable[[list[str]], object] | None) -> None:
    """Call the libraries one after the other."""
    own = {name: metric for name, metric in pair_metrics().items() if name not in BY_LIBRARY}
    for one in predictions:
        for metric in own.values():
            metric(one.prediction, one.reference)
            for cache in CACHES:
                cache.cache_clear()
        sacrebleu.sentence_bleu(
            " ".join(java_tokens(one.prediction)),
            [" ".join(java_tokens(one.reference))],
            tokenize="none",
            use_effective_order=True,
        )
        java_tokens.cache_clear()
        with suppress(Exception):
            javalang.parse.parse("class A { void m() { " + one.prediction + " } }")
        source = "class A { void m() { " + one.prediction + " } }"
        _ = Parser(Language(tree_sitter_java.language())).parse(source.encode()).root_node.has_error
        if encode is not None:
            encode([one.prediction])
            encode([one.reference])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictions", type=Path, help="a predictions.jsonl in place of damaged references")
    parser.add_argument("--count", type=int, default=10_000, help="predictions scored")
    parser.add_argument("--naive", type=int, default=300, help="predictions that the baseline is timed on")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    if options.predictions is None:
        references = [record.assertion for record in generate(options.count, 1)]
        predictions = list(damaged(references, options.count, random.Random(1)))
    else:
        given = list(read_predictions(options.predictions))
        predictions = [
            Prediction(f"e{index}", given[index % len(given)].prediction, given[index % len(given)].reference)
            for index in range(options.count)
        ]
    encoder: TextEncoder = TextEncoder(PACKAGED)
    part = random.Random(2).sample(predictions, min(options.naive, len(predictions)))
    encode = partial(encoder._model.encode, show_progress_bar=False)
    encode(["warm up"])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "predictions.jsonl"
        write_predictions(file, predictions)
        different = len({(one.prediction, one.reference) for one in predictions})
        print(f"{len(predictions):,} predictions, {different:,} different pairs")
        for name, embeds in (("without", False), ("with", True)):
            print(f"{name + ' embeddings':<26}{'wall, s':>10}{'ratio':>8}{'processor, s':>15}{'ratio':>8}")
            scale = len(predictions) / len(part)
            baseline = [scale * each for each in timed(partial(naive, part, encode if embeds else None))]
            print_line(f"naive, from {len(part):,}", baseline, baseline)
            for processes in options.processes:
                for cache in CACHES:
                    cache.cache_clear()
                params = ScoreParams(encoder=PACKAGED if embeds else None)
                work = partial(score, params, file, None, Path(folder) / "out", processes=processes)
                print_line(f"score, {processes} process{'es' if processes > 1 else ''}", timed(work), baseline)


def print_line(name: str, own: Sequence[float], baseline: Sequence[float]) -> None:
    (wall, processor), (wall_before, processor_before) = own, baseline
    ratios = wall_before / wall, processor_before / processor
    print(f"  {name:<24}{wall:>10.1f}{ratios[0]:>8.1f}{processor:>15.1f}{ratios[1]:>8.1f}", flush=True)


if __name__ == "__main__":
    main()
