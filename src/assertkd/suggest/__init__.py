"""Suggests assertions for a test on disk. Starts in tenths of a second: neither torch nor transformers is imported."""
