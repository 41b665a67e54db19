"""The command `assertkd suggest`."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from assertkd.commands.limits import add_limits, check_positive

DESCRIPTION = """Suggests assertions for a test: where // <ASSERTION_PLACEHOLDER> stands in it, else at its end. The
method that it tests is found by names and calls among the classes of its project. A final_model/ is converted once for
CTranslate2; the export is kept beside it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the command's arguments and the function that runs it."""
    parser.add_argument("file", metavar="FILE", help="the Java file with the test; - reads it from standard input")
    parser.add_argument("more", nargs="*", type=Path, metavar="MORE", help="further files that may hold what is tested")
    parser.add_argument(
        "--model", required=True, type=Path, metavar="FOLDER", help="a final_model/ or an export of one"
    )
    parser.add_argument("--test", metavar="NAME", help="the test, where the file has several and no marker")
    parser.add_argument(
        "--focal", metavar="CLASS.METHOD", help="the method under test, where it is not found or another is meant"
    )
    parser.add_argument(
        "--sources",
        type=Path,
        action="append",
        metavar="FOLDER",
        help="a folder with classes of the project; may be repeated (default: the project of FILE)",
    )
    parser.add_argument("--count", type=int, default=5, metavar="N", help="suggestions, and beams (default: 5)")
    parser.add_argument(
        "--check",
        action="store_true",
        help="compile each and run the test with it: only those that compile are shown, failing ones are marked",
    )
    parser.add_argument(
        "--class-path",
        type=Path,
        action="append",
        default=[],
        metavar="PATH",
        help="for --check: a folder or jar that the test needs, may be repeated; or build, for what Maven or Gradle"
        " says of its compiled project (default: the sources that it names)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, for editors")
    add_limits(parser)
    parser.set_defaults(run=_suggest)


def _suggest(options: argparse.Namespace) -> None:
    from assertkd.errors import UserError
    from assertkd.java.projects import project_root
    from assertkd.java.source import normalised
    from assertkd.suggest.site import find_site

    check_positive(options, "count", "max_input_len", "max_output_len")
    for path in options.more:
        if not path.is_file():
            raise UserError(f"{path}: no such file", "Name existing Java files.")
    for path in options.sources or ():
        if not path.is_dir():
            raise UserError(f"{path}: no such folder", "Name existing folders of Java files.")
    asks_build = options.class_path == [Path("build")] and not Path("build").exists()
    for path in options.class_path:
        if not path.exists() and not asks_build:
            raise UserError(f"--class-path: {path}: no such file or folder", "Build the project first.")
    if options.file == "-":
        name, raw, near = "standard input", sys.stdin.buffer.read(), Path.cwd() / "-"
    else:
        name, near = options.file, Path(options.file)
        if not near.is_file():
            raise UserError(f"{name}: no such file", "Name a Java file, or - for standard input.")
        raw = near.read_bytes()
    folders = options.sources or [project_root(near)]
    site = find_site(normalised(raw), name, folders, options.more, options.test or None, options.focal)

    from assertkd.models.exported import ExportedModel, is_export
    from assertkd.models.length_limits import limits_of
    from assertkd.suggest.kept_export import kept_export
    from assertkd.suggest.suggest import suggest_assertions

    limits = limits_of(options.model, options.max_input_len, options.max_output_len)
    model = ExportedModel(options.model if is_export(options.model) else kept_export(options.model))
    suggestions = suggest_assertions(model, limits, site, options.count)
    rows = [
        (asdict(one) | {"score": round(one.score, 4)}, "" if one.parses else "does not parse") for one in suggestions
    ]
    if options.check:
        from assertkd.evaluation.execution.build import class_path_of
        from assertkd.suggest.check import check_assertions

        class_path = class_path_of(project_root(near)) if asks_build else options.class_path
        checks = check_assertions(site, [one.assertion for one in suggestions], folders, class_path)
        rows = [
            (
                row | {"passes": check.passes, "ran": check.ran, "message": check.message},
                "" if check.passes else f"{'fails' if check.ran else 'not run'}: {check.message}",
            )
            for (row, _), check in zip(rows, checks, strict=True)
            if check.compiles
        ]
    if options.json:
        answer = {
            "file": name,
            "line": site.placeholder.line,
            "test": site.test,
            "focal": {"name": site.focal_name, "file": site.focal_file, "link": site.link},
            "suggestions": [row for row, _ in rows],
        }
        print(json.dumps(answer, ensure_ascii=False))
        return
    how = "as given" if site.link == "given" else f"by {site.link}"
    print(f"{name}:{site.placeholder.line}: {site.test} tests {site.focal_name} ({site.focal_file}, {how})")
    for number, (row, note) in enumerate(rows, start=1):
        print(f"{number:>3}. {row['score']:>7.3f}  {row['assertion']}" + (f"   ({note})" if note else ""))
    if not rows:
        print("No suggestion compiles." if options.check else "No suggestion.")
