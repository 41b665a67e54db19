"""Families that read strings: facts, tokens, keys and values, codes."""

from assertkd.synthetic import java
from assertkd.synthetic.families.registry import family
from assertkd.synthetic.name_source import NameSource
from assertkd.synthetic.scenario import Scenario, different, equal, equal_array, equal_text, throws, verdict


@family(weight=0.7)
def measuring(names: NameSource) -> Scenario:
    """A fact about a string: its length, a letter, a position."""
    noun = names.noun()
    name = names.class_name(noun, "Scanner", "Text", "Inspector")
    on = names.receiver(name)
    word = names.word()
    letter = names.pick(*word, *word, "x", "z")
    method, type_, returned, literal = names.pick(
        ("length", "int", f"{noun}.length()", str(len(word))),
        ("firstLetter", "char", f"{noun}.charAt(0)", java.char(word[0])),
        ("lastLetter", "char", f"{noun}.charAt({noun}.length() - 1)", java.char(word[-1])),
        ("findLetter", "int", f"{noun}.indexOf({java.char(letter)})", str(word.find(letter))),
        ("hasLetter", "boolean", f"{noun}.indexOf({java.char(letter)}) >= 0", java.boolean(letter in word)),
        ("isLong", "boolean", f"{noun}.length() > 5", java.boolean(len(word) > 5)),
        ("wordCount", "int", f'{noun}.split(" ").length', "1"),
    )
    if method == "wordCount":
        chosen = [word, *names.words(names.integer(0, 3))]
        word, literal = " ".join(chosen), str(len(chosen))
    body = java.fill(
        """
        public ${modifier}$type $method(String $noun) {
            return $returned;
        }
        """,
        modifier=on.modifier,
        type=type_,
        method=method,
        noun=noun,
        returned=returned,
    )
    steps = (
        *on.steps,
        f"String {noun} = {java.text(word)};",
    )
    call = f"{on.name}.{method}({noun})"
    claim = verdict(literal == "true", call) if type_ == "boolean" else equal(literal, call, type_)
    return Scenario(name, body, method, steps, claim, "inspect text")


@family(weight=1.4)
def splitting(names: NameSource) -> Scenario:
    """A line split at a separator."""
    noun = names.noun()
    name = names.class_name(noun, "Tokenizer", "Parser", "Splitter")
    variable = names.variable(name)
    separator = names.pick(",", ";", " ", "-", "/", "=")
    method = names.method(names.pick("split", "tokenize", "parse"), noun)
    first, count = names.method("first", noun), names.method("count", noun)
    body = java.fill(
        """
        public String[] $method(String line) {
            return line.isEmpty() ? new String[0] : line.split("$separator");
        }

        public String $first(String line) {
            return line.contains("$separator") ? line.substring(0, line.indexOf('$separator')) : line;
        }

        public int $count(String line) {
            return $method(line).length;
        }
        """,
        method=method,
        first=first,
        count=count,
        separator=separator,
    )
    parts = names.words(names.integer(1, 3))
    steps = (names.construct(name, variable), f"String line = {java.text(separator.join(parts))};")
    focal = names.pick(method, first, count)
    call = f"{variable}.{focal}(line)"
    if focal == first:
        claim = equal_text(parts[0], call)
    elif focal == count:
        claim = equal(len(parts), call)
    else:
        claim = equal_array("String", [java.text(part) for part in parts], call)
    return Scenario(name, body, focal, steps, claim, "split line")


@family(weight=1.6)
def key_value(names: NameSource) -> Scenario:
    """The value behind the sign in a line, with a policy for lines without one."""
    noun, amount = names.noun(), names.amount()
    name = names.class_name(noun, "Config", "Options", "Property")
    on = names.instance(name)
    sign = names.pick("=", ":")
    method = names.method(names.pick("parse", "read", "extract"), noun)
    policy = names.pick("null", "throw", "throw", "empty")
    exception = names.pick("IllegalArgumentException", "IllegalStateException")
    missing = {
        "null": "return null;",
        "throw": f"throw new {exception}(line);",
        "empty": 'return "";',
    }[policy]
    trim = names.chance(0.4)
    body = java.fill(
        """
        public ${modifier}String $method(String line) {
            int index = line.indexOf('$sign');
            if (index < 0) {
                $missing
            }
            return line.substring(index + 1)$trim;
        }
        """,
        modifier=on.modifier,
        method=method,
        sign=sign,
        missing=missing,
        trim=".trim()" if trim else "",
    )
    value = names.pick(names.word(), str(names.round_number()))
    bad = names.chance(0.45)
    line = f"{amount} {value}" if bad else f"{amount}{sign}{' ' if trim else ''}{value}"
    steps = (
        *on.steps,
        f"String line = {java.text(line)};",
    )
    call = f"{on.name}.{method}(line)"
    if bad and policy == "throw":
        return Scenario(name, body, method, steps, throws(exception, call), "reject line")
    result = value if not bad else (None if policy == "null" else "")
    return Scenario(name, body, method, steps, equal_text(result, call), "read value")


@family(weight=0.8)
def normalised_code(names: NameSource) -> Scenario:
    """A code that is trimmed and brought to one case when it is made."""
    noun = names.noun()
    name = names.class_name(noun, "Code", "Tag", "Token")
    variable = names.variable(name)
    upper = names.chance(0.5)
    body = java.fill(
        """
        private final String $noun;

        public $name(String $noun) {
            this.$noun = $noun.trim().$change();
        }

        public String get() {
            return $noun;
        }

        public boolean matches(String other) {
            return $noun.equals(other);
        }
        """,
        noun=noun,
        name=name,
        change="toUpperCase" if upper else "toLowerCase",
    )
    word, other = names.words(2)
    stored = word.upper() if upper else word
    argument = names.pick(word, word.upper(), f" {word}")
    steps: tuple[str, ...] = (names.construct(name, variable, java.text(argument)),)
    kind = names.pick("get", "get", "matches", "different")
    if kind == "matches":
        asked = names.pick(word, word.upper(), other)
        steps += (f"String other = {java.text(asked)};",)
        claim = verdict(asked == stored, f"{variable}.matches(other)", guessable=False)
        return Scenario(name, body, name, steps, claim, "compare text")
    if kind == "different":
        asked = word if upper else word.upper()
        steps += (f"String unexpected = {java.text(asked)};",)
        return Scenario(name, body, name, steps, different("unexpected", f"{variable}.get()", "String"), "change case")
    return Scenario(name, body, name, steps, equal_text(stored, f"{variable}.get()", guessable=False), "normalize")
