"""Families about objects that add up what they are told: counters, accounts, logs."""

from assertkd.synthetic import java
from assertkd.synthetic.families.registry import family
from assertkd.synthetic.name_source import NameSource
from assertkd.synthetic.scenario import Claim, Scenario, equal, equal_text, throws, verdict


@family(weight=1.1)
def counter(names: NameSource) -> Scenario:
    """A counter with a step, a start and sometimes a floor."""
    noun = names.noun()
    name = names.class_name(noun, "Counter", "Meter", "Score")
    variable = names.variable(name)
    verbs = names.pick(("increment", "decrement"), ("up", "down"), ("gain", "lose"), ("add", "drop"))
    up, down = (names.method(verb, noun) for verb in verbs)
    reset = names.method("reset", noun)
    getter = names.method(names.pick("get", "value", "count"), noun)
    step, start = names.pick(1, 1, 1, 2, 5), names.pick(0, 0, 0, 10)
    floor = names.chance(0.5)
    less = f"count = Math.max(0, count - {step});" if floor else f"count -= {step};"
    body = java.fill(
        """
        private int count = $start;

        public void $up() {
            count += $step;
        }

        public void $down() {
            $less
        }

        public void $reset() {
            count = $start;
        }

        public int $getter() {
            return count;
        }
        """,
        start=start,
        step=step,
        up=up,
        down=down,
        reset=reset,
        less=less,
        getter=getter,
    )
    value = f"{variable}.{getter}()"
    steps: list[str | Claim] = [names.construct(name, variable)]
    if names.chance(0.6) or start:
        steps.append(equal(start, value))
    focal = names.pick(up, up, down, reset)
    ups = names.integer(0 if focal == down else 1, 4)
    total = start + ups * step
    steps += [f"{variable}.{up}();"] * ups
    if focal == down:
        downs = names.integer(1, 2)
        steps += [f"{variable}.{down}();"] * downs
        for _ in range(downs):
            total = max(0, total - step) if floor else total - step
    if focal == reset:
        steps.append(f"{variable}.{reset}();")
        total = start
    outcome = {up: "change count", down: "change count", reset: "restore start"}[focal]
    return Scenario(name, body, focal, tuple(steps), equal(total, value, guessable=False), outcome)


@family(weight=1.9)
def account(names: NameSource) -> Scenario:
    """A balance with deposits and withdrawals."""
    noun = names.noun()
    name = names.class_name(noun, "Account", "Wallet", "Budget")
    variable = names.variable(name)
    amount = names.pick("amount", "cents", "points", "sum")
    verbs = names.pick(("deposit", "withdraw"), ("credit", "debit"), ("earn", "spend"), ("save", "pay"))
    put, take = (names.method(verb, noun) for verb in verbs)
    policy = names.pick("throw", "throw", "false")
    type_ = names.pick("int", "int", "long")
    exception = names.pick("IllegalStateException", "IllegalArgumentException")
    body = java.fill(
        """
        private $type balance;

        public $name($type balance) {
            this.balance = balance;
        }

        public void $put($type $amount) {
            if ($amount <= 0) {
                throw new IllegalArgumentException();
            }
            balance += $amount;
        }

        public boolean $take($type $amount) {
            if ($amount > balance) {
                $short
            }
            balance -= $amount;
            return true;
        }

        public $type getBalance() {
            return balance;
        }
        """,
        type=type_,
        name=name,
        amount=amount,
        put=put,
        take=take,
        short=f"throw new {exception}();" if policy == "throw" else "return false;",
    )
    start, moved = names.integer(1, 10) * 10, names.integer(1, 10) * 10
    balance = f"{variable}.getBalance()"
    steps: list[str | Claim] = [names.construct(name, variable, start)]
    focal = names.pick(put, put, take, take, take, "getBalance")
    if focal == "getBalance":
        return Scenario(name, body, focal, tuple(steps), equal(start, balance, type_), "return start")
    if focal == put and names.chance(0.35):
        steps.append(f"{type_} {amount} = {names.pick(0, -moved)};")
        claim = throws("IllegalArgumentException", f"{variable}.{put}({amount})")
        return Scenario(name, body, focal, tuple(steps), claim, f"validate {amount}")
    if focal == take and names.chance(0.6):
        steps.append(f"{type_} {amount} = {moved};")
        call = f"{variable}.{take}({amount})"
        if moved > start and policy == "throw":
            return Scenario(name, body, focal, tuple(steps), throws(exception, call), "check funds")
        return Scenario(name, body, focal, tuple(steps), verdict(moved <= start, call), "check funds")
    if focal == take:
        moved = min(moved, start)
    steps.append(f"{variable}.{focal}({moved});")
    left = start + moved if focal == put else start - moved
    claim = equal(left, balance, type_, guessable=False)
    return Scenario(name, body, focal, tuple(steps), claim, "change balance")


@family(weight=0.8)
def event_log(names: NameSource) -> Scenario:
    """Messages joined into one text."""
    noun = names.noun()
    name = names.class_name(noun, "Log", "Journal", "Trace")
    variable = names.variable(name)
    write = names.pick("log", "write", "append", "note")
    separator = names.pick(";", "|", ",", " ")
    body = java.fill(
        """
        private final StringBuilder lines = new StringBuilder();

        private String last;

        public void $write(String $noun) {
            if (lines.length() > 0) {
                lines.append("$separator");
            }
            lines.append($noun);
            last = $noun;
        }

        public String text() {
            return lines.toString();
        }

        public String last() {
            return last;
        }
        """,
        write=write,
        noun=noun,
        separator=separator,
    )
    values = names.words(names.integer(0, 3))
    focal = names.pick(write, write, "last")
    values = values or (names.words(1) if focal == write else [])
    steps = [names.construct(name, variable), *(f"{variable}.{write}({java.text(value)});" for value in values)]
    if focal == write:
        claim = equal_text(separator.join(values), f"{variable}.text()", guessable=False)
        return Scenario(name, body, focal, tuple(steps), claim, f"join {java.plural(noun)}")
    claim = equal_text(values[-1] if values else None, f"{variable}.last()")
    return Scenario(name, body, focal, tuple(steps), claim, f"return {noun}", "" if values else "when empty")
