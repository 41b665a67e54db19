"""Which methods are chosen today for the tests whose links were judged by reading, and how many are right?

    apt-get source commons-csv=1.9.0-1 zxing=3.4.1+ds-1 …      packages and versions of tests/java/judged_links.jsonl
    python benchmarks/judged_links.py FOLDER                the folder that holds the packages' folders
    python benchmarks/judged_links.py FOLDER --write        choices and verdicts are written into that file

Printed are the tests whose choice is another than in the file, then how many are linked and how many of those rightly.
Packages that are not in the folder keep what the file says. A choice that is not the method judged right counts as
wrong: read such a test before the file is written.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

from assertkd.java.assertions import EXPECTS
from assertkd.java.declarations import read_declarations
from assertkd.java.focal import Linker
from assertkd.java.index import ProjectIndex
from assertkd.java.projects import find_projects
from assertkd.java.source import read_source

JUDGED = Path(__file__).parents[1] / "tests/java/judged_links.jsonl"


def choices(folder: Path) -> dict[tuple[str, int], str | None]:
    """Return the method chosen for each assertion of a project by the assertion's file and line."""
    (project,) = find_projects([folder])
    sources = {path.relative_to(project.root).as_posix(): read_source(path) for path in project.files}
    files = [read_declarations(source, path) for path, source in sources.items()]
    index = ProjectIndex([file for file in files if file.fault is None], project.test_roots)
    linker = Linker(index)
    found: dict[tuple[str, int], str | None] = {}
    for file, declared, test in [(parsed, *one) for parsed in files for one in parsed.tests]:
        if index.framework(declared, test) is None:
            continue
        assertions = linker.assertions(file, declared, test)[0]
        ends = [*(assertion.span.end for assertion in assertions), test.body.end]
        *links, last = linker.links(file, declared, test, ends)
        for assertion, linked in zip(assertions, links, strict=True):
            link = last if EXPECTS.fullmatch(assertion.kind) else linked
            line = sources[file.path].count(b"\n", 0, assertion.span.start) + 1
            parameters = "" if isinstance(link, str) else ", ".join(link.focal.method.parameters)
            found[file.path, line] = None if isinstance(link, str) else f"{link.focal.label}({parameters})"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder that holds the sources of the packages")
    parser.add_argument("--write", action="store_true", help="write choices and verdicts into the file")
    options = parser.parse_args()
    rows = [json.loads(line) for line in JUDGED.read_text("utf-8").splitlines()]
    for package, version in sorted({(row["package"], row["version"]) for row in rows}):
        names = (package, f"{package}-{version.rpartition('-')[0]}")
        folder = next((options.folder / name for name in names if (options.folder / name).is_dir()), None)
        if folder is None:
            print(f"{package} is not in the folder")
            continue
        chosen = choices(folder)
        for row in (row for row in rows if row["package"] == package):
            link = chosen.get((row["file"], row["line"]))
            if link != row["chosen"]:
                print(f"{row['file']}:{row['line']} {row['chosen']} => {link}, right is {row['right']}")
                row |= {"chosen": link, "verdict": link and ("right" if link == row["right"] else "wrong")}
    verdicts = Counter(row["verdict"] for row in rows)
    linked = len(rows) - verdicts[None]
    print(f"{linked} of {len(rows)} are linked, {verdicts['right']} of those rightly")
    if options.write:
        JUDGED.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")


if __name__ == "__main__":
    main()
