"""Texts that a model generates, against transformers' own `generate` for one input at a time."""

from collections.abc import Callable

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from assertkd.models.registry import build_model
from assertkd.models.t5.model import T5Model
from assertkd.models.torch_text_generator import TorchTextGenerator
from assertkd.settings import ModelSettings
from assertkd.settings.model import ScratchSettings

VOCABULARY = 40
PAD, EOS = 0, 1
SIZES = ScratchSettings(d_model=32, d_ff=64, heads=4, encoder_layers=2, decoder_layers=2)


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerFast:
    words = {"<pad>": PAD, "</s>": EOS} | {f"w{index}": index for index in range(2, VOCABULARY)}
    inner = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", eos_token="</s>", unk_token="<pad>")


@pytest.fixture
def model(tokenizer: PreTrainedTokenizerFast) -> T5Model:
    """A model that writes all sorts, and ends some outputs early."""
    torch.manual_seed(1)
    built = build_model(ModelSettings(name="scratch", scratch=SIZES), tokenizer, 0.0).eval()
    assert isinstance(built, T5Model)
    built.network.lm_head.weight = torch.nn.Parameter(torch.randn(VOCABULARY, 32))
    return built


def random_inputs(count: int, seed: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(2, 12, (count,), generator=generator).tolist()
    return [[*torch.randint(2, VOCABULARY, (length,), generator=generator).tolist(), EOS] for length in lengths]


@pytest.mark.parametrize("num_beams", [1, 2])
def test_texts_come_in_the_order_of_the_inputs(
    model: T5Model, tokenizer: PreTrainedTokenizerFast, num_beams: int
) -> None:
    inputs = random_inputs(11, seed=10)
    done: list[int] = []
    texts = TorchTextGenerator(model, tokenizer).generate(
        inputs, batch_size=4, max_new_tokens=20, num_beams=num_beams, progress=done.append
    )
    for text, one in zip(texts, inputs, strict=True):
        ids = model.network.generate(
            input_ids=torch.tensor([one]), max_new_tokens=20, do_sample=False, num_beams=num_beams
        )[0]
        assert text == tokenizer.decode(ids, skip_special_tokens=True).strip()
    assert len(set(texts)) > 3
    assert done == [4, 8, 11]


def test_texts_of_nothing_are_none(model: T5Model, tokenizer: PreTrainedTokenizerFast) -> None:
    assert TorchTextGenerator(model, tokenizer).generate([], batch_size=4, max_new_tokens=5) == []


@pytest.mark.parametrize("switch", [torch.nn.Module.train, torch.nn.Module.eval])
def test_the_model_keeps_its_mode(
    model: T5Model, tokenizer: PreTrainedTokenizerFast, switch: Callable[[torch.nn.Module], torch.nn.Module]
) -> None:
    switch(model)
    before = model.training
    TorchTextGenerator(model, tokenizer).generate(random_inputs(3), batch_size=2, max_new_tokens=3)
    assert model.training == before
