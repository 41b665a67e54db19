"""Families about keyed storage: registries, counts, inventories, caches."""

from assertkd.synthetic import java
from assertkd.synthetic.families.registry import family
from assertkd.synthetic.name_source import NameSource
from assertkd.synthetic.scenario import Claim, Scenario, equal, equal_text, throws, verdict


@family(weight=2.1)
def lookup(names: NameSource) -> Scenario:
    """A map from strings to strings with one of three policies for unknown keys."""
    key, value = names.noun(), names.noun()
    name = names.class_name(value, "Directory", "Lookup", "Settings")
    variable = names.variable(name)
    put, find = names.pick(("put", "get"), ("assign", "resolve"), ("store", "load"), ("bind", "find"))
    fallback = names.word()
    policy = names.pick("null", "default", "throw")
    entries = f"{value}By{java.capitalised(key)}"
    found = {
        "null": f"return {entries}.get({key});",
        "default": f"return {entries}.getOrDefault({key}, {java.text(fallback)});",
        "throw": f"if (!{entries}.containsKey({key})) {{\n        throw new IllegalArgumentException({key});\n    }}\n"
        f"    return {entries}.get({key});",
    }[policy]
    body = java.fill(
        """
        private final Map<String, String> $entries = new HashMap<>();

        public void $put(String $key, String $value) {
            $entries.put($key, $value);
        }

        public String $find(String $key) {
            $found
        }

        public boolean contains(String $key) {
            return $entries.containsKey($key);
        }

        public int size() {
            return $entries.size();
        }
        """,
        entries=entries,
        key=key,
        value=value,
        put=put,
        find=find,
        found=found,
    )
    keys = names.words(3)
    held: dict[str, str] = {}
    steps: list[str | Claim] = [names.construct(name, variable)]
    for _ in range(names.integer(1, 3)):
        chosen, word = names.pick(*keys), names.word()
        held[chosen] = word
        steps.append(f"{variable}.{put}({java.texts([chosen, word])});")
    focal = names.pick(put, find, find, find, "contains", "size")
    if focal in (put, "size"):
        claim = equal(len(held), f"{variable}.size()", guessable=focal == "size")
        return Scenario(name, body, focal, tuple(steps), claim, "replace same key")
    target = names.pick(*keys)
    steps.append(f"String {key} = {java.text(target)};")
    call = f"{variable}.{focal}({key})"
    if focal == "contains":
        return Scenario(name, body, focal, tuple(steps), verdict(target in held, call), f"know {key}")
    if target not in held and policy == "throw":
        return Scenario(name, body, focal, tuple(steps), throws("IllegalArgumentException", call), f"reject {key}")
    result = held.get(target, fallback if policy == "default" else None)
    return Scenario(name, body, focal, tuple(steps), equal_text(result, call), f"return {value}")


@family(weight=1.0)
def tally(names: NameSource) -> Scenario:
    """Occurrences counted by name."""
    item = names.noun()
    name = names.class_name(item, "Tally", "Statistics", "Votes")
    variable = names.variable(name)
    add, count = names.pick(("add", "count"), ("vote", "votes"), ("record", "countOf"), ("see", "seen"))
    body = java.fill(
        """
        private final Map<String, Integer> counts = new TreeMap<>();

        public void $add(String $item) {
            counts.merge($item, 1, Integer::sum);
        }

        public int $count(String $item) {
            return counts.getOrDefault($item, 0);
        }

        public int distinct() {
            return counts.size();
        }

        public String mostCommon() {
            String best = null;
            for (String $item : counts.keySet()) {
                if (best == null || $count($item) > $count(best)) {
                    best = $item;
                }
            }
            return best;
        }
        """,
        item=item,
        add=add,
        count=count,
    )
    pool = names.words(3)
    values = [names.pick(*pool) for _ in range(names.integer(0, 5))]
    steps = [names.construct(name, variable), *(f"{variable}.{add}({java.text(value)});" for value in values)]
    focal = names.pick(count, count, "distinct", "mostCommon")
    if focal == count:
        target = names.pick(*pool)
        steps.append(f"String {item} = {java.text(target)};")
        claim = equal(values.count(target), f"{variable}.{count}({item})")
        return Scenario(name, body, focal, tuple(steps), claim, f"count {item}")
    if focal == "distinct":
        return Scenario(
            name, body, focal, tuple(steps), equal(len(set(values)), f"{variable}.distinct()"), "skip repeats"
        )
    best = max(sorted(set(values)), key=values.count) if values else None
    return Scenario(name, body, focal, tuple(steps), equal_text(best, f"{variable}.mostCommon()"), "find winner")


