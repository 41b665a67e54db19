"""Families about which object is which: equality, sharing, fluent builders, order."""

from assertkd.synthetic import java
from assertkd.synthetic.families.registry import family
from assertkd.synthetic.name_source import NameSource
from assertkd.synthetic.scenario import Claim, Scenario, different, equal, equal_text, identical, throws, verdict


@family(weight=2.2)
def equality(names: NameSource) -> Scenario:
    """The equals method over one or two fields."""
    noun, amount = names.noun(), names.amount()
    name = names.class_name(names.noun(), "Id", "Item", "Entry")
    ignoring = names.chance(0.4)
    compared = f"{noun}.equals(that.{noun})" + ("" if ignoring else f" && {amount} == that.{amount}")
    body = java.fill(
        """
        private final String $noun;

        private final int $amount;

        public $name(String $noun, int $amount) {
            this.$noun = $noun;
            this.$amount = $amount;
        }

        @Override
        public boolean equals(Object other) {
            if (!(other instanceof $name)) {
                return false;
            }
            $name that = ($name) other;
            return $compared;
        }

        @Override
        public int hashCode() {
            return $noun.hashCode();
        }
        """,
        noun=noun,
        amount=amount,
        name=name,
        compared=compared,
    )
    word, other = names.words(2)
    number = names.round_number()
    second_word = word if names.chance(0.7) else other
    second_number = number if names.chance(0.6) else number + 1
    same = word == second_word and (ignoring or number == second_number)
    first, second = names.pick(("first", "second"), ("left", "right"), ("one", "other"))
    steps = (
        names.construct(name, first, java.text(word), number),
        names.construct(name, second, java.text(second_word), second_number),
    )
    kind = names.pick("equals", "equals", "values", "values", "foreign")
    if kind == "foreign":
        steps = (
            steps[0],
            f"Object {second} = {names.pick('null', java.text(word), f'new {name}({java.text(word)}, {number})')};",
        )
        same = f"new {name}" in steps[1]
        return Scenario(name, body, "equals", steps, verdict(same, f"{first}.equals({second})"), "compare type")
    if kind == "values" and not same:
        return Scenario(name, body, "equals", steps, different(first, second), "see difference", "in values")
    if kind == "values":
        return Scenario(name, body, "equals", steps, equal(first, second, ""), "see difference", "in values")
    return Scenario(name, body, "equals", steps, verdict(same, f"{first}.equals({second})"), "compare")


@family(weight=2.4)
def shared_instance(names: NameSource) -> Scenario:
    """A factory that returns the same object again, or a new one each time."""
    key = names.noun()
    name = names.class_name(names.noun(), "Factory", "Pool", "Provider")
    variable = names.variable(name)
    get = names.pick("get", "obtain", "lookup", "provide")
    cached = names.chance(0.65)
    made = (
        f"return instances.computeIfAbsent({key}, k -> new Object());"
        if cached
        else f"Object made = new Object();\n    instances.put({key}, made);\n    return made;"
    )
    body = java.fill(
        """
        private final Map<String, Object> instances = new HashMap<>();

        public Object $get(String $key) {
            if ($key == null) {
                return null;
            }
            $made
        }
        """,
        get=get,
        key=key,
        made=made,
    )
    word, other = names.words(2)
    steps = [names.construct(name, variable)]
    kind = names.pick("same", "same", "same", "null")
    first, second = names.pick(("first", "second"), ("one", "other"), ("before", "after"))
    if kind == "null":
        argument = names.pick("null", java.text(word))
        steps.append(f"String {key} = {argument};")
        claim = Claim(
            "assertNull" if argument == "null" else "assertNotNull", f"{variable}.{get}({key})", type="Object"
        )
        return Scenario(name, body, get, tuple(steps), claim, "handle null")
    again = word if names.chance(0.7) else other
    steps += [
        f"Object {first} = {variable}.{get}({java.text(word)});",
        f"Object {second} = {variable}.{get}({java.text(again)});",
    ]
    claim = identical(cached and again == word, first, second)
    return Scenario(name, body, get, tuple(steps), claim, "share instances")


