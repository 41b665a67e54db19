"""Config files, read with every fault named by file and line, and what `--config` sets over them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from assertkd.errors import UserError
from assertkd.settings.section import merged_over
from assertkd.settings.yaml_text import parse_yaml

MAX_BYTES = 1_000_000
"""Size of a config file; the shipped one has 9,000."""

YTE_KEY = "__use_yte__"
"""Makes Snakemake take a config for a template with Python code."""

SECTIONS_OF_NAMES = ("runs", "variants")
"""Keys of the config that hold entries by the names that users give them."""


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
        options: texts `key=value`, over all files; a section or the seeds also over those of the run that is chosen.

    Raises:
        UserError: a file or a value is no config.
    """
    config: dict[str, Any] = {}
    for file in files:
        above = load_config(Path(file))
        _refuse_removal(_places(config), above, f"{file}:")
        config = merged_over(config, above)
    typed: dict[str, Any] = {}
    for option in options:
        key, _, value = option.partition("=")
        # A run may be called `on` or 007.
        given = value if key == "run" else parse_yaml(value, f"--config {key}")
        typed = merged_over(typed, with_text_names({key: given}))
    whole = merged_over(config, typed)
    # What is typed goes over the chosen run's sections too.
    _, run = _chosen_run({**config, "run": whole.get("run")})
    _refuse_removal({**_places(config), **run}, typed, "--config")
    _refuse_unlisted(whole, typed)
    return merged_over(merged_over(config, _sections_for_run(whole, typed)), typed)


def _chosen_run(config: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return the name of the run that a config chooses, and what it sets; nothing where there is no such run."""
    name, runs = str(config.get("run")), config.get("runs")
    run = runs.get(name) if isinstance(runs, dict) else None
    return name, run if isinstance(run, dict) else {}


def _places(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stands at the top level, and by their paths every run, its sections, and every variant."""
    places = dict(config)
    for kind in SECTIONS_OF_NAMES:
        entries = config.get(kind)
        for name, entry in entries.items() if isinstance(entries, Mapping) else ():
            places[f"{kind}.{name}"] = entry
            if kind == "runs" and isinstance(entry, Mapping):
                places |= {f"{kind}.{name}.{key}": value for key, value in entry.items()}
    return places


def _refuse_removal(held: Mapping[str, Any], above: Mapping[str, Any], where: str) -> None:
    """Refuse null in place of a section, a run or a variant that has keys: it says nothing of what is wanted.

    Args:
        held: what is set below, by `_places`.
        above: what goes over it.
        where: where that is from.
    """
    for path, value in _places(above).items():
        if value is None and isinstance(held.get(path), Mapping):
            remedy = "Name the keys to change, or leave it out."
            if path.startswith("variants."):
                remedy = "To leave a variant out, list the others in runs.<run>.variants."
            raise UserError(f"{where} {path}: is empty, and would remove the keys that it has below", remedy)


def _refuse_unlisted(config: Mapping[str, Any], typed: Mapping[str, Any]) -> None:
    """Refuse a typed variant that the chosen run does not list: nothing would be trained."""
    name, run = _chosen_run(config)
    listed, variants = run.get("variants"), typed.get("variants")
    if isinstance(listed, list) and isinstance(variants, dict):
        for variant in variants:
            if variant not in map(str, listed):
                names = ", ".join(map(str, [*listed, variant]))
                raise UserError(
                    f"--config variants.{variant}: the run {name!r} does not list this variant",
                    f"Add its name to the list: runs='{{{name}: {{variants: [{names}]}}}}'.",
                )


def _sections_for_run(config: Mapping[str, Any], typed: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was typed at the top level as settings of the chosen run, as far as the run has such sections."""
    name, run = _chosen_run(config)
    if not run:
        return {}
    sections = {
        key: value
        for key, value in typed.items()
        if key in run and (key == "seeds" or (isinstance(value, dict) and isinstance(run[key], dict)))
    }
    return {"runs": {name: sections}}


def with_text_names(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config in which runs and variants are named by texts, where YAML read a number."""
    named = {key: config[key] for key in SECTIONS_OF_NAMES if isinstance(config.get(key), dict)}
    return dict(config) | {key: {str(name): value for name, value in section.items()} for key, section in named.items()}
