"""The form of inputs: which tokens stand before a record, in the assertion's place, and behind the record.

A tokenizer that differs from T5's form says so in its `tokenizer_config.json`, as does that of any decoder-only model
that is saved here, so that a model's folder is enough to write its inputs.
"""

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from assertkd.errors import UserError
from assertkd.records import MARKER, PLACEHOLDER_TOKEN

KEY = "prompt_form"
"""In a tokenizer's configuration: the tokens of each part of a form."""

INFILLING = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    ("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
    ("<PRE>", "<SUF>", "<MID>"),
    ("▁<PRE>", "▁<SUF>", "▁<MID>"),
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
)
"""Tokens of fill-in-the-middle: before the text, in the place of what is missing, and behind the text (Bavarian et al.
2022, Efficient Training of Language Models to Fill in the Middle), as Qwen2.5-Coder, CodeGemma, StarCoder, SantaCoder,
Code Llama and DeepSeek-Coder name them."""

QUESTION = f"\n\n// The statement for {MARKER.removeprefix('// ')}:\n"
"""What a model continues that has no tokens of fill-in-the-middle."""


class FormTokenizer(Protocol):
    """The part of a tokenizer that a form is made of."""

    @property
    def init_kwargs(self) -> Mapping[str, Any]:
        """Its configuration."""

    def get_vocab(self) -> dict[str, int]:
        """Return token to id, special tokens included."""


class PromptForm(NamedTuple):
    """Token ids around a record.

    Attributes:
        start: before the focal method.
        placeholder: in place of the marker in the test.
        end: behind the test; a model's output follows.
    """

    start: list[int]
    placeholder: list[int]
    end: list[int]


def form_of(tokenizer: FormTokenizer) -> PromptForm | None:
    """Return the form that a tokenizer's configuration has; None where it has none, as T5's.

    Raises:
        UserError: it names tokens that the tokenizer does not have.
    """
    named = tokenizer.init_kwargs.get(KEY)
    if named is None:
        return None
    entries = tokenizer.get_vocab()
    try:
        return PromptForm(*([entries[token] for token in named[part]] for part in PromptForm._fields))
    except (KeyError, TypeError) as fault:
        raise UserError(
            f"tokenizer_config.json: {KEY}: is no form of inputs of this tokenizer ({fault!r})",
            f"Restore the file from where the tokenizer comes from, or remove {KEY}.",
        ) from None


def choose_form(tokenizer: Any, wanted: str | None) -> None:
    """Write the form of inputs for a decoder-only model, or `placeholder` for T5's, into a tokenizer's configuration.

    Args:
        tokenizer: of transformers.
        wanted: `placeholder`, `infilling` or `continuation`; None for infilling where the tokenizer has its tokens,
            and continuation otherwise.

    Raises:
        UserError: infilling is wanted, and the tokenizer has none of its tokens.
    """
    tokenizer.init_kwargs.pop(KEY, None)
    if wanted == "placeholder":
        return
    entries = tokenizer.get_vocab()
    infilling = next((tokens for tokens in INFILLING if all(token in entries for token in tokens)), None)
    if infilling is None and wanted == "infilling":
        raise UserError(
            f"tokenizer.prompt: infilling, and {tokenizer.name_or_path or 'the tokenizer'} has no tokens for it "
            f"(as {', '.join(INFILLING[0])})",
            "Set tokenizer.prompt: continuation, or null.",
        )
    first = tokenizer("a").input_ids[:1]
    start = tokenizer.convert_ids_to_tokens(first if first == [tokenizer.bos_token_id] else [])
    if infilling is not None and wanted != "continuation":
        before, gap, behind = ([token] for token in infilling)
        start = start + before
    else:
        gap, behind = _placeholder(tokenizer), _tokens(tokenizer, QUESTION)
    tokenizer.init_kwargs[KEY] = dict(zip(PromptForm._fields, (start, gap, behind), strict=True))


def with_explicit_form(tokenizer: Any) -> Any:
    """Return a tokenizer of transformers whose configuration has its form, T5's too; a copy where it has none yet.

    Beside a decoder-only model, one without a form gets another when it is loaded (`models.tokenizer`).
    """
    if KEY in tokenizer.init_kwargs:
        return tokenizer
    explicit = copy.deepcopy(tokenizer)
    explicit.init_kwargs[KEY] = {"start": [], "placeholder": _placeholder(tokenizer), "end": [tokenizer.eos_token]}
    return explicit


def _placeholder(tokenizer: Any) -> list[str]:
    return [PLACEHOLDER_TOKEN] if PLACEHOLDER_TOKEN in tokenizer.get_vocab() else _tokens(tokenizer, MARKER)


def _tokens(tokenizer: Any, text: str) -> list[str]:
    ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids
    tokens: list[str] = tokenizer.convert_ids_to_tokens(ids)
    return tokens