@family(weight=1.3)
def inventory(names: NameSource) -> Scenario:
    """Quantities in stock, received and taken, with a policy for shortage."""
    item, amount = names.noun(), names.pick("quantity", "amount", "units", "pieces")
    name = names.class_name(item, "Inventory", "Stock", "Warehouse")
    variable = names.variable(name)
    add, take = names.pick(("add", "remove"), ("receive", "ship"), ("fill", "take"), ("deliver", "sell"))
    strict = names.chance(0.65)
    short = "throw new IllegalStateException();" if strict else "return false;"
    body = java.fill(
        """
        private final Map<String, Integer> stock = new HashMap<>();

        public void $add(String $item, int $amount) {
            stock.put($item, available($item) + $amount);
        }

        public boolean $take(String $item, int $amount) {
            if (available($item) < $amount) {
                $short
            }
            stock.put($item, available($item) - $amount);
            return true;
        }

        public int available(String $item) {
            return stock.getOrDefault($item, 0);
        }
        """,
        item=item,
        amount=amount,
        add=add,
        take=take,
        short=short,
    )
    word, other = names.words(2)
    first, second = names.integer(2, 12), names.integer(1, 12)
    steps: list[str | Claim] = [
        names.construct(name, variable),
        f"String {item} = {java.text(word)};",
        f"{variable}.{add}({item}, {first});",
    ]
    focal = names.pick(add, take, take, "available")
    stock = f"{variable}.available({item})"
    if focal == take:
        if names.chance(0.6):
            steps.append(f"int {amount} = {second};")
            call = f"{variable}.{take}({item}, {amount})"
            if second > first and strict:
                return Scenario(name, body, focal, tuple(steps), throws("IllegalStateException", call), "check stock")
            return Scenario(name, body, focal, tuple(steps), verdict(second <= first, call), "check stock")
        second = names.integer(1, first)
        steps.append(f"{variable}.{take}({item}, {second});")
        claim = equal(first - second, stock, guessable=False)
        return Scenario(name, body, focal, tuple(steps), claim, "reduce stock")
    if focal == add:
        steps.append(f"{variable}.{add}({item}, {second});")
        return Scenario(name, body, focal, tuple(steps), equal(first + second, stock, guessable=False), "sum amounts")
    if names.chance(0.5):
        steps[2] = f"{variable}.{add}({java.text(other)}, {first});"
        first = 0
    return Scenario(name, body, focal, tuple(steps), equal(first, stock), "report stock")


@family(weight=1.1)
def cache(names: NameSource) -> Scenario:
    """A bounded cache that drops its oldest entry and counts misses."""
    item = names.noun()
    name = names.class_name(item, "Cache", "Memory", "Store")
    variable = names.variable(name)
    capacity = names.integer(1, 3)
    refresh = names.chance(0.5)
    body = java.fill(
        """
        private final LinkedHashMap<String, Integer> entries = new LinkedHashMap<>();

        private final int capacity;

        private int misses;

        public $name(int capacity) {
            this.capacity = capacity;
        }

        public void put(String $item, int value) {
            $refresh
            entries.put($item, value);
            if (entries.size() > capacity) {
                entries.remove(entries.keySet().iterator().next());
            }
        }

        public Integer get(String $item) {
            if (!entries.containsKey($item)) {
                misses++;
            }
            return entries.get($item);
        }

        public int getMisses() {
            return misses;
        }
        """,
        item=item,
        name=name,
        refresh=f"entries.remove({item});" if refresh else f"Objects.requireNonNull({item});",
    )
    keys = names.words(3)
    puts = [(names.pick(*keys), names.round_number()) for _ in range(names.integer(1, 4))]
    held: dict[str, int] = {}
    steps = [names.construct(name, variable, capacity)]
    for key, value in puts:
        steps.append(f"{variable}.put({java.text(key)}, {value});")
        if refresh:
            held.pop(key, None)
        held[key] = value
        if len(held) > capacity:
            del held[next(iter(held))]
    focal = names.pick("put", "put", "get", "getMisses")
    if focal == "getMisses":
        asked = [names.pick(*keys) for _ in range(names.integer(1, 3))]
        steps += [f"{variable}.get({java.text(key)});" for key in asked]
        misses = sum(key not in held for key in asked)
        return Scenario(name, body, focal, tuple(steps), equal(misses, f"{variable}.getMisses()"), "count misses")
    target = names.pick(*keys)
    call = f"{variable}.get({java.text(target)})"
    if target in held and names.chance(0.7):
        steps.append(f"int value = {call};")
        return Scenario(name, body, focal, tuple(steps), equal(held[target], "value"), f"return {item}")
    steps.append(f"Integer value = {call};")
    kind = "assertNotNull" if target in held else "assertNull"
    return Scenario(name, body, focal, tuple(steps), Claim(kind, "value"), "drop eldest")
