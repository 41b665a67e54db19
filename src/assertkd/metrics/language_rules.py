"""Rules of the Java Language Specification (JLS, Java SE 25) that tree-sitter's grammar does not know.

The grammar is made for editors and takes much for Java that is not: any expression as a statement, keywords as names,
`'ab'`. Section numbers are those of the JLS. What a compiler finds by the types and names around stays out.
"""

from collections.abc import Callable

from javalang.tokenizer import Keyword
from tree_sitter import Node, Query, QueryCursor

from assertkd.java.source import JAVA, TYPES, text_of
from assertkd.metrics.literals import is_character, is_float, is_integer, is_string

KEYWORDS = frozenset(Keyword.VALUES | {"true", "false", "null"})
"""Words that are never a name (3.9, 3.10.3, 3.10.8); `_` is one too, except where it declares a variable."""

NOT_OF_TYPES = frozenset({"permits", "record", "sealed", "yield"})
"""Names that no type has (3.9); `var` is one too, except where it stands for a variable's type."""

INFERRED = frozenset({"local_variable_declaration", "enhanced_for_statement", "resource", "record_pattern_component"})
"""Nodes whose type may be `var` (14.4, 14.30.1), besides parameters of lambda expressions."""

VARIABLES = INFERRED | {"formal_parameter", "spread_parameter", "catch_formal_parameter", "type_pattern"}
"""Nodes that declare a variable other than a field."""

UNNAMED = VARIABLES | {"variable_declarator", "inferred_parameters", "lambda_expression", "instanceof_expression"}
"""Nodes whose variable may be `_` (6.1)."""

STATEMENT_EXPRESSIONS = frozenset(
    {"assignment_expression", "update_expression", "method_invocation", "object_creation_expression"}
)
"""Expressions that are statements (14.8)."""

BLOCKS = frozenset({"block", "constructor_body", "switch_block_statement_group"})
HAVE_STATEMENTS = BLOCKS | {"labeled_statement", "if_statement", "while_statement", "do_statement"}
"""Nodes in which a `switch` is a statement."""

CREATED = frozenset({"scoped_type_identifier", "generic_type", "array_type", "annotated_type"})
"""Types, besides names, that stand before `::new` (15.13)."""

_PRIMITIVE = "(integral_type) (floating_point_type) (boolean_type)"
_NO_ARRAY = f"[{_PRIMITIVE} (type_identifier) (scoped_type_identifier) (generic_type)]"
_DECLARATION = f"[(local_variable_declaration) {' '.join(f'({kind})' for kind in sorted(TYPES))}]"
_NO_OPERAND = "[(assignment_expression) (lambda_expression)]"

