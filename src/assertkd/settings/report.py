"""Options of the report."""

from pydantic import Field

from assertkd.settings.section import Section


class ReportSettings(Section):
    """The page that a researcher reads."""

    title: str = "AssertKD report"
    """Heading of the page."""
    examples: int = Field(5000, ge=0, le=100_000)
    """Most test examples in the page's browser, with every model's prediction; 0 leaves the browser out. Where the test
    split has more, examples at even distances are taken. A thousand add 0.1 to 0.2 MB to the page."""
