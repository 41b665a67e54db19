"""Command-line options for the settings: one for each key of the config, under the original's name too."""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from assertkd.errors import UserError
from assertkd.layout import stage_folder
from assertkd.settings import RunSettings, load_run
from assertkd.settings.document import Option, option_paths
from assertkd.settings.load import SECTIONS
from assertkd.settings.original import FLAG_VALUES, original_names
from assertkd.settings.section import merged_over
from assertkd.settings.yaml_text import parse_yaml

KEY_PREFIX = "key:"
"""Prefix of an option's destination, which marks it as a key of the config."""


def add_setting_options(parser: argparse.ArgumentParser, shown: Iterable[str], scripts: Sequence[str]) -> None:
    """Give a parser an option for every key of the config.

    Args:
        parser: of a stage's command; must not accept abbreviations.
        shown: sections in its help; the options of the others are accepted too, but hidden.
        scripts: original scripts whose option names are accepted if they mean a single key.
    """
    names = original_names(list(scripts))
    for section, model in SECTIONS.items():
        is_shown = section in shown
        title = f"{section} (keys of config.yaml)"
        group = parser.add_argument_group(title, model.__doc__) if is_shown else parser
        for option in option_paths(section, model):
            add_setting(group, option, names.get(option.key, []), hidden=not is_shown)


def add_run_choice(parser: argparse.ArgumentParser) -> None:
    """Give a parser the options that name a config file and a run of it."""
    parser.add_argument("--configfile", type=Path, default=Path("config.yaml"), help="default: config.yaml")
    parser.add_argument(
        "--run", dest="run_name", metavar="RUN", help="entry of `runs` (default: the one that the config names)"
    )


def check_outside_stages(path: Path, option: str) -> None:
    """Refuse to write where the workflow alone writes, so that no finished result of a run is replaced.

    Args:
        path: where a command is to write.
        option: that names the path.

    Raises:
        UserError: the path lies in the folder of a run's stage.
    """
    folder = stage_folder(path)
    if folder is not None:
        raise UserError(
            f"{option} {path}: {folder} has results of the workflow, and only it writes there",
            f"Name a place outside of it with {option}.",
        )


def resettable(scripts: Sequence[str]) -> dict[str, str]:
    """Return what `--reset` accepts, to its place in the config: keys, sections, and keys' original names."""
    keys = [option.key for section, model in SECTIONS.items() for option in option_paths(section, model)]
    sections = {".".join(parts[:n]) for key in keys if (parts := key.split(".")) for n in range(1, len(parts))}
    original = {name: key for key, names in original_names(list(scripts)).items() for name in names}
    return {place: place for place in ["seeds", *keys, *sections]} | original


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings on the command line, nested as in the config."""
    settings: dict[str, Any] = {}
    for name, value in vars(options).items():
        if name.startswith(KEY_PREFIX):
            for part in reversed(name.removeprefix(KEY_PREFIX).split(".")):
                value = {part: value}
            settings = merged_over(settings, value)
    return settings


def run_of_options(options: argparse.Namespace) -> RunSettings:
    """Return a run of the settings on the command line alone, for commands that have no run.

    Raises:
        UserError: a setting has a bad value, said as in any run.
    """
    alone = {"run": "alone", "runs": {"alone": {}}, "variants": {"none": {}}}
    return load_run({**alone, **settings_of(options)}, "the options")


def add_setting(
    parser: argparse._ActionsContainer, option: Option, names: Sequence[str] = (), hidden: bool = False
) -> None:
    """Give a parser the option of one key, under further names too; its help does not list a hidden one."""
    common: dict[str, Any] = {
        "dest": f"{KEY_PREFIX}{option.key}",
        "default": argparse.SUPPRESS,
        "help": argparse.SUPPRESS if hidden else _help(option, names),
        "metavar": "VALUE",
        "type": yaml_value,
    }
    options = [name for name in (option.key, *names) if name not in FLAG_VALUES]
    if option.is_flag:
        common |= {"nargs": "?", "const": True}
    elif option.is_list:
        common["nargs"] = "+"
    parser.add_argument(*(f"--{name}" for name in options), **common)
    # The key's option has the help for these.
    flag = {"dest": common["dest"], "action": "store_const", "default": argparse.SUPPRESS, "help": argparse.SUPPRESS}
    if option.is_flag:
        parser.add_argument(*(f"--no-{name}" for name in options), const=False, **flag)
    for name in names:
        if name in FLAG_VALUES:
            parser.add_argument(f"--{name}", const=FLAG_VALUES[name], **flag)
            parser.add_argument(f"--no-{name}", const=option.default, **flag)


def _help(option: Option, names: Sequence[str]) -> str:
    default = yaml.safe_dump(option.default, default_flow_style=True).removesuffix("\n...\n").strip()
    if isinstance(option.default, tuple):
        default = " ".join(map(str, option.default))
    flags = "".join(f" --{name}: {FLAG_VALUES[name]}." for name in names if name in FLAG_VALUES)
    flags += f" --no-{option.key}: false." if option.is_flag else ""
    # argparse takes % for a placeholder.
    return f"{option.meaning}{flags} ({option.values}; default: {default})".replace("%", "%%")


def yaml_value(text: str) -> Any:
    """Return the value of an option's text, read as YAML like the config."""
    try:
        return parse_yaml(text, "the value")
    except UserError as fault:
        raise argparse.ArgumentTypeError(fault.problem) from fault
