"""The page in a real browser: hostile data, the browser of examples, differences, and a page without scripts."""

import difflib
import random
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from run_on_disk import COMPARED, EVIL, RunOnDisk

from assertkd.report.build_report import build_report
from assertkd.report.page import template_text
from assertkd.settings import ReportSettings
from browser import needs_chromium, opened

TOKEN = re.compile(r'"a b"|\w+|\S')

pytestmark = [pytest.mark.browser, needs_chromium]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of 60 examples: a teacher, two seeds of a baseline, and a variant."""
    folder = tmp_path_factory.mktemp("run")
    run = RunOnDisk(folder / "results", 60)
    models = [
        run.add("teacher", "+" * 50 + "-" * 10),
        run.add("students/hard_labels/seed1", "+" * 20 + "-" * 40, wrong=""),
        run.add("students/hard_labels/seed2", "+" * 25 + "-" * 35),
        run.add("students/tri_dent/seed1", "-" * 20 + "+" * 40),
    ]
    build_report(ReportSettings(), COMPARED, models, folder / "report")
    return folder / "report" / "report.html"


def shown(page: Page) -> int:
    return int(page.locator("#example-browser .count").inner_text().split(" of ")[0])


def test_hostile_data_is_shown_and_does_nothing(chromium: Browser, evil_page: Path) -> None:
    with opened(chromium, evil_page) as seen:
        for summary in seen.page.locator(".list summary").all():
            summary.click()
        for summary in seen.page.locator(".table-of-data summary").all():
            summary.click()
        assert EVIL in seen.page.locator(".list pre").first.inner_text()
        assert EVIL in seen.page.locator(".answers ins").all_inner_texts()
        assert "<img src=x onerror=window.hacked=1>" in seen.page.locator("#leaderboard").inner_text()
        assert seen.page.locator("img").count() == 0
        assert seen.page.evaluate("window.hacked") is None


def test_a_student_is_held_against_its_teacher(chromium: Browser, file: Path) -> None:
    with opened(chromium, file) as seen:
        page = seen.page
        assert page.locator("select[name=first] option:checked").inner_text() == "tri_dent"
        assert page.locator("select[name=second] option:checked").inner_text() == "teacher"
        page.locator("select[name=first_is]").select_option("0")
        assert shown(page) == 20
        page.locator("select[name=second_is]").select_option("0")
        assert shown(page) == 0
        page.locator("select[name=first_is]").select_option("1")
        assert shown(page) == 10
        page.locator("select[name=first]").select_option(label="hard_labels, seed 2")
        assert shown(page) == 0


def test_the_search_takes_every_word(chromium: Browser, file: Path) -> None:
    with opened(chromium, file) as seen:
        search = seen.page.get_by_role("searchbox")
        search.fill("R7")
        assert shown(seen.page) == 1
        search.fill("assertTrue project-0")
        assert shown(seen.page) == 10


def test_pages_and_orders(chromium: Browser, file: Path) -> None:
    with opened(chromium, file) as seen:
        page = seen.page
        assert page.locator(".list > li").count() == 20
        expect(page.get_by_role("button", name="Previous")).to_be_disabled()
        page.get_by_role("button", name="Next").click()
        page.get_by_role("button", name="Next").click()
        expect(page.locator(".pages span")).to_have_text("Page 3 of 3")
        expect(page.get_by_role("button", name="Next")).to_be_disabled()
        page.get_by_label("Order").select_option("hard")
        tallies = page.locator(".list .tally").all_inner_texts()
        assert tallies[0].startswith("1 of 4 right")


def test_equal_answers_stand_in_one_row(chromium: Browser, file: Path) -> None:
    with opened(chromium, file) as seen:
        seen.page.get_by_role("searchbox").fill("r22")
        seen.page.locator(".list summary").click()
        rows = seen.page.locator(".answers tr").all_inner_texts()
        assert len(rows) == 3
        assert "teacher, tri_dent, hard_labels, seed 2" in rows[1]
        assert "(nothing)" in rows[2]


def test_seeds_and_further_figures_are_folded(chromium: Browser, file: Path) -> None:
    with opened(chromium, file) as seen:
        seeds = seen.page.locator("#leaderboard tr.seed")
        assert seeds.count() == 2
        expect(seeds.first).to_be_hidden()
        seen.page.get_by_role("button", name="Every seed").click()
        expect(seeds.first).to_be_visible()
        # Sorting keeps the seeds below their variant.
        seen.page.locator("#leaderboard th button").first.click()
        names = seen.page.locator("#leaderboard tbody th").all_inner_texts()
        assert [name.split("\n")[0] for name in names] == ["hard_labels", "seed 2", "seed 1", "teacher", "tri_dent"]


def test_without_scripts_the_figures_can_be_read(chromium: Browser, file: Path) -> None:
    with opened(chromium, file, java_script_enabled=False) as seen:
        page = seen.page
        expect(page.locator("#leaderboard th", has_text="BLEU").first).to_be_visible()
        expect(page.locator("#leaderboard tr.seed").first).to_be_visible()
        expect(page.get_by_text("The browser of examples needs scripts", exact=False)).to_be_visible()


def test_differences_are_those_of_a_longest_common_subsequence(chromium: Browser, file: Path) -> None:
    """What is kept is common to both texts, and no shorter than what difflib keeps."""
    rng = random.Random(3)
    words = ["assertEquals", "(", ")", ",", "3", '"a b"', "x", ".", "size", ";"]
    pairs = [[[rng.choice(words) for _ in range(rng.randint(0, 14))] for _ in range(2)] for _ in range(60)]
    texts = [[" ".join(tokens) for tokens in pair] for pair in pairs]
    with opened(chromium, file) as seen:
        compare = f"pairs => {{ {template_text('js/diff.js')}; return pairs.map(pair => differences(...pair)); }}"
        found = seen.page.evaluate(compare, texts)
    for (gold, given), pieces in zip(pairs, found, strict=True):
        tokens = [(kind, token) for kind, text in pieces for token in TOKEN.findall(text)]
        assert [token for kind, token in tokens if kind != "gone"] == given
        assert [token for kind, token in tokens if kind != "extra"] == gold
        matched = difflib.SequenceMatcher(None, gold, given, autojunk=False).get_matching_blocks()
        assert sum(kind == "same" for kind, _ in tokens) >= sum(block.size for block in matched)
