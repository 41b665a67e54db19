"""Exported models against transformers: the same beams, scores and prompts."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from assertkd.errors import UserError
from assertkd.export.convert import convert
from assertkd.models.exported import TOKENIZER, ExportedModel, ExportedTokenizer
from assertkd.models.t5.model import T5Model
from assertkd.prompts.prompt import Prompt
from assertkd.records import MARKER, PLACEHOLDER_TOKEN

VARIANTS = {
    "scaled relu": {"feed_forward_proj": "relu", "tie_word_embeddings": True},
    "unscaled gated": {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
}
Saved = tuple[T5ForConditionalGeneration, ExportedModel]


@pytest.fixture(scope="module", params=list(VARIANTS))
def saved(
    request: pytest.FixtureRequest, tiny_tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory
) -> Saved:
    """A model with weights large enough that its outputs differ and end, and its export."""
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
    network = T5ForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.3)
        if config.scale_decoder_outputs:
            # Without scaling so many hypotheses would end that CTranslate2, which stops at the first `num_beams` ended
            # ones, and transformers, which waits for better ones, kept different ones.
            network.lm_head.weight[config.eos_token_id] *= 1.5
    folder = tmp_path_factory.mktemp("saved")
    T5Model(network).save(tiny_tokenizer, folder / "model")
    convert(folder / "model", folder / "export", "float32")
    return network, ExportedModel(folder / "export")


def random_input(network: T5ForConditionalGeneration, length: int, seed: int) -> list[int]:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(4, network.config.vocab_size, (length,), generator=generator)
    return [*ids.tolist(), network.config.eos_token_id]


@pytest.mark.parametrize("num_beams", [1, 2, 5])
@pytest.mark.parametrize("length", [1, 11, 300])
def test_beam_search_finds_what_transformers_finds(saved: Saved, num_beams: int, length: int) -> None:
    network, exported = saved
    end = network.config.eos_token_id
    best = set()
    for seed in range(8):
        source = random_input(network, length, seed)
        expected = network.generate(
            input_ids=torch.tensor([source]),
            num_beams=num_beams,
            num_return_sequences=num_beams,
            max_new_tokens=10,
            do_sample=False,
            return_dict_in_generate=True,
            output_scores=True,
        )
        rows = [row[1:].tolist() for row in expected.sequences]
        whole = [row[: row.index(end)] if end in row else row for row in rows]
        hypotheses = exported.best_hypotheses(source, num_beams, 10)
        assert [ids for ids, _ in hypotheses] == whole
        if num_beams > 1:
            scores = expected.sequences_scores.numpy()
            np.testing.assert_allclose([score for _, score in hypotheses], scores, rtol=1e-3)
        best.add(tuple(hypotheses[0][0]))
    assert len(best) > 4, "texts that are all alike would prove nothing"


def test_the_score_is_the_mean_log_probability(saved: Saved) -> None:
    network, exported = saved
    source = random_input(network, 9, 0)
    for ids, score in exported.best_hypotheses(source, 3, 8):
        # What is shorter than allowed has ended with the end token.
        labels = ids if len(ids) == 8 else [*ids, network.config.eos_token_id]
        with torch.no_grad():
            loss = network(input_ids=torch.tensor([source]), labels=torch.tensor([labels])).loss
        assert score == pytest.approx(-loss.item(), rel=1e-3)


def test_several_hypotheses_come_best_first(saved: Saved) -> None:
    hypotheses = saved[1].best_hypotheses([7, 9, 11, 1], 5, 8)
    assert len({tuple(ids) for ids, _ in hypotheses}) == 5
    scores = [score for _, score in hypotheses]
    assert scores == sorted(scores, reverse=True)


def test_prompts_are_those_of_transformers_tokenizer(tiny_tokenizer: PreTrainedTokenizerFast, saved: Saved) -> None:
    focal = 'int f() { return "</s> <pad> é" + 1; }'
    test = f"@Test void a() {{\n    f(); // {PLACEHOLDER_TOKEN}\n    {MARKER}\n}}"
    theirs, light = (Prompt(one, 60, 20) for one in (tiny_tokenizer, saved[1].tokenizer))
    assert light.encode_input(focal, test) == theirs.encode_input(focal, test)
    ids = theirs.encode_target('assertEquals("</s>", f());')
    assert light.encode_target('assertEquals("</s>", f());') == ids
    assert light.encode_target_marked("assertEquals(1, f());") == theirs.encode_target_marked("assertEquals(1, f());")
    assert light.decode([*ids, tiny_tokenizer.pad_token_id]) == theirs.decode([*ids, tiny_tokenizer.pad_token_id])


def test_tokens_beyond_the_tokenizers_vocabulary_are_left_out(saved: Saved) -> None:
    tokenizer = saved[1].tokenizer
    assert tokenizer.ids(["<extra_id_7>", *tokenizer.tokens([7, 9])]) == [7, 9]


def test_faults_are_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tokenizer\.json: no such file"):
        ExportedTokenizer(tmp_path / TOKENIZER, 1)
    (tmp_path / "export.json").write_text(json.dumps({"format": "ctranslate2"}))
    with pytest.raises(UserError, match="does not describe an export"):
        ExportedModel(tmp_path)
