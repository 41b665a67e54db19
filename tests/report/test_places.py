"""A page says nothing of the machine: absolute paths are cut, wherever they stand in a text."""

import pytest

from assertkd.report.provenance import without_places


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/alice/x.jar", "…/x.jar"),
        ("file:///home/alice/x.jar", "…/x.jar"),
        ("file:/home/alice/x.jar", "…/x.jar"),
        ("[/home/alice/x.jar, /srv/bob/y.jar]", "[…/x.jar, …/y.jar]"),
        ("`/home/alice/x`", "`…/x`"),
        ("{/home/alice/x}", "{…/x}"),
        ("</home/alice/x>", "<…/x>"),
        ("-cp=/home/alice/x.jar:/srv/y.jar", "-cp=…/x.jar:…/y.jar"),
        ("~/libs/x.jar", "…/x.jar"),
        ("~alice/x.jar", "…/x.jar"),
        ("/home/alice", "…"),
        ("/home/alice/my data/x.jar", "…/x.jar"),
        ("https://huggingface.co/owner/name", "https://huggingface.co/owner/name"),
        ("owner/name, ./a/b, 1/2 km/h", "owner/name, ./a/b, 1/2 km/h"),
    ],
)
def test_absolute_paths_are_cut(text: str, shown: str) -> None:
    assert without_places(text) == shown
    assert without_places({text: [text]}) == {shown: [shown]}
