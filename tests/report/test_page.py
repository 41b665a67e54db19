"""The report page: everything shown, everything from data escaped, nothing fetched."""

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from assertkd.errors import UserError
from assertkd.evaluation.metrics import METRIC_NAMES
from assertkd.records import MARKER, Record
from assertkd.report.columns import METRIC_COLUMNS
from assertkd.report.corpus_tables import corpus_tables
from assertkd.report.examples import Answer, Example, choose_examples
from assertkd.report.fidelity_section import fidelity_section
from assertkd.report.leaderboard import MEAN, SPREAD, TEACHER, Row
from assertkd.report.page import in_millions, write_page

EVIL = "<script>alert('x')</script>"
VOID = {"meta", "br", "wbr", "hr", "img", "link", "input"}


class Elements(HTMLParser):
    """Collects text and attributes, and checks that every element is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


def row(model: str, variant: str, seed: str, exact_match: float, **more: object) -> Row:
    metrics = dict.fromkeys(METRIC_NAMES, 0.5) | {"exact_match": exact_match}
    return Row(model, variant, seed, 3_100_000, 40, metrics, **more)  # type: ignore[arg-type]


ROWS = [
    row(TEACHER, "", "", 0.612, exact_match_low=0.581, exact_match_high=0.643, note=f"A note {EVIL}"),
    row("student", "tri_dent", MEAN, 0.55, output_agreement=0.7),
    row("student", "tri_dent", SPREAD, 0.012, output_agreement=0.034),
    row("student", "tri_dent", "1", 0.56, exact_match_low=0.5, exact_match_high=0.6, output_agreement=0.7),
    row("student", "tri_dent", "2", 0.54, exact_match_low=0.5, exact_match_high=0.6, output_agreement=0.7),
    row("student", f"other{EVIL}", "1", 0.0, exact_match_low=0.0, exact_match_high=0.0),
]
EXAMPLE = Example(
    EVIL, EVIL, EVIL, f"before {EVIL} ", " after", EVIL, [Answer(EVIL, EVIL, True), Answer("t", "", False)]
)

KL = {"1": {"mean": 3.2e-5, "p99": 4.5e-4, "mass_dropped": 0.0}, "2": None}
SPEEDS = {"encode_mb_per_s": 1234.5, "decode_mb_per_s": 56.7, "rebuild_us_per_token": 8.9}
FIDELITY = {
    "in_use": "int8",
    "sample": {"positions": 2013, "split": "train"},
    "codecs": [
        {"name": "int8", "bytes_per_token": 792.0, "kl": KL, **SPEEDS},
        {"name": EVIL, "refused": EVIL},
        {
            "name": "top k",
            "bytes_per_token": 40.06,
            "kl": {tau: {"mean": None, "p99": None, "mass_dropped": 0.0871} for tau in ("1", "2")},
            **SPEEDS,
        },
    ],
}


def page_of(folder: Path, rows: list[Row] = ROWS) -> str:
    path = folder / "report.html"
    write_page(
        path,
        title=f"Title {EVIL}",
        rows=rows,
        quality={"read": {EVIL: 1234}, "kept": {"train": {"n": 5}, "test": {"n": 6}}, "note": EVIL},
        examples=[EXAMPLE],
        settings={"run": EVIL, "teacher": {"epochs": 5}},
        fidelity=fidelity_section(FIDELITY, f"<svg><text>{EVIL}</text></svg>"),
    )
    return path.read_text(encoding="utf-8")


def test_everything_from_data_is_escaped(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    assert "<script" not in page
    assert "script" not in Elements(page).names
    # Title (twice), note, variant, corpus (twice), example (id, project, focal, test, gold, model, text), settings,
    # codec.
    assert Elements(page).text.count(EVIL) == 15


def test_nothing_is_fetched(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    elements = Elements(page)
    assert not {"link", "iframe", "object", "embed"} & elements.names
    assert not {"href", "srcset", "action"} & {name for name, _ in elements.attributes}
    sources = [value or "" for name, value in elements.attributes if name == "src"]
    assert sources
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    assert "url(" not in page
    assert "@import" not in page
    assert "http" not in page


def test_figures_are_shown_as_percentages(tmp_path: Path) -> None:
    text = re.sub(r"\s+", " ", Elements(page_of(tmp_path)).text)
    for shown in (
        "61.2",
        "58.1 – 64.3",
        "tri_dent",
        "mean of 2 seeds",
        "± 1.2",
        "± 3.4",
        "3.1 M",
        "epochs: 5",
        "1,234",
    ):
        assert shown in text
    for heading, meaning in METRIC_COLUMNS.values():
        assert heading in text
        assert meaning in text


def test_the_cache_is_shown_with_picture_and_figures(tmp_path: Path) -> None:
    elements = Elements(page_of(tmp_path))
    text = re.sub(r"\s+", " ", elements.text)
    assert "How faithful the cache is" in text
    for shown in ("2,013", "int8 (in use)", "792.0", "3.2e-05", "4.5e-04", "not stored", "refused", "∞ (8.7% dropped)"):
        assert shown in text
    [source] = [value for name, value in elements.attributes if name == "src" and value]
    assert EVIL in base64.b64decode(source.partition(",")[2]).decode()
    assert dict(elements.attributes)["alt"]


def test_every_line_of_the_cache_table_has_a_cell_a_heading() -> None:
    table = fidelity_section(FIDELITY, "<svg/>").table
    assert {len(values) for _, values in table.rows} == {len(table.headings)}


def test_every_metric_has_a_heading_and_a_meaning() -> None:
    assert set(METRIC_COLUMNS) == set(METRIC_NAMES)


def test_a_page_without_examples_and_seeds_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_page(path, title="t", rows=[row(TEACHER, "", "", 0.5)], quality={}, examples=[], settings={})
    text = Elements(path.read_text()).text
    assert "Examples" not in text
    assert "Corpus" not in text
    assert "faithful" not in text
    assert "50.0" in text


@pytest.mark.parametrize(
    ("parameters", "text"), [(3_100_000, "3.1 M"), (60_000, "0.06 M"), (223_000_000, "223 M"), (11_050_000, "11.1 M")]
)
def test_parameters_in_millions(parameters: int, text: str) -> None:
    assert in_millions(parameters) == text


class TestCorpusTables:
    def test_mappings_of_mappings_are_grids(self) -> None:
        [table] = corpus_tables({"splits": {"train": {"projects": 3, "tokens": {"p50": 7}}, "test": {"projects": 1}}})
        assert table.headings == ["train", "test"]
        assert table.rows == [("projects", ["3", "1"]), ("tokens: p50", ["7", ""])]

    def test_long_keys_are_rows(self) -> None:
        [table] = corpus_tables({"rejected": {"assertion is much too long": {"count": 1200, "at": [1, 2, 3, 4, 5]}}})
        assert table.headings == ["count", "at"]
        assert table.rows == [("assertion is much too long", ["1,200", "1, 2, 3 and 2 more"])]

    def test_other_figures(self) -> None:
        listed, single = corpus_tables({"renamed_ids": 3, "kept": {"train": 1000}, "leak_free": True})
        assert (listed.title, listed.rows) == ("kept", [("train", ["1,000"])])
        assert single.rows == [("renamed ids", ["3"]), ("leak free", ["yes"])]


class TestExamples:
    def write(self, path: Path, right: str) -> Path:
        """Write scored predictions of examples 0 to 5; `right` says which of them match."""
        lines = [
            {"id": f"r{index}", "prediction": f"p{index}", "exact_match": float(match == "+")}
            for index, match in enumerate(right)
        ]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    def records(self) -> list[Record]:
        return [Record(f"r{index}", "focal", f"a {MARKER} b", f"gold{index}", "p/q") for index in range(6)]

    def test_every_constellation_takes_its_turn(self, tmp_path: Path) -> None:
        files = {"T": self.write(tmp_path / "t", "+++++-"), "S": self.write(tmp_path / "s", "+++-+-")}
        chosen = choose_examples(self.records(), files, 4)
        assert [example.id for example in chosen] == ["r0", "r3", "r5", "r1"]
        assert chosen[1].answers == [Answer("T", "p3", True), Answer("S", "p3", False)]
        assert (chosen[0].test_before, chosen[0].test_after, chosen[0].gold) == ("a ", " b", "gold0")

    @pytest.mark.parametrize(("count", "shown"), [(0, 0), (100, 6)])
    def test_any_number_may_be_asked_for(self, tmp_path: Path, count: int, shown: int) -> None:
        assert len(choose_examples(self.records(), {"T": self.write(tmp_path / "t", "+-+-+-")}, count)) == shown

    def test_records_that_were_not_judged_are_left_out(self, tmp_path: Path) -> None:
        assert len(choose_examples(self.records(), {"T": self.write(tmp_path / "t", "+-")}, 10)) == 2

    def test_a_broken_file_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "t").write_text('{"id": "r0"}\n')
        with pytest.raises(UserError, match="t:1: not a scored prediction"):
            choose_examples(self.records(), {"T": tmp_path / "t"}, 1)
        with pytest.raises(UserError, match="no such file"):
            choose_examples(self.records(), {"T": tmp_path / "absent"}, 1)
