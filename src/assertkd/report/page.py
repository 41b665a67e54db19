"""The report page: one HTML file that holds its styles, scripts, charts and data, and needs no network."""

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from assertkd.files import write_text

SCRIPTS = ("theme", "tables", "charts", "diff", "examples", "main")
"""The page's own scripts, in the order in which they run."""

VEGA_LITE = "6.4"
"""Version of the charting library on the page; the one that Altair writes for."""


SECTIONS = {
    "results": "How the models compare",
    "cost": "What it costs",
    "training": "Why: how the students trained",
    "cache": "How faithful the cache is",
    "examples": "Where it fails: the test examples",
    "slices": "By parts of the test split",
    "provenance": "How it was made",
}
"""Anchor and template of each part of the page to its heading, in the order in which a reader asks."""


def write_page(path: Path, shown: Sequence[str], context: Mapping[str, Any]) -> None:
    """Write the report page.

    Args:
        path: the HTML file.
        shown: those of `SECTIONS` that have something to show.
        context: values for the templates.
    """
    environment = Environment(
        loader=PackageLoader("assertkd.report"),
        # Everywhere: code, names and reasons come from data.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"json": compact_json, "packed": packed, "data_uri": data_uri, "breakable": breakable}
    # `capitalize` of the library writes all else in small letters.
    environment.filters["sentence"] = lambda text: text[:1].upper() + text[1:]
    scripts = [chart_library(), own_script()]
    page = environment.get_template("report.html").render(
        **context,
        sections={name: title for name, title in SECTIONS.items() if name in shown},
        scripts=[Markup(script) for script in scripts],
        policy=policy(scripts),
        style=lambda name: Markup(template_text(name)),
        version=version("assertkd"),
    )
    write_text(path, page)


def policy(scripts: Sequence[str]) -> str:
    """Return the page's content security policy: these scripts run, no other, and nothing is fetched from anywhere."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    others = "style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'"
    return f"default-src 'none'; script-src {allowed}; {others}"


@cache
def chart_library() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script that needs no network."""
    return for_html(str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", VEGA_LITE)))


def own_script() -> str:
    """Return the page's own scripts as one, their names out of the global scope."""
    parts = "\n".join(template_text(f"js/{name}.js") for name in SCRIPTS)
    return for_html(f'(() => {{\n"use strict";\n{parts}}})();')


def for_html(script: str) -> str:
    """Return a script that may be embedded in HTML: signs that would end or hide it there are escaped.

    Both signs occur in string literals alone, where the backslash changes nothing.
    """
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def template_text(name: str) -> str:
    """Return a file of the templates' folder."""
    return files("assertkd.report").joinpath("templates", name).read_text(encoding="utf-8")


def data_uri(csv: str) -> str:
    """Return a CSV text as a data URI, percent-encoded."""
    return "data:text/csv;charset=utf-8," + quote(csv, safe=",.:;-_~()!*/?@$=+")


def breakable(name: str) -> Markup:
    """Return a name that may break behind its underscores."""
    return Markup(str(escape(name)).replace("_", "_<wbr>"))


def compact_json(value: Any) -> str:
    """Return a value as JSON without blanks."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def packed(value: Any) -> str:
    """Return a value's JSON as base64 of gzip: small, the same for the same values, and safe in HTML."""
    return base64.b64encode(gzip.compress(compact_json(value).encode(), mtime=0)).decode()
