"""The codecs by the names that the config uses. A new codec is one file and one line here."""

from collections.abc import Mapping, Sequence
from typing import Any

from assertkd.errors import UserError
from assertkd.logits.codecs.codec import Codec
from assertkd.logits.codecs.dense import DenseCodec
from assertkd.logits.codecs.hidden import HiddenCodec
from assertkd.logits.codecs.topk import TopKCodec
from assertkd.settings import LogitsSettings

CODECS: dict[str, type[Codec]] = {codec.name: codec for codec in (DenseCodec, HiddenCodec, TopKCodec)}


def build_codec(name: str, vocab_size: int, hidden_size: int, parameters: Mapping[str, Any]) -> Codec:
    """Return the codec of this name; of its own keyword arguments, what `parameters` lacks takes its default.

    Raises:
        UserError: the name or a parameter is unknown, or a parameter is out of its range.
    """
    if name not in CODECS:
        raise UserError(f"codec {name!r} is unknown", f"Use one of: {', '.join(CODECS)}.")
    try:
        return CODECS[name](vocab_size, hidden_size, **parameters)
    except TypeError as fault:
        raise UserError(f"codec {name!r}: {fault}", "Correct the codec's parameters.") from None


def codec_parameters(
    settings: LogitsSettings, temperatures: Sequence[float], logit_cap: float | None = None
) -> dict[str, Any]:
    """Return the keyword arguments of the codec that `settings` names, for a teacher with this cap of its logits."""
    cap = {} if logit_cap is None else {"logit_cap": logit_cap}
    match settings.codec:
        case "hidden":
            return settings.hidden.model_dump() | cap
        case "topk":
            return {"temperatures": temperatures, **settings.topk.model_dump()} | cap
    return cap
