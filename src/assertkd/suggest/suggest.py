"""From a place in a test to ranked assertions."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from assertkd.java.source import parse
from assertkd.models.export_form import TOKENIZER, describe_export, is_export
from assertkd.models.length_limits import Limits
from assertkd.prompts.prompt import Prompt
from assertkd.suggest.beams import Hypothesis, best_hypotheses
from assertkd.suggest.exported import ExportedBeams
from assertkd.suggest.place import Place
from assertkd.suggest.t5 import NumpyT5
from assertkd.suggest.tokenizer import SavedTokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An assertion that a model would write.

    Attributes:
        assertion: as Java.
        score: mean log-probability of its tokens, in nats; nearer to 0 is surer.
        parses: whether it is Java in its place.
    """

    assertion: str
    score: float
    parses: bool


class Suggester:
    """A saved model that writes assertions."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        """Load a model.

        Args:
            folder: a `final_model/`, or an export.
            limits: lengths of the longest input and assertion; should be those of the training.

        Raises:
            UserError: the folder holds no such model.
        """
        self._best_hypotheses: Callable[[list[int], int, int], list[Hypothesis]]
        if is_export(folder):
            tokenizer = SavedTokenizer(folder / TOKENIZER, describe_export(folder).eos_token_id)
            self._best_hypotheses = ExportedBeams(folder, tokenizer)
        else:
            model = NumpyT5(folder)
            tokenizer = SavedTokenizer(folder, model.end)
            self._best_hypotheses = partial(best_hypotheses, model)
        # The tokenizer has what a prompt uses of transformers' own.
        self._prompt = Prompt(cast("PreTrainedTokenizerFast", tokenizer), limits.input, limits.output)

    def suggest(self, place: Place, count: int) -> list[Suggestion]:
        """Return up to `count` different assertions by beam search, those that parse before others, best first."""
        encoded = self._prompt.encode_input(place.focal_method, place.gap.test)
        best: dict[str, float] = {}
        for hypothesis in self._best_hypotheses(encoded.ids, count, self._prompt.max_output_len):
            best.setdefault(self._prompt.decode(hypothesis.ids), hypothesis.score)
        found = [Suggestion(text, score, parses(text)) for text, score in best.items() if text]
        return sorted(found, key=lambda one: (not one.parses, -one.score))


def parses(assertion: str) -> bool:
    """Return whether a text is Java statements that close no brace they did not open."""
    root = parse(f"class Holder {{ void holder() {{ {assertion}\n}} }}".encode()).root_node
    body = root.named_children[0].child_by_field_name("body") if root.named_child_count == 1 else None
    return not root.has_error and body is not None and body.named_child_count == 1
