"""T5 in numpy, its beam search and its tokenizer, against transformers' own."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from assertkd.errors import UserError
from assertkd.models.t5.model import save_model
from assertkd.prompts.prompt import Prompt
from assertkd.records import MARKER, PLACEHOLDER_TOKEN
from assertkd.suggest.beams import best_hypotheses
from assertkd.suggest.t5 import NumpyDecoder, NumpyT5
from assertkd.suggest.tokenizer import SavedTokenizer

VARIANTS = {
    "tied relu": {"feed_forward_proj": "relu", "tie_word_embeddings": True},
    "untied gated": {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
}


@pytest.fixture(params=list(VARIANTS))
def saved(
    request: pytest.FixtureRequest, tiny_tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> tuple[T5ForConditionalGeneration, Path]:
    """A model with weights large enough that its outputs differ and end, and the folder that it is saved to."""
    torch.manual_seed(3)
    config = T5Config(
        vocab_size=len(tiny_tokenizer),
        d_model=24,
        d_kv=8,
        d_ff=40,
        num_heads=3,
        num_layers=3,
        num_decoder_layers=2,
        dropout_rate=0.0,
        pad_token_id=tiny_tokenizer.pad_token_id,
        eos_token_id=tiny_tokenizer.eos_token_id,
        decoder_start_token_id=tiny_tokenizer.pad_token_id,
        **VARIANTS[request.param],
    )
    model = T5ForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
        model.lm_head.weight[config.eos_token_id] *= 1.5
    save_model(model, tiny_tokenizer, tmp_path)
    return model, tmp_path


def inputs(model: T5ForConditionalGeneration, length: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(4, model.config.vocab_size, (1, length), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("length", [1, 7, 300])
def test_logits_are_those_of_transformers(saved: tuple[T5ForConditionalGeneration, Path], length: int) -> None:
    model, folder = saved
    source = inputs(model, length)
    target = inputs(model, 140, seed=1)
    with torch.no_grad():
        start = torch.full((1, 1), model.config.decoder_start_token_id)
        expected = model(input_ids=source, decoder_input_ids=torch.cat([start, target[:, :-1]], dim=1)).logits[0]
    light = NumpyT5(folder)
    decoder = NumpyDecoder(light, light.encode(source[0].tolist()), 2, target.shape[1])
    steps = []
    for token in [light.start, *target[0, :-1].tolist()]:
        both = decoder.logits([token, token])
        np.testing.assert_array_equal(both[0], both[1])
        decoder.keep([1, 0])
        steps.append(both[0])
    np.testing.assert_allclose(np.stack(steps), expected.numpy(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("num_beams", [1, 2, 5])
@pytest.mark.parametrize("seed", range(6))
def test_beam_search_finds_what_transformers_finds(
    saved: tuple[T5ForConditionalGeneration, Path], num_beams: int, seed: int
) -> None:
    model, folder = saved
    source = inputs(model, 12, seed)
    expected = model.generate(
        input_ids=source,
        num_beams=num_beams,
        num_return_sequences=num_beams,
        max_new_tokens=10,
        do_sample=False,
        return_dict_in_generate=True,
        output_scores=True,
    )
    found = best_hypotheses(NumpyT5(folder), source[0].tolist(), num_beams, 10)
    end = model.config.eos_token_id
    rows = [row[1:].tolist() for row in expected.sequences]
    whole = [row[: row.index(end) + 1] if end in row else row for row in rows]
    assert [one.ids for one in found] == whole
    if num_beams > 1:
        np.testing.assert_allclose([one.score for one in found], expected.sequences_scores.numpy(), rtol=1e-4)


def test_the_score_is_the_mean_log_probability(saved: tuple[T5ForConditionalGeneration, Path]) -> None:
    model, folder = saved
    source = inputs(model, 9)
    for one in best_hypotheses(NumpyT5(folder), source[0].tolist(), 3, 8):
        with torch.no_grad():
            loss = model(input_ids=source, labels=torch.tensor([one.ids])).loss
        assert one.score == pytest.approx(-loss.item(), abs=1e-4)


def test_prompts_are_those_of_transformers_tokenizer(
    tiny_tokenizer: PreTrainedTokenizerFast, saved: tuple[T5ForConditionalGeneration, Path]
) -> None:
    _, folder = saved
    focal = 'int f() { return "</s> <pad> é" + 1; }'
    test = f"@Test void a() {{\n    f(); // {PLACEHOLDER_TOKEN}\n    {MARKER}\n}}"
    theirs, light = (
        Prompt(one, 60, 20) for one in (tiny_tokenizer, SavedTokenizer(folder, tiny_tokenizer.eos_token_id))
    )
    assert light.encode_input(focal, test) == theirs.encode_input(focal, test)
    ids = theirs.encode_target('assertEquals("</s>", f());')
    assert light.encode_target('assertEquals("</s>", f());') == ids
    assert light.decode([*ids, tiny_tokenizer.pad_token_id]) == theirs.decode([*ids, tiny_tokenizer.pad_token_id])


def test_a_folder_without_a_model_is_named(saved: tuple[T5ForConditionalGeneration, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model could be loaded"):
        NumpyT5(tmp_path / "absent")
    with pytest.raises(UserError, match=r"tokenizer\.json: no such file"):
        SavedTokenizer(tmp_path / "absent", 1)
    _, folder = saved
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "bert"}), encoding="utf-8")
    with pytest.raises(UserError, match="is a 'bert' model, not of the T5 family"):
        NumpyT5(folder)
