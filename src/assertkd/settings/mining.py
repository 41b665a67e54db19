"""How records are mined from Java projects."""

from pydantic import Field

from assertkd.settings.section import Section


class MiningSettings(Section):
    """How records are mined from the Java projects of `data.java_sources`."""

    max_file_bytes: int = Field(1_000_000, ge=1_000)
    """Largest Java file that is parsed, in bytes; larger ones (generated, as a rule) are counted and left out."""
    max_assertions: int | None = Field(None, ge=1)
    """Tests with more assertions than this are counted and left out; null takes all. A few endless tests can otherwise
    fill a corpus with records that hardly differ."""
