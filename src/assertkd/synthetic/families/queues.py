"""Families about sequences with two ends: stacks, queues, ring buffers, iterators."""

from assertkd.synthetic import java
from assertkd.synthetic.families.registry import family
from assertkd.synthetic.name_source import NameSource
from assertkd.synthetic.scenario import Claim, Scenario, equal, equal_text, throws, verdict


@family(weight=1.9)
def stack(names: NameSource) -> Scenario:
    """Last in, first out, with one of three policies for an empty stack."""
    item = names.noun()
    name = names.class_name(item, "Stack", "Pile", "History")
    variable = names.variable(name)
    push, pop = names.pick(("push", "pop"), ("add", "removeLast"), ("put", "take"), ("place", "lift"))
    top = names.pick("peek", "top", "last")
    policy = names.pick("null", "throw", "blank")
    empty = {
        "null": "return null;",
        "throw": f"throw new {names.pick('IllegalStateException', 'NoSuchElementException')}();",
        "blank": 'return "";',
    }[policy]
    body = java.fill(
        """
        private final List<String> $items = new ArrayList<>();

        public void $push(String $item) {
            $items.add($item);
        }

        public String $pop() {
            if ($items.isEmpty()) {
                $empty
            }
            return $items.remove($items.size() - 1);
        }

        public String $top() {
            if ($items.isEmpty()) {
                $empty
            }
            return $items.get($items.size() - 1);
        }

        public int size() {
            return $items.size();
        }

        public boolean isEmpty() {
            return $items.isEmpty();
        }
        """,
        item=item,
        items=java.plural(item),
        push=push,
        pop=pop,
        top=top,
        empty=empty,
    )
    values = names.words(names.integer(0, 4))
    steps: list[str | Claim] = [names.construct(name, variable), *names.calls(variable, push, values)]
    focal = names.pick(push, pop, top, top)
    condition = f"after {push}" if values else "when empty"
    if focal == push:
        values.append(names.word())
        if names.chance(0.4):
            steps.insert(1, equal(0, f"{variable}.size()"))
        steps += names.calls(variable, push, values[-1:])
        if names.chance(0.5):
            claim, outcome = equal(len(values), f"{variable}.size()", guessable=False), "change size"
        else:
            claim, outcome = equal_text(values[-1], f"{variable}.{top}()", guessable=False), "keep last"
        return Scenario(name, body, focal, tuple(steps), claim, outcome, "")
    if focal == pop and len(values) > 1 and names.chance(0.6):
        steps.append(f"{variable}.{pop}();")
        values.pop()
        kind = names.pick("size", "empty", "top")
        if kind == "size":
            claim, outcome = equal(len(values), f"{variable}.size()", guessable=False), "change size"
        elif kind == "empty":
            claim, outcome = verdict(not values, f"{variable}.isEmpty()", guessable=False), "remove one"
        else:
            claim, outcome = equal_text(values[-1], f"{variable}.{top}()", guessable=False), "show next"
        return Scenario(name, body, focal, tuple(steps), claim, outcome, condition)
    if values:
        claim, outcome = equal_text(values[-1], f"{variable}.{focal}()"), "return last"
    elif policy == "throw":
        claim, outcome = throws(empty.split()[2].rstrip("();"), f"{variable}.{focal}()"), "fail"
    else:
        claim, outcome = equal_text(None if policy == "null" else "", f"{variable}.{focal}()"), "handle nothing"
    return Scenario(name, body, focal, tuple(steps), claim, outcome, condition)


