"""The data flow part of CodeBLEU: where values come from (Ren et al. 2020, section 3.3; Guo et al. 2021)."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple

from tree_sitter import Node

from assertkd.java.source import parse, text_of

WHOLE = frozenset({"string_literal", "character_literal"})
"""Nodes that are one token, whatever the grammar puts below them."""

Place = tuple[int, int]
"""A token's first byte and the byte after its last."""

States = dict[str, list[Place]]
"""Per variable the places of the tokens that its value may come from."""

Relation = tuple[str, str, tuple[str, ...]]
"""Variable, kind of the relation, and the variables it comes from, all under neutral names."""


class Flow(NamedTuple):
    """One token's value and where it comes from."""

    name: str
    place: Place
    kind: str
    """`comesFrom` or `computedFrom`."""
    names: tuple[str, ...] = ()
    """The tokens that it comes from."""
    places: tuple[Place, ...] = ()


def dataflow_match(prediction: str, reference: str) -> float | None:
    """Return the share of the reference's relations that the prediction has too, in [0, 1]; None where there are none.

    Relations are compared under neutral names (first variable, second variable, …), each matched once.
    """
    expected = Counter(relations(reference))
    if not expected:
        return None
    return (expected & Counter(relations(prediction))).total() / expected.total()


@lru_cache(maxsize=1 << 12)
def parsed(text: str) -> Node:
    """Return the root of the syntax tree of `text` as a program of statements."""
    return parse(text.encode("utf-8", errors="replace")).root_node


@lru_cache(maxsize=1 << 12)
def relations(text: str) -> tuple[Relation, ...]:
    """Return the data flow of Java source under neutral names.

    () where there is none, where a syntax error has cut a statement in two, or nesting is deeper than Python's stack.
    """
    try:
        flows, _ = read(parsed(text), {})
    except (RecursionError, LookupError):
        return ()
    involved = {place for flow in flows if flow.places for place in (flow.place, *flow.places)}
    neutral: dict[str, str] = {}
    found = []
    for flow in joined((flow for flow in flows if flow.place in involved), attrgetter("place")):
        for name in (*flow.names, flow.name):
            neutral.setdefault(name, f"var_{len(neutral)}")
        found.append((neutral[flow.name], flow.kind, tuple(neutral[name] for name in flow.names)))
    return tuple(found)


def joined(flows: Iterable[Flow], key: Callable[[Flow], object]) -> list[Flow]:
    """Return one flow for each key: the last of its flows, with the sources of all, in the order of finding."""
    found: dict[object, Flow] = {}
    for flow in flows:
        former = found.get(key(flow), flow)
        names, places = dict.fromkeys(former.names + flow.names), dict.fromkeys(former.places + flow.places)
        found[key(flow)] = flow._replace(names=tuple(names), places=tuple(places))
    return list(found.values())


def is_token(node: Node) -> bool:
    """Return whether a node is one token."""
    return not node.child_count or node.type in WHOLE


def tokens_below(node: Node) -> Iterator[Node]:
    """Yield the tokens of a node in their order; the node itself where it is one."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if is_token(one):
            yield one
        else:
            waiting += reversed(one.children)


def part(node: Node, field: str) -> Node:
    """Return the child of a field.

    Raises:
        LookupError: there is none, since the source is broken.
    """
    child = node.child_by_field_name(field)
    if child is None:
        raise LookupError(f"{node.type} without {field}")
    return child


def read(node: Node, states: States) -> tuple[list[Flow], States]:
    """Return the flows below a node, by place, and the states after it, as GraphCodeBERT reads Java.

    Raises:
        RecursionError: the tree is deeper than Python's stack.
        LookupError: a statement lacks a part.
    """
    if is_token(node):
        return token(node, states)
    match node.type:
        case "variable_declarator" if node.child_by_field_name("value") is None:
            names = values(part(node, "name"))
            found = [Flow(name, place, "comesFrom") for name, place in names]
            states = states | {name: [place] for name, place in names}
        case "variable_declarator":
            found, states = assignment(part(node, "name"), part(node, "value"), states, "comesFrom")
        case "assignment_expression":
            found, states = assignment(part(node, "left"), part(node, "right"), states, "computedFrom")
        case "update_expression":
            found, states = relate(node, node, states, "computedFrom")
        case "if_statement":
            found, states = branches(node, states)
        case "for_statement":
            types = [child.type for child in node.children]
            declared = "local_variable_declaration"
            repeated = node.children[types.index(declared) + 1 :] if declared in types else []
            found, states = in_turn([*node.children, *repeated], states)
        case "enhanced_for_statement":
            found = []
            for _ in range(2):
                head, states = assignment(part(node, "name"), part(node, "value"), states, "computedFrom")
                body, states = read(part(node, "body"), states)
                found += head + body
        case "while_statement":
            found, states = in_turn(node.children * 2, states)
        case _:
            found, states = in_turn(node.children, states)
    if node.type in ("for_statement", "enhanced_for_statement", "while_statement"):
        # A loop is read twice.
        found = joined(found, attrgetter("name", "place", "kind"))
    return sorted(found, key=attrgetter("place")), states


def in_turn(nodes: Sequence[Node], states: States) -> tuple[list[Flow], States]:
    """Return the flows of nodes that are run one after the other."""
    found: list[Flow] = []
    for node in nodes:
        more, states = read(node, states)
        found += more
    return found, states


def token(node: Node, states: States) -> tuple[list[Flow], States]:
    """Return a name's or literal's flow; a sign or keyword has none. A name met first becomes known."""
    name, place = text_of(node), node.byte_range
    if name == node.type:
        return [], states
    if name in states:
        return [Flow(name, place, "comesFrom", (name,), tuple(states[name]))], states
    if node.type == "identifier":
        states = states | {name: [place]}
    return [Flow(name, place, "comesFrom")], states


def assignment(left: Node, right: Node, states: States, kind: str) -> tuple[list[Flow], States]:
    """Return the flows of the right side, then of every name on the left from every value on the right."""
    found, states = read(right, states)
    more, states = relate(left, right, states, kind)
    return found + more, states


def relate(left: Node, right: Node, states: States, kind: str) -> tuple[list[Flow], States]:
    """Return a flow of every name on the left from every value on the right; then the names come from here."""
    names = values(left)
    found = [Flow(name, place, kind, (value,), (at,)) for name, place in names for value, at in values(right)]
    return found, states | {name: [place] for name, place in names}


def branches(node: Node, states: States) -> tuple[list[Flow], States]:
    """Return the flows of an `if`; after it, a value may come from either branch, or from before."""
    found: list[Flow] = []
    straight = states
    ends: list[States] = []
    for child in node.children:
        if ends or child.type in ("if_statement", "else"):
            more, end = read(child, states)
            ends.append(end)
        else:
            more, straight = read(child, straight)
        found += more
    ends.append(straight)
    if not any(child.type == "else" for child in node.children):
        ends.append(states)
    after: dict[str, set[Place]] = {}
    for end in ends:
        for name, places in end.items():
            after.setdefault(name, set()).update(places)
    return found, {name: sorted(places) for name, places in after.items()}


def values(node: Node) -> list[tuple[str, Place]]:
    """Return text and place of the names and literals below a node."""
    return [(text_of(one), one.byte_range) for one in tokens_below(node) if text_of(one) != one.type]
