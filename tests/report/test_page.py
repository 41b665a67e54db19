"""The report page: everything shown, everything from data escaped, nothing fetched."""

import base64
import gzip
import hashlib
import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from run_on_disk import COMPARED, EVIL, RunOnDisk, fidelity

from assertkd.errors import UserError
from assertkd.evaluation.summary import OF_EVERY_EXECUTION, OF_MUTANTS
from assertkd.metrics.registry import METRICS
from assertkd.report.build_report import build_report, report_so_far
from assertkd.report.columns import EXECUTION_COLUMNS, METRIC_COLUMNS, column_of
from assertkd.report.corpus_tables import corpus_tables
from assertkd.report.figures.fidelity import fidelity_table
from assertkd.report.page import SECTIONS, breakable, for_html
from assertkd.report.results import Model
from assertkd.settings import ReportSettings

VOID = {"meta", "br", "wbr", "hr", "img", "link", "input"}


class Elements(HTMLParser):
    """Collects elements, attributes and text, and checks that every element is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag == "script":
            self.scripts.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" in self.open:
            self.scripts[-1] += data
        elif "style" not in self.open:
            self.text += data

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole report: a teacher and two seeds of two students."""
    folder = tmp_path_factory.mktemp("whole")
    run = RunOnDisk(folder / "a_run")
    build_report(
        ReportSettings(title="A title", note="Trained for a minute.", examples=4),
        COMPARED,
        models_of(run),
        folder / "report",
        cache_of(run),
    )
    return folder / "report"