@family(weight=2.0)
def queue(names: NameSource) -> Scenario:
    """First in, first out, with a capacity."""
    item = names.noun()
    name = names.class_name(item, "Queue", "Line", "Backlog")
    variable = names.variable(name)
    offer, poll = names.pick(("offer", "poll"), ("enqueue", "dequeue"), ("submit", "next"), ("append", "removeFirst"))
    capacity = names.integer(1, 4)
    body = java.fill(
        """
        private final LinkedList<String> $items = new LinkedList<>();

        private final int capacity;

        public $name(int capacity) {
            this.capacity = capacity;
        }

        public boolean $offer(String $item) {
            if ($items.size() >= capacity) {
                return false;
            }
            $items.addLast($item);
            return true;
        }

        public String $poll() {
            return $items.isEmpty() ? null : $items.removeFirst();
        }

        public int remaining() {
            return capacity - $items.size();
        }
        """,
        item=item,
        items=java.plural(item),
        name=name,
        offer=offer,
        poll=poll,
    )
    focal = names.pick(offer, poll, poll, "remaining")
    values = names.words(names.integer(0, capacity if focal == poll else 4))
    steps: list[str | Claim] = [names.construct(name, variable, capacity), *names.calls(variable, offer, values)]
    held = values[:capacity]
    if focal == "remaining":
        claim = equal(capacity - len(held), f"{variable}.remaining()")
        return Scenario(name, body, focal, tuple(steps), claim, "count free places")
    if focal == offer:
        value = names.word()
        accepted = len(held) < capacity
        if names.chance(0.5):
            steps.append(f"String {item} = {java.text(value)};")
            claim = verdict(accepted, f"{variable}.{offer}({item})")
        else:
            claim = verdict(accepted, f"{variable}.{offer}({java.text(value)})", guessable=False)
        return Scenario(name, body, focal, tuple(steps), claim, names.pick("check capacity", "respect limit"))
    taken = names.integer(0, min(2, len(held)))
    steps += [f"{variable}.{poll}();"] * taken
    left = held[taken:]
    claim = equal_text(left[0] if left else None, f"{variable}.{poll}()")
    return Scenario(name, body, focal, tuple(steps), claim, "keep order", "" if left else "when empty")


@family(weight=0.8)
def ring_buffer(names: NameSource) -> Scenario:
    """The last few numbers written, older ones overwritten."""
    noun = names.noun()
    amount = names.compound(noun)
    name = names.class_name(noun, "Ring", "Window", "Buffer")
    variable = names.variable(name)
    verbs = names.pick(("add", "oldest", "newest"), ("record", "first", "last"), ("write", "tail", "head"))
    add, oldest, newest = (names.method(verb, noun) for verb in verbs)
    size = names.method("size", noun)
    capacity = names.integer(2, 4)
    body = java.fill(
        """
        private final int[] slots;

        private int written;

        public $name(int capacity) {
            slots = new int[capacity];
        }

        public void $add(int $amount) {
            slots[written % slots.length] = $amount;
            written++;
        }

        public int $oldest() {
            return written < slots.length ? slots[0] : slots[written % slots.length];
        }

        public int $newest() {
            return slots[(written - 1) % slots.length];
        }

        public int $size() {
            return Math.min(written, slots.length);
        }
        """,
        amount=amount,
        name=name,
        add=add,
        size=size,
        oldest=oldest,
        newest=newest,
    )
    values = [names.integer(1, 99) for _ in range(names.integer(1, 5))]
    steps = [names.construct(name, variable, capacity), *(f"{variable}.{add}({value});" for value in values)]
    focal = names.pick(oldest, newest, size)
    kept = values[-capacity:]
    expected = {oldest: kept[0], newest: kept[-1], size: len(kept)}[focal]
    outcome = {oldest: "drop old", newest: "return latest", size: "stay bounded"}[focal]
    return Scenario(name, body, focal, tuple(steps), equal(expected, f"{variable}.{focal}()"), outcome)


@family(weight=1.0)
def cursor(names: NameSource) -> Scenario:
    """An iterator over a few strings that ends or starts over."""
    item = names.noun()
    items = java.plural(item)
    name = names.class_name(item, "Iterator", "Cursor", "Reader")
    variable = names.variable(name)
    circular = names.chance(0.4)
    body = java.fill(
        """
        private final String[] $items;

        private int position;

        public $name(String... $items) {
            this.$items = $items;
        }

        public boolean hasNext() {
            return position < $items.length;
        }

        public String next() {
            $step
            return $items[position++];
        }
        """,
        item=item,
        items=items,
        name=name,
        step=f"if (position == {items}.length) {{\n        "
        + ("position = 0;" if circular else "throw new NoSuchElementException();")
        + "\n    }",
    )
    values = names.words(names.integer(1, 3))
    moves = names.integer(0, len(values))
    steps = [names.construct(name, variable, java.texts(values)), *[f"{variable}.next();"] * moves]
    if names.chance(0.4):
        claim = verdict(moves < len(values), f"{variable}.hasNext()")
        return Scenario(name, body, "hasNext", tuple(steps), claim, "see the end", implements="Iterator<String>")
    call = f"{variable}.next()"
    if moves == len(values) and not circular:
        claim, outcome = throws("NoSuchElementException", call), "stop"
    else:
        claim, outcome = equal_text(values[moves % len(values)], call), "advance"
    return Scenario(name, body, "next", tuple(steps), claim, outcome, implements="Iterator<String>")
