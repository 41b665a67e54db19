"""The codec `topk` against plain numpy in float64."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from assertkd.batching.distributions import BucketedDistribution, Buckets
from assertkd.batching.examples import Payload
from assertkd.errors import UserError
from assertkd.logits.codecs import topk
from assertkd.logits.codecs.topk import TopKCodec
from assertkd.logits.store.reader import StoreReader

LOGITS = arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(2, 40)), elements=st.floats(-40, 40, width=32))


def log_probabilities(logits: np.ndarray, temperature: float) -> np.ndarray:
    """log softmax(logits / T) in float64."""
    scaled = logits.astype(np.float64) / temperature
    shifted = scaled - scaled.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def view_of(codec: TopKCodec, arrays: Payload, tokens: int) -> BucketedDistribution:
    codec.validate(arrays, tokens)
    return codec.collate([arrays], None)


def same(one: Payload, other: Payload) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def size_of(arrays: Payload) -> int:
    """Bytes that an example takes in a shard."""
    return sum(array.nbytes for array in arrays.values())


def all_buckets(view: BucketedDistribution, temperature: float) -> Buckets:
    return view.buckets(slice(0, view.num_tokens), temperature)


def supports(buckets: Buckets) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """Ids, log-probabilities and log tail of every row, without its padding."""
    held = (buckets.log_p > -np.inf).numpy()
    columns = zip(buckets.ids.numpy(), buckets.log_p.double().numpy(), buckets.log_tail.tolist(), held, strict=True)
    return [(ids[mask], log_p[mask], tail) for ids, log_p, tail, mask in columns]


def spread(buckets: Buckets, vocabulary: int) -> np.ndarray:
    """What is stored as a distribution over the vocabulary, (T, V) float64: the tail's mass is evenly spread."""
    full = np.empty((len(buckets.ids), vocabulary))
    for row, (ids, log_p, tail) in enumerate(supports(buckets)):
        full[row] = tail - np.log(max(1, vocabulary - len(ids)))
        full[row, ids] = log_p
    return full


def mean_kl(log_p: np.ndarray, log_q: np.ndarray) -> float:
    return float((np.exp(log_p) * (log_p - log_q)).sum(axis=1).mean())


@settings(max_examples=150)
@given(
    logits=LOGITS,
    temperatures=st.lists(st.sampled_from([0.5, 2.0, 4.0, 10.0]), max_size=3),
    tolerance=st.sampled_from([1e-6, 1e-4, 1e-2]),
    max_k=st.sampled_from([1, 3, 16, 300]),
)
def test_round_trip_within_the_stated_error(
    logits: np.ndarray, temperatures: list[float], tolerance: float, max_k: int
) -> None:
    tokens, vocabulary = logits.shape
    codec = TopKCodec(vocabulary, 8, temperatures, tolerance, max_k)
    arrays = codec.encode_logits(logits)
    view = view_of(codec, arrays, tokens)
    assert same(arrays, codec.encode_logits(logits))
    assert view.temperatures == codec.temperatures == tuple(sorted({1.0, *temperatures}))
    for temperature in codec.temperatures:
        truth = log_probabilities(logits, temperature)
        for row, (ids, log_p, tail) in enumerate(supports(all_buckets(view, temperature))):
            assert 1 <= len(set(ids)) == len(ids) <= min(max_k, vocabulary)
            assert np.exp(log_p).sum() + np.exp(tail) == pytest.approx(1.0, abs=1e-5)
            outside = np.delete(truth[row], ids)
            expected_tail = np.log(np.exp(outside).sum()) if len(outside) else -np.inf
            expected_head = np.log(np.exp(truth[row, ids]).sum())
            rounding = 2**-11 * abs(expected_tail - expected_head) if len(outside) else 0.0
            distance = (truth[row].max() - truth[row, ids]).max() * temperature
            step = max(2.0**-12, 1.1 * distance / 255)
            assert np.abs(log_p - truth[row, ids]).max() <= step / temperature + rounding + 1e-4
            assert tail == pytest.approx(expected_tail, abs=rounding + 1e-4)
            # Logits that differ by less than float32 tells apart may change places.
            least = truth[row, ids].min() + 1e-6
            assert not len(outside) or outside.max() <= least, "the support is of the likeliest"