@pytest.fixture(scope="module")
def page(report: Path) -> str:
    return (report / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def elements(page: str) -> Elements:
    return Elements(page)


@pytest.fixture(scope="module")
def text(elements: Elements) -> str:
    """The page's text, every blank a single one."""
    return re.sub(r"\s+", " ", elements.text)


def models_of(run: RunOnDisk) -> list[Model]:
    return [
        run.add("teacher", "+++++++-"),
        run.add("students/hard_labels/seed1", "++------"),
        run.add("students/hard_labels/seed2", "+-------"),
        run.add("students/tri_dent/seed1", "++++----"),
        run.add("students/tri_dent/seed2", "+++++---"),
    ]


def cache_of(run: RunOnDisk) -> Path:
    return run.write("logits/fidelity.json", fidelity())


def test_everything_from_data_is_escaped(evil_page: Path) -> None:
    page = evil_page.read_text(encoding="utf-8")
    elements = Elements(page)
    # The library and the page's own scripts, and no picture that data brought.
    assert len(elements.named("script")) == 2
    assert not elements.named("img")
    assert "window.hacked" not in "".join(elements.scripts)
    # Title (twice), rejects (twice), refused codec, settings; projects (twice, and once as a sorting value).
    assert elements.text.count(EVIL) >= 8
    assert EVIL not in page


def test_nothing_is_fetched_and_nothing_else_runs(evil_page: Path) -> None:
    elements = Elements(evil_page.read_text(encoding="utf-8"))
    names = {tag for tag, _ in elements.elements}
    assert not {"link", "iframe", "object", "embed", "base", "img"} & names
    attributes = [(name, value) for _, given in elements.elements for name, value in given.items()]
    assert not [name for name, _ in attributes if name.startswith("on") or name in ("src", "srcset", "action")]
    for name, value in attributes:
        if name == "href":
            assert value.startswith(("#", "data:text/csv"))
    [policy] = [meta["content"] for meta in elements.named("meta") if meta.get("http-equiv")]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert policy.endswith("; base-uri 'none'")
    assert "eval" not in policy
    hashes = re.findall(r"'sha256-([^']+)'", policy)
    assert hashes == [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in elements.scripts]


def test_host_and_whole_paths_are_shown_only_where_they_are_asked_for(run: RunOnDisk, tmp_path: Path) -> None:
    pages, models = [], models_of(run)
    for machine in (False, True):
        build_report(ReportSettings(machine=machine), COMPARED, models, tmp_path / "report", cache_of(run))
        pages.append((tmp_path / "report/report.html").read_text(encoding="utf-8"))
    for place in ("my-own-host", "/data/of/me/train.jsonl"):
        assert [place in page for page in pages] == [False, True]
    assert "…/train.jsonl" in pages[0]


@pytest.mark.parametrize(
    ("summary", "note"),
    [
        ({"absent": "no bubblewrap was found"}, "No prediction was compiled and run: no bubblewrap was found."),
        ({"absent": None, "isolation": "none"}, "Predictions were run unconfined"),
        ({"absent": None, "isolation": "bubblewrap"}, None),
    ],
)
def test_the_page_says_how_predictions_were_run(
    run: RunOnDisk, tmp_path: Path, summary: dict[str, str], note: str | None
) -> None:
    path = run.write("evaluation/gold_execution.json", summary)
    try:
        build_report(ReportSettings(), COMPARED, models_of(run), tmp_path / "report")
    finally:
        path.unlink()
    page = (tmp_path / "report/report.html").read_text(encoding="utf-8")
    if note is None:
        assert "compiled and run:" not in page
        assert "unconfined" not in page
    else:
        assert note in page


def test_scripts_may_stand_in_html() -> None:
    assert for_html('a = "</script>" + "<!--"') == 'a = "<\\/script>" + "<\\!--"'


def test_the_same_run_gives_the_same_page(page: str, run: RunOnDisk, tmp_path: Path) -> None:
    settings = ReportSettings(title="A title", note="Trained for a minute.", examples=4)
    build_report(settings, COMPARED, models_of(run), tmp_path / "report", cache_of(run))
    assert (tmp_path / "report/report.html").read_text(encoding="utf-8") == page


def test_what_became_of_unlabelled_records_is_shown(run: RunOnDisk, tmp_path: Path) -> None:
    cleaned = tmp_path / "unlabelled_quality.json"
    rejected = {"same project as in test": {"count": 3, "where": ["u.jsonl:1"]}}
    cleaned.write_text(json.dumps({"kept": 77123, "rejected": rejected}), encoding="utf-8")
    build_report(ReportSettings(), COMPARED, models_of(run), tmp_path / "report", counts=[cleaned])
    page = (tmp_path / "report/report.html").read_text(encoding="utf-8")
    for shown in ("unlabelled: rejected", "same project as in test", "77,123"):
        assert shown in page


def test_tests_that_show_their_assertion_are_said_and_counted(run: RunOnDisk, tmp_path: Path) -> None:
    path = run.folder / "corpus/quality.json"
    before = path.read_text(encoding="utf-8")
    shown = {"train": {"records": 2, "share": 0.25, "comment": 2}, "test": {"records": 0, "share": 0.0}}
    warnings = ["2 of 8 records (25.0%) show their own assertion"]
    run.write("corpus/quality.json", json.loads(before) | {"visible_answers": shown, "warnings": warnings})
    try:
        build_report(ReportSettings(), COMPARED, models_of(run), tmp_path / "report")
    finally:
        path.write_text(before, encoding="utf-8")
    page = (tmp_path / "report/report.html").read_text(encoding="utf-8")
    assert f'<p class="note">{warnings[0]}</p>' in page
    assert "visible answers" in page


def test_figures_are_shown_as_percentages(text: str) -> None:
    for shown in (
        "A title",
        "Trained for a minute.",
        "Run a_run: 4 students on 8 test examples",
        "87.5",
        "56.2",
        "± 8.8",
        "mean of 2 seeds",
    ):
        assert shown in text
    for shown in ("baseline", "1.10", "40.0", "epochs: 2", "1,234", "0123456789ab"):
        assert shown in text
    for name in METRICS:
        assert METRIC_COLUMNS[name].heading in text
        assert METRIC_COLUMNS[name].meaning in text


def test_every_section_stands_in_the_bar_and_on_the_page(elements: Elements) -> None:
    ids = list(SECTIONS)
    assert [given["id"] for given in elements.named("section")] == ids
    assert [given["href"] for given in elements.named("a") if "download" not in given] == [
        "#results",
        *(f"#{name}" for name in ids),
    ]
    headings = {given["id"] for given in elements.named("h2")}
    assert {given["aria-labelledby"] for given in elements.named("section")} == headings


def test_every_table_has_a_caption_and_its_cells(page: str) -> None:
    tables = re.findall(r"<table.*?</table>", page.partition("<script>")[0], re.DOTALL)
    assert len(tables) >= 6
    for table in tables:
        assert "<caption" in table
        rows = re.findall(r"<tr.*?</tr>", table, re.DOTALL)
        assert len({len(re.findall(r"<t[hd][ >]", row)) for row in rows}) == 1


def test_every_figure_carries_its_data_and_lies_beside_the_page(elements: Elements, report: Path) -> None:
    figures = {given["id"].removeprefix("figure-"): given for given in elements.named("figure")}
    assert list(figures) == [
        *("differences", "cost", "learning_curves", "losses", "gradient_shares", "weights", "retention", "fidelity")
    ]
    downloads = {given["download"]: given["href"] for given in elements.named("a") if "download" in given}
    for name, given in figures.items():
        text = unquote(downloads[f"{name}.csv"].partition(",")[2])
        assert text == (report / "figures" / f"{name}.csv").read_text(encoding="utf-8")
        assert text.splitlines()[0].split(",") == list(json.loads(given["data-types"]))
        spec = json.loads(given["data-spec"])
        assert "datasets" not in spec
        picture = ElementTree.parse(report / "figures" / f"{name}.svg").getroot()
        assert picture.tag == "{http://www.w3.org/2000/svg}svg"
        assert len(list(picture.iter("{http://www.w3.org/2000/svg}path"))) > 3


def test_the_cache_is_shown_with_its_figures(text: str) -> None:
    for shown in ("2,013", "int8 (in use)", "792.0", "3.2e-05", "4.5e-04", "not stored", "refused", "∞ (8.7% dropped)"):
        assert shown in text
    table = fidelity_table(fidelity())
    assert {len(values) for _, values in table.rows} == {len(table.headings)}


def test_a_temperature_that_the_cache_is_unfaithful_at_is_said_once_a_variant(run: RunOnDisk, tmp_path: Path) -> None:
    models = [run.add(f"students/soft/seed{seed}", "++++----") for seed in (1, 2)]
    models.append(run.add("students/sharp/seed1", "++++----"))
    for model, temperature in zip(models, (2.0, 2.0, 1.0), strict=True):
        report = model.training_report()
        report["loss"]["temperature"] = temperature
        run.write(f"{model.name}/training_report.json", report)
    cache = fidelity() | {"in_use": "top k"}
    cache["codecs"][2]["kl"]["1"] = {"mean": 0.0, "p99": 0.0, "mass_dropped": 0.0}
    build_report(ReportSettings(), COMPARED, models, tmp_path, run.write("logits/fidelity.json", cache))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("soft: the logit cache (top k) is inf nats of KL divergence from the teacher at T = 2") == 1
    assert "sharp: the logit cache" not in page


def test_a_page_of_the_teacher_alone_is_whole(run: RunOnDisk, tmp_path: Path) -> None:
    build_report(ReportSettings(examples=0), COMPARED, [run.add("teacher", "++++----")], tmp_path / "report")
    elements = Elements((tmp_path / "report/report.html").read_text(encoding="utf-8"))
    assert [given["id"] for given in elements.named("section")] == ["results", "training", "slices", "provenance"]
    assert "So far only the teacher is evaluated: 50.0% exact match." in elements.text
    assert (tmp_path / "report/figures/losses.svg").is_file() is False


class TestSoFar:
    def test_it_reports_who_is_done_and_names_who_is_not(self, run: RunOnDisk, tmp_path: Path) -> None:
        models = [run.add("teacher", "++++++--"), run.add("students/hard_labels/seed1", "++------")]
        models.append(run.train("students/slow/seed1", steps=30, ends=False))
        models.append(run.train("students/unevaluated/seed1"))
        models.append(Model("students/waiting/seed1", run.folder))
        report_so_far(ReportSettings(), COMPARED, models, tmp_path / "far", run.folder / "absent.json")
        text = re.sub(r"\s+", " ", Elements((tmp_path / "far/report.html").read_text(encoding="utf-8")).text)
        assert "not complete: 3 of the run's models are missing" in text
        assert "slow: in training: epoch 1, step 30" in text
        assert "unevaluated: trained, not yet evaluated" in text
        assert "waiting: not started" in text
        curves = (tmp_path / "far/figures/losses.csv").read_text(encoding="utf-8")
        assert "slow,focal" in curves
        assert json.loads((tmp_path / "far/significance.json").read_text())["seeds"] == {"hard_labels": [1]}

    def test_a_run_that_has_evaluated_nothing_shows_its_training(self, run: RunOnDisk, tmp_path: Path) -> None:
        models = [run.train("teacher", ends=False)]
        report_so_far(ReportSettings(), COMPARED, models, tmp_path / "far")
        elements = Elements((tmp_path / "far/report.html").read_text(encoding="utf-8"))
        assert [given["id"] for given in elements.named("section")] == ["results", "training", "provenance"]
        assert not elements.named("table")[0].get("id")

    def test_a_run_without_a_corpus_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"quality\.json: no such file"):
            report_so_far(ReportSettings(), COMPARED, [Model("teacher", tmp_path)], tmp_path / "far")


