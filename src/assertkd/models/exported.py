"""Models in the form of CTranslate2: small, quick on CPUs, and without torch when they run."""

from collections.abc import Callable, Sequence
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from assertkd.models.batched_by_length import write_by_length
from assertkd.models.export_form import TOKENIZER, describe_export, open_export
from assertkd.models.tokenizer import load_tokenizer


class ExportedModel:
    """An exported model and its tokenizer.

    Args:
        folder: the export.
        threads: that compute.

    Raises:
        UserError: the folder holds no export, or a damaged one.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self.description = describe_export(folder)
        self._translator = open_export(folder, threads)
        self.tokenizer: PreTrainedTokenizerFast = load_tokenizer(folder / TOKENIZER)

    def generate_texts(
        self,
        encoded_inputs: Sequence[Sequence[int]],
        *,
        batch_size: int,
        max_new_tokens: int,
        num_beams: int = 1,
        progress: Callable[[int], None] | None = None,
    ) -> list[str]:
        """Return what the model writes for every input; see `assertkd.models.t5.generation.generate_texts`."""

        def write(batch: Sequence[Sequence[int]]) -> list[str]:
            written = self._translator.translate_batch(
                [self.tokenizer.convert_ids_to_tokens(list(one)) for one in batch],
                beam_size=num_beams,
                max_decoding_length=max_new_tokens,
                max_input_length=0,
                max_batch_size=batch_size,
            )
            ids = [self.tokenizer.convert_tokens_to_ids(one.hypotheses[0]) for one in written]
            return list(self.tokenizer.batch_decode(ids, skip_special_tokens=True))

        return write_by_length(encoded_inputs, batch_size, write, progress)
