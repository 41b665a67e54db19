"""Splits of a corpus: whole groups (projects, or near-duplicate focal methods) go to one side."""

import hashlib
import random
from collections import defaultdict
from collections.abc import Callable, Sequence

from assertkd.errors import UserError
from assertkd.records import Record

SLACK = 1.1
"""A split may outgrow its share by this factor, since groups go whole; further only where every group is larger."""


def split_off(
    records: Sequence[Record], shares: dict[str, float], group: Callable[[Record], str], seed: int
) -> dict[str, list[Record]]:
    """Divide records into `train` and the splits that `shares` names.

    Args:
        shares: split name to its share of the records, each in [0, 1).
        group: records of one group stay together.
        seed: shuffles the groups.

    Returns:
        Split name to records in their original order; `train` has the rest.

    Raises:
        UserError: there are too few groups to fill every split.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for index, record in enumerate(records):
        members[group(record)].append(index)
    order = sorted(members)
    random.Random(seed).shuffle(order)
    parts: dict[str, list[int]] = {name: [] for name in shares}
    for name, share in shares.items():
        goal = share * len(records)
        for key in list(order):
            filled, size = len(parts[name]), len(members[key])
            if filled < goal and filled + size <= SLACK * goal:
                parts[name] += members[key]
                order.remove(key)
        smallest = min(order, key=lambda key: len(members[key]), default=None)
        if goal and not parts[name] and smallest is not None and len(members[smallest]) < len(records) / 2:
            parts[name] += members[smallest]
            order.remove(smallest)
    parts["train"] = [index for key in order for index in members[key]]
    empty = [name for name, part in parts.items() if not part and shares.get(name, 1) > 0]
    if empty:
        raise UserError(
            f"{len(members)} groups of records are too few to fill the split {empty[0]!r}",
            "Set data.split_by: record, give more projects, or name the file of that split.",
        )
    return {name: [records[index] for index in sorted(part)] for name, part in parts.items()}


def labelled_ids(ids: Sequence[str], share: float, seed: int) -> set[str]:
    """Return the ids whose gold assertion students may use.

    The ids are ranked by a hash of seed and id, so a larger share holds every id of a smaller one. The share, above 0
    to 1, is rounded to whole records, at least one.
    """
    ranked = sorted(ids, key=lambda identity: hashlib.sha256(f"{seed}\n{identity}".encode()).digest())
    return set(ranked[: max(1, round(share * len(ranked)))])
