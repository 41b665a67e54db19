"""The seam between models and everything above them: what a model family has to offer to be taught and to teach."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

IGNORED = -100
"""Label at padding."""


@dataclass(frozen=True, slots=True)
class TargetOutputs:
    """What a model computes at the N target positions of a batch, padding dropped, in batch order.

    Attributes:
        logits: (N, V), those that predict each target token.
        hidden_states: (N, d) of each layer that writes the target, embeddings first; empty if not asked for.
    """

    logits: Tensor
    hidden_states: tuple[Tensor, ...] = ()


class DistillableModel(nn.Module, ABC):
    """A language model that writes a target for an input. `models/` alone knows how: with an encoder, or by continuing.

    A batch is `input_ids` (B, S), `attention_mask` (B, S), 1 at tokens and 0 at padding, and `labels` (B · K, T), token
    ids with `IGNORED` at padding, the K targets of an input one behind the other. The family turns these into what its
    network takes.

    Attributes:
        family: its key in `models.registry.FAMILIES`.
    """

    family: ClassVar[str]

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """V, the number of logits at a position."""

    @property
    @abstractmethod
    def hidden_size(self) -> int:
        """d, the width of the vectors that enter the head."""

    @property
    @abstractmethod
    def pad_token_id(self) -> int:
        """The token that fills inputs and outputs up."""

    @property
    @abstractmethod
    def end_token_ids(self) -> Tensor:
        """The tokens that end an output, shape (number of them,), on the model's device."""

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(self.parameters()).device

    @abstractmethod
    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor,
        *,
        targets_per_input: int = 1,
        hidden_states: bool = False,
    ) -> TargetOutputs:
        """Return logits, and hidden states on request, at every label that is not `IGNORED`, teacher-forced.

        An input is encoded once for its `targets_per_input` targets. Nothing of size (B, T, V) is built.
        """

    @abstractmethod
    def head_inputs(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> Tensor:
        """Return the (N, d) vectors that enter the head; `head_inputs @ head_weight.T` are the logits."""

    @property
    @abstractmethod
    def head_weight(self) -> Tensor:
        """The head, (V, d), detached."""

    @abstractmethod
    def generate(self, input_ids: Tensor, attention_mask: Tensor, max_new_tokens: int, num_beams: int = 1) -> Tensor:
        """Return the outputs, (B, T) with T <= max_new_tokens, end token included, padded behind it.

        Greedy for one beam. The model must be in evaluation mode.
        """

    @abstractmethod
    def sample(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        samples: int,
        max_new_tokens: int,
        *,
        temperature: float = 1.0,
        generator: torch.Generator,
    ) -> Tensor:
        """Return `samples` outputs for each input, (B, K, T), drawn token by token from the full distribution.

        The model is put into evaluation mode and afterwards back into the mode in which it came. What a row draws
        depends on the generator and the row alone.
        """

    @abstractmethod
    def parameter_groups(self) -> Mapping[str, Sequence[nn.Parameter]]:
        """Return the parts whose gradient norms are logged, by name; weights may be in several."""

    @abstractmethod
    def weights(self) -> dict[str, nn.Parameter]:
        """Return every weight once, by the name that it has in the saved file."""

    @abstractmethod
    def with_layers(self, layers: Mapping[str, Sequence[int]], dropout: float) -> Self:
        """Return a model made of copies of these layers, with this one's embeddings, norms and head."""

    @abstractmethod
    def remember_length_limits(self, max_input: int, max_output: int) -> None:
        """Note the longest input and output, in tokens, that the model is trained for; `save` writes them down."""

    @abstractmethod
    def save(self, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
        """Write weights (safetensors), configuration and tokenizer to `folder`, in the transformers form."""

    @abstractmethod
    def config_dict(self) -> dict[str, Any]:
        """Return the family's own configuration as JSON values, for reports."""