RULES = Query(
    JAVA,
    f"""
    [(identifier) (type_identifier)] @name
    [(decimal_integer_literal) (hex_integer_literal) (octal_integer_literal) (binary_integer_literal)] @integer
    [(decimal_floating_point_literal) (hex_floating_point_literal)] @float
    (character_literal) @character
    (string_literal) @string
    (void_type) @void
    (type_arguments) @type_arguments
    (modifiers) @modifiers
    (update_expression) @update
    (switch_expression) @switch
    (expression_statement) @expression_statement
    (for_statement init: (_) @for)
    (for_statement update: (_) @for)
    (field_access object: (_) @type_name field: (this))
    (field_access object: (_) @type_name (super))
    (method_invocation object: (_) @type_name (super))
    (method_reference . (_) @created "new")

    ; 3.10: templates of strings were withdrawn
    (template_expression) @invalid
    ; 4.5.1: type arguments are reference types
    (type_arguments [{_PRIMITIVE}]) @invalid
    ; 8.4.1, 15.27.1: parameters
    (formal_parameters (spread_parameter) [(formal_parameter) (spread_parameter)]) @invalid
    (spread_parameter (variable_declarator value: (_))) @invalid
    (spread_parameter (variable_declarator dimensions: (_))) @invalid
    (lambda_expression parameters: (formal_parameters (receiver_parameter))) @invalid
    (formal_parameters (formal_parameter type: (_) @type) (formal_parameter type: (_) @other)
        (#eq? @type "var") (#not-eq? @other "var")) @invalid
    (formal_parameters (formal_parameter type: (_) @other) (formal_parameter type: (_) @type)
        (#eq? @type "var") (#not-eq? @other "var")) @invalid
    ; 10.6: only an array has its initialiser
    (_ type: {_NO_ARRAY} declarator: (variable_declarator !dimensions value: (array_initializer))) @invalid
    ; 14.3, 14.5: where declarations stand
    [(import_declaration) (package_declaration) (module_declaration)] @invalid
    (block (annotation_type_declaration)) @invalid
    (_ body: {_DECLARATION}) @invalid
    (if_statement consequence: {_DECLARATION}) @invalid
    (if_statement alternative: {_DECLARATION}) @invalid
    (labeled_statement {_DECLARATION}) @invalid
    ; 14.4: `var` and `_` need a value
    (local_variable_declaration type: (type_identifier) @type declarator: (variable_declarator !value)
        (#eq? @type "var")) @invalid
    (local_variable_declaration type: (type_identifier) @type declarator: (variable_declarator dimensions: (_))
        (#eq? @type "var")) @invalid
    (local_variable_declaration type: (type_identifier) @type declarator: (_) declarator: (_)
        (#eq? @type "var")) @invalid
    (variable_declarator name: (underscore_pattern) !value) @invalid
    (field_declaration declarator: (variable_declarator name: (underscore_pattern))) @invalid
    ; 14.11.1: a constant of a `case`
    (switch_label {_NO_OPERAND}) @invalid
    ; 14.20: what is caught is a class
    (catch_type [{_PRIMITIVE} (array_type)]) @invalid
    ; 14.30.1: `final` is for a pattern's variable
    (instanceof_expression "final" !name) @invalid
    ; 15.8.2: a class literal has no type arguments
    (class_literal (generic_type)) @invalid
    (class_literal (array_type element: (generic_type))) @invalid
    ; 15.9: what is created
    (object_creation_expression type: [{_PRIMITIVE}]) @invalid
    (object_creation_expression "." type: [(scoped_type_identifier) (generic_type (scoped_type_identifier))]) @invalid
    (object_creation_expression (class_body [(constructor_declaration) (compact_constructor_declaration)])) @invalid
    ; 15.12, 15.13: what is called
    (_ type_arguments: (type_arguments (wildcard))) @invalid
    (method_invocation !object name: (identifier) @method (#eq? @method "yield")) @invalid
    (method_reference . [{_PRIMITIVE}]) @invalid
    ; 15.15 to 15.27: an assignment or a lambda expression is no operand
    (binary_expression {_NO_OPERAND}) @invalid
    (unary_expression {_NO_OPERAND}) @invalid
    (instanceof_expression left: {_NO_OPERAND}) @invalid
    (ternary_expression condition: {_NO_OPERAND}) @invalid
    (ternary_expression alternative: (assignment_expression)) @invalid
    ; 15.16: casts
    (cast_expression value: (assignment_expression)) @invalid
    (cast_expression type: [{_PRIMITIVE}] type: (_)) @invalid
    (cast_expression type: (_) type: [{_PRIMITIVE}]) @invalid
    (cast_expression type: [(type_identifier) (scoped_type_identifier) (generic_type) (array_type)]
        value: (update_expression . ["++" "--"])) @invalid
    ; 15.20.2: `instanceof` asks for a reference type
    (instanceof_expression right: [{_PRIMITIVE}]) @invalid
    ; 15.26: what is assigned to is a variable
    (assignment_expression left: (field_access field: (this))) @invalid
    """,
)
"""Captures as `invalid` what is never Java, and by the names of `CHECKS` what has to be looked at more closely."""


def follows_language_rules(statement: Node) -> bool:
    """Return whether a statement that the grammar reads without error follows the JLS's rules, too."""
    if statement.type == "expression_statement" and statement.children[0].type == "switch_expression":
        return False  # a `switch` statement, and an empty one after it
    found = QueryCursor(RULES).captures(statement)
    return "invalid" not in found and all(
        check(node) for capture, check in CHECKS.items() for node in found.get(capture, ())
    )


def is_name(node: Node) -> bool:
    """Return whether a name is none of the words that are no name where it stands (3.8, 3.9)."""
    name = text_of(node)
    if name == "_":
        return kind_above(node) in UNNAMED
    if node.type == "type_identifier" and name == "var":
        is_of_lambda = kind_above(node) == "formal_parameter" and kind_above(node, 3) == "lambda_expression"
        return is_of_lambda or kind_above(node) in INFERRED
    if name == "super":  # of `Outer.super::method`, which the grammar takes for a type
        return node.type == "type_identifier" and kind_above(node, 2) == "method_reference"
    if name == "default" and node.parent is not None:  # of `case null, default`, which the grammar takes for a name
        return node.parent.type == "switch_label" and node.parent.children[1].type == "null_literal"
    return name not in KEYWORDS and (node.type == "identifier" or name not in NOT_OF_TYPES)


