"""How fast are Java projects mined? Lines a second with several processes, against one, and against javalang.

    python benchmarks/mining.py FOLDER...                 every project in and below the folders
    python benchmarks/mining.py FOLDER... --workers 4     with four processes

Baselines: the same work in one process; and javalang's parser alone, in one process, on every twentieth file, without
finding a test or writing a record. Printed per job: lines, seconds, lines a second, and the ratio to one process.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from javalang.parse import parse

from assertkd.corpus.mine.mine_corpus import mine_corpus
from assertkd.corpus.params import MineCorpusParams
from assertkd.java.projects import find_projects
from assertkd.java.source import read_source
from assertkd.settings import DataSettings, MiningSettings

EVERY = 20
"""Of so many files javalang parses one; it would take minutes for all."""


def mined(folders: Sequence[Path], workers: int) -> int:
    """Mine all projects and return the number of lines."""
    with tempfile.TemporaryDirectory() as name:
        folder, sources = Path(name), tuple(map(str, folders))
        limit = DataSettings().max_characters
        params = MineCorpusParams(java_sources=sources, mining=MiningSettings(), max_characters=limit)
        account = mine_corpus(params, folder / "r.jsonl", folder / "r.json", workers)
    return int(account["total"]["lines"])


def parsed_by_javalang(folders: Sequence[Path]) -> int:
    """Let javalang parse a sample of the files and return their number of lines; what it cannot parse counts too."""
    lines = 0
    for path in [file for project in find_projects(folders) for file in project.files][::EVERY]:
        source = read_source(path).decode()
        lines += source.count("\n") + 1
        try:
            parse(source)
        except Exception:  # noqa: BLE001 - javalang raises anything on Java that it does not know
            continue
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="folders that hold Java projects")
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    options = parser.parse_args()
    jobs: dict[str, Callable[[], int]] = {
        "mine, 1 process": lambda: mined(options.folders, 1),
        f"mine, {options.workers} processes": lambda: mined(options.folders, options.workers),
        f"javalang parses 1 file in {EVERY}": lambda: parsed_by_javalang(options.folders),
    }
    print(f"{'job':<30} {'lines':>10} {'seconds':>8} {'lines/s':>9} {'ratio':>6}")
    baseline = None
    for name, job in jobs.items():
        started = time.perf_counter()
        lines = job()
        seconds = time.perf_counter() - started
        baseline = baseline or lines / seconds
        print(f"{name:<30} {lines:>10,} {seconds:>8.1f} {lines / seconds:>9,.0f} {lines / seconds / baseline:>6.2f}")


if __name__ == "__main__":
    main()
