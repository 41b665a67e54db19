"""The page of a real run, used in a real browser."""

import re
from pathlib import Path

import pytest
from driver import Project
from playwright.sync_api import Browser, Page, expect

from browser import needs_chromium, opened

pytestmark = [pytest.mark.browser, pytest.mark.workflow, needs_chromium]


@pytest.fixture
def file(finished: Project) -> Path:
    return finished.folder / "results" / "tiny" / "report" / "report.html"


def column(page: Page, number: int) -> list[float]:
    """Return the leaderboard's values of a column, as they stand from top to bottom."""
    cells = page.locator(f"#leaderboard tbody tr > :nth-child({number})").all()
    return [float(cell.get_attribute("data-value") or "nan") for cell in cells]


def test_a_reader_sorts_filters_compares_and_switches_the_theme(chromium: Browser, file: Path) -> None:
    with opened(chromium, file, color_scheme="light", viewport={"width": 1280, "height": 900}) as seen:
        page = seen.page

        heading = page.locator("#leaderboard th", has_text="Token F1")
        place = int(heading.evaluate("heading => heading.cellIndex")) + 1
        heading.locator("button").click()
        assert heading.get_attribute("aria-sort") == "descending"
        assert column(page, place) == sorted(column(page, place), reverse=True)
        heading.locator("button").focus()
        page.keyboard.press("Enter")
        assert heading.get_attribute("aria-sort") == "ascending"
        assert column(page, place) == sorted(column(page, place))

        further = page.locator("#leaderboard th", has_text="BLEU").first
        expect(further).to_be_hidden()
        page.get_by_role("button", name="All figures").click()
        expect(further).to_be_visible()

        count = page.locator("#example-browser .count")
        everything = int(re.match(r"(\d+) of", count.inner_text())[1])  # type: ignore[index]
        assert everything > 0
        kinds = page.locator("select[name=kind]")
        kind = kinds.locator("option").nth(1).inner_text()
        kinds.select_option(label=kind)
        some = int(re.match(r"(\d+) of", count.inner_text())[1])  # type: ignore[index]
        assert 0 < some < everything
        for about in page.locator(".list .about").all_inner_texts():
            assert kind in about.split(" · ")

        page.get_by_role("button", name="Clear").click()
        expect(count).to_have_text(f"{everything} of {everything} examples")
        first = page.locator(".list details").first
        first.locator("summary").click()
        expect(first.locator(".answers tr").first).to_contain_text("Reference")
        expect(first.locator(".answers ins, .answers del, .answers .right").first).to_be_visible()

        background = "getComputedStyle(document.body).backgroundColor"
        assert page.evaluate(background) == "rgb(255, 255, 255)"
        theme = page.get_by_role("button", name="Theme")
        theme.click()
        expect(theme).to_have_text("Theme: light")
        theme.click()
        expect(theme).to_have_text("Theme: dark")
        assert page.evaluate(background) == "rgb(20, 24, 31)"
        page.reload()
        expect(theme).to_have_text("Theme: dark")


def test_every_chart_is_drawn_within_the_page_on_a_phone(chromium: Browser, file: Path) -> None:
    with opened(chromium, file, viewport={"width": 390, "height": 844}, is_mobile=True) as seen:
        figures = seen.page.locator("figure.plot").all()
        assert len(figures) >= 6
        for figure in figures:
            chart = figure.locator(".chart")
            assert chart.locator("svg .mark-symbol path, svg .mark-line path, svg .mark-area path").count() > 0
            room, width = chart.evaluate("chart => [chart.clientWidth, chart.querySelector('svg').clientWidth]")
            assert width <= room + 1
        assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_data_of_a_chart_is_one_click_away(chromium: Browser, file: Path) -> None:
    with opened(chromium, file) as seen:
        figure = seen.page.locator("#figure-losses")
        with seen.page.expect_download() as download:
            figure.get_by_role("link", name="CSV").click()
        text = download.value.path().read_text(encoding="utf-8")
        assert text == (file.parent / "figures" / "losses.csv").read_text(encoding="utf-8")
        figure.locator("summary", has_text="Data as a table").click()
        assert figure.locator("tbody tr").count() == len(text.splitlines()) - 1
        first = text.splitlines()[1].split(",")
        assert figure.locator("tbody tr").first.locator("td").all_inner_texts()[:3] == first[:3]