@settings(max_examples=60)
@given(logits=LOGITS, tolerance=st.sampled_from([1e-5, 1e-3, 3e-2]))
def test_no_other_k_is_cheaper(logits: np.ndarray, tolerance: float) -> None:
    """KL(full ‖ kept) by its definition, for every k."""
    vocabulary = logits.shape[1]
    codec = TopKCodec(vocabulary, 8, (), tolerance)
    chosen = codec.encode_logits(logits)["k"].astype(int) + 1
    truth = -np.sort(-log_probabilities(logits, 1.0), axis=1)
    for row, k in zip(truth, chosen, strict=True):
        costs = []
        for size in range(1, vocabulary + 1):
            kept = row.copy()
            if size < vocabulary:
                kept[size:] = np.log(np.exp(row[size:]).sum() / (vocabulary - size))
            costs.append((np.exp(row) * (row - kept)).sum() + tolerance * 3 * size)
        assert costs[k - 1] == pytest.approx(min(costs), abs=1e-6)


def test_a_byte_is_worth_the_tolerance() -> None:
    """Two tokens share the mass, all others are equal: the second saves so much KL, whatever the tolerance below."""
    logits = np.log(np.array([[0.6, 0.3, *[0.1 / 8] * 8]], np.float32))
    rest = 0.4 / 9
    saved = 0.3 * np.log(0.3 / rest) + 0.1 * np.log(0.1 / 8 / rest)
    for tolerance, k in ((saved / 3 * 0.99, 2), (saved / 3 * 1.01, 1)):
        codec = TopKCodec(10, 8, (), tolerance)
        assert (codec.encode_logits(logits)["k"] + 1).tolist() == [k]


def test_bytes_and_divergence_of_a_sharp_teacher(teacher) -> None:
    """A teacher of half a nat's entropy, as fine-tuned ones have, at the real sizes."""
    head, hidden = teacher("outlier", 32_100, 768, 96)
    hidden *= 4
    truth = log_probabilities(hidden @ head.T, 1.0)
    assert 0.2 < -(np.exp(truth) * truth).sum(axis=1).mean() < 1, "not the teacher that is meant"
    for tolerance, most_bytes, most_kl in ((1e-3, 40, 1e-2), (3e-5, 150, 1e-3)):
        codec = TopKCodec(32_100, 768, (2.0, 4.0), tolerance)
        arrays = codec.encoder(head)(hidden)
        buckets = all_buckets(view_of(codec, arrays, 96), 1.0)
        assert size_of(arrays) <= most_bytes * 96
        assert mean_kl(truth, spread(buckets, 32_100)) <= most_kl
        quantised = 0.0
        for row, (ids, log_p, tail) in zip(truth, supports(buckets), strict=True):
            outside = np.log(np.exp(np.delete(row, ids)).sum())
            quantised += (np.exp(row[ids]) * (row[ids] - log_p)).sum() + np.exp(outside) * (outside - tail)
        assert quantised / 96 < most_kl / 50, "the bytes are to be spent on the support, not on its precision"


def test_the_tail_keeps_its_mass_where_it_is_most_of_it() -> None:
    """At T = 4 over 90 % of this teacher's mass lie outside the support: renormalising it would be off by nats."""
    logits = np.random.default_rng(0).standard_normal((3, 32_100)).astype(np.float32)
    logits[:, 7] = 30.0
    codec = TopKCodec(32_100, 8, (4.0,))
    view = view_of(codec, codec.encode_logits(logits), 3)
    truth = log_probabilities(logits, 4.0)
    for row, (ids, log_p, tail) in enumerate(supports(all_buckets(view, 4.0))):
        assert ids[0] == 7
        assert np.exp(tail) > 0.9
        assert log_p[0] == pytest.approx(truth[row, 7], abs=2e-3)
        assert np.log(np.exp(log_p).sum()) < -2
    assert all_buckets(view, 1.0).log_tail.exp().max() < 1e-7


def test_a_temperature_that_was_not_stored_is_refused_and_the_stored_are_named() -> None:
    codec = TopKCodec(9, 4, (2.0, 4.0))
    view = view_of(codec, codec.encode_logits(np.zeros((1, 9), np.float32)), 1)
    with pytest.raises(UserError, match="temperature 3, only at 1, 2, 4"):
        view.buckets(slice(0, 1), 3.0)


