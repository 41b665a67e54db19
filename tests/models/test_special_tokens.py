"""Padding, end and start tokens of models whose files name others than the tokenizer, several, or none."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from assertkd.errors import UserError
from assertkd.export.convert import convert
from assertkd.models.distillable import DistillableModel
from assertkd.models.exported import ExportedModel
from assertkd.models.registry import build_model, check_model, load_model
from assertkd.models.t5.model import T5Model
from assertkd.models.torch_text_generator import load_text_generator
from assertkd.settings import ModelSettings

Save = Callable[..., Path]
FILES = ("config.json", "generation_config.json")
KEYS = ("pad_token_id", "eos_token_id", "decoder_start_token_id")
INPUTS = torch.tensor([[5, 6, 7, 1], [8, 1, 0, 0], [9, 10, 1, 0]])
MASK = (INPUTS != 0).long()


def edit(file: Path, **changes: object) -> None:
    """Change keys of a JSON file; `...` removes one."""
    content = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))


def special(model: DistillableModel) -> tuple[dict[str, Any], dict[str, Any]]:
    assert isinstance(model, T5Model)
    return tuple(
        {key: getattr(one, key) for key in KEYS} for one in (model.network.config, model.network.generation_config)
    )  # type: ignore[return-value]


def refusal(folder: Path, tokenizer: PreTrainedTokenizerFast) -> str:
    """Return the problem for which every way of using a model with a tokenizer refuses it."""
    problems = set()
    for use in (
        lambda: build_model(ModelSettings(name=str(folder)), tokenizer, 0.0),
        lambda: check_model(str(folder), tokenizer),
        lambda: load_text_generator(folder, torch.device("cpu")),
        lambda: convert(folder, folder.parent / "export", "float32"),
    ):
        with pytest.raises(UserError) as caught:
            use()
        problems.add(caught.value.problem)
    assert len(problems) == 1
    return problems.pop()


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(("key", "own"), [("pad_token_id", 0), ("eos_token_id", 1)])
def test_other_tokens_than_the_tokenizers_are_refused_with_both_ids(
    saved_t5: Save, tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast, file: str, key: str, own: int
) -> None:
    folder = saved_t5(tmp_path / "model")
    edit(folder / file, **{key: 5})
    assert refusal(folder, tiny_tokenizer) == f"{folder}: {file}: {key} is 5, the tokenizer's {own}"


def test_all_of_them_are_named_at_once(saved_t5: Save, tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    folder = saved_t5(tmp_path / "model")
    for file in FILES:
        edit(folder / file, eos_token_id=[2, 5])
    assert refusal(folder, tiny_tokenizer) == (
        f"{folder}: generation_config.json: eos_token_id is 2, 5, the tokenizer's 1; "
        "config.json: eos_token_id is 2, 5, the tokenizer's 1"
    )


@pytest.mark.parametrize(("start", "said"), [(9, "is no special token"), (10**9, "is no special token")])
def test_a_start_token_that_is_a_word_is_refused(
    saved_t5: Save, tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast, start: int, said: str
) -> None:
    folder = saved_t5(tmp_path / "model")
    for file in FILES:
        edit(folder / file, decoder_start_token_id=start)
    assert f"decoder_start_token_id is {start}, which {said}" in refusal(folder, tiny_tokenizer)


def test_files_that_start_outputs_differently_are_refused(
    saved_t5: Save, tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    folder = saved_t5(tmp_path / "model")
    edit(folder / "config.json", decoder_start_token_id=2)
    problem = refusal(folder, tiny_tokenizer)
    assert "generation_config.json: decoder_start_token_id is 0 and config.json: decoder_start_token_id is 2" in problem
    # <unk>, with which MADLAD starts its outputs, is a special token.
    edit(folder / "generation_config.json", decoder_start_token_id=2)
    model = build_model(ModelSettings(name=str(folder)), tiny_tokenizer, 0.0)
    assert [one["decoder_start_token_id"] for one in special(model)] == [2, 2]


@pytest.mark.parametrize("value", [..., None], ids=["absent", "null"])
@pytest.mark.parametrize("without", [FILES[:1], FILES[1:], FILES], ids=" and ".join)
def test_what_no_file_names_is_the_tokenizers(
    saved_t5: Save, tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast, without: tuple[str, ...], value: object
) -> None:
    folder = saved_t5(tmp_path / "model")
    expected = load_text_generator(folder, torch.device("cpu")).generate([[5, 6, 1]], batch_size=1, max_new_tokens=9)
    for file in without:
        edit(folder / file, **dict.fromkeys(KEYS, value))
    model = build_model(ModelSettings(name=str(folder)), tiny_tokenizer, 0.0)
    assert special(model) == ({"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0},) * 2
    if without == FILES[1:]:
        (folder / FILES[1]).unlink()
    assert (
        load_text_generator(folder, torch.device("cpu")).generate([[5, 6, 1]], batch_size=1, max_new_tokens=9)
        == expected
    )
    convert(folder, tmp_path / "export", "float32")
    assert ExportedModel(tmp_path / "export").generate([[5, 6, 1]], batch_size=1, max_new_tokens=9) == expected


def test_a_model_that_starts_with_the_end_token_of_another_tokenizer(
    saved_t5: Save, tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    """T5's own defaults are pad 0 and end 1; those of CodeT5's tokenizer are 0 and 2."""
    folder = saved_t5(tmp_path / "model")
    for file in FILES:
        edit(folder / file, **dict.fromkeys(KEYS, ...))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tiny_tokenizer.backend_tokenizer, pad_token="</s>", eos_token="<unk>"
    )
    model = build_model(ModelSettings(name=str(folder)), tokenizer, 0.0)
    assert special(model) == ({"pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1},) * 2


@pytest.fixture
def two_ends(saved_t5: Save, tmp_path: Path) -> tuple[Path, int]:
    """A folder of a model that also ends at a token that it writes, and that token."""
    torch.manual_seed(4)
    folder = saved_t5(tmp_path / "model", spread=0.7)
    written = load_model(folder).eval().generate(INPUTS, MASK, 12)
    end = int(written[0, 2])
    assert end not in (0, 1)
    for file in FILES:
        edit(folder / file, eos_token_id=[1, end])
    return folder, end


def test_several_end_tokens_end_greedy_beams_samples_and_exports(
    two_ends: tuple[Path, int], tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    folder, end = two_ends
    model = load_model(folder, tokenizer=tiny_tokenizer).eval()
    greedy, beams = (model.generate(INPUTS, MASK, 12, beams) for beams in (1, 3))
    samples = model.sample(INPUTS, MASK, 2, 12, generator=torch.Generator().manual_seed(0)).flatten(0, 1)
    for written in (greedy, beams, samples):
        for row in written.tolist():
            # transformers fills beams up with the end token.
            assert end not in row or set(row[row.index(end) + 1 :]) <= {0, 1}
    assert greedy[0].tolist().index(end) <= 2
    convert(folder, tmp_path / "export", "float32")
    inputs = [row[: int(mask.sum())] for row, mask in zip(INPUTS.tolist(), MASK, strict=True)]
    forms = [load_text_generator(one, torch.device("cpu")) for one in (folder, tmp_path / "export")]
    texts = [form.generate(inputs, batch_size=3, max_new_tokens=12) for form in forms]
    # An export leaves every end token out, the original those that are special alone.
    last = tiny_tokenizer.decode([end]).strip()
    assert [text.removesuffix(last) for text in texts[0]] == [text.removesuffix(last) for text in texts[1]]


DECODING = {
    "do_sample": True,
    "temperature": 0.7,
    "top_k": 3,
    "num_beams": 4,
    "num_return_sequences": 2,
    "repetition_penalty": 9.0,
    "no_repeat_ngram_size": 1,
    "length_penalty": -3.0,
    "min_new_tokens": 7,
    "forced_bos_token_id": 9,
    "forced_eos_token_id": 8,
    "suppress_tokens": [*range(2, 200)],
    "begin_suppress_tokens": [4],
    "early_stopping": "never",
}


@pytest.mark.parametrize("file", FILES)
def test_what_a_models_files_say_of_decoding_changes_nothing(
    saved_t5: Save,
    tmp_path: Path,
    tiny_tokenizer: PreTrainedTokenizerFast,
    caplog: pytest.LogCaptureFixture,
    file: str,
) -> None:
    torch.manual_seed(5)
    folder = saved_t5(tmp_path / "model", spread=0.7)

    def written(model: DistillableModel) -> list[list[list[int]]]:
        sampled = model.eval().sample(INPUTS, MASK, 2, 8, generator=torch.Generator().manual_seed(0))
        return [*(model.generate(INPUTS, MASK, 8, beams).tolist() for beams in (1, 3)), *sampled.tolist()]

    expected = written(load_model(folder, tokenizer=tiny_tokenizer))
    edit(folder / file, **DECODING)
    model = load_model(folder, tokenizer=tiny_tokenizer)
    assert written(model) == expected
    assert "do_sample" in caplog.text
    assert "suppress_tokens" in caplog.text
    model.save(tiny_tokenizer, tmp_path / "saved")
    assert written(load_model(tmp_path / "saved", tokenizer=tiny_tokenizer)) == expected
    exports = [tmp_path / "of original", tmp_path / "of saved"]
    for source, export in zip((folder, tmp_path / "saved"), exports, strict=True):
        convert(source, export, "float32")
    one, other = (ExportedModel(export).best_hypotheses([5, 6, 7, 1], 3, 8) for export in exports)
    assert one == other


@pytest.mark.parametrize(
    "said",
    [
        {"do_sample": False, "temperature": 0.7, "top_p": 0.9},
        {"num_beams": "4"},
        {"temperature": None},
        {"max_length": "x"},
    ],
    ids=str,
)
def test_what_transformers_would_not_save_is_saved_without_it(
    saved_t5: Save, tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast, said: dict[str, object]
) -> None:
    folder = saved_t5(tmp_path / "model")
    edit(folder / "generation_config.json", **said)
    model = build_model(ModelSettings(name=str(folder)), tiny_tokenizer, 0.0)
    model.remember_length_limits(96, 24)
    model.save(tiny_tokenizer, tmp_path / "saved")
    kept = json.loads((tmp_path / "saved/generation_config.json").read_text())
    assert (kept["max_new_tokens"], kept["eos_token_id"]) == (24, 1)
    assert "temperature" not in kept
