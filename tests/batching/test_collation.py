"""Padded batches, with the teacher's rows beside them."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from assertkd.batching.collation import collate, load_batches
from assertkd.batching.distributions import DenseView
from assertkd.batching.examples import Example, Payload
from assertkd.errors import UserError
from assertkd.models.distillable import IGNORED

PAD = 0
EXAMPLES = [Example("a", [7, 8, 9, 1], [5, 1]), Example("b", [6, 1], [4, 5, 6, 1]), Example("c", [9, 9, 1], [1])]


class Rows:
    """A teacher whose logits at an example's t-th target are all `10 * example + t`."""

    def read_example(self, example: Example) -> Payload:
        if example.id == "b" and example.target_ids != [4, 5, 6, 1]:
            raise UserError("b: another target", "Rerun.")
        base = 10 * "abc".index(example.id)
        return {"logits": np.array([[base + t] * 4 for t in range(len(example.target_ids))], dtype=np.float16)}

    def collate_views(self, payloads: Sequence[Payload]) -> DenseView:
        return DenseView(torch.from_numpy(np.concatenate([payload["logits"] for payload in payloads])))


def test_collate() -> None:
    batch = collate(EXAMPLES, PAD, None)
    assert batch.ids == ("a", "b", "c")
    assert batch.input_ids.tolist() == [[7, 8, 9, 1], [6, 1, 0, 0], [9, 9, 1, 0]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]]
    assert batch.labels.tolist() == [[5, 1, -100, -100], [4, 5, 6, 1], [1, -100, -100, -100]]
    assert batch.tokens == 7 == int((batch.labels != IGNORED).sum())
    assert batch.teacher is None


def test_teacher_rows_stand_at_their_targets() -> None:
    batch = collate(EXAMPLES, PAD, Rows())
    assert batch.teacher is not None
    assert batch.teacher.num_tokens == batch.tokens
    rows = batch.teacher.logits(slice(0, 7))[:, 0].tolist()  # type: ignore[attr-defined]
    assert rows == [0, 1, 10, 11, 12, 13, 20]
    assert batch.labels[batch.labels != IGNORED].tolist() == [5, 1, 4, 5, 6, 1, 1], "in the same order"


def test_a_pad_token_in_a_target_is_a_target() -> None:
    batch = collate([Example("a", [0, 1], [0, 5, 0, 1])], PAD, None)
    assert batch.labels.tolist() == [[0, 5, 0, 1]]
    assert batch.attention_mask.tolist() == [[1, 1]]


@pytest.mark.parametrize("workers", [0, 1])
def test_the_loader_gives_the_batches_in_order(workers: int) -> None:
    batches = list(load_batches(EXAMPLES, [[2, 0], [1]], PAD, Rows(), num_workers=workers, pin_memory=False))
    assert [batch.ids for batch in batches] == [("c", "a"), ("b",)]
    assert torch.equal(batches[0].labels, torch.tensor([[1, -100], [5, 1]]))
    assert batches[0].teacher.logits(slice(0, 3))[:, 0].tolist() == [20, 0, 1]  # type: ignore[union-attr]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_fault_of_the_teachers_rows_comes_as_itself(workers: int) -> None:
    examples = [EXAMPLES[0], Example("b", [6, 1], [4, 1])]
    batches = load_batches(examples, [[0], [1]], PAD, Rows(), num_workers=workers, pin_memory=False)
    assert next(batches).ids == ("a",)
    with pytest.raises(UserError, match="b: another target"):
        next(batches)


def test_a_batch_moves_whole() -> None:
    batch = collate(EXAMPLES, PAD, Rows())
    moved = batch.to(torch.device("meta"))
    assert {t.device.type for t in (moved.input_ids, moved.attention_mask, moved.labels)} == {"meta"}
    assert (moved.ids, moved.tokens) == (batch.ids, batch.tokens)
    assert moved.teacher.values.device.type == "meta"  # type: ignore[union-attr]
