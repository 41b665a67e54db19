import pickle

import numpy as np
import pytest
import torch

from assertkd.batching.distributions import DenseView, FullDistribution
from assertkd.batching.examples import Payload
from assertkd.logits.codecs.dense import DenseCodec
from assertkd.logits.codecs.hidden import HiddenCodec, HiddenView
from assertkd.logits.store.reader import StoreReader


def read_all(reader: StoreReader, examples: list) -> list[Payload]:
    return [reader.read(example.id, example.target_ids) for example in examples]


def test_dense_view_gives_the_rounded_logits(tmp_path, write_store, head, examples) -> None:
    reader = StoreReader(write_store(tmp_path / "train", DenseCodec(50, 24), examples))
    view = reader.collate_views(read_all(reader, examples[3:9]))
    assert isinstance(view, DenseView)
    hidden = np.concatenate([example.hidden for example in examples[3:9]])
    assert (view.num_tokens, view.vocab_size) == (len(hidden), 50)
    logits = view.logits(slice(0, view.num_tokens))
    assert logits.dtype == torch.float32
    expected = torch.from_numpy((hidden @ head.T).astype(np.float16).astype(np.float32))
    assert torch.allclose(logits, expected, rtol=2**-10, atol=1e-6)


def test_hidden_view_gives_the_logits(tmp_path, write_store, head, examples) -> None:
    folder = write_store(tmp_path / "train", HiddenCodec(50, 24, dtype="float16"), examples)
    reader = StoreReader(folder)
    view = reader.collate_views(read_all(reader, examples[3:9]))
    assert isinstance(view, HiddenView)
    hidden = np.concatenate([example.hidden for example in examples[3:9]])
    expected = torch.from_numpy(hidden @ head.T)
    assert torch.allclose(view.logits(slice(0, view.num_tokens)), expected, atol=2e-3 * expected.abs().max().item())
    assert view.vocab_size == 50


@pytest.mark.parametrize("codec", [DenseCodec(50, 24), HiddenCodec(50, 24)])
def test_chunks_and_devices_change_nothing(tmp_path, write_store, examples, codec) -> None:
    reader = StoreReader(write_store(tmp_path / "train", codec, examples))
    view = reader.collate_views(read_all(reader, examples))
    assert isinstance(view, FullDistribution)
    whole = view.logits(slice(0, view.num_tokens))
    chunks = [view.logits(slice(start, start + 7)) for start in range(0, view.num_tokens, 7)]
    assert torch.allclose(torch.cat(chunks), whole, atol=1e-5)
    assert torch.equal(view.to("cpu").logits(slice(2, 5)), view.logits(slice(2, 5)))
    assert not whole.requires_grad


@pytest.mark.parametrize("codec", [DenseCodec(50, 24), HiddenCodec(50, 24)])
def test_views_travel_between_processes_without_the_head(tmp_path, write_store, examples, codec) -> None:
    reader = StoreReader(write_store(tmp_path / "train", codec, examples))
    view = reader.collate_views(read_all(reader, examples[:2]))
    again = pickle.loads(pickle.dumps(view))
    assert torch.equal(again.logits(slice(0, 3)), view.logits(slice(0, 3)))
    assert len(pickle.dumps(view)) < view.num_tokens * 50 * 4 + 2000


def test_no_payloads_give_a_view_of_no_tokens(tmp_path, write_store, examples) -> None:
    for codec in (DenseCodec(50, 24), HiddenCodec(50, 24)):
        reader = StoreReader(write_store(tmp_path / codec.name, codec, examples))
        view = reader.collate_views([])
        assert view.num_tokens == 0
        assert view.logits(slice(0, 0)).shape == (0, 50)


def test_hidden_view_stays_float32_under_autocast_and_after_inference_mode(tmp_path, write_store, examples) -> None:
    reader = StoreReader(write_store(tmp_path / "train", HiddenCodec(50, 24), examples))
    view = reader.collate_views(read_all(reader, examples[:4]))
    with torch.inference_mode():
        first = view.logits(slice(0, 4)).clone()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = view.logits(slice(0, 4))
    assert logits.dtype == torch.float32
    assert torch.equal(logits, first)
    student = torch.randn(4, 50, requires_grad=True)
    (torch.log_softmax(student, dim=-1) * logits).sum().backward()
    assert student.grad is not None


def test_two_splits_share_one_head_in_memory(tmp_path, write_store, examples) -> None:
    stores = [write_store(tmp_path / split, HiddenCodec(50, 24), examples) for split in ("train", "validation")]
    heads = [StoreReader(folder).head for folder in stores]
    cpu = torch.device("cpu")
    assert heads[0].path != heads[1].path
    assert heads[0].weight(cpu) is heads[1].weight(cpu)
