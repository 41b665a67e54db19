"""The documents name what exists: links, headings, modules, files, rules, and the numbers of the weights' table."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from assertkd.losses.schedule import START_AND_END, UNLISTED

PROJECT = Path(__file__).parents[1]
PAGES = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md"), *(PROJECT / "results").glob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
CODE_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
FOLDERS = "src|tests|workflow|docs|benchmarks|profiles"
FILE = re.compile(rf"(?<![\w/.])(?:{FOLDERS})/[\w./-]+\w")
MODULE = re.compile(r"(?<![\w/])assertkd(?:\.[a-z_]\w*)+")
IN_PACKAGE = re.compile(r"`((?:\w+/)+(?:\w+\.py)?)`")
RULE = re.compile(r"^rule (\w+):$", re.MULTILINE)

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(PROJECT)))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = HEADING.findall(CODE_BLOCK.sub("", text_of(page)))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def new_files(text: str) -> set[str]:
    """Return the files that examples of a page add: those that the first line of a block of Python names."""
    return set(re.findall(r"^```python\n# (\S+)$", text, flags=re.MULTILINE))


@each_page
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for link in LINK.findall(text_of(page)):
        if link.startswith(("http://", "https://")):
            continue
        name, _, heading = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not heading or heading in anchors(target), link


@each_page
def test_files_and_folders_that_are_named_exist(page: Path) -> None:
    text = text_of(page)
    for name in set(FILE.findall(text)) - new_files(text):
        # Paths in examples of other people's projects begin with the same folders.
        assert (PROJECT / name).exists() or name.startswith(("src/main/", "src/test/")), name


def test_paths_within_the_package_exist() -> None:
    text = text_of(PROJECT / "CONTRIBUTING.md")
    for name in set(IN_PACKAGE.findall(text)):
        assert any((folder / name).exists() for folder in (PROJECT, PROJECT / "src" / "assertkd")), name


@each_page
def test_modules_that_are_named_exist(page: Path) -> None:
    text = text_of(page)
    examples = {name.removeprefix("src/").removesuffix(".py").replace("/", ".") for name in new_files(text)}
    for name in set(MODULE.findall(text)) - examples:
        module, _, attribute = name.rpartition(".")
        assert find_spec(module) is not None, name
        assert find_spec(name) is not None or re.search(rf"\b{attribute}\b", source_of(module)), name


def source_of(module: str) -> str:
    """Return the source of a module, without importing it."""
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).read_text(encoding="utf-8")


def test_the_picture_of_the_workflow_names_rules() -> None:
    rules = {name for path in PROJECT.glob("workflow/rules/*.smk") for name in RULE.findall(text_of(path))}
    nodes = set(
        re.findall(r"^    (\w+_\w+|execute|score|predict)(?: \[.*\])?$", text_of(PROJECT / "docs/workflow.dot"), re.M)
    )
    assert nodes
    assert nodes <= rules
    picture = text_of(PROJECT / "docs" / "workflow.svg")
    assert {node for node in nodes if f"<title>{node}</title>" not in picture} == set()


def test_the_table_of_stages_has_every_rule_and_each_has_its_script_and_function() -> None:
    rules = {name for path in PROJECT.glob("workflow/rules/*.smk") for name in RULE.findall(text_of(path))}
    stages = text_of(PROJECT / "CONTRIBUTING.md").split("| stage |")[1].split("\n\n")[0]
    package = PROJECT / "src" / "assertkd"
    in_table = set()
    for _, names, folders in re.findall(r"^\| ([a-z ]+) \| (`\w+`.*) \| (`.*`) \|$", stages, re.MULTILINE):
        modules = [path for folder in re.findall(r"`(\w+)/`", folders) for path in (package / folder).rglob("*.py")]
        for rule in re.findall(r"`(\w+)`", names):
            in_table.add(rule)
            assert (PROJECT / "workflow" / "scripts" / f"{rule}.py").is_file(), rule
            assert any(re.search(rf"^def {rule}\(", text_of(path), re.MULTILINE) for path in modules), rule
    assert in_table == rules


def test_the_table_of_weights_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| (\S+|every other) \| (\d\.\d+) \| (\d\.\d+) \|$", text_of(PROJECT / "docs/losses.md"), re.M)
    table = {name.strip("`"): (float(start), float(end)) for name, start, end in rows}
    assert table.pop("every other") == UNLISTED
    assert table == START_AND_END


def test_the_readme_is_short() -> None:
    assert len(text_of(PROJECT / "README.md").splitlines()) <= 180
