"""Whether the layers that a student is to be copied from exist."""

from collections.abc import Mapping, Sequence


def missing_layers(chosen: Mapping[str, Sequence[int]], held: Mapping[str, int]) -> list[str]:
    """Return a line for each stack of which a layer is named that the teacher does not have.

    Args:
        chosen: stack (`encoder`, `decoder`) to the numbers of the layers that are wanted, from 0.
        held: stack to the teacher's number of layers.
    """
    return [
        f"the teacher's {stack} has no layer {', '.join(str(one) for one in layers if one >= held[stack])}: "
        f"its layers are 0 to {held[stack] - 1}"
        for stack, layers in chosen.items()
        if any(one >= held[stack] for one in layers)
    ]
