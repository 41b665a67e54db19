"""The divergence of a small random student from stores of every kind."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import T5Config, T5ForConditionalGeneration

from assertkd.batching.examples import Example
from assertkd.errors import UserError
from assertkd.evaluation.divergence import kl_divergence
from assertkd.logits.codecs.codec import Codec
from assertkd.logits.codecs.dense import DenseCodec
from assertkd.logits.codecs.hidden import HiddenCodec
from assertkd.logits.codecs.topk import TopKCodec
from assertkd.logits.store.manifest import Provenance
from assertkd.logits.store.reader import StoreReader
from assertkd.logits.store.writer import StoreWriter
from assertkd.models.t5.model import T5Model

EXAMPLES = [
    Example("a", [5, 6, 7, 1], [8, 9, 1]),
    Example("b", [8, 1], [4, 1]),
    Example("c", [9, 10, 11, 12, 1], [3, 4, 5, 6, 1]),
]
VOCABULARY, WIDTH = 30, 16


@pytest.fixture(scope="module")
def student() -> T5ForConditionalGeneration:
    torch.manual_seed(4)
    sizes = {"vocab_size": VOCABULARY, "d_model": WIDTH, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    config = T5Config(**sizes, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0)
    model = T5ForConditionalGeneration(config).eval()
    model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight))
    return model


@pytest.fixture(scope="module")
def teacher() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    rng = np.random.default_rng(2)
    head = rng.standard_normal((VOCABULARY, WIDTH)).astype(np.float32)
    hidden = {one.id: rng.standard_normal((len(one.target_ids), WIDTH)).astype(np.float32) for one in EXAMPLES}
    return head, hidden


def stored(folder: Path, codec: Codec, teacher: tuple[np.ndarray, dict[str, np.ndarray]]) -> StoreReader:
    head, hidden = teacher
    writer = StoreWriter(folder, codec, head, Provenance(tokenizer="1" * 64, teacher="2" * 64, corpus="3" * 64))
    for one in EXAMPLES:
        writer.add(one.id, one.target_ids, hidden[one.id])
    writer.finish()
    return StoreReader(folder)


def expected(
    student: T5ForConditionalGeneration, teacher: tuple[np.ndarray, dict[str, np.ndarray]], temperature: float
) -> float:
    """The mean over target tokens, example by example, with transformers' own forward pass."""
    head, hidden = teacher
    values = []
    for one in EXAMPLES:
        with torch.no_grad():
            logits = student(input_ids=torch.tensor([one.input_ids]), labels=torch.tensor([one.target_ids])).logits[0]
        log_q = torch.log_softmax(logits.double() / temperature, -1)
        log_p = torch.log_softmax(torch.from_numpy(hidden[one.id] @ head.T).double() / temperature, -1)
        values.append(torch.nn.functional.kl_div(log_q, log_p, reduction="none", log_target=True).sum(-1))
    return float(torch.cat(values).mean())


@pytest.mark.parametrize("codec", [DenseCodec(VOCABULARY, WIDTH), HiddenCodec(VOCABULARY, WIDTH, dtype="float16")])
@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_it_is_the_mean_over_target_tokens(tmp_path, student, teacher, codec: Codec, batch_size: int) -> None:
    store = stored(tmp_path / "test", codec, teacher)
    value = kl_divergence(T5Model(student), EXAMPLES, store, 2.0, batch_size, torch.device("cpu"))
    assert value == pytest.approx(expected(student, teacher, 2.0), rel=2e-3)
    assert store.codec.keeps_vocabulary


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_on_buckets_it_is_a_lower_bound_that_closes(tmp_path, student, teacher, temperature: float) -> None:
    whole = expected(student, teacher, temperature)
    values = []
    for max_k in (1, 5, VOCABULARY):
        codec = TopKCodec(VOCABULARY, WIDTH, (2.0,), tolerance=1e-7, max_k=max_k)
        store = stored(tmp_path / str(max_k), codec, teacher)
        assert not store.codec.keeps_vocabulary
        values.append(kl_divergence(T5Model(student), EXAMPLES, store, temperature, 2, torch.device("cpu")))
    assert 0 < values[0] < values[1] < values[2]
    assert values[0] < 0.95 * whole
    assert values[2] == pytest.approx(whole, rel=1e-2)


def test_a_temperature_that_was_not_stored_is_refused(tmp_path, student, teacher) -> None:
    store = stored(tmp_path / "test", TopKCodec(VOCABULARY, WIDTH, (2.0,)), teacher)
    with pytest.raises(UserError, match="temperature 3, only at 1, 2"):
        kl_divergence(T5Model(student), EXAMPLES, store, 3.0, 2, torch.device("cpu"))
