"""Options of a loss that it does not use."""

from collections.abc import Iterator, Mapping
from typing import Any

from assertkd.losses.loss_plan import plan_loss
from assertkd.settings import LossSettings

_MULTI_COMPONENT = "`function: multi_component`"

NEEDS = {
    "components": _MULTI_COMPONENT,
    "weights": _MULTI_COMPONENT,
    "dynamic_weighting": _MULTI_COMPONENT,
    "schedule": f"{_MULTI_COMPONENT} with the component among `components`, and for an `end` `dynamic_weighting: true`",
    "alpha": "another `function` than `multi_component`, whose components have `weights`",
    "temperature": "a component that reads the teacher: kl or jsd",
    "pans_weight": "`function: enhanced`",
    "ast_weight": "`function: ast_enhanced`",
    "focal": "the component focal",
    "semantic": "the component semantic",
    "contrastive": "the component contrastive",
    "hidden": "the component hidden",
    "text": "a component that judges text, and for `start` and `max_share` one over target tokens beside it",
    "token_weighting": "`token_weighting.enabled: true` and a component that takes token weights: ce or focal",
}
"""What an option of the loss needs to have an effect, by its first key."""


def without_effect(loss: LossSettings, configured: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """Yield the key, value and need (`NEEDS`) of each option in `configured` that differs from its default in vain.

    An option is used if the plan of the loss is another one with the option at its default.

    Args:
        loss: all options of a variant's loss.
        configured: those of them that a part of the config holds, as it holds them.
    """
    plan, defaults = plan_loss(loss), LossSettings(preset=loss.preset)
    for path in _paths(configured, loss):
        value, default = _value(loss, path), _value(defaults, path)
        # Weights that are the start values of the schedule are in use as well.
        is_weights = path == ("weights",) and loss.function == "multi_component"
        if path == ("preset",) or value == default or is_weights:
            continue
        try:
            used = plan_loss(_with(loss, path, default)) != plan
        except ValueError:
            used = True  # Without it the other options go together no more.
        if not used:
            yield ".".join(path), _held(configured, path), NEEDS.get(path[0], "another loss")


def _paths(configured: Mapping[str, Any], section: Any) -> Iterator[tuple[str, ...]]:
    """Yield the path of each option of a section that `configured` holds; a mapping is one option."""
    for key, value in configured.items():
        inner = getattr(section, key)
        if isinstance(value, Mapping) and not isinstance(inner, Mapping):
            yield from ((key, *path) for path in _paths(value, inner))
        else:
            yield (key,)


def _value(section: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        section = getattr(section, key)
    return section


def _held(configured: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        configured = configured[key]
    return configured


def _with(section: Any, path: tuple[str, ...], value: Any) -> Any:
    """Return a copy of a section with another value at `path`, without checks of the whole."""
    first, *rest = path
    inner = _with(getattr(section, first), tuple(rest), value) if rest else value
    return section.model_copy(update={first: inner})
