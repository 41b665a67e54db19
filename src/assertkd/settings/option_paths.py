"""The options below a section, one by one: what the configuration's page and the command line say of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from pydantic.fields import FieldInfo

from assertkd.settings.section import Section


@dataclass(frozen=True, slots=True)
class Option:
    """One option.

    Attributes:
        key: its dotted path.
        meaning: its docstring on one line.
        values: what it may be, in words.
        default: its built-in default.
        is_flag: whether it is true or false.
        is_list: whether it is a list.
    """

    key: str
    meaning: str
    values: str
    default: Any
    is_flag: bool
    is_list: bool


def option_paths(path: str, model: type[Section]) -> Iterator[Option]:
    """Yield every option in and below a section, in the order in which they are declared."""
    schema = model.model_json_schema()["properties"]
    for name, field in model.model_fields.items():
        key = f"{path}.{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from option_paths(key, field.annotation)
            continue
        values = _values(schema[name], field)
        yield Option(
            key=key,
            meaning=" ".join((field.description or "").split()),
            values=values,
            default=field.get_default(call_default_factory=True),
            is_flag=values == "true or false",
            is_list=values.startswith("list"),
        )


BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "multipleOf": "a multiple of {}",
}


def _values(schema: dict[str, Any], field: FieldInfo) -> str:
    return _described(schema) + (", or null" if type(None) in get_args(field.annotation) else "")


def _described(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_described(one) for one in schema["anyOf"] if one.get("type") != "null")
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind = {"boolean": "true or false", "string": "text", "array": "list", "object": "mapping"}.get(
        str(schema.get("type")), str(schema.get("type"))
    )
    if kind == "list" and "items" in schema:
        kind = f"list of {_described(schema['items'])}"
    if "pattern" in schema:
        kind = f"text like `{schema['pattern']}`"
    bounds = [words.format(schema[key]) for key, words in BOUNDS.items() if key in schema]
    return ", ".join([kind, *bounds])