@pytest.mark.parametrize(("vocabulary", "bytes_an_id"), [(65_536, 2), (65_537, 4), (70_000, 4)])
def test_ids_of_large_vocabularies(vocabulary: int, bytes_an_id: int) -> None:
    logits = np.zeros((2, vocabulary), np.float32)
    logits[0, vocabulary - 1] = logits[1, [3, vocabulary - 2]] = 25.0
    codec = TopKCodec(vocabulary, 8)
    arrays = codec.encode_logits(logits)
    # Sizes, steps and tails; then the ids, and the levels of all but the likeliest.
    assert size_of(arrays) == 2 * (1 + 1 + 2) + 3 * bytes_an_id + 1
    found = [ids.tolist() for ids, _, _ in supports(all_buckets(view_of(codec, arrays, 2), 1.0))]
    assert found == [[vocabulary - 1], [3, vocabulary - 2]]


def test_hidden_vectors_and_their_logits_give_the_same(teacher) -> None:
    head, hidden = teacher("plain", 300, 16, 20)
    codec = TopKCodec(300, 16, (2.0,))
    assert same(codec.encoder(head)(hidden), codec.encode_logits(hidden @ head.T))


def test_chunks_change_nothing(teacher, monkeypatch: pytest.MonkeyPatch) -> None:
    head, hidden = teacher("plain", 300, 16, 20)
    codec = TopKCodec(300, 16, (2.0,))
    whole = codec.encode_logits(hidden @ head.T)
    monkeypatch.setattr(topk, "CHUNK_ELEMENTS", 700)
    assert same(codec.encode_logits(hidden @ head.T), whole)


def test_equally_likely_tokens_are_kept_by_their_ids() -> None:
    logits = np.zeros((1, 50), np.float32)
    logits[0, [40, 11, 30, 22]] = 9.0
    codec = TopKCodec(50, 8, max_k=3)
    assert codec.encode_logits(logits)["ids"].tolist() == [11, 22, 30]


def test_a_negative_zero_is_a_zero() -> None:
    codec = TopKCodec(3, 8, max_k=2, tolerance=1e-9)
    logits = np.array([[-0.0, -1.0, 0.0], [0.0, -1.0, -0.0]], np.float32)
    assert view_of(codec, codec.encode_logits(logits), 2).ids.tolist() == [[0, 2], [0, 2]]


def test_extreme_logits_stay_finite() -> None:
    logits = np.array([[3e4, -3e4, 0, 1], [3e38, -3e38, 0, 1], [200, 0, 0, 0], [5, 5, 5, 5]], np.float32)
    codec = TopKCodec(4, 8, (100.0,), max_k=2)
    view = view_of(codec, codec.encode_logits(logits), 4)
    for temperature in (1.0, 100.0):
        for (ids, log_p, tail), row in zip(supports(all_buckets(view, temperature)), logits, strict=True):
            assert np.isfinite(log_p).all()
            assert np.isfinite(tail)
            assert ids[0] == row.argmax()
    assert all_buckets(view, 1.0).log_tail[2].item() == pytest.approx(np.log(3) - 200, rel=1e-3)
    assert all_buckets(view, 1.0).log_tail[3].item() == pytest.approx(np.log(3 / 4), abs=1e-3)
    for bad in (np.nan, np.inf):
        with pytest.raises(UserError, match="NaN or infinite"):
            codec.encode_logits(np.array([[0, 1, bad, 2]], np.float32))


def test_a_tail_below_every_float_is_bounded_by_its_likeliest_token() -> None:
    codec = TopKCodec(3, 8, (), max_k=1)
    view = view_of(codec, codec.encode_logits(np.array([[500.0, 0, 0]], np.float32)), 1)
    assert all_buckets(view, 1.0).log_tail.item() == pytest.approx(-500, rel=2e-3)


def test_a_tail_of_one_token_is_that_token_and_one_of_none_is_empty() -> None:
    codec = TopKCodec(3, 8, (2.0,), tolerance=1e-9)
    logits = np.array([[1.0, 2, 4]], np.float32)
    buckets = all_buckets(view_of(codec, codec.encode_logits(logits), 1), 2.0)
    truth = log_probabilities(logits, 2.0)
    assert buckets.ids.tolist() == [[2, 1]]
    assert np.allclose(buckets.log_p.numpy(), truth[:, [2, 1]], atol=1e-2)
    assert buckets.log_tail.item() == pytest.approx(truth[0, 0], abs=1e-2)
    alone = TopKCodec(1, 8)
    buckets = all_buckets(view_of(alone, alone.encode_logits(logits[:, :1]), 1), 1.0)
    assert (buckets.log_p.item(), buckets.log_tail.item()) == (0.0, -np.inf)


