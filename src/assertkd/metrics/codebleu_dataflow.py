"""The data flow part of CodeBLEU: where values come from (Ren et al. 2020, section 3.3; Guo et al. 2021)."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tree_sitter import Node

from assertkd.metrics.codebleu_syntax import parsed

WHOLE = frozenset({"string_literal", "character_literal"})
"""Nodes that are one token, whatever the grammar puts below them."""

States = dict[str, list[int]]
"""Per variable the places of the tokens that its value may come from."""

Relation = tuple[str, str, tuple[str, ...]]
"""Variable, kind of the relation, and the variables it comes from, all under neutral names."""


@dataclass(frozen=True, slots=True)
class Flow:
    """One token's value and where it comes from.

    Attributes:
        name: the token.
        place: its number among the text's tokens.
        kind: `comesFrom` or `computedFrom`.
        names, places: the tokens that it comes from.
    """

    name: str
    place: int
    kind: str
    names: tuple[str, ...] = ()
    places: tuple[int, ...] = ()


def dataflow_match(prediction: str, reference: str) -> float | None:
    """Return the share of the reference's relations that the prediction has too, in [0, 1]; None where there are none.

    Relations are compared under neutral names (first variable, second variable, …), each matched once.
    """
    expected = Counter(relations(reference))
    if not expected:
        return None
    return (expected & Counter(relations(prediction))).total() / expected.total()


@lru_cache(maxsize=1 << 12)
def relations(text: str) -> tuple[Relation, ...]:
    """Return the data flow of Java source under neutral names.

    () where there is none, where a syntax error has cut a statement in two, or nesting is deeper than Python's stack.
    """
    root = parsed(text)
    places = {(token.start_byte, token.end_byte): place for place, token in enumerate(tokens_below(root))}
    try:
        flows, _ = FlowReader(places).read(root, {})
    except (RecursionError, LookupError):
        return ()
    involved: set[int] = set()
    for flow in flows:
        if flow.places:
            involved |= {flow.place, *flow.places}
    at_place: dict[int, Flow] = {}
    for flow in flows:
        if flow.place in involved:
            at_place[flow.place] = joined(at_place[flow.place], flow) if flow.place in at_place else flow
    neutral: dict[str, str] = {}
    found = []
    for flow in at_place.values():
        for name in (*flow.names, flow.name):
            neutral.setdefault(name, f"var_{len(neutral)}")
        found.append((neutral[flow.name], flow.kind, tuple(neutral[name] for name in flow.names)))
    return tuple(found)


def joined(one: Flow, other: Flow) -> Flow:
    """Return a flow with the sources of both, each once, in the order of finding; kind and place are `other`'s."""
    names, places = dict.fromkeys(one.names + other.names), dict.fromkeys(one.places + other.places)
    return Flow(other.name, other.place, other.kind, tuple(names), tuple(places))


def united(flows: Sequence[Flow]) -> list[Flow]:
    """Return the flows of a loop that was read twice, those of the same token and kind joined."""
    found: dict[tuple[str, int, str], Flow] = {}
    for flow in flows:
        key = (flow.name, flow.place, flow.kind)
        found[key] = joined(found[key], flow) if key in found else flow
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


def text_of(node: Node) -> str:
    """Return a node's source text."""
    return (node.text or b"").decode("utf-8", errors="replace")


def part(node: Node, field: str) -> Node:
    """Return the child of a field.

    Raises:
        LookupError: there is none, since the source is broken.
    """
    child = node.child_by_field_name(field)
    if child is None:
        raise LookupError(f"{node.type} without {field}")
    return child


