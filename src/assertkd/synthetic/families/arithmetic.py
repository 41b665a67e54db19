"""Families that calculate: percentages, units, digits, bits."""

from assertkd.synthetic import java
from assertkd.synthetic.families.registry import family
from assertkd.synthetic.name_source import NameSource
from assertkd.synthetic.scenario import Scenario, equal, verdict


@family(weight=0.6)
def percentage(names: NameSource) -> Scenario:
    """A percentage added to an amount or taken off it, in whole numbers."""
    noun = names.noun()
    amount = names.compound(noun)
    name = names.class_name(noun, "Discount", "Share", "Tax")
    variable = names.variable(name)
    percent = names.pick(5, 10, 20, 25, 50)
    adds = names.chance(0.4)
    method = names.method(names.pick("apply", "adjust", "calculate"), noun)
    body = java.fill(
        """
        private final int percent;

        public $name(int percent) {
            this.percent = percent;
        }

        public int $method(int $amount) {
            if ($amount <= 0) {
                return 0;
            }
            return $amount $sign $amount * percent / 100;
        }
        """,
        name=name,
        method=method,
        amount=amount,
        sign="+" if adds else "-",
    )
    value = names.pick(100, 200, 40, 60, 80, 20, 0, -names.integer(1, 9))
    part = java.quotient(value * percent, 100)
    result = 0 if value <= 0 else value + part if adds else value - part
    steps = (names.construct(name, variable, percent), f"int {amount} = {value};")
    return Scenario(name, body, method, steps, equal(result, f"{variable}.{method}({amount})"), "use percent")


@family(weight=0.6)
def conversion(names: NameSource) -> Scenario:
    """A quantity expressed in a larger or smaller unit."""
    measure = names.measure()
    name = names.class_name(names.noun(), "Units", "Converter", "Scale")
    on = names.receiver(name)
    source, target, factor = names.pick(
        ("Minutes", "Seconds", 60),
        ("Hours", "Minutes", 60),
        ("Days", "Hours", 24),
        ("Meters", "Centimeters", 100),
        ("Kilos", "Grams", 1000),
        ("Dozens", "Pieces", 12),
        ("Weeks", "Days", 7),
    )
    down = names.chance(0.4)
    method = f"{source.lower()}To{target}" if not down else f"{target.lower()}To{source}"
    type_ = names.pick("int", "long", "double")
    body = java.fill(
        """
        public ${modifier}$type $method($type $measure) {
            return $measure $sign $factor;
        }
        """,
        modifier=on.modifier,
        type=type_,
        method=method,
        measure=measure,
        sign="/" if down else "*",
        factor=factor,
    )
    result = names.integer(1, 10)
    value = result * factor
    if not down:
        result, value = value, result
    ending = {"int": "", "long": "L", "double": ".0"}[type_]
    steps = (
        *on.steps,
        f"{type_} {measure} = {value}{ending};",
    )
    claim = equal(f"{result}{ending}", f"{on.name}.{method}({measure})", type_)
    return Scenario(name, body, method, steps, claim, "convert units")


@family(weight=0.7)
def digits(names: NameSource) -> Scenario:
    """Small arithmetic on one int: digits, sign, remainder, half."""
    noun = names.noun()
    amount = names.compound(noun)
    name = names.class_name(noun, "Digits", "Numbers", "Checksum")
    on = names.receiver(name)
    value = names.pick(names.integer(0, 99), names.integer(-20, -1), names.integer(10, 30))
    divisor = names.pick(2, 3, 4, 5, 7, 10)
    method, returned, result = names.pick(
        ("lastDigit", f"Math.abs({amount} % 10)", abs(java.remainder(value, 10))),
        ("absolute", f"{amount} < 0 ? -{amount} : {amount}", abs(value)),
        ("negate", f"-{amount}", -value),
        ("remainder", f"{amount} % {divisor}", java.remainder(value, divisor)),
        ("half", f"{amount} / 2", java.quotient(value, 2)),
        ("next", f"{amount} + 1", value + 1),
        ("sign", f"{amount} == 0 ? 0 : {amount} > 0 ? 1 : -1", (value > 0) - (value < 0)),
        ("roundDown", f"{amount} - {amount} % 10", value - java.remainder(value, 10)),
    )
    body = java.fill(
        """
        public ${modifier}int $method(int $amount) {
            return $returned;
        }
        """,
        modifier=on.modifier,
        method=method,
        amount=amount,
        returned=returned,
    )
    claim = equal(result, f"{on.name}.{method}({amount})")
    return Scenario(name, body, method, (*on.steps, f"int {amount} = {value};"), claim, "compute")


@family(weight=1.0)
def bit_flags(names: NameSource) -> Scenario:
    """Flags kept in the bits of an int, set, cleared and asked for."""
    flags = [names.noun().upper() for _ in range(3)]
    noun = names.noun()
    name = names.class_name(noun, "Flags", "Mask", "Permissions")
    variable = names.variable(name)
    verbs = names.pick(("enable", "disable", "isEnabled"), ("set", "clear", "isSet"), ("grant", "revoke", "allows"))
    enable, disable, has = (names.method(verb, noun) for verb in verbs)
    body = java.fill(
        """
        public static final int $first = 1;

        public static final int $second = 2;

        public static final int $third = 4;

        private int bits;

        public void $enable(int flag) {
            bits |= flag;
        }

        public void $disable(int flag) {
            bits &= ~flag;
        }

        public boolean $has(int flag) {
            return (bits & flag) != 0;
        }

        public int getBits() {
            return bits;
        }
        """,
        first=flags[0],
        second=flags[1],
        third=flags[2],
        enable=enable,
        disable=disable,
        has=has,
    )
    focal = names.pick(enable, disable, has, has)
    bits, steps = 0, [names.construct(name, variable)]
    for _ in range(names.integer(1, 3)):
        place = names.integer(0, 2)
        on = focal != disable or not bits or names.chance(0.3)
        bits = bits | (1 << place) if on else bits & ~(1 << place)
        steps.append(f"{variable}.{enable if on else disable}({name}.{flags[place]});")
    place = names.integer(0, 2)
    if focal == disable:
        bits &= ~(1 << place)
        steps.append(f"{variable}.{disable}({name}.{flags[place]});")
    steps.append(f"int flag = {name}.{flags[names.pick(place, names.integer(0, 2))]};")
    place = flags.index(steps[-1].split(".")[1].rstrip(";"))
    claim = verdict(bool(bits & (1 << place)), f"{variable}.{has}(flag)", guessable=focal == has)
    return Scenario(name, body, focal, tuple(steps), claim, "change flag")
