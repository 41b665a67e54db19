"""Families about lists and sets: positions, membership, copies."""

from assertkd.synthetic import java
from assertkd.synthetic.families.registry import family
from assertkd.synthetic.name_source import NameSource
from assertkd.synthetic.scenario import Claim, Scenario, equal, equal_text, throws, verdict


@family(weight=1.6)
def indexed_list(names: NameSource) -> Scenario:
    """A list asked by position and by value."""
    item = names.noun()
    items = java.plural(item)
    name = names.class_name(item, "List", "Catalog", "Roster")
    variable = names.variable(name)
    find = f"{names.pick('indexOf', 'positionOf', 'find')}{java.capitalised(item)}"
    at = names.pick("get", "at", "pick")
    outside = names.pick("return null;", "throw new IndexOutOfBoundsException();")
    body = java.fill(
        """
        private final List<String> $items;

        public $name(String... $items) {
            this.$items = new ArrayList<>(Arrays.asList($items));
        }

        public int $find(String $item) {
            for (int i = 0; i < $items.size(); i++) {
                if ($items.get(i).equals($item)) {
                    return i;
                }
            }
            return -1;
        }

        public String $at(int index) {
            if (index < 0 || index >= $items.size()) {
                $outside
            }
            return $items.get(index);
        }

        public boolean remove(String $item) {
            return $items.remove($item);
        }

        public List<String> firstTwo() {
            return $items.subList(0, Math.min(2, $items.size()));
        }
        """,
        item=item,
        items=items,
        name=name,
        find=find,
        at=at,
        outside=outside,
    )
    values = names.words(names.integer(1, 4))
    absent = names.word()
    steps = [names.construct(name, variable, java.texts(values))]
    focal = names.pick(find, at, at, "remove", "firstTwo")
    if focal == "firstTwo":
        expected = f"Arrays.asList({java.texts(values[:2])})"
        claim = equal(expected, f"{variable}.firstTwo()", "List<String>")
        return Scenario(name, body, focal, tuple(steps), claim, "limit to two")
    if focal == at:
        index = names.integer(0, len(values))
        steps.append(f"int index = {index};")
        call = f"{variable}.{at}(index)"
        if index == len(values) and "throw" in outside:
            return Scenario(name, body, focal, tuple(steps), throws("IndexOutOfBoundsException", call), "reject index")
        value = values[index] if index < len(values) else None
        return Scenario(name, body, focal, tuple(steps), equal_text(value, call), f"return {item}")
    target = names.pick(*values, absent)
    steps.append(f"String {item} = {java.text(target)};")
    if focal == find:
        index = values.index(target) if target in values else -1
        claim = equal(index, f"{variable}.{find}({item})")
        return Scenario(name, body, focal, tuple(steps), claim, "return position")
    claim = verdict(target in values, f"{variable}.remove({item})")
    return Scenario(name, body, focal, tuple(steps), claim, "report change")


@family(weight=1.8)
def unique_set(names: NameSource) -> Scenario:
    """A set of strings that may ignore case."""
    item = names.noun()
    items = java.plural(item)
    name = names.class_name(item, "Set", "Group", "Registry")
    variable = names.variable(name)
    add = names.pick("add", "register", "include", "join")
    has = names.pick("contains", "has", "knows")
    focal = names.pick(add, has, has, "count", "smallest")
    folded = focal == add and names.chance(0.4)
    body = java.fill(
        """
        private final Set<String> $items = new TreeSet<>();

        public boolean $add(String $item) {
            return $items.add($item$change);
        }

        public boolean $has(String $item) {
            return $items.contains($item);
        }

        public int count() {
            return $items.size();
        }

        public String smallest() {
            return $items.isEmpty() ? null : $items.iterator().next();
        }
        """,
        item=item,
        items=items,
        add=add,
        has=has,
        change=".toLowerCase()" if folded else "",
    )
    pool = names.words(3)
    values = [names.pick(*pool) for _ in range(names.integer(1, 4))]
    stored = set(values)
    steps: list[str | Claim] = [names.construct(name, variable)]
    if focal == add:
        *earlier, last = values
        steps += names.calls(
            variable, add, [word.upper() if folded and names.chance(0.5) else word for word in earlier]
        )
        claim = verdict(last not in earlier, f"{variable}.{add}({java.text(last)})", guessable=False)
        return Scenario(name, body, focal, tuple(steps), claim, "detect duplicates")
    steps += names.calls(variable, add, values)
    if focal == has:
        target = names.pick(*pool)
        steps.append(f"String {item} = {java.text(target)};")
        claim = verdict(target in stored, f"{variable}.{has}({item})")
        return Scenario(name, body, focal, tuple(steps), claim, "look up")
    if focal == "count":
        claim = equal(len(stored), f"{variable}.count()")
        return Scenario(name, body, focal, tuple(steps), claim, "ignore duplicates")
    return Scenario(name, body, focal, tuple(steps), equal_text(min(stored), f"{variable}.smallest()"), "sort items")


@family(weight=0.7)
def defensive_copy(names: NameSource) -> Scenario:
    """A getter that gives away a copy, a read-only view or the list itself."""
    item = names.noun()
    items = java.plural(item)
    name = names.class_name(names.noun(), "Bundle", "Bag", "Folder")
    variable = names.variable(name)
    getter = f"get{java.capitalised(items)}"
    policy = names.pick("copy", "view", "live")
    value = {
        "copy": f"new ArrayList<>({items})",
        "view": f"Collections.unmodifiableList({items})",
        "live": items,
    }[policy]
    body = java.fill(
        """
        private final List<String> $items = new ArrayList<>();

        public void add(String $item) {
            $items.add($item);
        }

        public List<String> $getter() {
            return $value;
        }
        """,
        item=item,
        items=items,
        getter=getter,
        value=value,
    )
    values = names.words(names.integer(1, 2))
    steps: list[str | Claim] = [names.construct(name, variable), *names.calls(variable, "add", values)]
    steps.append(f"List<String> {items} = {variable}.{getter}();")
    if policy == "view":
        steps.append(throws("UnsupportedOperationException", f"{items}.clear()"))
    else:
        steps.append(f"{items}.clear();")
        values = values if policy == "copy" else []
    claim = equal(len(values), f"{variable}.{getter}().size()", guessable=False)
    return Scenario(name, body, getter, tuple(steps), claim, names.pick("guard content", f"list {items}"))
