"""Decoding with decoder-only models: transformers' `generate` for greedy and beam search, and exact probabilities."""

import itertools
from collections import Counter

import pytest
import torch
from scipy.stats import chisquare
from tiny_models import END, KINDS, PAD, VOCABULARY, random_model

from assertkd.models import generation
from assertkd.models.causal.model import CausalModel
from assertkd.models.decoding import output_lengths, pad_sequences
from assertkd.models.distillable import IGNORED
from assertkd.models.network import round_weights


def random_inputs(count: int, seed: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 14, (count,), generator=generator).tolist()
    return [torch.randint(2, VOCABULARY, (length,), generator=generator).tolist() for length in lengths]


def by_generate(model: CausalModel, one: list[int], most: int, beams: int) -> list[int]:
    """Return what transformers continues one input with, alone and without padding."""
    written = model.network.generate(
        input_ids=torch.tensor([one]),
        attention_mask=torch.ones(1, len(one), dtype=torch.long),
        max_new_tokens=most,
        num_beams=beams,
        do_sample=False,
    )
    return written[0, len(one) :].tolist()


def likely_to_end(kind: str) -> CausalModel:
    """Return a model that ends some outputs."""
    model = random_model(kind, seed=2)
    head = model.network.get_output_embeddings()
    with torch.no_grad():
        head.weight[END] = head.weight.mean(dim=0) + 0.4 * head.weight[END]
    return model


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_greedy_and_beam_are_generate(kind: str, beams: int) -> None:
    model, inputs = random_model(kind), random_inputs(6)
    written = model.generate(*pad_sequences(inputs, PAD), 12, beams)
    assert written.shape[1] <= 12
    for one, tokens in zip(inputs, written.tolist(), strict=True):
        expected = by_generate(model, one, 12, beams)
        assert tokens[: len(expected)] == expected
        # Of the beams of one input alone, transformers cuts the end token off.
        assert set(tokens[len(expected) :]) <= {PAD} | ({END} if beams > 1 else set())