@family(weight=1.2)
def builder(names: NameSource) -> Scenario:
    """A fluent builder of a short description."""
    noun, amount = names.noun(), names.amount()
    name = names.class_name(names.noun(), "Builder", "Request", "Query")
    variable = names.variable(name)
    prefix = names.pick("with", "set", "")
    set_noun = java.uncapitalised(prefix + java.capitalised(noun))
    set_amount = java.uncapitalised(prefix + java.capitalised(amount))
    build = names.pick("build", "describe", "render")
    separator = names.pick(":", "=", " x ", "@")
    start = names.integer(1, 9)
    body = java.fill(
        """
        private String $noun;

        private int $amount = $start;

        public $name $set_noun(String $noun) {
            this.$noun = $noun;
            return this;
        }

        public $name $set_amount(int $amount) {
            this.$amount = $amount;
            return this;
        }

        public String $build() {
            if ($noun == null) {
                throw new IllegalStateException("$noun");
            }
            return $noun + "$separator" + $amount;
        }
        """,
        name=name,
        noun=noun,
        amount=amount,
        start=start,
        set_noun=set_noun,
        set_amount=set_amount,
        build=build,
        separator=separator,
    )
    word, number = names.word(), names.round_number()
    chosen_noun = names.chance(0.8)
    chosen_amount = chosen_noun or names.chance(0.7)
    kind = names.pick("build", "build", "same")
    if kind == "same":
        steps: tuple[str, ...] = (
            names.construct(name, variable),
            f"{name} returned = {variable}.{set_amount}({number});",
        )
        return Scenario(name, body, set_amount, steps, identical(True, variable, "returned"), "return builder")
    parts = [f".{set_noun}({java.text(word)})"] * chosen_noun + [f".{set_amount}({number})"] * chosen_amount
    steps = (f"{name} {variable} = new {name}(){''.join(names.shuffled(parts))};",)
    call = f"{variable}.{build}()"
    if not chosen_noun:
        return Scenario(name, body, build, steps, throws("IllegalStateException", call), f"require {noun}")
    return Scenario(name, body, build, steps, equal_text(f"{word}{separator}{number}", call), f"use {noun}")


@family(weight=1.2)
def ordering(names: NameSource) -> Scenario:
    """A natural order, ascending or descending."""
    noun, amount = names.noun(), names.amount()
    name = names.class_name(noun, "Priority", "Rank", "Version", "Grade")
    descending = names.chance(0.4)
    left, right = (f"other.{amount}", amount) if descending else (amount, f"other.{amount}")
    newer = names.pick("isBefore", "precedes", "comesFirst")
    body = java.fill(
        """
        private final int $amount;

        public $name(int $amount) {
            this.$amount = $amount;
        }

        @Override
        public int compareTo($name other) {
            return Integer.compare($left, $right);
        }

        public boolean $newer($name other) {
            return compareTo(other) < 0;
        }

        public $name first($name other) {
            return $pair ? this : other;
        }
        """,
        amount=amount,
        name=name,
        left=left,
        right=right,
        newer=newer,
        pair=f"{amount} {'>=' if descending else '<='} other.{amount}",
    )
    one, two = names.integer(1, 20), names.integer(1, 20)
    two = one if names.chance(0.2) else two
    focal = names.pick("compareTo", "compareTo", "first")
    first, other = names.pick(("first", "second"), ("left", "right"), ("one", "other"))
    steps: tuple[str, ...] = (names.construct(name, first, one), names.construct(name, other, two))
    sign = (one > two) - (one < two)
    sign = -sign if descending else sign
    implements = f"Comparable<{name}>"
    if focal == "first":
        steps += (f"{name} chosen = {first}.first({other});",)
        claim = identical(True, first if sign <= 0 else other, "chosen")
        return Scenario(name, body, focal, steps, claim, "choose winner", implements=implements)
    claim = equal(sign, f"{first}.compareTo({other})")
    return Scenario(name, body, focal, steps, claim, "order both", implements=implements)
