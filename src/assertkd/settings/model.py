"""Options of a model and of a tokenizer."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from assertkd.settings.section import Section, Share

Layer = Annotated[int, Field(ge=0, lt=96)]

PromptName = Literal["placeholder", "infilling", "continuation"]

SCRATCH = "scratch"
"""The model name that means: build the model from its `scratch` sizes, with random weights."""


class TokenizerSettings(Section):
    """A tokenizer: that of a run, which teacher and students share, or a student's own."""

    name: str | None = None
    """Hub name or folder; without it the model's own (for a run the teacher's), or one trained on the corpus for a
    model from scratch."""
    vocab_size: int = Field(2048, ge=300, le=200_000)
    """Entries of a byte-level BPE tokenizer trained on the corpus; used only where one is trained."""
    keep: Literal["all", "corpus"] = Field("all", exclude_if=lambda keep: keep == "all")
    """`corpus`: of a named tokenizer (byte-level BPE) only the entries that the training records use, those they are
    merged from, single bytes and special tokens, in the models' embeddings and heads too; any text can still be
    written. For small models, most of whose weights are embeddings. Without effect on a tokenizer that is trained."""
    prompt: PromptName | None = Field(None, exclude_if=lambda form: form is None)
    """Form of inputs. `placeholder`: focal method and test, a token in the assertion's place, the end token.
    `infilling`: the same between the tokenizer's tokens of fill-in-the-middle. `continuation`: the same, and a comment
    that asks for the assertion. Null: the teacher's, which is `placeholder` for one with an encoder; for a decoder-only
    or served model `infilling` where its tokenizer has the tokens, else `continuation`."""


class ScratchSettings(Section):
    """Family and sizes of a model built with random weights (used where the model's name is `scratch`)."""

    family: Literal["t5", "causal"] = Field("t5", exclude_if=lambda family: family == "t5")
    """`t5`: an encoder reads the input, a decoder writes the target. `causal`: a decoder alone, as Llama."""
    d_model: int = Field(192, ge=8, multiple_of=2)
    """Width of the hidden states."""
    d_ff: int = Field(768, ge=8)
    """Width of the feed-forward layers."""
    heads: int = Field(6, ge=1)
    """Attention heads; `d_model` must be a multiple of it."""
    encoder_layers: int = Field(3, ge=1, le=96)
    """Encoder layers; of the family `t5` alone."""
    decoder_layers: int = Field(3, ge=1, le=96)
    """Decoder layers."""

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "ScratchSettings":
        if self.d_model % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide d_model ({self.d_model})")
        if self.family == "causal" and self.d_model // self.heads % 2:
            raise ValueError(f"d_model ({self.d_model}) / heads ({self.heads}) must be even for the family causal")
        return self


class ModelSettings(Section):
    """One model: T5, CodeT5, CodeT5+, or decoder-only."""

    name: str = "Salesforce/codet5p-220m"
    """Hub name, a folder in the transformers form, `gguf:` and a GGUF file or a package that brings one, or `scratch`
    for a model of the `scratch` sizes."""
    scratch: ScratchSettings = ScratchSettings()

    @property
    def is_decoder_only_scratch(self) -> bool:
        """Whether it is a decoder-only model from scratch, of which no file says so."""
        return self.name == SCRATCH and self.scratch.family == "causal"

    def used(self) -> Self:
        """Return the settings with those that have no effect at their defaults."""
        if self.name != SCRATCH:
            return self.with_defaults({"scratch"})
        if self.scratch.family == "t5":
            return self
        return self.model_copy(update={"scratch": self.scratch.with_defaults({"encoder_layers"})})


