"""The config of a run made of options: kept whole for later commands, and what of it is not the default."""

from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

from assertkd.errors import UserError
from assertkd.files import write_text
from assertkd.settings import RunSettings, load_config, load_run
from assertkd.settings.config_file import SECTIONS_OF_NAMES
from assertkd.settings.load import SECTIONS, check_shape
from assertkd.settings.section import merged_over

KEPT_CONFIG = "ASSERTKD_KEPT_CONFIG"
"""The environment variable in which a command tells Snakemake where to keep the config file that it is called with."""


def whole_config(run: RunSettings) -> dict[str, Any]:
    """Return the config of a run with every key at its value, which `load_run` makes the same run of."""
    sections = {key: getattr(run, key).model_dump(mode="json") for key in SECTIONS if key != "distillation"}
    below = {"seeds": list(run.seeds), "variants": list(run.variants), **sections}
    variants = {name: variant.model_dump(mode="json") for name, variant in run.variants.items()}
    return {"run": run.name, "runs": {run.name: below}, "variants": variants}


def read_kept(file: Path, name: str) -> dict[str, Any]:
    """Return the kept config of the run `name`.

    Raises:
        UserError: the file is no config, or that of something else.
    """
    kept = load_named(file)
    if str(kept.get("run")) != name or name not in kept["runs"]:
        raise UserError(
            f"{file}: is not the config of the run `{name}`",
            f"Let it say `run: {name}`, with runs.{name}; or move it away, and give the command all options.",
        )
    return kept


def load_named(file: Path) -> dict[str, Any]:
    """Return a config file whose runs and variants are mappings of names to mappings; an empty entry is an empty one.

    Raises:
        UserError: it cannot be read, or holds something else in these places or as a section.
    """
    config = load_config(file)
    check_shape(config, str(file))
    return config | {
        key: {name: held or {} for name, held in (config.get(key) or {}).items()} for key in SECTIONS_OF_NAMES
    }


def keep_config(files: Sequence[Path], environment: MutableMapping[str, str]) -> None:
    """Keep a command's config for later commands.

    Called when the run starts, so that what refuses it before leaves the kept config as it is.

    Args:
        files: the config files that Snakemake is called with.
        environment: where KEPT_CONFIG is, if the command that called Snakemake has a config to keep; removed, since
            further processes have none.
    """
    kept = environment.pop(KEPT_CONFIG, None)
    if kept is not None:
        write_text(Path(kept), Path(files[0]).read_text(encoding="utf-8"))


def minimal_config(name: str, variants: Sequence[str]) -> dict[str, Any]:
    """Return the config of a run that names its variants and leaves everything else at its default."""
    return {"run": name, "runs": {name: {"variants": variants}}, "variants": {variant: {} for variant in variants}}


def explicit_settings(config: Mapping[str, Any], kept: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return what of a kept config is not the default, so that defaults that depend on an option can follow it.

    Args:
        config: that of the project, over which the kept one lies.
        kept: the kept config, with every key.
        name: its run.
    """
    variants = kept["variants"]
    names = kept["runs"][name].get("variants") or list(variants)
    presets = {
        variant: {"loss": {"preset": preset}}
        for variant, settings in variants.items()
        if (preset := (settings.get("loss") or {}).get("preset"))
    }
    # The variants themselves and their presets, which the defaults hang on, are explicit in any case.
    minimal = merged_over(minimal_config(name, names), {"variants": presets})
    defaults = whole_config(load_run(merged_over(config, minimal)))
    return merged_over(_differing_part(kept, defaults), minimal)


def _differing_part(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a config whose values are not those of `defaults`."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        default = defaults.get(key)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            inner = _differing_part(value, default)
            if inner:
                found[key] = inner
        elif key not in defaults or value != default:
            found[key] = value
    return found


def reset_key(explicit: dict[str, Any], name: str, key: str) -> None:
    """Remove an option's key, or a section, from the explicit settings of the run `name`."""
    first, *rest = key.split(".")
    if first == "distillation":
        places = [(settings, rest) for settings in explicit.get("variants", {}).values()]
    else:
        places = [(explicit["runs"][name], [first, *rest])]
    for settings, path in places:
        *sections, last = path or [""]
        for section in sections:
            settings = settings.get(section) or {}
        if last:
            settings.pop(last, None)
        else:
            settings.clear()
