"""Beam search by CTranslate2 on an exported model, for one input."""

from pathlib import Path

from assertkd.models.export_form import open_export
from assertkd.suggest.beams import Hypothesis
from assertkd.suggest.tokenizer import SavedTokenizer


class ExportedBeams:
    """An export that answers as `beams.best_hypotheses` does."""

    def __init__(self, folder: Path, tokenizer: SavedTokenizer) -> None:
        """Open an export, whose tokenizer is `tokenizer`.

        Raises:
            UserError: the folder holds no export, or a damaged one.
        """
        self._translator = open_export(folder)
        self._tokenizer = tokenizer

    def __call__(self, ids: list[int], num_beams: int, max_new_tokens: int) -> list[Hypothesis]:
        """Return up to `num_beams` hypotheses of beam search, best first."""
        [result] = self._translator.translate_batch(
            [self._tokenizer.tokens(ids)],
            beam_size=num_beams,
            num_hypotheses=num_beams,
            max_decoding_length=max_new_tokens,
            max_input_length=0,
            return_scores=True,
        )
        return [
            Hypothesis(self._tokenizer.ids(tokens), score)
            for tokens, score in zip(result.hypotheses, result.scores, strict=True)
        ]
