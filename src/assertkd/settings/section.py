"""What all groups of options share: unknown keys are faults, values are frozen, and types that many options have."""

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Self, get_args

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0.0, lt=1.0)]
Device = Annotated[str, Field(pattern=r"^(auto|cpu|cuda|cuda:\d+|mps)$")]
PathText = Annotated[str, Field(min_length=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class Section(BaseModel):
    """A group of options; a key that it does not name is a fault."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True, protected_namespaces=()
    )

    def with_defaults(self, names: Collection[str]) -> Self:
        """Return the same options, those of these names at their defaults."""
        return type(self)(**self.model_dump(exclude=set(names)))


def section_in(annotation: Any) -> type[Section] | None:
    """Return the section that a field of this annotation holds, if it is not null; None where it holds no section."""
    kinds = get_args(annotation) if type(None) in get_args(annotation) else (annotation,)
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)), None)


def merged_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return `below` with the values of `above` over it, mappings merged key by key; those of `above` are copied."""
    merged = dict(below)
    for key, value in above.items():
        if isinstance(value, Mapping):
            old = merged.get(key)
            merged[key] = merged_over(old if isinstance(old, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged
