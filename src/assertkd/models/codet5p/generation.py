"""The decoder of a CodeT5+ network of CodeGen layers, one token at a time."""

from torch import Tensor
from transformers import DynamicCache

from assertkd.models.codet5p.network import CodeT5pEncoderDecoderModel, Memory
from assertkd.models.generation import DecodingSteps


class CodeT5pSteps(DecodingSteps):
    """The next-token logits of several sequences for each of several encoded inputs.

    Args:
        network: in evaluation mode; to be used without gradient.
        memory: what its decoder reads of the inputs.
    """

    def __init__(self, network: CodeT5pEncoderDecoderModel, memory: Memory) -> None:
        self._decoder, self._memory = network.decoder, memory
        self._cache = DynamicCache(config=network.config.decoder)

    def logits(self, latest: Tensor) -> Tensor:
        """Return the logits of the tokens that follow `latest`, (E, K, V)."""
        hidden = self._decoder.transformer(latest.view(-1, 1), self._memory, self._cache).last_hidden_state
        logits: Tensor = self._decoder.lm_head(hidden)
        return logits.view(*latest.shape, -1)

    def keep(self, examples: Tensor, sequences: Tensor) -> None:
        """Go on with some of the inputs, and as many sequences of each."""
        before = len(self._cache.layers[0].keys) // len(self._memory.keys)
        self._cache.batch_select_indices((examples[:, None] * before + sequences).flatten())
        self._memory = Memory(**{name: part[examples] for name, part in self._memory.items()})
