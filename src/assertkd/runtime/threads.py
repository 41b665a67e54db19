"""Number of torch's threads."""

from assertkd.runtime.logs import hide_progress_bars


def set_threads(threads: int) -> None:
    """Set torch's number of threads, and switch off transformers' progress bars."""
    import torch

    torch.set_num_threads(threads)
    hide_progress_bars()
