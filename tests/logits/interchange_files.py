"""The names of the interchange files."""

from pathlib import Path

from assertkd.layout import SPLITS, InterchangeLayout

FILES = {split: InterchangeLayout(Path()).split(split).name for split in SPLITS}
"""Split to the name of its file."""
