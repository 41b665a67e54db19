"""The vocabulary of a byte-level BPE tokenizer cut to the entries that given texts use."""

import json
from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import ByteLevel
from transformers import PreTrainedTokenizerFast

from assertkd.errors import UserError
from assertkd.prompts.prompt_form import KEY as FORM

KEPT = "kept_entries"
"""In a cut tokenizer's configuration: the ids that its entries had before, in the order of their new ids."""
WHOLE = "whole_vocabulary"
"""In a cut tokenizer's configuration: how many entries there were before."""

ROLES = ("pad_token", "eos_token", "bos_token", "unk_token")


def cut_vocabulary(tokenizer: PreTrainedTokenizerFast, texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Return a tokenizer with the entries that `texts` use, which splits them as before.

    It keeps those that the used ones are merged from, the bytes, so that any other text can still be written, the
    special tokens and those of the form of inputs. The order stays.

    Args:
        tokenizer: byte-level BPE.
        texts: for example all fields of the training records.

    Raises:
        UserError: it is of another kind.
    """
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    model = content["model"]
    entries: dict[str, int] = tokenizer.get_vocab()
    if model["type"] != "BPE" or "ByteLevel" not in json.dumps(content["decoder"]):
        raise UserError(
            f"tokenizer.keep: corpus: {tokenizer.name_or_path or 'the tokenizer'} is no byte-level BPE, of which alone "
            "entries can be left out",
            "Set tokenizer.keep: all.",
        )
    used = _used_ids(tokenizer, texts)
    kept = {token for token, number in entries.items() if number in used} | set(ByteLevel.alphabet())
    kept |= {token["content"] for token in content["added_tokens"]}
    kept |= {token for part in tokenizer.init_kwargs.get(FORM, {}).values() for token in part}
    merges = [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in model["merges"]]
    found = 0
    while found < len(kept):
        found = len(kept)
        # What is merged last is, as a rule, made of what was merged before.
        for left, right in reversed(merges):
            if left + right in kept:
                kept |= {left, right}
    order = sorted(kept & entries.keys(), key=entries.__getitem__)
    number_of = {token: number for number, token in enumerate(order)}
    model["vocab"] = {token: number_of[token] for token in model["vocab"] if token in number_of}
    model["merges"] = [[left, right] for left, right in merges if {left, right, left + right} <= model["vocab"].keys()]
    for token in content["added_tokens"]:
        token["id"] = number_of[token["content"]]
    # Inputs are put together by their form, not by a template of the tokenizer, whose ids would be the former ones.
    content["post_processor"] = None
    roles = {role: getattr(tokenizer, role) for role in ROLES if getattr(tokenizer, role) is not None}
    special = [token["content"] for token in content["added_tokens"] if token["special"]]
    cut = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(content)),
        additional_special_tokens=[token for token in special if token not in roles.values()],
        clean_up_tokenization_spaces=False,
        **roles,
    )
    if FORM in tokenizer.init_kwargs:
        cut.init_kwargs[FORM] = tokenizer.init_kwargs[FORM]
    # Of a tokenizer that was cut before, the ids are those of the first one.
    former = kept_entries(tokenizer) or range(len(entries))
    cut.init_kwargs[KEPT] = [former[entries[token]] for token in order]
    cut.init_kwargs[WHOLE] = whole_vocabulary(tokenizer)
    return cut


def kept_entries(tokenizer: PreTrainedTokenizerFast) -> Sequence[int] | None:
    """Return the ids that the entries of a cut tokenizer had before; None for one that is whole."""
    kept: Sequence[int] | None = tokenizer.init_kwargs.get(KEPT)
    return kept


def whole_vocabulary(tokenizer: PreTrainedTokenizerFast) -> int:
    """Return how many entries a tokenizer has, of a cut one how many it had."""
    return int(tokenizer.init_kwargs.get(WHOLE, len(tokenizer)))


def _used_ids(tokenizer: PreTrainedTokenizerFast, texts: Iterable[str]) -> set[int]:
    used: set[int] = set()
    for text in texts:
        used.update(tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False).input_ids)
    return used
