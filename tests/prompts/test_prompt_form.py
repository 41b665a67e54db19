"""Inputs of decoder-only models: their form, kept with the tokenizer; nothing of it is ever cut."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import processors
from transformers import PreTrainedTokenizerFast

from assertkd.errors import UserError
from assertkd.files import read_json, write_json
from assertkd.models.exported import ExportedTokenizer
from assertkd.models.registry import build_model
from assertkd.models.tokenizer import load_tokenizer, train_tokenizer
from assertkd.prompts.prompt import Prompt
from assertkd.prompts.prompt_form import INFILLING, KEY, choose_form
from assertkd.records import MARKER
from assertkd.settings import ModelSettings
from assertkd.settings.model import ScratchSettings

FOCAL, TEST = "int f() { return 1; }  \n", f"void t() {{\n    {MARKER}\n}}"
BEFORE, BEHIND = "int f() { return 1; }\n\nvoid t() {\n    ", "\n}"


def tokenizer_with(*tokens: str, start: bool = False) -> PreTrainedTokenizerFast:
    tokenizer = train_tokenizer(["assertEquals(expected, actual);"], 300)
    tokenizer.add_tokens([*tokens], special_tokens=True)
    if start:
        tokenizer.add_special_tokens({"bos_token": "<s>"})
        token = ("<s>", tokenizer.bos_token_id)
        tokenizer._tokenizer.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[token])
    return tokenizer


@pytest.mark.parametrize("tokens", INFILLING)
@pytest.mark.parametrize("start", [True, False])
def test_infilling(tokens: tuple[str, str, str], start: bool) -> None:
    tokenizer = tokenizer_with(*tokens, start=start)
    choose_form(tokenizer, None)
    result = Prompt(tokenizer, 512, 16).encode_input(FOCAL, TEST)
    before, gap, behind = tokens
    text = tokenizer.decode(result.ids, clean_up_tokenization_spaces=False)
    assert text == ("<s>" if start else "") + before + BEFORE + gap + BEHIND + behind
    assert result.cut == 0


def test_continuation_and_placeholder() -> None:
    tokenizer = tokenizer_with(*INFILLING[0])
    choose_form(tokenizer, "continuation")
    text = tokenizer.decode(Prompt(tokenizer, 512, 16).encode_input(FOCAL, TEST).ids)
    assert text == f"{BEFORE}<extra_id_0>{BEHIND}\n\n// The statement for <ASSERTION_PLACEHOLDER>:\n"
    choose_form(tokenizer, "placeholder")
    assert KEY not in tokenizer.init_kwargs
    assert tokenizer.decode(Prompt(tokenizer, 512, 16).encode_input(FOCAL, TEST).ids).endswith("}</s>")


@settings(deadline=None, max_examples=60)
@given(st.tuples(*[st.integers(0, 60)] * 3), st.integers(12, 40), st.sampled_from(["infilling", "continuation"]))
def test_only_the_record_is_cut(lengths: tuple[int, int, int], room: int, form: str) -> None:
    focal, left, right = lengths
    choose_form(CUT, form)
    start, gap, end = (
        CUT.convert_tokens_to_ids(CUT.init_kwargs[KEY][part]) for part in ("start", "placeholder", "end")
    )
    room += len(start) + len(end)
    result = Prompt(CUT, room, 16).encode_input("1" * focal, "2" * left + MARKER + "3" * right)
    assert len(result.ids) <= room
    assert result.ids[: len(start)] == start and result.ids[-len(end) :] == end
    assert gap[0] in result.ids[len(start) : -len(end)]
    whole = len(start) + focal + 2 + left + 1 + right + len(end)
    assert whole - len(result.ids) == result.cut == max(0, whole - room)


CUT = tokenizer_with(*INFILLING[0], start=True)


def test_the_form_is_kept_with_the_tokenizer_and_its_export(tmp_path: Path) -> None:
    tokenizer = tokenizer_with(*INFILLING[1])
    choose_form(tokenizer, None)
    expected = Prompt(tokenizer, 64, 16).encode_input(FOCAL, TEST)
    tokenizer.save_pretrained(str(tmp_path))
    assert Prompt(load_tokenizer(tmp_path), 64, 16).encode_input(FOCAL, TEST) == expected
    exported = ExportedTokenizer(tmp_path, tokenizer.eos_token_id)
    assert Prompt(exported, 64, 16).encode_input(FOCAL, TEST) == expected


@pytest.mark.parametrize("form", [None, "placeholder", "continuation", "infilling"])
@pytest.mark.parametrize("placeholder", ["<extra_id_0>", "<other>"])
def test_a_decoder_only_model_is_loaded_with_the_form_that_it_was_trained_with(
    form: str | None, placeholder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assertkd.models.tokenizer.PLACEHOLDER_TOKEN", placeholder)
    tokenizer = tokenizer_with(*INFILLING[0])
    if form is not None:
        choose_form(tokenizer, form)
    before = dict(tokenizer.init_kwargs)
    expected = Prompt(tokenizer, 512, 16).encode_input(FOCAL, TEST)
    for family in ("causal", "t5"):
        sizes = ScratchSettings(family=family, d_model=8, d_ff=8, heads=2, encoder_layers=1, decoder_layers=1)
        folder, alone = tmp_path / family, tmp_path / "tokenizer"
        build_model(ModelSettings(name="scratch", scratch=sizes), tokenizer, 0.0).save(tokenizer, folder)
        assert Prompt(load_tokenizer(folder), 512, 16).encode_input(FOCAL, TEST) == expected
        assert tokenizer.init_kwargs == before
    tokenizer.save_pretrained(str(alone))
    for file in alone.iterdir():
        assert file.read_bytes() == (tmp_path / "t5" / file.name).read_bytes()


@pytest.mark.parametrize("form", ["placeholder", "infilling", "continuation"])
def test_a_form_that_leaves_no_room_is_refused(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The placeholder and the question are spelt, about a token a character.
    monkeypatch.setattr("assertkd.models.tokenizer.PLACEHOLDER_TOKEN", "<other>")
    tokenizer = tokenizer_with(*INFILLING[0])
    choose_form(tokenizer, form)
    alone = Prompt(tokenizer, 1000, 16).encode_input("", MARKER)
    around = len(alone.ids) - 2
    for room in (16, around, around + 7):
        if room < around + 8:
            with pytest.raises(
                UserError, match=rf"data\.max_input_len: {room} tokens .* takes {around} of them"
            ) as found:
                Prompt(tokenizer, room, 16).encode_input("1" * 50, "2" * 50 + MARKER + "3" * 50)
            assert f"Set data.max_input_len to {around + 8} at least" in found.value.remedy
    for room in range(around + 8, around + 40):
        for focal, left, right in ((50, 50, 50), (0, 50, 50), (50, 0, 50), (50, 50, 0), (3, 2, 1)):
            ids = Prompt(tokenizer, room, 16).encode_input("1" * focal, "2" * left + MARKER + "3" * right).ids
            assert len(ids) == min(room, around + focal + 2 + left + right)
            text = tokenizer.decode(ids)
            gap = text.partition("<|fim_suffix|>" if form == "infilling" else MARKER)
            assert gap[1] and (not left or gap[0].endswith("2")) and (not right or gap[2].startswith("3"))


def test_code_that_spells_a_token_stays_text() -> None:
    tokenizer = tokenizer_with(*INFILLING[0])
    choose_form(tokenizer, "infilling")
    ids = Prompt(tokenizer, 512, 64).encode_input(f"{INFILLING[0][2]}", TEST).ids
    assert ids.count(tokenizer.convert_tokens_to_ids(INFILLING[0][2])) == 1


def test_faults_name_the_key(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tokenizer\.prompt: infilling, and .* has no tokens for it"):
        choose_form(tokenizer_with(), "infilling")
    tokenizer = tokenizer_with(*INFILLING[0])
    choose_form(tokenizer, None)
    tokenizer.save_pretrained(str(tmp_path))
    config = read_json(tmp_path / "tokenizer_config.json")
    for damaged in ({"start": ["<none>"], "placeholder": [], "end": []}, {"start": []}, "infilling"):
        write_json(tmp_path / "tokenizer_config.json", config | {KEY: damaged})
        with pytest.raises(UserError, match=r"tokenizer_config\.json: prompt_form: is no form of inputs"):
            Prompt(load_tokenizer(tmp_path), 64, 16)