@dataclass(frozen=True, slots=True)
class FlowReader:
    """Reads the data flow of one syntax tree, as GraphCodeBERT does for Java.

    Attributes:
        place_of: (first byte, byte after the last) of each token to its number.
    """

    place_of: dict[tuple[int, int], int]

    def read(self, node: Node, states: States) -> tuple[list[Flow], States]:
        """Return the flows below a node, by place, and the states after it.

        Raises:
            RecursionError: the tree is deeper than Python's stack.
            LookupError: a statement lacks a part.
        """
        if is_token(node):
            return self.token(node, states)
        match node.type:
            case "variable_declarator":
                found, states = self.declaration(node, states)
            case "assignment_expression":
                found, states = self.assignment(part(node, "left"), part(node, "right"), states, "computedFrom")
            case "update_expression":
                found, states = self.relate(node, node, states, "computedFrom")
            case "if_statement":
                found, states = self.branches(node, states)
            case "for_statement":
                types = [child.type for child in node.children]
                declared = "local_variable_declaration"
                repeated = node.children[types.index(declared) + 1 :] if declared in types else []
                found, states = self.in_turn([*node.children, *repeated], states)
                found = united(found)
            case "enhanced_for_statement":
                found = []
                for _ in range(2):
                    head, states = self.assignment(part(node, "name"), part(node, "value"), states, "computedFrom")
                    body, states = self.read(part(node, "body"), states)
                    found += head + body
                found = united(found)
            case "while_statement":
                found, states = self.in_turn(node.children * 2, states)
                found = united(found)
            case _:
                found, states = self.in_turn(node.children, states)
        return sorted(found, key=lambda flow: flow.place), states

    def in_turn(self, nodes: Sequence[Node], states: States) -> tuple[list[Flow], States]:
        """Return the flows of nodes that are run one after the other."""
        found: list[Flow] = []
        for node in nodes:
            more, states = self.read(node, states)
            found += more
        return found, states

    def token(self, node: Node, states: States) -> tuple[list[Flow], States]:
        """Return a name's or literal's flow; a sign or keyword has none. A name met first becomes known."""
        name = text_of(node)
        if name == node.type:
            return [], states
        place = self.place(node)
        if name in states:
            return [Flow(name, place, "comesFrom", (name,), tuple(states[name]))], states
        if node.type == "identifier":
            states = states | {name: [place]}
        return [Flow(name, place, "comesFrom")], states

    def declaration(self, node: Node, states: States) -> tuple[list[Flow], States]:
        """Return the flows of `x` or `x = value` in a declaration."""
        if node.child_by_field_name("value") is not None:
            return self.assignment(part(node, "name"), part(node, "value"), states, "comesFrom")
        names = self.values(part(node, "name"))
        return [Flow(name, place, "comesFrom") for name, place in names], states | {name: [at] for name, at in names}

    def assignment(self, left: Node, right: Node, states: States, kind: str) -> tuple[list[Flow], States]:
        """Return the flows of the right side, then of every name on the left from every value on the right."""
        found, states = self.read(right, states)
        more, states = self.relate(left, right, states, kind)
        return found + more, states

    def relate(self, left: Node, right: Node, states: States, kind: str) -> tuple[list[Flow], States]:
        """Return a flow of every name on the left from every value on the right; then the names come from here."""
        names, values = self.values(left), self.values(right)
        found = [Flow(name, place, kind, (value,), (at,)) for name, place in names for value, at in values]
        return found, states | {name: [place] for name, place in names}

    def branches(self, node: Node, states: States) -> tuple[list[Flow], States]:
        """Return the flows of an `if`; after it, a value may come from either branch, or from before."""
        found: list[Flow] = []
        straight, ends = states, []
        in_other = False
        for child in node.children:
            in_other = in_other or child.type in ("if_statement", "else")
            if in_other:
                more, end = self.read(child, states)
                ends.append(end)
            else:
                more, straight = self.read(child, straight)
            found += more
        ends.append(straight)
        if not any(child.type == "else" for child in node.children):
            ends.append(states)
        after: dict[str, set[int]] = {}
        for end in ends:
            for name, places in end.items():
                after.setdefault(name, set()).update(places)
        return found, {name: sorted(places) for name, places in after.items()}

    def values(self, node: Node) -> list[tuple[str, int]]:
        """Return text and place of the names and literals below a node."""
        return [(text_of(one), self.place(one)) for one in tokens_below(node) if text_of(one) != one.type]

    def place(self, node: Node) -> int:
        """Return a token's number."""
        return self.place_of[node.start_byte, node.end_byte]
