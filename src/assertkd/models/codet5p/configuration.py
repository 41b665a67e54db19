"""The configuration of CodeT5+ 2B, 6B and 16B, with the keys of the published files; importing it tells transformers.

Apart from the network, since a tokenizer needs no more, and the network takes seconds to import.
"""

from typing import Any

from transformers import AutoConfig, CodeGenConfig, PreTrainedConfig


class CodeT5pModuleConfig(CodeGenConfig):  # type: ignore[misc]
    """Sizes of an encoder or a decoder."""

    model_type = "codet5p_module"


class CodeT5pConfig(PreTrainedConfig):  # type: ignore[misc]
    """Sizes of both; those of the decoder are the model's."""

    model_type = "codet5p"
    sub_configs_defaults = {"encoder": CodeT5pModuleConfig, "decoder": CodeT5pModuleConfig}  # noqa: RUF012

    encoder: Any = None
    decoder: Any = None
    is_encoder_decoder: bool = True
    pad_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    decoder_start_token_id: int | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        """Set what transformers needs to let the encoder's tokens see each other."""
        super().__post_init__(**kwargs)
        self.encoder.is_causal = False

    @property
    def vocab_size(self) -> int:
        """Entries of the vocabulary, which both have."""
        return int(self.decoder.vocab_size)

    @vocab_size.setter
    def vocab_size(self, entries: int) -> None:
        self.encoder.vocab_size = self.decoder.vocab_size = entries

    @property
    def hidden_size(self) -> int:
        """Width of the decoder."""
        return int(self.decoder.n_embd)


AutoConfig.register(CodeT5pConfig.model_type, CodeT5pConfig)
