"""Families that change strings: shortening, padding, joining, prefixes, letters."""

from assertkd.synthetic import java
from assertkd.synthetic.families.registry import family
from assertkd.synthetic.name_source import NameSource
from assertkd.synthetic.scenario import Scenario, equal_text, is_null, verdict


@family(weight=0.9)
def shortening(names: NameSource) -> Scenario:
    """A string cut to a limit."""
    noun = names.noun()
    name = names.class_name(noun, "Labels", "Text", "Formatter")
    on = names.receiver(name)
    method = names.pick("shorten", "truncate", "abbreviate", "fit")
    limit, tail = names.integer(2, 7), names.pick("", "..", "~", "-")
    rest = f" + {java.text(tail)}" if tail else ""
    body = java.fill(
        """
        public ${modifier}String $method(String $noun, int limit) {
            if ($noun == null) {
                return null;
            }
            return $noun.length() <= limit ? $noun : $noun.substring(0, limit)$rest;
        }
        """,
        modifier=on.modifier,
        method=method,
        noun=noun,
        rest=rest,
    )
    if names.chance(0.12):
        steps = (*on.steps, f"int limit = {limit};")
        claim = is_null(f"{on.name}.{method}(null, limit)", "String")
        return Scenario(name, body, method, steps, claim, "accept null")
    word = names.word()
    result = word if len(word) <= limit else word[:limit] + tail
    steps = (
        *on.steps,
        f"String {noun} = {java.text(word)};",
    )
    claim = equal_text(result, f"{on.name}.{method}({noun}, {limit})", guessable=False)
    return Scenario(name, body, method, steps, claim, "keep limit")


@family(weight=0.7)
def padding(names: NameSource) -> Scenario:
    """A string filled up to a width, left or right."""
    noun = names.noun()
    name = names.class_name(noun, "Columns", "Padding", "Layout")
    on = names.receiver(name)
    left = names.chance(0.5)
    method = names.pick("padLeft", "alignRight") if left else names.pick("padRight", "alignLeft")
    fill = names.pick("-", "*", "0", ".", "_")
    body = java.fill(
        """
        public ${modifier}String $method(String $noun, int width) {
            String padded = $noun;
            while (padded.length() < width) {
                padded = $step;
            }
            return padded;
        }
        """,
        modifier=on.modifier,
        method=method,
        noun=noun,
        step=f"{java.char(fill)} + padded" if left else f"padded + {java.char(fill)}",
    )
    word = names.word()
    width = len(word) + names.integer(-2, 3)
    missing = fill * max(0, width - len(word))
    steps = (*on.steps, f"String {noun} = {java.text(word)};", f"int width = {width};")
    result = missing + word if left else word + missing
    claim = equal_text(result, f"{on.name}.{method}({noun}, width)")
    return Scenario(name, body, method, steps, claim, "fill width")


@family(weight=1.1)
def joining(names: NameSource) -> Scenario:
    """Two strings joined into one text form."""
    first, second = names.noun(), names.noun()
    name = names.class_name(first, "Key", "Path", "Name")
    variable = names.variable(name)
    separator = names.pick("-", "/", ":", " ", ".", "_", ", ")
    method = names.pick("toString", "format", "fullName", "asText")
    before, after = names.pick(("", ""), ("", ""), ("[", "]"), ("<", ">"), ("#", ""))
    parts = [java.text(before)] * bool(before) + [first, java.text(separator), second]
    parts += [java.text(after)] * bool(after)
    shorter = names.chance(0.5)
    body = java.fill(
        """
        private final String $first;

        private final String $second;

        public $name(String $first, String $second) {
            this.$first = $first;
            this.$second = $second;
        }

        ${override}public String $method() {$guard
            return $joined;
        }
        """,
        name=name,
        first=first,
        second=second,
        method=method,
        override="@Override\n" if method == "toString" else "",
        joined=" + ".join(parts),
        guard=f"\n    if ({second} == null) {{\n        return {first};\n    }}" if shorter else "",
    )
    values = names.words(2)
    alone = shorter and names.chance(0.4)
    arguments = [java.text(values[0]), "null" if alone else java.text(values[1])]
    result = values[0] if alone else before + separator.join(values) + after
    claim = equal_text(result, f"{variable}.{method}()")
    steps = (names.construct(name, variable, *arguments),)
    return Scenario(name, body, method, steps, claim, "join parts", f"without {second}" if alone else "")


