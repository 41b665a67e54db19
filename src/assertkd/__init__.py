"""AssertKD: distil a fine-tuned CodeT5+ teacher into a small student that writes Java unit-test assertions."""

__version__ = "0.1.0"
