"""Threads that torch computes with."""

from assertkd.runtime.logs import hide_progress_bars


def set_threads(threads: int) -> None:
    """Let torch compute on so many threads, and keep transformers' progress bars out of the log."""
    import torch

    torch.set_num_threads(threads)
    hide_progress_bars()
