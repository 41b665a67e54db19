"""Records out of Java projects: their tests, cut at each assertion, with the methods that they test."""

from assertkd.corpus.mine.counts import format_counts
from assertkd.corpus.mine.mine_corpus import mine_corpus

__all__ = ["format_counts", "mine_corpus"]