@family(weight=1.1)
def affixes(names: NameSource) -> Scenario:
    """A prefix taken off, added or looked for."""
    noun = names.noun()
    name = names.class_name(noun, "Names", "Ids", "Codes")
    on = names.receiver(name)
    prefix = f"{names.noun()}{names.pick('-', '_', ':', '/')}"
    action = names.pick("strip", "strip", "ensure", "check")
    verb = {"strip": names.pick("strip", "remove"), "ensure": names.pick("add", "with"), "check": "has"}[action]
    method = f"{verb}Prefix"
    returned = {
        "strip": f"{noun}.startsWith(PREFIX) ? {noun}.substring(PREFIX.length()) : {noun}",
        "ensure": f"{noun}.startsWith(PREFIX) ? {noun} : PREFIX + {noun}",
        "check": f"{noun} != null && {noun}.startsWith({java.text(prefix)})",
    }[action].replace("PREFIX.length()", str(len(prefix)))
    body = java.fill(
        """
        public ${modifier}$type $method(String $noun) {
            return $returned;
        }
        """,
        modifier=on.modifier,
        type="boolean" if action == "check" else "String",
        method=method,
        noun=noun,
        returned=returned.replace("PREFIX", java.text(prefix)),
    )
    word = names.word()
    argument = prefix + word if names.chance(0.55) else word
    call = f"{on.name}.{method}({noun})"
    if action == "check":
        missing = names.chance(0.2)
        steps = (
            *on.steps,
            f"String {noun} = {'null' if missing else java.text(argument)};",
        )
        return Scenario(name, body, method, steps, verdict(argument != word and not missing, call), "look at start")
    steps = (
        *on.steps,
        f"String {noun} = {java.text(argument)};",
    )
    result = word if action == "strip" else prefix + word
    return Scenario(name, body, method, steps, equal_text(result, call), "change start")


@family(weight=0.7)
def letters(names: NameSource) -> Scenario:
    """One string turned into another by a small change of letters."""
    noun = names.noun()
    name = names.class_name(noun, "Words", "Letters", "Spelling")
    on = names.receiver(name)
    word = names.word()
    method, returned, result = names.pick(
        ("reverse", f"new StringBuilder({noun}).reverse().toString()", word[::-1]),
        ("shout", f'{noun}.toUpperCase() + "!"', word.upper() + "!"),
        ("capitalize", f"Character.toUpperCase({noun}.charAt(0)) + {noun}.substring(1)", word.capitalize()),
        ("withoutLast", f"{noun}.substring(0, {noun}.length() - 1)", word[:-1]),
        ("withoutFirst", f"{noun}.substring(1)", word[1:]),
        ("twice", f"{noun} + {noun}", word * 2),
        ("quote", f'"\\"" + {noun} + "\\""', f'"{word}"'),
        ("swapEnds", f"{noun}.substring(1) + {noun}.charAt(0)", word[1:] + word[0]),
    )
    if names.chance(0.3):
        word, result = "", ""
    body = java.fill(
        """
        public ${modifier}String $method(String $noun) {
            if ($noun.isEmpty()) {
                return $noun;
            }
            return $returned;
        }
        """,
        modifier=on.modifier,
        method=method,
        noun=noun,
        returned=returned,
    )
    steps = (
        *on.steps,
        f"String {noun} = {java.text(word)};",
    )
    claim = equal_text(result, f"{on.name}.{method}({noun})")
    return Scenario(name, body, method, steps, claim, "convert text", "" if word else "when empty")
