"""What a student learns of its teacher's hidden states: pairs of layers, and a learnt projection for each."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from assertkd.batching.examples import Batch
from assertkd.models.distillable import DistillableModel
from assertkd.settings.loss import HiddenSettings


class Features:
    """The student's hidden states, projected to the teacher's width, and the teacher's, which runs along.

    A projection is a matrix, which starts as the identity, or where the widths differ as random orthogonal vectors.

    Args:
        settings: which layers are compared.
        student: on its device.
        teacher: on the same device, in evaluation mode; its weights are not touched.
        seed: of the random vectors.

    Raises:
        UserError: a layer does not exist.
    """

    def __init__(
        self, settings: HiddenSettings, student: DistillableModel, teacher: DistillableModel, seed: int
    ) -> None:
        self._teacher = teacher
        self._pairs = settings.pairs(student.shape.decoder_layers, teacher.shape.decoder_layers)
        generator, width = torch.Generator().manual_seed(seed), teacher.hidden_size
        self._projections = []
        for _ in self._pairs:
            matrix = torch.eye(width)
            if student.hidden_size != width:
                matrix = nn.init.orthogonal_(torch.empty(width, student.hidden_size), generator=generator)
            self._projections.append(nn.Parameter(matrix.to(student.device)))

    def weights(self) -> dict[str, nn.Parameter]:
        """Return the projections, each (d of the teacher, d of the student), by name."""
        return {f"hidden.projection.{pair}": matrix for pair, matrix in enumerate(self._projections)}

    def of(self, batch: Batch, hidden_states: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Return the student's features and the teacher's, (N, d of the teacher) for each pair of layers.

        Args:
            batch: on the device.
            hidden_states: the student's, embeddings first.
        """
        with torch.no_grad():
            taught = self._teacher(batch.input_ids, batch.attention_mask, batch.labels, hidden_states=True)
        projected = zip(self._pairs, self._projections, strict=True)
        return (
            tuple(functional.linear(hidden_states[own + 1], matrix) for (own, _), matrix in projected),
            tuple(taught.hidden_states[layer + 1] for _, layer in self._pairs),
        )