def test_a_broken_line_of_predictions_is_named(run: RunOnDisk, tmp_path: Path) -> None:
    models = models_of(run)
    file = run.folder / "evaluation/teacher/predictions_final.jsonl"
    file.write_text(file.read_text() + '{"id": "r0"}\n')
    with pytest.raises(UserError, match=r"predictions_final\.jsonl:9: not a scored prediction"):
        build_report(ReportSettings(), COMPARED, models, tmp_path / "report")


def test_examples_are_packed(elements: Elements) -> None:
    [packed] = [given["data-examples"] for given in elements.named("div") if "data-examples" in given]
    data = json.loads(gzip.decompress(base64.b64decode(packed)))
    assert data["models"][0] == "teacher"
    assert data["models"][1:] == ["tri_dent, seed 2", "tri_dent, seed 1", "hard_labels, seed 1", "hard_labels, seed 2"]
    assert data["total"] == 8
    assert [example[0] for example in data["examples"]] == ["r0", "r2", "r4", "r6"]
    *_, gold, answers, exact, given = data["examples"][1]
    assert answers == [gold, "assertEquals(77, box.size());"]
    assert (exact, given) == ([1, 0], [0, 0, 0, 1, 1])


def test_every_metric_has_a_heading_and_a_meaning() -> None:
    assert set(METRICS) == METRIC_COLUMNS.keys()
    assert {*OF_EVERY_EXECUTION, *OF_MUTANTS} == EXECUTION_COLUMNS.keys()
    assert all(column_of(name).meaning for name in (*METRICS, *OF_EVERY_EXECUTION, *OF_MUTANTS))


def test_names_break_behind_underscores_and_stay_escaped() -> None:
    assert breakable("a_<b>") == "a_<wbr>&lt;b&gt;"
    assert html.unescape(breakable("<i>")) == "<i>"


class TestCorpusTables:
    def test_mappings_of_mappings_are_grids(self) -> None:
        [table] = corpus_tables({"splits": {"train": {"projects": 3, "tokens": {"p50": 7}}, "test": {"projects": 1}}})
        assert table.headings == ["train", "test"]
        assert table.rows == [("projects", ["3", "1"]), ("tokens: p50", ["7", ""])]

    def test_long_keys_are_rows(self) -> None:
        [table] = corpus_tables({"rejected": {"assertion is much too long": {"count": 1200, "at": [1, 2, 3, 4, 5]}}})
        assert table.headings == ["count", "at"]
        assert table.rows == [("assertion is much too long", ["1,200", "1, 2, 3 and 1,197 more"])]

    def test_other_figures(self) -> None:
        listed, single = corpus_tables({"renamed_ids": 3, "kept": {"train": 1000}, "leak_free": True})
        assert (listed.title, listed.rows) == ("kept", [("train", ["1,000"])])
        assert single.rows == [("renamed ids", ["3"]), ("leak free", ["yes"])]
