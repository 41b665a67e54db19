"""Decoding against transformers' own `generate`, on random models and on one trained until it ends its sequences."""

from collections.abc import Callable

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from assertkd.models.generation import beam, generate_texts, greedy, padded

VOCABULARY = 40
PAD, EOS = 0, 1


def tiny_model(seed: int) -> T5ForConditionalGeneration:
    torch.manual_seed(seed)
    config = T5Config(
        vocab_size=VOCABULARY,
        d_model=32,
        d_kv=8,
        d_ff=64,
        dropout_rate=0.0,
        num_layers=2,
        num_heads=4,
        pad_token_id=PAD,
        eos_token_id=EOS,
        decoder_start_token_id=PAD,
    )
    return T5ForConditionalGeneration(config).eval()


def random_inputs(count: int, seed: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(2, 12, (count,), generator=generator).tolist()
    return [[*torch.randint(2, VOCABULARY, (length,), generator=generator).tolist(), EOS] for length in lengths]


@pytest.fixture(scope="module")
def copier() -> T5ForConditionalGeneration:
    """A model trained to write 3 to 7 tokens, as its input's last token says: its outputs end at different places."""
    model = tiny_model(seed=1).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    inputs = random_inputs(128)
    input_ids, attention_mask = padded(inputs, PAD)
    targets, _ = padded([[one[-2]] * (one[-2] % 5 + 2) + [2, EOS] for one in inputs], -100)
    for _ in range(100):
        loss = model(input_ids=input_ids, attention_mask=attention_mask, labels=targets).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def by_generate(model: T5ForConditionalGeneration, inputs: list[list[int]], most: int, beams: int = 1) -> torch.Tensor:
    input_ids, attention_mask = padded(inputs, PAD)
    return model.generate(
        input_ids=input_ids, attention_mask=attention_mask, max_new_tokens=most, do_sample=False, num_beams=beams
    )[:, 1:]


@pytest.mark.parametrize("seed", range(6))
def test_greedy_is_generate_on_random_models(seed: int) -> None:
    model, inputs = tiny_model(seed), random_inputs(7, seed)
    # A fresh head mostly repeats what it reads; a random one writes all sorts.
    model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight))
    written = greedy(model, *padded(inputs, PAD), 20)
    assert torch.equal(written, by_generate(model, inputs, 20))
    assert len(written.unique()) > 5


def test_greedy_is_generate_where_sequences_end(copier: T5ForConditionalGeneration) -> None:
    inputs = random_inputs(40, seed=5)
    written = greedy(copier, *padded(inputs, PAD), 20)
    assert torch.equal(written, by_generate(copier, inputs, 20))
    ends = (written == EOS).any(dim=1)
    last = (written == EOS).int().argmax(dim=1)[ends]
    assert len(set(last.tolist())) >= 4, "the sequences are to end at different places"

    ending = [one for one, has_end in zip(inputs, ends.tolist(), strict=True) if has_end]
    assert greedy(copier, *padded(ending, PAD), 40).shape == (len(ending), int(last.max()) + 1)


def test_greedy_pads_behind_the_end(copier: T5ForConditionalGeneration) -> None:
    written = greedy(copier, *padded(random_inputs(40, seed=6), PAD), 20)
    behind_end = (written == EOS).cumsum(dim=1) - (written == EOS).int() > 0
    assert behind_end.any()
    assert (written[behind_end] == PAD).all()


def test_greedy_does_not_depend_on_the_batch(copier: T5ForConditionalGeneration) -> None:
    inputs = random_inputs(12, seed=7)
    together = greedy(copier, *padded(inputs, PAD), 20)
    for row, one in zip(together, inputs, strict=True):
        alone = greedy(copier, *padded([one], PAD), 20)[0]
        assert torch.equal(row[: len(alone)], alone)
        assert (row[len(alone) :] == PAD).all()


def test_greedy_knows_several_end_tokens(copier: T5ForConditionalGeneration) -> None:
    inputs = random_inputs(10, seed=8)
    copier.generation_config.eos_token_id = [EOS, 2]
    try:
        written = greedy(copier, *padded(inputs, PAD), 20)
        assert torch.equal(written, by_generate(copier, inputs, 20))
        assert ((written == 2).any(dim=1) & ~(written == EOS).any(dim=1)).any()
    finally:
        copier.generation_config.eos_token_id = EOS


@pytest.mark.parametrize("most", [1, 2, 3])
def test_greedy_keeps_to_the_longest_output(copier: T5ForConditionalGeneration, most: int) -> None:
    inputs = random_inputs(5)
    assert torch.equal(greedy(copier, *padded(inputs, PAD), most), by_generate(copier, inputs, most))


def test_beam_is_generate(copier: T5ForConditionalGeneration) -> None:
    inputs = random_inputs(6, seed=9)
    assert torch.equal(beam(copier, *padded(inputs, PAD), 12, 3), by_generate(copier, inputs, 12, beams=3))


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerFast:
    words = {"<pad>": PAD, "</s>": EOS} | {f"w{index}": index for index in range(2, VOCABULARY)}
    inner = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", eos_token="</s>", unk_token="<pad>")


@pytest.mark.parametrize("num_beams", [1, 2])
def test_texts_come_in_the_order_of_the_inputs(
    copier: T5ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, num_beams: int
) -> None:
    inputs = random_inputs(11, seed=10)
    done: list[int] = []
    settings = {"max_new_tokens": 20, "num_beams": num_beams}
    texts = generate_texts(copier, tokenizer, inputs, batch_size=4, progress=done.append, **settings)
    for text, one in zip(texts, inputs, strict=True):
        expected = tokenizer.decode(by_generate(copier, [one], 20, num_beams)[0], skip_special_tokens=True).strip()
        assert text == expected
    assert len(set(texts)) > 3
    assert done == [4, 8, 11]


def test_texts_of_nothing_are_none(copier: T5ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast) -> None:
    assert generate_texts(copier, tokenizer, [], batch_size=4, max_new_tokens=5) == []


@pytest.mark.parametrize("switch", [torch.nn.Module.train, torch.nn.Module.eval])
def test_the_model_keeps_its_mode(
    tokenizer: PreTrainedTokenizerFast, switch: Callable[[torch.nn.Module], torch.nn.Module]
) -> None:
    model = tiny_model(seed=2)
    switch(model)
    before = model.training
    generate_texts(model, tokenizer, random_inputs(3), batch_size=2, max_new_tokens=3)
    assert model.training == before
