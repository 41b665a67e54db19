"""Command-line options made of the settings: each key of the config is one, under the original's name too."""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from assertkd.settings.load import SECTIONS
from assertkd.settings.option_paths import Option, option_paths
from assertkd.settings.original import FLAG_VALUES, original_names

GIVEN = "key:"
"""Begins the destination of every option that is a key, so that those that were given can be told from others."""


def add_setting_options(parser: argparse.ArgumentParser, shown: Iterable[str], scripts: Sequence[str]) -> None:
    """Give a parser an option for every key of the config.

    Args:
        parser: of a stage's command; must not accept abbreviations.
        shown: sections that its help lists; options of the others are accepted too.
        scripts: original scripts whose option names are accepted where they mean one key alone.
    """
    names = original_names(list(scripts))
    for section, model in SECTIONS.items():
        group = (
            parser.add_argument_group(f"{section} (keys of config.yaml)", model.__doc__) if section in shown else None
        )
        for option in option_paths(section, model):
            add_setting(parser if group is None else group, option, names.get(option.key, []), hidden=group is None)


def given_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the given options set, nested as in the config."""
    settings: dict[str, Any] = {}
    for name, value in vars(options).items():
        if name.startswith(GIVEN):
            *sections, key = name.removeprefix(GIVEN).split(".")
            home = settings
            for section in sections:
                home = home.setdefault(section, {})
            home[key] = value
    return settings


def add_setting(
    parser: "argparse.ArgumentParser | argparse._ArgumentGroup",
    option: Option,
    names: Sequence[str] = (),
    hidden: bool = False,
) -> None:
    """Give a parser the option of one key, under further names too; a hidden one is not listed by its help."""
    common: dict[str, Any] = {
        "dest": f"{GIVEN}{option.key}",
        "default": argparse.SUPPRESS,
        "help": argparse.SUPPRESS if hidden else _help(option, names),
        "metavar": "VALUE",
        "type": yaml_value,
    }
    plain = [name for name in names if name not in FLAG_VALUES]
    options = [f"--{option.key}", *(f"--{name}" for name in plain)]
    if option.is_flag:
        parser.add_argument(*options, nargs="?", const=True, **common)
    elif option.is_list:
        parser.add_argument(*options, nargs="+", **common)
    else:
        parser.add_argument(*options, **common)
    for name in names:
        if name in FLAG_VALUES:
            # Its help stands with the option of the key.
            unlisted: Mapping[str, Any] = {"default": argparse.SUPPRESS, "help": argparse.SUPPRESS}
            parser.add_argument(
                f"--{name}", dest=f"{GIVEN}{option.key}", action="store_const", const=FLAG_VALUES[name], **unlisted
            )


def _help(option: Option, names: Sequence[str]) -> str:
    default = yaml.safe_dump(option.default, default_flow_style=True).removesuffix("\n...\n").strip()
    if isinstance(option.default, tuple):
        default = " ".join(map(str, option.default))
    flags = "".join(f" --{name}: {FLAG_VALUES[name]}." for name in names if name in FLAG_VALUES)
    # argparse takes % for a placeholder.
    return f"{option.meaning}{flags} ({option.values}; default: {default})".replace("%", "%%")


def yaml_value(text: str) -> Any:
    """Return an option's text as the config would read it: a number, true or false, null, a list, or text."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as fault:
        raise argparse.ArgumentTypeError(f"{text!r} is not YAML") from fault
