"""Time to execute assertions, mutants included, and against one javac and one java process for each assertion.

python benchmarks/execution.py --assertions 1000 --workers 2

The assertions are those of the generated corpus, half of them put into their own tests, half into others' (where most
fail), so that nothing is known before it is run. The baseline runs a sample of the same assertions, without mutants, by
`javac` and `org.junit.runner.JUnitCore`, as many side by side as there are workers.
"""

import argparse
import os
import random
import subprocess
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from assertkd.evaluation.execution.gold import gold_executions
from assertkd.evaluation.execution.jdk import Toolchain, find_toolchain
from assertkd.evaluation.execution.pool import ExecutionPool
from assertkd.evaluation.execution.predicted import Case, predicted_executions
from assertkd.evaluation.execution.units import Subject, subject_of
from assertkd.settings import ExecuteSettings
from assertkd.synthetic import generate


def run_alone(toolchain: Toolchain, subject: Subject, text: str) -> bool:
    """Return whether a test passes with `text` as its assertion: one javac, one java."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, source in (subject.filled(text) | subject.tested).items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(source, encoding="utf-8")
        junit = os.pathsep.join(map(str, toolchain.junit))
        javac = [toolchain.java.with_name("javac"), "-nowarn", "-cp", junit, "-d", folder, *folder.rglob("*.java")]
        if subprocess.run(javac, capture_output=True, check=False).returncode:
            return False
        java = [toolchain.java, "-cp", f"{junit}{os.pathsep}{folder}", "org.junit.runner.JUnitCore", subject.test_class]
        return subprocess.run(java, capture_output=True, check=False).returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assertions", type=int, default=1000)
    parser.add_argument("--baseline-sample", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--mutants", type=int, default=8)
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()

    records = list(generate(options.assertions, options.seed))
    subjects = [subject for record in records if (subject := subject_of(record)) is not None]
    # A space makes an assertion another text than the gold one, which would not be run a second time.
    texts = [
        f"{record.assertion} " if number % 2 else records[number - 1].assertion for number, record in enumerate(records)
    ]
    texts = [text.replace("(", "( ", 1) for text in texts]
    toolchain = find_toolchain()
    for mutants in (0, options.mutants):
        limits = ExecuteSettings(mutants=mutants)
        started = time.perf_counter()
        with ExecutionPool(toolchain, workers=options.workers) as pool:
            references = list(gold_executions(pool, subjects, limits))
            between = time.perf_counter()
            cases = [Case(subject, gold, text) for subject, gold, text in zip(subjects, references, texts, strict=True)]
            executions = list(predicted_executions(pool, cases, limits))
            ended = time.perf_counter()
        counted = sum(len(gold.counted) for gold in references)
        print(f"{mutants} mutants a method at most ({pool.isolation}, {options.workers} workers):")
        print(f"  {len(references)} gold assertions, once a run: {between - started:.1f} s, {counted} mutants count")
        counts = dict(Counter(one.ended for one in executions))
        print(f"  {len(executions)} predictions, once a model: {ended - between:.1f} s, {counts}")
        if not mutants:
            each = (ended - between) / len(executions)

    sample = random.Random(options.seed).sample(range(len(records)), options.baseline_sample)
    started = time.perf_counter()
    with ThreadPoolExecutor(options.workers) as pool:
        passed = list(pool.map(lambda number: run_alone(toolchain, subjects[number], texts[number]), sample))
    alone = (time.perf_counter() - started) / len(sample)
    same = sum(executions[number].passes == verdict for number, verdict in zip(sample, passed, strict=True))
    print(f"baseline, one javac and one java for each of {len(sample)}: {1000 * alone:.0f} ms an assertion")
    print(f"here, without mutants: {1000 * each:.1f} ms an assertion; ratio {alone / each:.1f}")
    print(f"same verdict: {same} of {len(sample)}")


if __name__ == "__main__":
    main()
