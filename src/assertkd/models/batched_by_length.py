"""Batches of inputs of like length, so that little of a batch is padding."""

from collections.abc import Callable, Sequence


def generate_by_length(
    encoded_inputs: Sequence[Sequence[int]],
    batch_size: int,
    generate: Callable[[list[Sequence[int]]], Sequence[str]],
    progress: Callable[[int], None] | None = None,
) -> list[str]:
    """Return the text for every input, stripped, in the order of the inputs.

    Args:
        encoded_inputs: token ids of every input.
        batch_size: inputs that are passed to `generate` together, the longest first: if memory does not suffice, the
            first batch says so.
        generate: returns a batch's texts in its order.
        progress: called after every batch with the number of inputs that are done.
    """
    order = sorted(range(len(encoded_inputs)), key=lambda index: -len(encoded_inputs[index]))
    texts = [""] * len(order)
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        outputs = generate([encoded_inputs[index] for index in chosen])
        for index, text in zip(chosen, outputs, strict=True):
            texts[index] = text.strip()
        if progress is not None:
            progress(start + len(chosen))
    return texts
