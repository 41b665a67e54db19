"""How many gold assertions of real projects pass when they are run, and how many mutants do they kill?

    apt-get install default-jdk-headless junit4 junit5 libeasymock-java libcommons-io-java libservlet-api-java
    apt-get source --download-only libcommons-codec-java libcommons-lang3-java jsoup    (with deb-src in the sources)
    for archive in *.orig.tar.xz; do tar xf "$archive"; done
    python benchmarks/real_projects.py commons-codec-* commons-lang-* jsoup-* --records 300

Each project is compiled without network, with javac and the jars of Debian's packages: `src/main/java`, then
`src/test/java`. Test files that need what is not there are left out, and counted. The project is mined, and a sample of
the records of what is compiled is executed. Printed per project: test files, records, those run, the share that passes,
how the others end, and mutants that count and are killed.
"""

import argparse
import random
import re
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from assertkd.corpus.mine.mine_corpus import mine_corpus
from assertkd.corpus.params import MineCorpusParams
from assertkd.evaluation.execute import runnable
from assertkd.evaluation.execution.gold import gold_executions
from assertkd.evaluation.execution.jdk import Toolchain, find_toolchain
from assertkd.evaluation.execution.pool import ExecutionPool
from assertkd.evaluation.execution.runner import PASSED
from assertkd.records import read_records
from assertkd.settings import DataSettings, ExecuteSettings, MiningSettings

JARS = Path("/usr/share/java")
NEEDED = ("commons-lang3", "commons-io", "easymock", "objenesis", "servlet-api", "jetty9-*", "jsr305", "h2", "jmh-core")
"""What tests of these projects need beside JUnit; those that are not there leave tests out."""

FAULTY = re.compile(r"^(\S+\.java):\d+: error:", re.MULTILINE)


def compiled(toolchain: Toolchain, files: Sequence[Path], class_path: Sequence[Path], output: Path) -> list[Path]:
    """Compile files, those left out that do not compile; return these."""
    left_out: list[Path] = []
    while remaining := [file for file in files if file not in left_out]:
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir()
        names = output.with_suffix(".txt")
        names.write_text("\n".join(map(str, remaining)), encoding="utf-8")
        command: list[str | Path] = [toolchain.java.with_name("javac"), "-nowarn", "-proc:none", "-encoding", "UTF-8"]
        command += ["-Xmaxerrs", "100000", "-cp", ":".join(map(str, class_path)), "-d", output, f"@{names}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            break
        faulty = {Path(name) for name in FAULTY.findall(done.stderr)}
        if not faulty:
            raise SystemExit(done.stderr[-2000:])
        left_out += sorted(faulty)
    return left_out


def measure(project: Path, toolchain: Toolchain, jars: Sequence[Path], options: argparse.Namespace) -> None:
    """Build, mine and execute one project; print its line."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        main, tests = folder / "classes", folder / "test-classes"
        sources = {part: sorted((project / "src" / part / "java").rglob("*.java")) for part in ("main", "test")}
        compiled(toolchain, sources["main"], jars, main)
        left_out = compiled(toolchain, sources["test"], [main, *toolchain.junit, *jars], tests)
        for part, output in (("main", main), ("test", tests)):
            resources = project / "src" / part / "resources"
            if resources.is_dir():
                shutil.copytree(resources, output, dirs_exist_ok=True)
        limit = DataSettings().max_characters
        params = MineCorpusParams(java_sources=(str(project),), mining=MiningSettings(), max_characters=limit)
        mine_corpus(params, folder / "records.jsonl", folder / "counts.json", options.workers)
        absent = {file.relative_to(project).as_posix() for file in left_out}
        mined = list(read_records(folder / "records.jsonl"))
        records = [one for one in mined if one.extra["test_file"] not in absent]
        sample = random.Random(options.seed).sample(records, min(options.records, len(records)))
        class_path = [tests, main, *jars]
        settings = ExecuteSettings(
            checkout=str(project), class_path=tuple(map(str, class_path)), mutants=options.mutants, seconds=20.0
        )
        subjects = runnable(settings, sample)
        with ExecutionPool(toolchain, class_path, workers=options.workers, heap_mb=512) as pool:
            found = list(gold_executions(pool, subjects, settings))
    passing = sum(one.ended == PASSED for one in found)
    counted, killed = sum(len(one.counted) for one in found), sum(len(one.killed) for one in found)
    print(
        f"{project.name}: {len(sources['test'])} test files ({len(left_out)} do not compile here), "
        f"{len(mined)} records, {len(sample)} sampled, {len(found)} run; "
        f"{passing} pass ({passing / max(1, len(found)):.1%}); "
        f"mutants: {counted} count, {killed} killed ({killed / max(1, counted):.1%}); "
        f"{time.perf_counter() - started:.0f} s"
    )
    print("   ends:", dict(Counter(one.ended for one in found).most_common()))
    for message, number in Counter(f"{one.ended}: {one.message[:110]}" for one in found if one.message).most_common(5):
        print(f"   {number} x {message}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("projects", nargs="+", type=Path, help="unpacked source packages")
    parser.add_argument("--records", type=int, default=300, help="records of each that are run (default: 300)")
    parser.add_argument("--mutants", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    jars = [jar for name in NEEDED for jar in sorted(JARS.glob(f"{name}.jar"))]
    toolchain = find_toolchain()
    for project in options.projects:
        measure(project.resolve(), toolchain, jars, options)


if __name__ == "__main__":
    main()
