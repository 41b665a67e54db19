"""The tokenizer of a run: which form of inputs it has."""

from pathlib import Path
from typing import Any

import pytest

from assertkd.corpus.tokenizer import choose_tokenizer
from assertkd.models.tokenizer import load_tokenizer
from assertkd.prompts.prompt_form import QUESTION, choose_form, form_of
from assertkd.settings import TokenizerSettings


@pytest.mark.parametrize("form", [None, "continuation", "infilling"])
def test_a_named_tokenizer_keeps_its_form_and_gets_one_for_a_decoder_only_model(
    tiny_tokenizer: Any, tmp_path: Path, form: str | None
) -> None:
    tiny_tokenizer.save_pretrained(tmp_path)
    named = load_tokenizer(tmp_path)
    named.add_special_tokens({"extra_special_tokens": ["<fim_prefix>", "<fim_suffix>", "<fim_middle>"]})
    if form is not None:
        choose_form(named, form)
    named.save_pretrained(tmp_path)
    settings = TokenizerSettings(name=str(tmp_path))
    of_t5 = form_of(choose_tokenizer(settings, "scratch", [], decoder_only=False))
    assert of_t5 == form_of(named)
    chosen = form_of(choose_tokenizer(settings, "scratch", [], decoder_only=True))
    assert chosen is not None
    question = named(QUESTION, add_special_tokens=False, split_special_tokens=True).input_ids
    assert (chosen.end == question) == (form == "continuation")
