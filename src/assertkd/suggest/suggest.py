"""From an assertion site to ranked assertions."""

from dataclasses import dataclass

from assertkd.java.source import parse
from assertkd.models.exported import ExportedModel
from assertkd.models.length_limits import Limits
from assertkd.prompts.prompt import Prompt
from assertkd.suggest.site import AssertionSite


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An assertion that a model suggests.

    Attributes:
        assertion: as Java.
        score: mean log-probability of its tokens, in nats; nearer to 0 is surer.
        parses: whether it is Java in its place.
    """

    assertion: str
    score: float
    parses: bool


def suggest_assertions(model: ExportedModel, limits: Limits, site: AssertionSite, count: int) -> list[Suggestion]:
    """Return up to `count` different assertions by beam search, those that parse before others, best first.

    Args:
        model: the model.
        limits: lengths of the longest input and assertion; should be those of the training.
        site: where the assertion goes.
        count: of beams, at least 1.
    """
    prompt = Prompt(model.tokenizer, limits.input, limits.output)
    encoded = prompt.encode_input(site.focal_method, site.placeholder.test)
    best: dict[str, float] = {}
    for ids, score in model.best_hypotheses(encoded.ids, count, limits.output):
        best.setdefault(prompt.decode(ids), score)
    suggestions = [Suggestion(text, score, parses(text)) for text, score in best.items() if text]
    return sorted(suggestions, key=lambda one: (not one.parses, -one.score))


def parses(assertion: str) -> bool:
    """Return whether a text is Java statements that close no brace they did not open."""
    root = parse(f"class Holder {{ void holder() {{ {assertion}\n}} }}".encode()).root_node
    body = root.named_children[0].child_by_field_name("body") if root.named_child_count == 1 else None
    return not root.has_error and body is not None and body.named_child_count == 1