def is_integer_literal(node: Node) -> bool:
    """Return whether an integer literal is within its type, which depends on a minus before it (3.10.1)."""
    if is_integer(text_of(node)):
        return True
    negation = node.parent
    is_negated = negation is not None and negation.type == "unary_expression" and negation.children[0].type == "-"
    return is_integer(text_of(node), is_negated)


def has_arguments(type_arguments: Node) -> bool:
    """Return whether type arguments are not empty, or are the diamond of an object's creation (15.9)."""
    if type_arguments.named_child_count:
        return True
    return (
        kind_above(type_arguments) == "generic_type" and kind_above(type_arguments, 2) == "object_creation_expression"
    )


def may_stand(modifiers: Node) -> bool:
    """Return whether no modifier repeats, and a local variable or type has only what it may have (14.3, 14.4)."""
    words = [node.type for node in modifiers.children if not node.is_named]
    if kind_above(modifiers) in VARIABLES:
        allowed = {"final"}
    elif kind_above(modifiers) in TYPES and kind_above(modifiers, 2) in BLOCKS:
        allowed = {"abstract", "final", "strictfp"}
    else:
        allowed = set(words)
    return len(words) == len(set(words)) and allowed.issuperset(words)


def updates_variable(update: Node) -> bool:
    """Return whether the operand of `++` or `--` is a variable (15.14, 15.15)."""
    operand = update.named_children[0]
    # The grammar reads `-x++` as `(-x)++`.
    while update.children[0].is_named and operand.type in ("unary_expression", "cast_expression"):
        operand = operand.named_children[-1]
    while operand.type == "parenthesized_expression":
        operand = operand.named_children[0]
    if operand.type == "field_access":
        return operand.named_children[-1].type == "identifier"
    return operand.type in ("identifier", "array_access")


def is_statement_expression(expression: Node) -> bool:
    """Return whether an expression is one that a semicolon makes a statement (14.8)."""
    if expression.type == "update_expression":
        return expression.children[0].type not in ("unary_expression", "cast_expression")
    return expression.type in STATEMENT_EXPRESSIONS


def is_expression_statement(statement: Node) -> bool:
    """Return whether an expression that a semicolon ends may stand there (14.8, 14.11.1, 15.28.1)."""
    expression = statement.children[0]
    if is_statement_expression(expression):
        return True
    if expression.type == "switch_expression":
        return True  # a `switch` statement, and an empty one after it
    rule = statement.parent
    switch = rule.parent.parent if rule is not None and rule.type == "switch_rule" and rule.parent is not None else None
    return switch is not None and not is_statement(switch)


def is_statement(switch: Node) -> bool:
    """Return whether a `switch` is a statement rather than an expression."""
    parent = switch.parent
    if parent is None or parent.type in HAVE_STATEMENTS or parent.child_by_field_name("body") == switch:
        return True
    return parent.type == "expression_statement" and kind_above(parent) in BLOCKS


def has_result(switch: Node) -> bool:
    """Return whether a `switch` expression has a case (15.28.1); a statement needs none."""
    body = switch.child_by_field_name("body")
    return (body is not None and body.named_child_count > 0) or is_statement(switch)


def is_type_name(node: Node) -> bool:
    """Return whether an expression reads as the name of a type: identifiers with dots between (6.5)."""
    while node.type == "field_access" and [child.type for child in node.children[1:]] == [".", "identifier"]:
        node = node.children[0]
    return node.type == "identifier"


def kind_above(node: Node, levels: int = 1) -> str:
    """Return the type of the node that is so many levels above; "" where there is none."""
    above: Node | None = node
    for _ in range(levels):
        above = above.parent if above is not None else None
    return above.type if above is not None else ""


CHECKS: dict[str, Callable[[Node], bool]] = {
    "name": is_name,
    "integer": is_integer_literal,
    "float": lambda node: is_float(text_of(node)),
    "character": lambda node: is_character(text_of(node)),
    "string": lambda node: is_string(text_of(node)),
    "void": lambda node: kind_above(node) in ("method_declaration", "class_literal"),
    "type_arguments": has_arguments,
    "modifiers": may_stand,
    "update": updates_variable,
    "switch": has_result,
    "expression_statement": is_expression_statement,
    "for": lambda node: node.type == "local_variable_declaration" or is_statement_expression(node),
    "type_name": is_type_name,
    "created": lambda node: node.type in CREATED or is_type_name(node),
}
"""What has to hold for every node of a capture."""
