"""The seam between models and everything above them: what a model family has to offer to be taught and to teach."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from assertkd.errors import UserError
from assertkd.models.decoding import evaluation_mode
from assertkd.models.generation import Choice, DecodingSteps, drawn_by, most_probable, write_tokens
from assertkd.models.low_rank import add_adapters
from assertkd.models.network import read_network
from assertkd.prompts.prompt_form import with_explicit_form
from assertkd.settings.model import LoraSettings, ScratchSettings

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


@dataclass(frozen=True, slots=True)
class ModelShape:
    """Sizes of a model, for estimates before it is built.

    Attributes:
        width: d of the hidden states.
        encoder_layers: layers that read the input alone; 0 for a model without an encoder.
        decoder_layers: layers that write the target.
    """

    vocab_size: int
    width: int
    heads: int
    encoder_layers: int
    decoder_layers: int


def capped(logits: Tensor, cap: float | None) -> Tensor:
    """Return c · tanh(logits / c), as Gemma 2 has it; the logits themselves without a cap."""
    return logits if cap is None else cap * torch.tanh(logits / cap)


class DistillableModel(nn.Module, ABC):
    """A language model that writes a target for an input. `models/` alone knows how: with an encoder, or by continuing.

    A batch is `input_ids` (B, S), `attention_mask` (B, S), 1 at tokens and 0 at padding, and `labels` (B · K, T), token
    ids with `IGNORED` at padding, the K targets of an input one behind the other. Padding is on the right. The family
    turns these into what its network takes.

    Attributes:
        architecture: the family's network, where it has one.
        published: configurations of public models by hub name, so that their sizes are known before a download.
        has_encoder: whether an encoder reads the input; else the target continues it.
        network: of the class that `architecture_of` names; nothing above `models/` touches it.
    """

    architecture: ClassVar[type[PreTrainedModel]]
    published: ClassVar[Mapping[str, PreTrainedConfig]] = {}
    has_encoder: ClassVar[bool] = True

    def __init__(self, network: PreTrainedModel) -> None:
        super().__init__()
        self.network = network
        self._merge_adapters: Callable[[], PreTrainedModel] | None = None

    @classmethod
    def check_config(cls, name: str | Path, config: PreTrainedConfig) -> None:
        """Refuse the configuration of a model (`name`) that the family cannot compute.

        Raises:
            UserError: saying what it has that the family does not know.
        """

    @classmethod
    def architecture_of(cls, config: PreTrainedConfig) -> type[PreTrainedModel]:
        """Return the class of the network that a configuration of this family describes."""
        return cls.architecture

    @classmethod
    @abstractmethod
    def scratch_config(
        cls, sizes: ScratchSettings, vocab_size: int, pad_token_id: int = 0, end_token_id: int = 1
    ) -> PreTrainedConfig:
        """Return the configuration of a model of these sizes."""

    @staticmethod
    @abstractmethod
    def with_dropout(config: PreTrainedConfig, dropout: float) -> PreTrainedConfig:
        """Return a copy of a configuration of this family, with this dropout rate of every layer in training."""

    @classmethod
    def from_config(cls, config: PreTrainedConfig, dropout: float) -> Self:
        """Return a model with random weights, which come from torch's global generator."""
        return cls(cls.architecture_of(config)(cls.with_dropout(config, dropout)))

    @classmethod
    def from_pretrained(cls, name: str | Path, config: PreTrainedConfig, dropout: float) -> Self:
        """Return the model of a hub name or folder, in float32, every weight read from there.

        Of what its files say of decoding, it has the length of outputs, and the padding, end and start tokens of
        `config`.

        Raises:
            UserError: the weights are missing or damaged.
        """
        return cls(read_network(name, cls.with_dropout(config, dropout), cls.architecture_of(config)))

    @staticmethod
    @abstractmethod
    def shape_of(config: PreTrainedConfig) -> ModelShape:
        """Return the sizes that a configuration of this family names."""

    @property
    def shape(self) -> ModelShape:
        """Its sizes."""
        return self.shape_of(self.network.config)

    @property
    def vocab_size(self) -> int:
        """V, the number of logits at a position."""
        return int(self.network.config.vocab_size)

    @property
    def hidden_size(self) -> int:
        """d, the width of the hidden states."""
        return int(self.network.config.hidden_size)

    @property
    def pad_token_id(self) -> int:
        """The token that fills inputs and outputs up."""
        return int(self.network.config.pad_token_id)

    @property
    def end_token_ids(self) -> Tensor:
        """The tokens that end an output, shape (number of them,), on the model's device."""
        return torch.tensor(self.network.generation_config.eos_token_id, device=self.device).view(-1)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
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
        """Return the (N, d) vectors that enter the head; `head_inputs @ head_weight.T`, capped, are the logits."""

    @property
    def logit_cap(self) -> float | None:
        """c, where c · tanh(logits / c) takes the place of the logits."""
        return None

    @property
    def head_weight(self) -> Tensor:
        """The head, (V, d), detached."""
        return cast(Tensor, self.network.get_output_embeddings().weight.detach())

    @torch.inference_mode()
    def generate(self, input_ids: Tensor, attention_mask: Tensor, max_new_tokens: int, num_beams: int = 1) -> Tensor:
        """Return the outputs, (B, T) with T <= max_new_tokens, end token included, padded behind it.

        Greedy for one beam, the outputs of transformers' `generate`, only faster. The model must be in evaluation mode.
        """
        if num_beams == 1:
            return self._write(input_ids, attention_mask, 1, max_new_tokens, most_probable)[:, 0]
        inputs = self.beam_inputs(input_ids, attention_mask)
        options = {"max_new_tokens": max_new_tokens, "num_beams": num_beams, "do_sample": False}
        written: Tensor = self.network.generate(**inputs, **options)
        # Outputs stand behind a start token, or behind the inputs that they continue.
        return written[:, 1 if self.has_encoder else inputs["input_ids"].shape[1] :]

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
        depends on the generator and the row alone. The padding token may also be drawn as any other:
        `decoding.output_lengths` tells where an output ends.

        Args:
            input_ids: (B, S).
            attention_mask: (B, S), 1 at tokens and 0 at padding.
            samples: K, independent of each other.
            max_new_tokens: at least 1; outputs that have not ended by then are cut off.
            temperature: above 0; the logits are divided by it.
            generator: source of randomness; one on the CPU draws the same numbers for every device. It advances by
                B · K · max_new_tokens numbers whatever is drawn.
        """
        uniform = torch.rand(len(input_ids) * samples, max_new_tokens, generator=generator, device=generator.device)
        choose = drawn_by((1 - uniform).to(input_ids.device), temperature)
        with evaluation_mode(self.network):
            written = self._write(input_ids, attention_mask, samples, max_new_tokens, choose)
        # A copy, because what inference mode makes cannot take part in a later forward pass with gradient.
        return written.clone()

    @abstractmethod
    def decoding_steps(
        self, input_ids: Tensor, attention_mask: Tensor, sequences: int, max_new_tokens: int
    ) -> tuple[DecodingSteps, Tensor]:
        """Return the steps that write `sequences` outputs for each input, and their start tokens, (B, K)."""

    def beam_inputs(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Any]:
        """Return what the network's own `generate` takes for inputs."""
        return {"input_ids": input_ids, "attention_mask": attention_mask}

    @torch.inference_mode()
    def _write(
        self, input_ids: Tensor, attention_mask: Tensor, sequences: int, max_new_tokens: int, choose: Choice
    ) -> Tensor:
        steps, start = self.decoding_steps(input_ids, attention_mask, sequences, max_new_tokens)
        return write_tokens(steps, start, self.pad_token_id, self.end_token_ids, max_new_tokens, choose)

    @abstractmethod
    def parameter_groups(self) -> Mapping[str, Sequence[nn.Parameter]]:
        """Return the parts whose gradient norms are logged, by name; weights may be in several."""

    def weights(self) -> dict[str, nn.Parameter]:
        """Return every weight once, by the name that it has in the saved file."""
        return dict(self.network.named_parameters())

    def trained_weights(self) -> dict[str, nn.Parameter]:
        """Return those of `weights` that training changes: all, or the adapters alone."""
        return {name: weight for name, weight in self.weights().items() if weight.requires_grad}

    def add_adapters(self, settings: LoraSettings) -> None:
        """Put low-rank adapters beside the weights, which stay as they are; `save` adds them to the weights.

        Raises:
            UserError: the model has no layer of the names in `settings`.
        """
        self._merge_adapters = add_adapters(self.network, settings)

    @abstractmethod
    def with_layers(self, layers: Mapping[str, Sequence[int]], dropout: float) -> Self:
        """Return a model made of copies of these layers, with this one's embeddings, norms and head.

        Args:
            layers: stack (`encoder`, `decoder`) to the numbers of its layers, from 0, in the order in which the new
                model runs them; at least one each.
            dropout: dropout rate of every layer in training.

        Raises:
            UserError: a layer does not exist; all such are named.
        """

    def narrowed(self, heads: int | None, feed_forward: int | None) -> Self:
        """Return a model of this one's most important attention heads and feed-forward units (`models.importance`).

        The hidden states keep their width, so that embeddings, norms and head are this one's. Of a model that is not
        narrower than this one, the outputs are the same.

        Args:
            heads: that each attention keeps, at least 1; groups that share keys and values are kept whole; None: all.
            feed_forward: units that each feed-forward layer keeps, at least 1; None: all.

        Raises:
            UserError: there are not so many, they are no whole groups, or the network is of an unknown form.
        """
        raise UserError(
            f"model.teacher_heads, teacher_d_ff: the layers of {type(self.network).__name__} cannot be narrowed",
            "Choose layers alone (model.teacher_layers), or another teacher.",
        )

    def remember_length_limits(self, max_input: int, max_output: int) -> None:
        """Note the longest input and output, in tokens, that the model is trained for; `save` writes them down."""
        self.network.config.n_positions = max_input
        self.network.generation_config.max_new_tokens = max_output

    @abstractmethod
    def network_for_ctranslate2(self) -> PreTrainedModel:
        """Return the network, with the configuration by which CTranslate2's converter computes what this model does.

        The converter may take it apart, so that the model is of no more use.

        Raises:
            UserError: CTranslate2 cannot express the model.
        """

    def save(self, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
        """Write weights (safetensors), configuration and tokenizer to `folder`, in the transformers form.

        Adapters are added to the weights for good. Beside a model without an encoder, the tokenizer's configuration
        always has its form of inputs.
        """
        if self._merge_adapters is not None:
            self.network, self._merge_adapters = self._merge_adapters(), None
        folder.mkdir(parents=True, exist_ok=True)
        self.network.save_pretrained(str(folder), safe_serialization=True)
        (tokenizer if self.has_encoder else with_explicit_form(tokenizer)).save_pretrained(str(folder))
