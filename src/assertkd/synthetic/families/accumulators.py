"""Families about objects that add up what they are told: counters, accounts, logs."""

from assertkd.synthetic import java
from assertkd.synthetic.families.registry import family
from assertkd.synthetic.name_source import NameSource
from assertkd.synthetic.scenario import Claim, Scenario, equal, equal_text, throws, verdict


@family(weight=1.1)
def counter(cast: NameSource) -> Scenario:
    """A counter with a step, a start and sometimes a floor."""
    noun = cast.noun()
    name = cast.class_name(noun, "Counter", "Meter", "Score")
    variable = cast.variable(name)
    verbs = cast.pick(("increment", "decrement"), ("up", "down"), ("gain", "lose"), ("add", "drop"))
    up, down = (cast.method(verb, noun) for verb in verbs)
    reset = cast.method("reset", noun)
    getter = cast.method(cast.pick("get", "value", "count"), noun)
    step, start = cast.pick(1, 1, 1, 2, 5), cast.pick(0, 0, 0, 10)
    floor = cast.chance(0.5)
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
    steps: list[str | Claim] = [cast.construct(name, variable)]
    if cast.chance(0.6) or start:
        steps.append(equal(start, value))
    focal = cast.pick(up, up, down, reset)
    ups = cast.integer(0 if focal == down else 1, 4)
    total = start + ups * step
    steps += [f"{variable}.{up}();"] * ups
    if focal == down:
        downs = cast.integer(1, 2)
        steps += [f"{variable}.{down}();"] * downs
        for _ in range(downs):
            total = max(0, total - step) if floor else total - step
    if focal == reset:
        steps.append(f"{variable}.{reset}();")
        total = start
    outcome = {up: "change count", down: "change count", reset: "restore start"}[focal]
    return Scenario(name, body, focal, tuple(steps), equal(total, value, guessable=False), outcome)


@family(weight=1.9)
def account(cast: NameSource) -> Scenario:
    """A balance with deposits and withdrawals."""
    noun = cast.noun()
    name = cast.class_name(noun, "Account", "Wallet", "Budget")
    variable = cast.variable(name)
    amount = cast.pick("amount", "cents", "points", "sum")
    verbs = cast.pick(("deposit", "withdraw"), ("credit", "debit"), ("earn", "spend"), ("save", "pay"))
    put, take = (cast.method(verb, noun) for verb in verbs)
    policy = cast.pick("throw", "throw", "false")
    type_ = cast.pick("int", "int", "long")
    exception = cast.pick("IllegalStateException", "IllegalArgumentException")
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
    start, moved = cast.integer(1, 10) * 10, cast.integer(1, 10) * 10
    balance = f"{variable}.getBalance()"
    steps: list[str | Claim] = [cast.construct(name, variable, start)]
    focal = cast.pick(put, put, take, take, take, "getBalance")
    if focal == "getBalance":
        return Scenario(name, body, focal, tuple(steps), equal(start, balance, type_), "return start")
    if focal == put and cast.chance(0.35):
        steps.append(f"{type_} {amount} = {cast.pick(0, -moved)};")
        claim = throws("IllegalArgumentException", f"{variable}.{put}({amount})")
        return Scenario(name, body, focal, tuple(steps), claim, f"validate {amount}")
    if focal == take and cast.chance(0.6):
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
def event_log(cast: NameSource) -> Scenario:
    """Messages joined into one text."""
    noun = cast.noun()
    name = cast.class_name(noun, "Log", "Journal", "Trace")
    variable = cast.variable(name)
    write = cast.pick("log", "write", "append", "note")
    separator = cast.pick(";", "|", ",", " ")
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
    values = cast.words(cast.integer(0, 3))
    focal = cast.pick(write, write, "last")
    values = values or (cast.words(1) if focal == write else [])
    steps = [cast.construct(name, variable), *(f"{variable}.{write}({java.text(value)});" for value in values)]
    if focal == write:
        claim = equal_text(separator.join(values), f"{variable}.text()", guessable=False)
        return Scenario(name, body, focal, tuple(steps), claim, f"join {java.plural(noun)}")
    claim = equal_text(values[-1] if values else None, f"{variable}.last()")
    return Scenario(name, body, focal, tuple(steps), claim, f"return {noun}", "" if values else "when empty")
