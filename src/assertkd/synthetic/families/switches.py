"""Families about objects with a few states: machines, switches, retries."""

from assertkd.synthetic import java
from assertkd.synthetic.families.registry import family
from assertkd.synthetic.name_source import NameSource
from assertkd.synthetic.scenario import Claim, Scenario, equal, throws, verdict


@family(weight=1.5)
def state_machine(names: NameSource) -> Scenario:
    """Three states in a fixed order, with a policy for moves out of turn."""
    noun = names.noun()
    name = names.class_name(noun, "Workflow", "Process", "Lifecycle")
    variable = names.variable(name)
    states, verbs = names.pick(
        (("NEW", "RUNNING", "DONE"), ("start", "finish")),
        (("DRAFT", "REVIEW", "PUBLISHED"), ("submit", "approve")),
        (("OPEN", "PAID", "CLOSED"), ("pay", "close")),
        (("IDLE", "ACTIVE", "STOPPED"), ("activate", "stop")),
        (("CREATED", "PACKED", "SENT"), ("pack", "send")),
    )
    moves = [names.method(verb, noun) for verb in verbs]
    strict = names.chance(0.7)
    refused = "throw new IllegalStateException();" if strict else "return false;"
    body = java.fill(
        """
        public enum State { $first, $second, $third }

        private State state = State.$first;

        public boolean $move() {
            if (state != State.$first) {
                $refused
            }
            state = State.$second;
            return true;
        }

        public boolean $end() {
            if (state != State.$second) {
                $refused
            }
            state = State.$third;
            return true;
        }

        public State getState() {
            return state;
        }

        public boolean isOver() {
            return state == State.$third;
        }
        """,
        first=states[0],
        second=states[1],
        third=states[2],
        move=moves[0],
        end=moves[1],
        refused=refused,
    )
    focal = names.pick(*moves, "isOver", "getState")
    steps: list[str | Claim] = [names.construct(name, variable)]
    done = names.integer(0, 2)
    if focal == "isOver":
        steps += [f"{variable}.{move}();" for move in moves[:done]]
        return Scenario(name, body, focal, tuple(steps), verdict(done == 2, f"{variable}.isOver()"), "show state")
    if focal == "getState":
        done = names.integer(1, 2)
        steps.append(equal(f"{name}.State.{states[0]}", f"{variable}.getState()", f"{name}.State"))
        steps += [f"{variable}.{move}();" for move in moves[:done]]
        steps.append(f"boolean over = {variable}.isOver();")
        return Scenario(name, body, focal, tuple(steps), verdict(done == 2, "over"), "show state")
    place = moves.index(focal)
    if names.chance(0.45):
        steps += [f"{variable}.{move}();" for move in moves[: place + 1]]
        claim = equal(f"{name}.State.{states[place + 1]}", f"{variable}.getState()", f"{name}.State", guessable=False)
        return Scenario(name, body, focal, tuple(steps), claim, "change state")
    steps += [f"{variable}.{move}();" for move in moves[:done]]
    call = f"{variable}.{focal}()"
    if place != done and strict:
        return Scenario(name, body, focal, tuple(steps), throws("IllegalStateException", call), "guard order")
    return Scenario(name, body, focal, tuple(steps), verdict(place == done, call), "guard order")


@family(weight=1.7)
def toggle(names: NameSource) -> Scenario:
    """A switch that is turned on, off or over."""
    noun = names.noun()
    name = names.class_name(noun, "Toggle", "Lamp", "Feature", "Lock")
    variable = names.variable(name)
    verbs = names.pick(
        ("turnOn", "turnOff", "toggle", "isOn"),
        ("enable", "disable", "flip", "isEnabled"),
        ("open", "close", "swing", "isOpen"),
        ("lock", "unlock", "turn", "isLocked"),
    )
    on, off, flip, is_on = (names.method(verb, noun) for verb in verbs)
    start = names.chance(0.4)
    body = java.fill(
        """
        private boolean $field = $start;

        public void $on() {
            $field = true;
        }

        public void $off() {
            $field = false;
        }

        public void $flip() {
            $field = !$field;
        }

        public boolean $is_on() {
            return $field;
        }
        """,
        field=java.uncapitalised(is_on[2:]),
        start=java.boolean(start),
        on=on,
        off=off,
        flip=flip,
        is_on=is_on,
    )
    focal = names.pick(on, off, flip, flip)
    check = f"{variable}.{is_on}()"
    steps: list[str | Claim] = [names.construct(name, variable)]
    if focal == flip:
        flips = names.integer(1, 3)
        start_known: list[str | Claim] = [verdict(start, check)]
        if names.chance(0.4):
            start = names.chance(0.5)
            start_known = [f"{variable}.{on if start else off}();"]
        steps += [*start_known, *[f"{variable}.{flip}();"] * flips]
        value = start ^ (flips % 2 == 1)
    else:
        moves = [names.pick(on, off) for _ in range(names.integer(0, 1))] + [focal]
        if names.chance(0.3):
            moves.append(names.pick(on, off))
        steps += [f"{variable}.{move}();" for move in moves]
        value = moves[-1] == on
    return Scenario(name, body, focal, tuple(steps), verdict(value, check, guessable=False), "change state")


@family(weight=1.1)
def retries(names: NameSource) -> Scenario:
    """Failures counted against a limit."""
    noun = names.noun()
    name = names.class_name(noun, "Retry", "Guard", "Attempts")
    variable = names.variable(name)
    verbs = names.pick(("fail", "canRetry"), ("failed", "isAllowed"), ("miss", "hasChance"))
    fail, may = (names.method(verb, noun) for verb in verbs)
    left = names.method("left", noun)
    succeed = names.method("succeed", noun)
    limit = names.integer(1, 4)
    body = java.fill(
        """
        private final int limit;

        private int failures;

        public $name(int limit) {
            this.limit = limit;
        }

        public void $fail() {
            failures++;
        }

        public void $succeed() {
            failures = 0;
        }

        public boolean $may() {
            return failures < limit;
        }

        public int $left() {
            return Math.max(0, limit - failures);
        }
        """,
        name=name,
        fail=fail,
        may=may,
        left=left,
        succeed=succeed,
    )
    steps = [names.construct(name, variable, limit)]
    failures = names.integer(0, 4)
    steps += [f"{variable}.{fail}();"] * failures
    focal = names.pick(may, may, left, succeed)
    if focal == succeed or names.chance(0.15):
        steps.append(f"{variable}.{succeed}();")
        failures = 0
    rest = equal(max(0, limit - failures), f"{variable}.{left}()", guessable=focal == left)
    claim = verdict(failures < limit, f"{variable}.{may}()") if focal == may else rest
    return Scenario(name, body, focal, tuple(steps), claim, "count failures")
