"""The one place where what libraries and the system raise while a model is read becomes the project's error."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from assertkd.errors import UserError
from assertkd.runtime.out_of_memory import is_out_of_memory

NO_TOKENIZER = "no tokenizer could be loaded"

SAYS_LITTLE = (KeyError, IndexError, AttributeError, TypeError)
"""Exceptions whose text needs their name before it."""
LONGEST = 240
"""Characters of a library's message that are repeated."""


@contextmanager
def loading(name: str | Path, failure: str, hint: str = "") -> Iterator[None]:
    """Turn whatever is raised while a model, tokenizer or encoder is read into a `UserError`; see `unloadable`.

    The project's own errors pass, and so does running out of memory, which a job reports itself.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as fault:
        # transformers, tokenizers, safetensors and torch raise all sorts, bare `Exception` included.
        if is_out_of_memory(fault):
            raise
        raise unloadable(name, failure, fault, hint) from fault


def unloadable(name: str | Path, failure: str, reason: BaseException | str, hint: str = "") -> UserError:
    """Return the error of a model, tokenizer or encoder that cannot be loaded, because of a reason's first line.

    `failure` is what was not possible, `hint` is told after what to do.
    """
    if Path(name).exists():
        remedy = "Name a whole model as transformers saves it, or restore what is damaged from where it comes from."
    else:
        # Takes a while to import, and a folder does without the hub.
        from assertkd.models.hub import is_reachable

        remedy = "Check the name of the model or folder."
        if not is_reachable():
            remedy = (
                "This process is offline. Fetch the run's models first, where there is a network (a login node): "
                "snakemake prefetch_models, with the same --profile, --config and HF_HOME. Or name a folder that holds "
                "the model."
            )
    return UserError(f"{name}: {failure} ({first_line(reason)})", remedy + hint)


def first_line(reason: BaseException | str) -> str:
    """Return the line of a message that says what is wrong, its exception's name before it where it needs one."""
    lines = [line.strip() for line in str(reason).splitlines() if line.strip()] or [type(reason).__name__]
    line = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    return (f"{type(reason).__name__}: {line}" if isinstance(reason, SAYS_LITTLE) else line)[:LONGEST]
