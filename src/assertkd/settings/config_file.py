"""Config files: YAML read with every fault named by file and line, and found before Snakemake reads the file.

Of two equal keys YAML's own reader takes the last. Snakemake reads a file of `--configfile` before any code of the
project runs, and ends in a traceback where it is broken. The profiles therefore call `check_command_line`.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from assertkd.errors import UserError
from assertkd.settings.section import merged_over

MAX_BYTES = 1_000_000
"""Size of a config file; the shipped one has 9,000."""

MAX_VALUES = 100_000
"""Keys and values of a file with every alias written out; the shipped one has 1,000."""

MAX_DEPTH = 40
"""Levels of a file; the shipped one has 7."""

MAX_DIGITS = 40
"""Characters of a number."""

YTE_KEY = "__use_yte__"
"""Makes Snakemake take a config for a template with Python code."""

SECTIONS_OF_NAMES = ("runs", "variants")
"""Keys of the config that hold entries by the names that users give them."""

REMEDY = "Correct that line."
SCALARS = ("int", "float", "bool", "null", "timestamp")


class ConfigFault(yaml.MarkedYAMLError):
    """What is valid YAML and no valid config."""


class ConfigLoader(yaml.SafeLoader):
    """Reads YAML as `yaml.SafeLoader` does; ConfigFault for what no config needs or what has two meanings."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Return the next node, and bound the depth of the file and its size with aliases written out."""
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _fault(f"more than {MAX_DEPTH} levels", mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        if node is None:
            return node
        if id(node) not in self._sizes:
            if isinstance(node, yaml.ScalarNode):
                self._sizes[id(node)] = 1
            elif node.end_mark is None:
                # An alias inside the value that it stands for.
                raise _fault("the alias is part of what it stands for", mark)
            else:
                self._sizes[id(node)] = 1 + sum(self._sizes[id(child)] for child in _children(node))
        if self._sizes[id(node)] > MAX_VALUES:
            raise _fault(f"more than {MAX_VALUES:,} values with its aliases written out", mark)
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Return the next mapping, which has every key once and names that are read as they are written."""
        node = super().compose_mapping_node(anchor)
        seen: dict[str, yaml.Mark] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _fault("a key is a name, not a list or further keys", key.start_mark)
            if key.value in seen:
                first = seen[key.value].line + 1
                raise _fault(f"the key `{key.value}` stands twice, first in line {first}", key.start_mark)
            seen[key.value] = key.start_mark
            if key.tag.removeprefix("tag:yaml.org,2002:") in SCALARS:
                value = self.construct_object(key)
                if str(value) != key.value:
                    raise _fault(f"the key `{key.value}` is read as {value!r}: put it in quotes", key.start_mark)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Return the value of a node."""
        if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:int" and len(node.value) > MAX_DIGITS:
            raise _fault(f"a number of {len(node.value):,} digits", node.start_mark)
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError) as fault:
            raise _fault(str(fault), node.start_mark) from None
        except (LookupError, AttributeError):
            # Of a tag, as in `!!int ""`, PyYAML does not ask whether the text is such a value.
            raise _fault(f"{node.value!r} is no {node.tag.rpartition(':')[2]}", node.start_mark) from None


def parse_yaml(text: str, place: str) -> Any:
    """Return the value of a YAML text; each place of an alias has a value of its own.

    Args:
        text: the text.
        place: what holds it, for messages.

    Raises:
        UserError: the text is not YAML, has a key twice, or is larger or deeper than any config; the line is named.
    """
    try:
        return _own(ConfigLoader(text).get_single_data())
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        line = "" if mark is None else f":{mark.line + 1}"
        problem = ": ".join(part for part in (fault.context, fault.problem) if part)
        if not isinstance(fault, ConfigFault):
            problem = f"not valid YAML ({problem})"
        raise UserError(f"{place}{line}: {problem}", REMEDY) from None
    except yaml.reader.ReaderError as fault:
        line = f":{text.count(chr(10), 0, fault.position) + 1}"
        code = f"U+{fault.character:04X}" if isinstance(fault.character, int) else repr(fault.character)
        raise UserError(f"{place}{line}: holds the control character {code}", REMEDY) from None


def load_config(path: Path) -> dict[str, Any]:
    """Return the mapping that the YAML file at `path` holds; each place of a YAML anchor has a mapping of its own.

    Raises:
        UserError: the file cannot be read, is not YAML, has a key twice, or holds no mapping; the line is named.
    """
    try:
        with path.open("rb") as handle:
            content = handle.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file", "Name an existing config file.") from None
    except OSError as fault:
        raise UserError(f"{path}: cannot be read ({fault.strerror})", "Name a config file that can be read.") from None
    if len(content) > MAX_BYTES:
        raise UserError(f"{path}: larger than {MAX_BYTES / 1e6:g} MB", "Name a config file; this is something else.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = content.count(b"\n", 0, fault.start) + 1
        raise UserError(f"{path}:{line}: not UTF-8", "Save the file as UTF-8.") from None
    config = parse_yaml(text, str(path))
    if not isinstance(config, dict):
        raise UserError(f"{path}: holds no keys", "Start from the config.yaml of the project.")
    if YTE_KEY in config:
        raise UserError(f"{path}: {YTE_KEY} would have Snakemake run code in it", "Remove the key; write plain values.")
    return with_text_names(merged_over({}, config))


def whole_config(files: Iterable[Path | str], options: Sequence[str]) -> dict[str, Any]:
    """Return the config of these files and of Snakemake's `--config`, whose values are read as those of a file are.

    Snakemake reads what stands below a key of `--config` as texts, `null` and `false` too; and a name as a number in
    one place and as a text in another.

    Args:
        files: each over those before it.
        options: texts `key=value`, over all files.

    Raises:
        UserError: a file or a value is no config.
    """
    config: dict[str, Any] = {}
    for file in files:
        config = merged_over(config, load_config(Path(file)))
    for option in options:
        key, _, value = option.partition("=")
        # A run may be called `on` or 007.
        given = value if key == "run" else parse_yaml(value, f"--config {key}")
        config = merged_over(config, with_text_names({key: given}))
    return config


def with_text_names(config: dict[str, Any]) -> dict[str, Any]:
    """Return a config in which runs and variants are named by texts, where YAML read a number."""
    named = {key: config[key] for key in SECTIONS_OF_NAMES if isinstance(config.get(key), dict)}
    return config | {key: {str(name): value for name, value in section.items()} for key, section in named.items()}


def check_config_files(paths: Iterable[Path | str]) -> None:
    """Read config files as `load_config` does, for its faults.

    Raises:
        UserError: the first fault.
    """
    for path in paths:
        load_config(Path(path))


def check_command_line() -> None:
    """Check the files of `--configfile` among this process's arguments; end it with two lines at the first fault."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--configfile", "--configfiles", nargs="+", default=[], dest="files")
    try:
        check_config_files(parser.parse_known_args(sys.argv[1:])[0].files)
    except UserError as fault:
        print(f"Error: {fault}", file=sys.stderr)
        raise SystemExit(1) from None


def _fault(problem: str, mark: Any) -> ConfigFault:
    return ConfigFault(problem=problem, problem_mark=mark)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value)


def _own(value: Any) -> Any:
    """Return a value of which each list and mapping stands in one place only."""
    if isinstance(value, dict):
        return {key: _own(one) for key, one in value.items()}
    return [_own(one) for one in value] if isinstance(value, list) else value
