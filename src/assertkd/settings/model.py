"""Options of a model and of the tokenizer that teacher and students share."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Self

from pydantic import Field, model_validator

from assertkd.settings.section import Section

Layer = Annotated[int, Field(ge=0, lt=96)]

SCRATCH = "scratch"
"""The model name that means: build the model from its `scratch` sizes, with random weights."""


class TokenizerSettings(Section):
    """The tokenizer of a run: teacher and students share it, since they share the logits' vocabulary."""

    name: str | None = None
    """Hub name or folder; without it the teacher's own, or, for a teacher from scratch, one trained on the corpus."""
    vocab_size: int = Field(2048, ge=300, le=200_000)
    """Entries of a byte-level BPE tokenizer trained on the corpus; used only where one is trained."""


class ScratchSettings(Section):
    """Sizes of a T5 model built with random weights (used where the model's name is `scratch`)."""

    d_model: int = Field(192, ge=8, multiple_of=2)
    """Width of the hidden states."""
    d_ff: int = Field(768, ge=8)
    """Width of the feed-forward layers."""
    heads: int = Field(6, ge=1)
    """Attention heads; `d_model` must be a multiple of it."""
    encoder_layers: int = Field(3, ge=1, le=96)
    """Encoder layers."""
    decoder_layers: int = Field(3, ge=1, le=96)
    """Decoder layers."""

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "ScratchSettings":
        if self.d_model % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide d_model ({self.d_model})")
        return self


class ModelSettings(Section):
    """One seq2seq model of the T5 family."""

    name: str = "Salesforce/codet5p-220m"
    """Hub name, a folder in the transformers form, or `scratch` for a model of the `scratch` sizes."""
    scratch: ScratchSettings = ScratchSettings()

    def used(self) -> Self:
        """Return the settings with those that have no effect at their defaults."""
        return self.with_defaults(() if self.name == SCRATCH else {"scratch"})


class StudentModelSettings(ModelSettings):
    """A student's model."""

    teacher_layers: tuple[Layer, ...] | None = Field(None, min_length=1, max_length=96)
    """Build the student of its teacher in place of `name` and `scratch`: copies of these encoder layers, counted from
    0, in this order, with the teacher's embeddings, norms and head. Sizes and vocabulary are the teacher's."""
    teacher_decoder_layers: tuple[Layer, ...] | None = Field(None, min_length=1, max_length=96)
    """The decoder layers that go with `teacher_layers`; null for the same numbers."""

    @model_validator(mode="after")
    def _decoder_follows_encoder(self) -> "StudentModelSettings":
        if self.teacher_decoder_layers is not None and self.teacher_layers is None:
            raise ValueError("teacher_decoder_layers goes with teacher_layers, which is not set")
        return self

    def used(self) -> Self:
        """Return the settings with those that have no effect at their defaults."""
        if self.teacher_layers is None:
            return super().used()
        return self.with_defaults({"name", "scratch"})

    @property
    def layers(self) -> dict[str, tuple[int, ...]] | None:
        """Stack to the teacher's layers that it is copied from; None for a student that is not made of its teacher."""
        if self.teacher_layers is None:
            return None
        return {"encoder": self.teacher_layers, "decoder": self.teacher_decoder_layers or self.teacher_layers}


class TeacherModelSettings(ModelSettings):
    """The teacher's model."""

    name: str = "Salesforce/codet5p-770m"
    """Hub name, a folder in the transformers form, or `scratch` for a model of the `scratch` sizes."""


def missing_layers(chosen: Mapping[str, Sequence[int]], held: Mapping[str, int]) -> list[str]:
    """Return a line for each stack of which a layer is named that the teacher does not have.

    Args:
        chosen: stack (`encoder`, `decoder`) to the numbers of the layers that are wanted, from 0.
        held: stack to the teacher's number of layers.
    """
    return [
        f"the teacher's {stack} has no layer {', '.join(map(str, missing))}: its layers are 0 to {held[stack] - 1}"
        for stack, layers in chosen.items()
        if (missing := [layer for layer in layers if layer >= held[stack]])
    ]