def test_views_pad_cut_and_travel(teacher) -> None:
    head, hidden = teacher("plain", 300, 16, 30)
    codec = TopKCodec(300, 16, (2.0,), max_k=20)
    encode = codec.encoder(head)
    payloads = [encode(hidden[a:b]) for a, b in ((0, 1), (1, 12), (12, 30))]
    view = codec.collate(payloads, None)
    assert (view.num_tokens, view.vocab_size, view.temperatures) == (30, 300, (1.0, 2.0))
    whole = all_buckets(view, 2.0)
    assert (whole.ids.dtype, whole.log_p.dtype, whole.log_tail.dtype) == (torch.int64, torch.float32, torch.float32)
    padded = whole.log_p == -np.inf
    assert padded.any()
    assert torch.equal(whole.ids[padded], whole.ids[:, :1].expand_as(whole.ids)[padded])
    for start in range(0, 30, 7):
        part = pickle.loads(pickle.dumps(view)).to("cpu").buckets(slice(start, start + 7), 2.0)
        for name in ("ids", "log_p", "log_tail"):
            assert torch.equal(getattr(part, name), getattr(whole, name)[start : start + 7])
    together = view_of(codec, encode(hidden), 30)
    assert torch.allclose(all_buckets(together, 2.0).log_p, whole.log_p, atol=1e-5)
    empty = codec.collate([], None)
    assert empty.num_tokens == 0
    assert all_buckets(empty, 2.0).log_tail.shape == (0,)


def test_arrays_that_do_not_fit_are_refused() -> None:
    rng = np.random.default_rng(1)
    codec = TopKCodec(50, 8, (2.0,), max_k=300)
    arrays = codec.encode_logits(5 * rng.standard_normal((3, 50)).astype(np.float32))
    codec.validate(arrays, 3)
    for wrong, tokens in (
        (arrays | {"levels": arrays["levels"][:-1]}, 3),
        (arrays | {"ids": np.append(arrays["ids"], arrays["ids"][:1])}, 3),
        (arrays, 2),
        (arrays, 4),
        ({name: array[:0] for name, array in arrays.items()}, 3),
        (arrays, 0),
        (arrays, 1 << 40),
    ):
        with pytest.raises(ValueError, match="rows"):
            codec.validate(wrong, tokens)

    def changed(name: str, value: float) -> Payload:
        array = arrays[name].copy()
        array.flat[0] = value
        return arrays | {name: array}

    with pytest.raises(ValueError, match="rows"):
        codec.validate(changed("k", 60_000), 3)
    with pytest.raises(ValueError, match="token id 50"):
        codec.validate(changed("ids", 50), 3)
    for odds in (np.nan, np.inf):
        with pytest.raises(ValueError, match="log-odds"):
            codec.validate(changed("tail", odds), 3)
    narrow = TopKCodec(50, 8, (2.0,), max_k=257)
    wide = TopKCodec(400, 8, (2.0,), max_k=400, tolerance=1e-9)
    many = wide.encode_logits(rng.standard_normal((1, 400)).astype(np.float32))
    with pytest.raises(ValueError, match="beyond max_k"):
        narrow.validate(many, 1)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"temperatures": [0.0]}, "temperature 0"),
        ({"temperatures": [float("inf")]}, "temperature inf"),
    ],
)
def test_temperatures_out_of_range_are_named(options: dict, named: str) -> None:
    with pytest.raises(UserError, match=named):
        TopKCodec(9, 4, **options)


def test_a_store_reads_back(tmp_path, write_store, head, examples) -> None:
    codec = TopKCodec(50, 24, (4.0,))
    reader = StoreReader(write_store(tmp_path / "train", codec, examples, temperatures=codec.temperatures))
    assert not (reader.folder / "head.safetensors").exists()
    view = reader.collate_views([reader.read(example.id, example.target_ids) for example in examples])
    hidden = np.concatenate([example.hidden for example in examples])
    assert mean_kl(log_probabilities(hidden @ head.T, 1.0), spread(all_buckets(view, 1.0), 50)) < 1e-2