@pytest.mark.parametrize("kind", ["qwen2", "gemma3_text"])
def test_those_that_end_leave_the_batch(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs = random_model(kind), random_inputs(16, seed=5)
    free = model.generate(*pad_sequences(inputs, PAD), 10)
    # Whatever is written often is made an end token, so that outputs end everywhere.
    common = [token for token, _ in Counter(free.flatten().tolist()).most_common(6)]
    model.network.generation_config.eos_token_id = [END, *common[2:6]]
    expected = [by_generate(model, one, 10, 1) for one in inputs]
    assert len({len(one) for one in expected}) > 2
    for share in (0.0, 0.75, 1.0):
        monkeypatch.setattr(generation, "COMPACT_AT", share)
        written = model.generate(*pad_sequences(inputs, PAD), 10).tolist()
        assert [tokens[: len(one)] for tokens, one in zip(written, expected, strict=True)] == expected


@pytest.mark.parametrize("kind", KINDS)
def test_steps_give_the_teacher_forced_logits(kind: str) -> None:
    model = random_model(kind)
    input_ids, mask = pad_sequences([[5, 6, 7, 8, 9, 10, 11, 12, 13], [5, 6], [7]], PAD)
    tokens = torch.randint(2, VOCABULARY, (3, 4, 8), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = model(input_ids, mask, tokens.flatten(0, 1), targets_per_input=4).logits.view(3, 4, 8, VOCABULARY)
        steps, latest = model.decoding_steps(input_ids, mask, 4, 8)
        for step in range(8):
            if step == 3:
                chosen = (torch.tensor([[0], [2]]), torch.tensor([[3, 0, 1], [2, 1, 3]]))
                steps.keep(torch.tensor([0, 2]), chosen[1])
                tokens, expected, latest = tokens[chosen], expected[chosen], latest[chosen]
            torch.testing.assert_close(steps.logits(latest), expected[:, :, step], rtol=1e-3, atol=1e-3)
            latest = tokens[..., step]


@pytest.mark.parametrize("kind", ["qwen2", "gemma2", "starcoder2"])
def test_samples_are_as_frequent_as_probable(kind: str) -> None:
    """The distribution over all outputs of up to two tokens, enumerated."""
    model, one, draws, temperature = random_model(kind, vocab_size=7), [3, 4, 5], 30_000, 0.8
    inputs = torch.tensor([one])
    outputs = [(END,), *itertools.product([t for t in range(7) if t != END], range(7))]
    probabilities = []
    for tokens in outputs:
        with torch.no_grad():
            logits = model.network(input_ids=torch.tensor([[*one, *tokens]])).logits[0, 2:-1].double()
        chosen = torch.log_softmax(logits / temperature, dim=-1).gather(1, torch.tensor(tokens)[:, None])
        probabilities.append(chosen.sum().exp().item())
    assert sum(probabilities) == pytest.approx(1.0, abs=1e-6)
    written = model.sample(
        inputs, torch.ones_like(inputs), draws, 2, temperature=temperature, generator=torch.Generator().manual_seed(1)
    )
    lengths = output_lengths(written, model.end_token_ids)
    found = dict.fromkeys(outputs, 0)
    for tokens, length in zip(written[0].tolist(), lengths[0].tolist(), strict=True):
        found[tuple(tokens[:length])] += 1
    expected = [draws * p for p in probabilities]
    common = [number for number, count in enumerate(expected) if count >= 5]
    observed = [*(list(found.values())[n] for n in common), 0]
    observed[-1] = draws - sum(observed)
    theory = [*(expected[n] for n in common), draws - sum(expected[n] for n in common) + 1e-9]
    assert chisquare(observed, theory, sum_check=False).pvalue > 1e-3


def test_samples_follow_from_the_generator_and_the_row() -> None:
    model, inputs = random_model("qwen3"), random_inputs(5, seed=3)
    drawn = [model.sample(*pad_sequences(inputs, PAD), 3, 6, generator=torch.Generator().manual_seed(2)) for _ in "ab"]
    assert torch.equal(*drawn)
    assert drawn[0].shape[:2] == (5, 3) and not drawn[0].is_inference()
    wide, mask = pad_sequences([*inputs, [4] * 30], PAD)
    again = model.sample(wide, mask, 3, 6, generator=torch.Generator().manual_seed(2))
    assert torch.equal(again[:5, :, : drawn[0].shape[2]], drawn[0]), "neither padding nor neighbours change a row"


def test_a_padding_token_that_is_the_end_token() -> None:
    model, inputs = random_model("llama", pad_token_id=END), random_inputs(6)
    written = model.generate(*pad_sequences(inputs, END), 10).tolist()
    for one, tokens in zip(inputs, written, strict=True):
        expected = by_generate(model, one, 10, 1)
        assert tokens[: len(expected)] == expected


@pytest.mark.parametrize("kind", KINDS)
def test_in_bfloat16_the_vectors_are_much_the_same(kind: str) -> None:
    model, (input_ids, mask) = random_model(kind), pad_sequences(random_inputs(6), PAD)
    labels = model.generate(input_ids, mask, 8)
    labels = labels.masked_fill(labels == PAD, IGNORED)
    exact = model.head_inputs(input_ids, mask, labels)
    round_weights(model)
    assert all(buffer.dtype != torch.bfloat16 for buffer in model.buffers())
    coarse = model.head_inputs(input_ids, mask, labels)
    assert coarse.dtype == torch.bfloat16
    # A rounded vector may go to other experts.
    bound = 0.25 if kind in ("qwen2_moe", "mixtral") else 0.05
    assert 0 < (coarse.float() - exact).norm() / exact.norm() < bound
    for beams in (1, 3):
        assert model.generate(input_ids, mask, 8, beams).shape[0] == 6
