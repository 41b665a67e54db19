"""How well the types of a call's arguments fit the parameters of a method."""

from collections.abc import Callable, Sequence

from assertkd.java.structure import Method

WIDER = ("byte", "short", "char", "int", "long", "float", "double")
"""Primitive numbers; each can be passed where one further right is declared (JLS 5.1.2, but for byte to char)."""
PRIMITIVE = frozenset({*WIDER, "boolean"})
BOXES = {name.capitalize(): name for name in PRIMITIVE - {"char", "int"}} | {"Character": "char", "Integer": "int"}
SAME, KIN, UNKNOWN, AGAINST = 12, 8, 0, -24
"""What a parameter adds where its type is the argument's, one that the argument can have, unclear, or impossible."""


def fit(arguments: Sequence[str], method: Method, is_kind: Callable[[str, str], bool]) -> int:
    """Return how well arguments fit; the highest of several overloads is likeliest to be meant.

    Args:
        arguments: their types, "" where not known, "null" and "->" (lambda) as such.
        method: one that takes this number of arguments.
        is_kind: whether the first named type inherits from the second.
    """
    parameters = list(method.parameters)
    if method.variadic:
        if len(arguments) == len(parameters) and arguments[-1].endswith("[]"):
            parameters[-1] += "[]"
        parameters += parameters[-1:] * (len(arguments) - len(parameters))
    fits = sum(_parameter_fit(*pair, is_kind) for pair in zip(arguments, parameters, strict=False))
    return fits - method.variadic


def _parameter_fit(argument: str, parameter: str, is_kind: Callable[[str, str], bool]) -> int:
    if argument == parameter:
        return SAME
    if argument in ("", "->") or argument.startswith("."):
        # What is not plain to see is seldom a primitive number.
        return UNKNOWN - (parameter in PRIMITIVE)
    if argument == "null":
        return AGAINST if parameter in PRIMITIVE else UNKNOWN
    if argument in WIDER and parameter in WIDER:
        steps = WIDER.index(parameter) - WIDER.index(argument)
        return KIN - steps if steps > 0 else AGAINST
    if BOXES.get(argument) == parameter or BOXES.get(parameter) == argument:
        return KIN - len(WIDER)
    if argument in PRIMITIVE or parameter in PRIMITIVE:
        # A primitive may still be boxed into an Object or a type parameter, never become another class.
        return AGAINST if parameter in PRIMITIVE or parameter in (*BOXES, "String") else UNKNOWN - 1
    if argument.endswith("[]") != parameter.endswith("[]"):
        return UNKNOWN - 1 if parameter == "Object" or len(parameter) == 1 else AGAINST
    if argument.endswith("[]"):
        inner = argument.removesuffix("[]"), parameter.removesuffix("[]")
        return AGAINST if PRIMITIVE.intersection(inner) else UNKNOWN
    # Classes of libraries are named after what they extend: `StringReader`.
    is_kin = argument.endswith(parameter) or is_kind(argument, parameter)
    return KIN if is_kin else UNKNOWN - (parameter == "Object")
