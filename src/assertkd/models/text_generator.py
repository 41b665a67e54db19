"""Models that generate text for inputs, in whichever form they are saved."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from assertkd.prompts.prompt import PromptTokenizer


class TextGenerator(ABC):
    """A model that generates text."""

    tokenizer: PromptTokenizer
    parameters: int
    """Number of weights, shared ones counted once."""

    def generate(
        self,
        encoded_inputs: Sequence[Sequence[int]],
        *,
        batch_size: int,
        max_new_tokens: int,
        num_beams: int = 1,
        progress: Callable[[int], None] | None = None,
    ) -> list[str]:
        """Return the text for every input, in the order of the inputs, special tokens left out, stripped.

        Inputs of like length share a batch, so that little of it is padding. The longest come first: if memory does not
        suffice, the first batch says so.

        Args:
            encoded_inputs: token ids of every input, the end token included, unpadded, of any length from 1.
            batch_size: inputs that are decoded together.
            max_new_tokens: longest output, the end token included.
            num_beams: 1 decodes greedily, more by beam search.
            progress: called after every batch with the number of inputs that are done.
        """
        order = sorted(range(len(encoded_inputs)), key=lambda index: -len(encoded_inputs[index]))
        texts = [""] * len(order)
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            outputs = self.generate_batch([encoded_inputs[index] for index in chosen], max_new_tokens, num_beams)
            for index, text in zip(chosen, outputs, strict=True):
                texts[index] = text.strip()
            if progress is not None:
                progress(start + len(chosen))
        return texts

    @abstractmethod
    def generate_batch(self, batch: Sequence[Sequence[int]], max_new_tokens: int, num_beams: int) -> list[str]:
        """Return the texts for inputs that are decoded together, special tokens left out; see `generate`."""
