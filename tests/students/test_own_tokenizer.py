"""Students with a tokenizer of their own: which of the teacher's tokens they are taught by, and what they learn."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_run import Taught

from assertkd.batching.collation import collate
from assertkd.batching.examples import Example
from assertkd.corpus.tokenizer import choose_tokenizer
from assertkd.errors import UserError
from assertkd.logits.aligned_teacher import AlignedTeacher
from assertkd.logits.store.reader import JoinedStores, StoreReader
from assertkd.models.registry import load_model
from assertkd.models.tokenizer import load_tokenizer
from assertkd.prompts.prompt import Prompt
from assertkd.records import Record, read_records
from assertkd.settings import TokenizerSettings

OWN = {"tokenizer": {"vocab_size": 300}}


@pytest.fixture(scope="module")
def records(taught: Taught) -> list[Record]:
    return list(read_records(taught.folder / "corpus/train.jsonl"))[:12]


def of_teacher(taught: Taught) -> Prompt:
    return Prompt(load_tokenizer(taught.folder / "corpus/tokenizer"), 96, 24)


def aligned(taught: Taught, prompt: Prompt, entries: int) -> AlignedTeacher:
    stores = JoinedStores([StoreReader(taught.folder / "logits/train")])
    return AlignedTeacher(stores, of_teacher(taught), prompt, entries)


def examples(records: list[Record], prompt: Prompt) -> list[Example]:
    return [Example(one.id, [5, 1], prompt.encode_target(one.assertion), one.assertion) for one in records]


def labelled(taught: Taught, records: list[Record]) -> list[Record]:
    """Return the records whose logits are along the gold assertion."""
    store, prompt = StoreReader(taught.folder / "logits/train"), of_teacher(taught)
    return [one for one in records if store.is_for(one.id, prompt.encode_target(one.assertion))]


def test_the_teachers_own_tokenizer_gives_the_teachers_own_distributions(taught: Taught, records: list[Record]) -> None:
    prompt, store = of_teacher(taught), StoreReader(taught.folder / "logits/train")
    batch = examples(labelled(taught, records), prompt)
    whole, view = (
        collate(batch, 0, source).teacher for source in (store, aligned(taught, prompt, store.codec.vocab_size))
    )
    buckets = view.buckets(slice(0, view.num_tokens), 2.0)
    # A target that was cut has an end that is not the text's: no token of another student would go with it.
    ends = torch.tensor([number == 1 and len(one.target_ids) == 24 for one in batch for number in one.target_ids])
    expected = torch.log_softmax(whole.logits(slice(0, whole.num_tokens)) / 2.0, dim=-1)
    found = torch.zeros_like(expected).scatter_(1, buckets.ids, buckets.log_p)
    torch.testing.assert_close(found[~ends], expected[~ends], atol=1e-5, rtol=1e-5)
    assert view.spans == 0


def test_every_token_of_a_text_has_its_place_in_the_batch(taught: Taught, records: list[Record]) -> None:
    tokenizer = choose_tokenizer(TokenizerSettings(vocab_size=300), "scratch", records, decoder_only=False)
    prompt, chosen = Prompt(tokenizer, 96, 40), labelled(taught, records)
    source = aligned(taught, prompt, len(tokenizer))
    batch = examples(chosen, prompt)
    view = collate(batch, 0, source).teacher
    alone = [collate([one], 0, source).teacher for one in batch]
    assert view.num_tokens == sum(len(one.target_ids) for one in batch)
    assert view.spans == sum(one.spans for one in alone) > 0
    # What an example gives does not depend on what is beside it.
    torch.testing.assert_close(view.span_log_p(1.0), torch.cat([one.span_log_p(1.0) for one in alone]))
    together = view.buckets(slice(0, view.num_tokens), 1.0)
    apart = [one.buckets(slice(0, one.num_tokens), 1.0) for one in alone]
    torch.testing.assert_close(together.log_tail, torch.cat([one.log_tail for one in apart]))
    mass = together.log_p.exp().sum(-1) + together.log_tail.exp()
    torch.testing.assert_close(mass, torch.ones_like(mass), atol=1e-4, rtol=0)
    known = view.rows >= 0
    assert 0 < known.sum() < len(known)
    assert not (known & (view.student_spans >= 0)).any()


@pytest.mark.parametrize("components", [["ce", "uld"], ["uld"]])
def test_a_student_learns_with_its_own_tokenizer(taught: Taught, tmp_path: Path, components: list[str]) -> None:
    loss = {"components": components, "weights": [1.0] * len(components)}
    variant = {"model": OWN, "loss": loss, "training": {"epochs": 3}, "targets": "both"}
    folder = taught.distil(variant, tmp_path / "student")
    tokenizer, model = load_tokenizer(folder / "final_model"), load_model(folder / "final_model")
    assert len(tokenizer) == model.vocab_size == 300
    assert len(load_tokenizer(taught.folder / "corpus/tokenizer")) > 300
    log = (folder / "distillation_log.txt").read_text(encoding="utf-8")
    [share] = re.findall(r"([\d.]+) % of the target tokens of 64 examples go with the teacher's", log)
    # Targets that are longer than allowed are cut at other places.
    assert 90 < float(share) <= 100
    with (folder / "step_metrics.csv").open(newline="") as handle:
        values = [float(row["uld_loss_raw"]) for row in csv.DictReader(handle)]
    assert np.mean(values[-4:]) < 0.95 * np.mean(values[:4])


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        ({"loss": {"function": "traditional"}}, "variants.x.loss: kl compares teacher and student token by token"),
        (
            {"loss": {"components": ["ce"], "weights": [1.0]}, "on_policy": {"fraction": 0.5}},
            "variants.x.on_policy: the teacher scores",
        ),
    ],
)
def test_what_needs_the_same_tokens_is_refused(taught: Taught, variant: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        taught.run_with({"model": OWN} | variant)


def test_a_student_of_the_teachers_layers_has_no_tokenizer_of_its_own(taught: Taught) -> None:
    with pytest.raises(UserError, match="has the teacher's tokenizer, and none of its own"):
        taught.run_with({"model": OWN | {"teacher_layers": [0]}})
