"""What a text component sees of one optimizer step: sampled predictions beside their references."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from assertkd.models.encoders import TextEncoder


@dataclass(frozen=True, slots=True)
class TextBatch:
    """Sampled predictions of B examples, K each.

    Attributes:
        predictions: B lists of K decoded predictions.
        references: B target texts.
        batch_references: target texts of the whole effective batch, those of the B examples among them.
        encoders: component name to the encoder that it embeds with; components that embed nothing have none.
    """

    predictions: Sequence[Sequence[str]]
    references: Sequence[str]
    batch_references: Sequence[str]
    encoders: Mapping[str, TextEncoder] = field(default_factory=dict)

    def pairs(self) -> tuple[list[str], list[str]]:
        """Return all B · K predictions, example by example, and the reference of each."""
        predictions = [text for samples in self.predictions for text in samples]
        references = [
            reference for reference, samples in zip(self.references, self.predictions, strict=True) for _ in samples
        ]
        return predictions, references

    def by_example(self, values: Tensor) -> Tensor:
        """Return one value for each of `pairs()`, (B · K,), as (B, K) float32."""
        return values.float().view(len(self.references), -1)
