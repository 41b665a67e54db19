"""The embedded default corpus: a seeded generator of small Java classes with JUnit 4 tests."""

from assertkd.synthetic.generate import generate

__all__ = ["generate"]
