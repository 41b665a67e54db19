"""From a place in a test to ranked assertions."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from assertkd.java.source import parse
from assertkd.prompts import Prompt
from assertkd.suggest.beams import best_hypotheses
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

    def __init__(self, folder: Path, max_input_len: int, max_output_len: int) -> None:
        """Load a `final_model/`.

        Args:
            folder: with weights, configuration and tokenizer.
            max_input_len: longest input, in tokens; should be that of the training.
            max_output_len: longest assertion, in tokens.

        Raises:
            UserError: the folder holds no such model.
        """
        self._model = NumpyT5(folder)
        # It has what a prompt uses of transformers' tokenizers.
        tokenizer = cast("PreTrainedTokenizerFast", SavedTokenizer(folder))
        self._prompt = Prompt(tokenizer, max_input_len, max_output_len)

    def suggest(self, place: Place, count: int) -> list[Suggestion]:
        """Return up to `count` different assertions by beam search, those that parse before others, best first."""
        encoded = self._prompt.encode_input(place.focal_method, place.gap.test)
        best: dict[str, float] = {}
        for hypothesis in best_hypotheses(self._model, encoded.ids, count, self._prompt.max_output_len):
            best.setdefault(self._prompt.decode(hypothesis.ids), hypothesis.score)
        found = [Suggestion(text, score, parses(text)) for text, score in best.items() if text]
        return sorted(found, key=lambda one: (not one.parses, -one.score))


def parses(assertion: str) -> bool:
    """Return whether a text is Java statements that close no brace they did not open."""
    root = parse(f"class Holder {{ void holder() {{ {assertion}\n}} }}".encode()).root_node
    body = root.named_children[0].child_by_field_name("body") if root.named_child_count == 1 else None
    return not root.has_error and body is not None and body.named_child_count == 1
