"""Families about what may be missing or refused: searches, setters, parts made on demand."""

from assertkd.synthetic import java
from assertkd.synthetic.families.registry import family
from assertkd.synthetic.name_source import NameSource
from assertkd.synthetic.scenario import Claim, Scenario, equal, equal_text, is_null, not_null, throws, verdict


@family(weight=2.6)
def absence(names: NameSource) -> Scenario:
    """A search that finds a value or nothing, as null or as an Optional."""
    noun, key = names.noun(), names.noun()
    name = names.class_name(noun, "Finder", "Source", "Holder")
    variable = names.variable(name)
    find = f"{names.pick('find', 'search', 'try')}{java.capitalised(noun)}"
    optional = names.chance(0.5)
    known, other = names.words(2)
    value = names.word()
    if optional:
        returned = f"{key}.equals({java.text(known)}) ? Optional.of({java.text(value)}) : Optional.empty()"
    else:
        returned = f"{key}.equals({java.text(known)}) ? {java.text(value)} : null"
    body = java.fill(
        """
        public $type $find(String $key) {
            return $returned;
        }
        """,
        type="Optional<String>" if optional else "String",
        find=find,
        key=key,
        returned=returned,
    )
    asked = known if names.chance(0.55) else other
    steps: list[str] = [names.construct(name, variable)]
    if not optional:
        steps.append(f"String {noun} = {variable}.{find}({java.text(asked)});")
        claim = equal_text(value, noun) if asked == known else Claim("assertNull", noun)
        return Scenario(name, body, find, tuple(steps), claim, f"look for {noun}")
    steps.append(f"Optional<String> {noun} = {variable}.{find}({java.text(asked)});")
    if asked == known and names.chance(0.6):
        steps.insert(2, "")
        steps = [step for step in steps if step]
        before = verdict(True, f"{noun}.isPresent()")
        claim = equal_text(value, f"{noun}.get()")
        return Scenario(name, body, find, (*steps, before), claim, f"look for {noun}")
    claim = verdict(asked == known, f"{noun}.isPresent()", type="")
    return Scenario(name, body, find, tuple(steps), claim, f"look for {noun}")


PROPERTY = """
    private $type $field$start;

    public void $setter($type $field) {
        if ($forbidden) {
            $reaction
        }
        this.$field = $field;
    }

    public $type $getter() {
        return $field;
    }
    """
"""Members of a class with one property whose setter looks at what it is given."""

REFUSALS = ("IllegalArgumentException", "IllegalArgumentException", "IllegalStateException")


@family(weight=1.2)
def text_property(names: NameSource) -> Scenario:
    """A setter of a string that refuses or ignores what is missing."""
    field = names.noun()
    name = names.class_name(names.noun(), "Form", "Bean", "Profile")
    variable = names.variable(name)
    setter, getter = f"set{java.capitalised(field)}", f"get{java.capitalised(field)}"
    bad, forbidden = names.pick(("null", f"{field} == null"), ('""', f"{field}.isEmpty()"))
    lenient, exception = names.chance(0.25), names.pick(*REFUSALS)
    default = names.word() if lenient and names.chance(0.4) else None
    body = java.fill(
        PROPERTY,
        type="String",
        field=field,
        start=f" = {java.text(default)}" if default else "",
        setter=setter,
        getter=getter,
        forbidden=forbidden,
        reaction="return;" if lenient else f"throw new {exception}();",
    )
    argument = bad if names.chance(0.5) else java.text(names.word())
    value = f"{variable}.{getter}()"
    steps: list[str | Claim] = [names.construct(name, variable)]
    if argument == bad and not lenient:
        steps.append(f"String {field} = {argument};")
        claim = throws(exception, f"{variable}.{setter}({field})")
        return Scenario(name, body, setter, tuple(steps), claim, f"validate {field}")
    if argument == bad:
        steps += [equal_text(default, value), f"{variable}.{setter}({argument});"]
        claim = not_null(value, "String")
        if not default:
            del steps[1]
            claim = is_null(value, "String")
        return Scenario(name, body, setter, tuple(steps), claim, f"ignore bad {field}")
    if names.chance(0.5):
        steps.append(f"String {field} = {argument};")
        argument = field
    steps.append(f"{variable}.{setter}({argument});")
    return Scenario(name, body, setter, tuple(steps), equal(argument, value, "String"), f"store {field}")


@family(weight=1.2)
def number_property(names: NameSource) -> Scenario:
    """A setter of a whole number that refuses or ignores what is over a limit."""
    noun = names.noun()
    field = names.compound(noun)
    name = names.class_name(noun, "Form", "Model", "Plan")
    variable = names.variable(name)
    setter, getter = f"set{java.capitalised(field)}", f"get{java.capitalised(field)}"
    limit = names.round_number()
    lenient, exception = names.chance(0.25), names.pick(*REFUSALS)
    body = java.fill(
        PROPERTY,
        type="int",
        field=field,
        start="",
        setter=setter,
        getter=getter,
        forbidden=f"{field} > {limit}",
        reaction="return;" if lenient else f"throw new {exception}();",
    )
    bad = names.chance(0.5)
    number = names.integer(limit + 1, limit + 9) if bad else names.integer(max(0, limit - 9), limit)
    value = f"{variable}.{getter}()"
    steps: list[str | Claim] = [names.construct(name, variable)]
    if bad and not lenient:
        steps.append(f"int {field} = {number};")
        claim = throws(exception, f"{variable}.{setter}({field})")
        return Scenario(name, body, setter, tuple(steps), claim, f"validate {field}")
    local = not bad and names.chance(0.5)
    argument = field if local else str(number)
    if local:
        steps.append(f"int {field} = {number};")
    steps.append(f"{variable}.{setter}({argument});")
    claim = equal(0 if bad else argument, value)
    return Scenario(name, body, setter, tuple(steps), claim, f"ignore bad {field}" if bad else f"store {field}")


@family(weight=2.0)
def creation(names: NameSource) -> Scenario:
    """A part that exists only between opening and closing, or is made on demand."""
    part, item = names.noun(), names.noun()
    name = names.class_name(item, "Context", "Session", "Container")
    variable = names.variable(name)
    getter, opener = f"get{java.capitalised(part)}", names.pick("open", "init", "connect", "load")
    closer = names.pick("close", "release", "unload")
    lazy = names.chance(0.4)
    body = java.fill(
        """
        private StringBuilder $part;

        public void $opener() {
            $part = new StringBuilder();
        }

        public void $closer() {
            $part = null;
        }

        public StringBuilder $getter() {
            $lazy
            return $part;
        }
        """,
        part=part,
        opener=opener,
        closer=closer,
        getter=getter,
        lazy=f"if ({part} == null) {{\n        {opener}();\n    }}" if lazy else "// may be absent",
    )
    moves = [names.pick(opener, closer) for _ in range(names.integer(0, 3))]
    steps = (names.construct(name, variable), *(f"{variable}.{move}();" for move in moves))
    present = lazy or (bool(moves) and moves[-1] == opener)
    kind = "assertNotNull" if present else "assertNull"
    claim = Claim(kind, f"{variable}.{getter}()", type="StringBuilder")
    return Scenario(name, body, getter, steps, claim, f"provide {part}")
