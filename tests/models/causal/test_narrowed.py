"""Models that keep their most important heads and feed-forward units, of both families."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_models import random_model
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from assertkd.errors import UserError
from assertkd.models.distillable import DistillableModel
from assertkd.models.importance import head_importance, most_important, unit_importance
from assertkd.models.registry import load_model, parameter_count
from assertkd.models.t5.model import T5Model

INPUTS = torch.tensor([[5, 6, 7, 8, 1], [9, 10, 11, 1, 0]])
MASK = (INPUTS != 0).long()
LABELS = torch.tensor([[12, 13, 1], [14, 1, -100]])
GROUPED = ("llama", "qwen2", "qwen3", "starcoder2", "gemma3_text")


def t5(vocab_size: int = 40, **changes: object) -> T5Model:
    torch.manual_seed(3)
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_heads": 4, "num_layers": 2, "num_decoder_layers": 3}
    tokens = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
    network = T5ForConditionalGeneration(T5Config(vocab_size=vocab_size, **sizes | tokens | changes))
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim > 1:
                weight.normal_(std=0.3)
    return T5Model(network).eval()


def logits(model: DistillableModel) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(INPUTS, MASK, LABELS).logits


def test_the_importance_is_that_of_the_matrix_of_each_head() -> None:
    generator = torch.Generator().manual_seed(0)
    value, output = torch.randn(2 * 3, 10, generator=generator), torch.randn(10, 4 * 3, generator=generator)
    expected = []
    for group in range(2):
        heads = (2 * group, 2 * group + 1)
        expected.append(
            sum(float((output[:, 3 * h : 3 * h + 3] @ value[3 * group : 3 * group + 3]).norm()) ** 2 for h in heads)
        )
    assert head_importance(value, output, 2, 4).tolist() == pytest.approx(expected, rel=1e-5)
    gate, up, down = (torch.randn(6, 10, generator=generator) for _ in range(3))
    products = [float(gate[u].norm() * up[u].norm() * down[u].norm()) for u in range(6)]
    assert unit_importance([gate, up], down.T).tolist() == pytest.approx(products, rel=1e-5)
    assert most_important(torch.tensor([1.0, 3.0, 3.0, 0.5, 3.0]), 2).tolist() == [1, 2]


@pytest.mark.parametrize("kind", ["t5", "t5 gated", *GROUPED])
def test_all_heads_and_units_make_the_model_again(kind: str) -> None:
    if kind.startswith("t5"):
        model: DistillableModel = t5(**{"feed_forward_proj": "gated-gelu"} if "gated" in kind else {})
        copy = model.narrowed(4, 24)
    else:
        model = random_model(kind)
        copy = model.narrowed(4, 48)
    assert torch.equal(logits(copy), logits(model))
    assert torch.equal(logits(model.narrowed(None, None)), logits(model))
    assert {id(weight) for weight in copy.parameters()}.isdisjoint(id(weight) for weight in model.parameters())


@pytest.mark.parametrize("kind", ["t5", "t5 gated", *GROUPED])
def test_what_does_nothing_goes_first_and_is_not_missed(kind: str) -> None:
    """Heads and units whose output is 0 are cut, and the outputs stay as they are."""
    model: DistillableModel
    if kind.startswith("t5"):
        model = t5(**{"feed_forward_proj": "gated-gelu"} if "gated" in kind else {})
        idle_heads, idle_units, heads, units = slice(8, 24), slice(3, 11), 2, 16
    else:
        model = random_model(kind)
        idle_heads, idle_units, heads, units = slice(0, 16), slice(5, 25), 2, 28
    with torch.no_grad():
        for name, weight in model.network.named_parameters():
            if name.endswith((".o.weight", "o_proj.weight")):
                weight[:, idle_heads] = 0.0
            elif name.endswith((".wo.weight", "mlp.down_proj.weight", "mlp.c_proj.weight")):
                weight[:, idle_units] = 0.0
    narrow = model.narrowed(heads, units)
    torch.testing.assert_close(logits(narrow), logits(model), rtol=1e-5, atol=1e-5)
    assert parameter_count(narrow) < parameter_count(model)
    assert narrow.shape.heads == 2
    # What is left was not idle.
    if kind.startswith("t5"):
        assert not torch.allclose(logits(model.narrowed(1, units)), logits(model), rtol=1e-3, atol=1e-3)
    assert not torch.allclose(logits(model.narrowed(heads, units - 8)), logits(model), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", ["mixtral", "qwen2_moe"])
def test_layers_of_experts_have_fewer_heads_but_not_fewer_units(kind: str) -> None:
    model = random_model(kind)
    with torch.no_grad():
        for name, weight in model.network.named_parameters():
            if name.endswith("o_proj.weight"):
                weight[:, :16] = 0.0
    narrow = model.narrowed(2, None)
    assert narrow.shape.heads == 2
    torch.testing.assert_close(logits(narrow), logits(model), rtol=1e-5, atol=1e-5)
    with pytest.raises(UserError, match="cannot be narrowed"):
        model.narrowed(2, 12)


def test_the_heads_of_a_t5_stack_keep_their_position_biases() -> None:
    model = t5()
    with torch.no_grad():
        for block in model.network.encoder.block:
            # Only over all layers does head 2 outweigh the others.
            block.layer[0].SelfAttention.o.weight[:, 16:24] *= 10
    narrow = model.narrowed(1, None).network.encoder
    for own, whole in zip(narrow.block, model.network.encoder.block, strict=True):
        assert torch.equal(own.layer[0].SelfAttention.q.weight, whole.layer[0].SelfAttention.q.weight[16:24])
        assert torch.equal(own.layer[0].SelfAttention.o.weight, whole.layer[0].SelfAttention.o.weight[:, 16:24])
    biases = model.network.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight
    assert torch.equal(narrow.block[0].layer[0].SelfAttention.relative_attention_bias.weight, biases[:, 2:3])


def test_parameters_are_those_of_the_sizes() -> None:
    model = t5()
    assert parameter_count(model) - parameter_count(model.narrowed(3, 20)) == (
        # Two attentions in each of three layers and one in each of two; a bias for 32 distances in each stack.
        8 * 4 * 16 * 8 + 5 * 2 * 16 * 4 + 2 * 32
    )
    llama = random_model("llama")
    # In four layers: a group of two heads of 8, with queries and outputs of 16, and keys and values of 8.
    assert parameter_count(llama) - parameter_count(llama.narrowed(2, 40)) == 4 * (
        2 * 32 * 16 + 2 * 32 * 8 + 3 * 32 * 8
    )


@pytest.mark.parametrize("kind", ["t5", *GROUPED])
def test_a_narrow_model_is_loaded_by_transformers_predicts_and_trains(
    kind: str, tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    entries = len(tiny_tokenizer)
    model: DistillableModel = t5(entries) if kind == "t5" else random_model(kind, vocab_size=entries)
    narrow = model.narrowed(2, 12).eval()
    narrow.save(tiny_tokenizer, tmp_path)
    loader = T5ForConditionalGeneration if kind == "t5" else AutoModelForCausalLM
    theirs = loader.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        expected = (
            theirs(input_ids=INPUTS[:1], labels=LABELS[:1]).logits[0]
            if kind == "t5"
            else theirs(input_ids=torch.cat([INPUTS[:1], LABELS[:1]], 1)).logits[0, 4:-1]
        )
    torch.testing.assert_close(logits(narrow)[:3], expected, rtol=1e-4, atol=1e-4)
    again = load_model(tmp_path, tokenizer=tiny_tokenizer).eval()
    assert torch.equal(logits(again), logits(narrow))
    written = again.generate(INPUTS, MASK, 6)
    assert torch.equal(written, narrow.generate(INPUTS, MASK, 6))
    assert written.shape[1] <= 6
    optimizer, losses = torch.optim.Adam(again.parameters(), lr=0.03), []
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(again(INPUTS, MASK, LABELS).logits, LABELS[LABELS != -100])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("build", "heads", "units", "said"),
    [
        (t5, 5, None, r"^model\.teacher_heads: 5 is more than the teacher's 4 attention heads\n"),
        (t5, None, 25, r"^model\.teacher_d_ff: 25 is more than the teacher's 24 feed-forward units\n"),
        (
            lambda: random_model("llama"),
            3,
            None,
            r"^model\.teacher_heads: 3 is no multiple of 2",
        ),
        (lambda: random_model("llama"), 6, 49, r"6 is more than the teacher's 4.*; .*49 is more than the teacher's 48"),
        (lambda: random_model("gpt2"), 2, None, "the layers of GPT2LMHeadModel cannot be narrowed"),
        (lambda: random_model("qwen2_moe"), None, 12, "the layers of Qwen2MoeForCausalLM cannot be narrowed"),
        (
            lambda: random_model("qwen2_moe", mlp_only_layers=[0]),
            2,
            12,
            "the layers of Qwen2MoeForCausalLM cannot be narrowed",
        ),
    ],
)
def test_what_a_model_does_not_have_is_refused(
    build: Callable[[], DistillableModel], heads: int | None, units: int | None, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        build().narrowed(heads, units)
