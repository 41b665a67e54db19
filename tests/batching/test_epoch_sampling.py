"""Epoch sampling: draws that follow from seed and epoch, of records that are read only when drawn."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from assertkd.batching.epoch_sampling import EpochSampler
from assertkd.corpus.training_records import Part, TrainingRecords
from assertkd.jsonl import LineIndex
from assertkd.prompts.prompt import Prompt
from assertkd.records import Record, write_records
from assertkd.settings import TrainingSettings
from assertkd.training.data import ExamplePool, training_examples
from assertkd.training.epoch_batches import EpochBatches

COUNT, SIZE = 60, 8


@pytest.fixture
def pool(tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast) -> ExamplePool:
    """Sixty records of different lengths."""
    records = [
        Record(f"r{n}", f"int f{n}() {{ {'x++; ' * (n % 7)} }}", "t(); // <ASSERTION_PLACEHOLDER>", f"assertTrue({n});")
        for n in range(COUNT)
    ]
    write_records(tmp_path / "train.jsonl", records)
    index = LineIndex(tmp_path / "train.jsonl", "prepare_corpus")
    return ExamplePool(TrainingRecords([Part(index, None, gold=index, predicted=())]), Prompt(tiny_tokenizer, 64, 16))


def ids(sampler: EpochSampler, epoch: int) -> list[str]:
    return [example.id for example in sampler.examples(epoch)]


def test_a_draw_follows_from_seed_and_epoch(pool: ExamplePool) -> None:
    sampler = EpochSampler(pool.examples_of, pool.examples, SIZE, 42)
    draws = [ids(sampler, epoch) for epoch in range(1, 5)]
    assert all(len(set(draw)) == SIZE == len(draw) for draw in draws), "without replacement"
    assert len({tuple(draw) for draw in draws}) == 4, "epochs differ"
    # As a resumed run asks: a later epoch first.
    assert ids(EpochSampler(pool.examples_of, pool.examples, SIZE, 42), 3) == draws[2]
    assert ids(EpochSampler(pool.examples_of, pool.examples, SIZE, 7), 3) != draws[2]
    assert ids(EpochSampler(pool.examples_of, pool.examples, SIZE, 43), 2) == draws[2], "the epoch is added to the seed"


def test_an_example_is_its_record(pool: ExamplePool) -> None:
    whole = pool.examples(range(COUNT))
    sampler = EpochSampler(pool.examples_of, pool.examples, SIZE, 1)
    assert sampler.examples(1) == [whole[number] for number in sampler.drawn(1)]
    assert sampler.count(1) == SIZE


def test_every_record_is_covered_in_the_end(pool: ExamplePool) -> None:
    sampler = EpochSampler(pool.examples_of, pool.examples, SIZE, 42)
    coverage = [sampler.coverage(epoch) for epoch in (1, 2, 60)]
    assert coverage[0] == SIZE / COUNT
    seen = {identity for epoch in (1, 2) for identity in ids(sampler, epoch)}
    assert coverage[1] == len(seen) / COUNT
    assert coverage[2] == 1.0
    # Uniform: over many epochs every record comes about as often, eight in sixty times.
    counts = np.bincount(np.concatenate([sampler.drawn(epoch) for epoch in range(1, 1001)]), minlength=COUNT)
    expected = 1000 * SIZE / COUNT
    assert ((counts - expected) ** 2 / expected).sum() < 120, "chi-square of 59 degrees, far beyond its 99.99 %"


def test_only_what_is_drawn_is_read(pool: ExamplePool, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    lines = LineIndex.lines

    def counted(index: LineIndex, wanted: Any) -> Iterator[dict[str, Any]]:
        for line in lines(index, wanted):
            read.append(line["id"])
            yield line

    monkeypatch.setattr(LineIndex, "lines", counted)
    sampler = EpochSampler(pool.examples_of, pool.examples, SIZE, 42)
    assert (len(sampler), sampler.records, sampler.count(1), sampler.coverage(3) > 0) == (SIZE, COUNT, SIZE, True)
    assert read == [], "numbers alone read nothing"
    first = sampler.examples(1)
    assert sampler.examples(1) is first
    assert sorted(read) == sorted(example.id for example in first)
    second = sampler.examples(2)
    assert sorted(read) == sorted(example.id for example in [*first, *second])
    assert sampler.examples(1) == first
    assert len(read) == 3 * SIZE, "the epoch before is not kept"


@pytest.mark.parametrize("budget", [None, 160])
def test_steps_are_known_before_training(pool: ExamplePool, budget: int | None) -> None:
    settings = TrainingSettings(
        epochs=3,
        batch_size=3,
        token_budget=budget,
        gradient_accumulation_steps=2,
        epoch_sampling=True,
        max_train_samples=SIZE,
    )
    sampler = training_examples(pool, settings)
    assert isinstance(sampler, EpochSampler)
    epochs = EpochBatches(sampler, settings, seed=5)
    batches = {epoch: epochs.batches(epoch) for epoch in (1, 2, 3)}
    assert epochs.steps == tuple(-(-len(batches[epoch]) // 2) for epoch in (1, 2, 3))
    for epoch, made in batches.items():
        assert sorted(index for batch in made for index in batch) == list(range(SIZE))
        if budget is not None:
            lengths = [(len(e.input_ids), len(e.target_ids)) for e in epochs.examples(epoch)]
            for batch in made:
                sources, targets = zip(*(lengths[index] for index in batch), strict=True)
                assert len(batch) * (max(sources) + max(targets)) <= budget
    assert epochs.examples(0) == epochs.examples(1), "the check at the start draws nothing of its own"
    assert epochs.summary(2) == {"records": COUNT, "drawn_an_epoch": SIZE, "coverage": sampler.coverage(2)}

    # A maximum cuts off the epoch in which it is reached, and draws no other.
    for last in (1, 2, 3):
        maximum = sum(epochs.steps[:last]) - 1
        cut = EpochBatches(sampler, settings.model_copy(update={"max_steps": maximum, "epochs": 1}), seed=5)
        assert cut.steps == (*epochs.steps[: last - 1], epochs.steps[last - 1] - 1)
        taken = [cut.remaining_batches(epoch, 0) for epoch in range(1, last + 1)]
        assert [steps for _, steps in taken] == list(cut.steps)
        assert [batch for made, _ in taken for batch in made] == [
            batch for epoch, steps in enumerate(cut.steps, start=1) for batch in epochs.batches(epoch)[: 2 * steps]
        ]
        assert cut.remaining_batches(last, cut.steps[-1] - 1)[1] == 1


def test_fewer_records_than_asked_for_are_all_drawn(pool: ExamplePool) -> None:
    sampler = EpochSampler(pool.examples_of, pool.examples, 1000, 42)
    assert len(sampler) == COUNT == sampler.count(9)
    assert sampler.coverage(1) == 1.0


def test_without_sampling_the_first_records_are_taken(pool: ExamplePool) -> None:
    whole = pool.examples(range(COUNT))
    assert training_examples(pool, TrainingSettings(max_train_samples=4)) == whole[:4]
    assert training_examples(pool, TrainingSettings(max_train_samples=400)) == whole
    assert training_examples(pool, TrainingSettings()) == whole