class StudentModelSettings(ModelSettings):
    """A student's model."""

    teacher_layers: tuple[Layer, ...] | None = Field(None, min_length=1, max_length=96)
    """Build the student of its teacher in place of `name` and `scratch`: copies of these encoder layers, counted from
    0, in this order, with the teacher's embeddings, norms and head; its only layers where it has no encoder. Width
    (`d_model`) and vocabulary are the teacher's."""
    teacher_decoder_layers: tuple[Layer, ...] | None = Field(None, min_length=1, max_length=96)
    """The decoder layers that go with `teacher_layers`; null for the same numbers."""
    teacher_heads: int | None = Field(None, ge=1, exclude_if=lambda heads: heads is None)
    """Attention heads that each of these layers keeps, those of the largest weights; null for all. Of a teacher whose
    heads share keys and values in groups (Qwen2.5-Coder has groups of 7 or 6), a multiple of a group's size."""
    teacher_d_ff: int | None = Field(None, ge=1, exclude_if=lambda units: units is None)
    """Units that the feed-forward part of each of these layers keeps, those of the largest weights; null for all."""
    tokenizer: TokenizerSettings | None = Field(None, exclude_if=lambda tokenizer: tokenizer is None)
    """A tokenizer of the student's own, chosen as a run's is: `{}` for that of its model, or, for a student from
    scratch, one trained on the corpus. Null for the run's. With its own, a student learns the teacher's texts
    (`targets`), and its distributions by the loss component `uld`."""

    @model_validator(mode="after")
    def _teacher_layers_are_set(self) -> "StudentModelSettings":
        for key in ("teacher_decoder_layers", "teacher_heads", "teacher_d_ff"):
            if getattr(self, key) is not None and self.teacher_layers is None:
                raise ValueError(f"{key} goes with teacher_layers, which is not set")
        if self.tokenizer is not None and self.teacher_layers is not None:
            raise ValueError("a student of teacher_layers has the teacher's tokenizer, and none of its own")
        return self

    def used(self) -> Self:
        """Return the settings with those that have no effect at their defaults."""
        if self.teacher_layers is not None:
            return self.with_defaults({"name", "scratch"})
        used = super().used()
        if self.tokenizer is None:
            return used
        is_trained = self.tokenizer.name is None and self.name == SCRATCH
        without_effect = {"keep"} if is_trained else {"vocab_size"}
        return used.model_copy(update={"tokenizer": self.tokenizer.with_defaults(without_effect)})

    @property
    def own_tokenizer(self) -> str:
        """Name of a tokenizer of its own: what `tokenizer` names, or the model's; `scratch` for one that is trained."""
        return (self.tokenizer and self.tokenizer.name) or self.name

    @property
    def layers(self) -> dict[str, tuple[int, ...]] | None:
        """Stack to the teacher's layers that it is copied from; None for a student that is not made of its teacher."""
        if self.teacher_layers is None:
            return None
        return {"encoder": self.teacher_layers, "decoder": self.teacher_decoder_layers or self.teacher_layers}


def size_settings(model: ModelSettings, teacher: ModelSettings) -> ModelSettings:
    """Return settings that name a model of the size of `model`, for estimates before anything is loaded.

    A student of its teacher's layers is as large as a model from scratch of so many. Of a named teacher, whose layers
    are not known here, it is taken to be as large as the whole teacher.
    """
    chosen = model
    if isinstance(model, StudentModelSettings) and model.layers is not None:
        sizes = {f"{stack}_layers": len(layers) for stack, layers in model.layers.items()}
        sizes |= {} if model.teacher_d_ff is None else {"d_ff": model.teacher_d_ff}
        chosen = teacher.model_copy(update={"scratch": teacher.scratch.model_copy(update=sizes)})
    used = chosen.used()
    return ModelSettings(name=used.name, scratch=used.scratch)


class TeacherModelSettings(ModelSettings):
    """The teacher's model."""

    name: str = "Salesforce/codet5p-770m"
    """Hub name, a folder in the transformers form, `gguf:` and a GGUF file or a package that brings one, or `scratch`
    for a model of the `scratch` sizes."""


class LoraSettings(Section):
    """Low-rank adapters (LoRA, Hu et al. 2022): small matrices beside the model's own weights are trained, and added to
    them at the end. For models whose gradients and optimizer state do not fit a GPU."""

    rank: int = Field(0, ge=0, le=1024)
    """Rank of the matrices; 8 to 64 is usual. 0 trains all weights instead."""
    alpha: int = Field(32, ge=1)
    """What they add is multiplied by `alpha / rank`."""
    dropout: Share = 0.0
    """Dropout rate of what enters them, from 0 to below 1."""
    target_modules: tuple[str, ...] = ()
    """Names of the linear layers that have them, as `q_proj`; none for all but the head. Layers that share their
    weights, as a tied head does, cannot have them."""


def wider_than_teacher(heads: int | None, has_heads: int, feed_forward: int | None, has_units: int) -> list[str]:
    """Return a line for each of `teacher_heads` and `teacher_d_ff` that is more than the teacher has."""
    wanted = {"heads": (heads, has_heads, "attention heads"), "d_ff": (feed_forward, has_units, "feed-forward units")}
    return [
        f"model.teacher_{key}: {chosen} is more than the teacher's {held} {what}"
        for key, (chosen, held, what) in wanted.items()
        if chosen is not None and chosen > held
    ]


def missing_layers(chosen: Mapping[str, Sequence[int]], held: Mapping[str, int], owner: str = "teacher") -> list[str]:
    """Return a line for each stack of which a layer is named that a model does not have.

    Args:
        chosen: stack (`encoder`, `decoder`) to the numbers of the layers that are wanted, from 0.
        held: stack to the model's number of layers; a stack that it does not have is left out.
        owner: which model it is, for the lines.
    """
    return [
        f"the {owner}'s {stack} has no layer {', '.join(map(str, missing))}: its layers are 0 to {held[stack] - 1}"
        for stack, layers in chosen.items()
        if (missing := [layer for layer in layers if stack in held and layer >= held[stack]])
    ]
