"""Which targets a student learns, and that the teacher's distributions are those along them."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import Taught
from transformers import T5ForConditionalGeneration

from assertkd.corpus.targets import read_teacher_predictions
from assertkd.errors import UserError
from assertkd.logits.store.reader import JoinedStores, StoreReader
from assertkd.models.tokenizer import load_tokenizer
from assertkd.prompts.prompt import Prompt
from assertkd.records import Record, read_records
from assertkd.students.params import DistillStudentParams
from assertkd.students.training_targets import open_training_targets


def taken(taught: Taught, **variant: Any) -> list[tuple[str, str]]:
    """Return record id and target of every example that a variant trains on."""
    run = taught.run_with(variant)
    params = DistillStudentParams.from_run(run, "x")
    logits = taught.folder / "logits" if params.target_policy.needs_logits else None
    training_targets = open_training_targets(params, taught.folder / "corpus", logits)
    return [
        (record.id, target) for record, target in training_targets.records.read(range(len(training_targets.records)))
    ]


def records(taught: Taught, name: str = "train") -> dict[str, Record]:
    return {record.id: record for record in read_records(taught.folder / f"corpus/{name}.jsonl")}


def predictions(taught: Taught, split: str = "train") -> dict[str, str]:
    file = "unlabelled_predictions" if split == "unlabelled" else "teacher_predictions"
    return read_teacher_predictions(taught.folder / f"logits/{file}.jsonl", split)


def test_gold_alone(taught: Taught) -> None:
    gold, held = taken(taught), records(taught)
    assert 0 < len(gold) == round(0.5 * len(held)), "half of the training records are labelled"
    assert all(held[identity].assertion == target for identity, target in gold)


def test_the_teachers_predictions_take_the_place_of_gold(taught: Taught) -> None:
    gold, said = taken(taught), predictions(taught)
    assert taken(taught, targets="teacher") == [(identity, said[identity]) for identity, _ in gold]
    both = taken(taught, targets="both")
    assert both == [pair for identity, text in gold for pair in ((identity, text), (identity, said[identity]))]


def test_withheld_and_unlabelled_records_are_learnt_from_the_teacher(taught: Taught) -> None:
    held, said, more = records(taught), predictions(taught), predictions(taught, "unlabelled")
    labelled = {identity for identity, _ in taken(taught)}
    every = taken(taught, targets="both", unlabelled="teacher")
    assert len(every) == len(held) + len(labelled) + len(more)
    assert every[-len(more) :] == [(identity, more[identity]) for identity in records(taught, "unlabelled")]
    withheld = [(identity, target) for identity, target in every if identity in held and identity not in labelled]
    assert withheld == [(identity, said[identity]) for identity in held if identity not in labelled]


@pytest.mark.parametrize("split", ["train", "unlabelled"])
def test_stored_distributions_are_the_teachers_along_the_target(taught: Taught, split: str) -> None:
    folder = taught.folder
    stores = JoinedStores(
        [StoreReader(folder / "logits" / name) for name in ("train", "train_predictions", "unlabelled")]
    )
    teacher = T5ForConditionalGeneration.from_pretrained(folder / "teacher/final_model").eval()
    prompt = Prompt(load_tokenizer(folder / "corpus/tokenizer"), 96, 24)
    held, said = records(taught, split), predictions(taught, split)
    labelled = dict(taken(taught))
    chosen = list(held)[:4] if split == "unlabelled" else [one for one in labelled if said[one] != labelled[one]][:4]
    assert len(chosen) == 4
    for identity in chosen:
        targets = [said[identity]] if split == "unlabelled" else [labelled[identity], said[identity]]
        for target in targets:
            ids = prompt.encode_target(target)
            view = stores.collate_views([stores.read(identity, ids)])
            inputs = torch.tensor([prompt.encode_record(held[identity]).ids])
            with torch.no_grad():
                logits = teacher(input_ids=inputs, labels=torch.tensor([ids])).logits[0]
            known = view.logits(slice(0, len(ids)))  # type: ignore[attr-defined]
            divergence = torch.nn.functional.kl_div(
                known.log_softmax(-1), logits.log_softmax(-1), log_target=True, reduction="none"
            ).sum(-1)
            assert len(known) == len(ids)
            assert float(divergence.max()) < 1e-2


def test_distributions_of_another_target_are_refused(taught: Taught) -> None:
    logits = taught.folder / "logits"
    stores = JoinedStores([StoreReader(logits / "train"), StoreReader(logits / "train_predictions")])
    identity = next(iter(predictions(taught)))
    with pytest.raises(UserError, match=f"example '{identity}'"):
        stores.read(identity, [5, 6, 7, 1])
    with pytest.raises(UserError, match="holds no example 'nobody'"):
        stores.read("nobody", [1])


def test_only_what_is_not_stored_yet_is_stored(taught: Taught) -> None:
    prompt = Prompt(load_tokenizer(taught.folder / "corpus/tokenizer"), 96, 24)
    said = predictions(taught)
    other = {
        identity
        for identity, gold in taken(taught)
        if prompt.encode_target(gold) != prompt.encode_target(said[identity])
    }
    assert set(StoreReader(taught.folder / "logits/train_predictions").ids()) == other


def test_stores_of_different_teachers_are_not_joined(taught: Taught, tmp_path: Path) -> None:
    reader, other = StoreReader(taught.folder / "logits/train"), StoreReader(taught.folder / "logits/unlabelled")
    identity = other.manifest.identity
    provenance = identity.provenance.model_copy(update={"teacher": "0" * 64})
    other.manifest = other.manifest.model_copy(
        update={"identity": identity.model_copy(update={"provenance": provenance})}
    )
    with pytest.raises(UserError, match=r"unlabelled: written with another teacher than .*train"):
        JoinedStores([reader, other])


@pytest.mark.parametrize("targets", ["teacher", "both"])
def test_a_student_trains_on_them_from_the_config(taught: Taught, tmp_path: Path, targets: str) -> None:
    variant = {"targets": targets, "unlabelled": "teacher"}
    folder = taught.distil(variant, tmp_path / "student")
    report = json.loads((folder / "training_report.json").read_text())
    expected = taken(taught, **variant)
    assert report["examples"]["train"] == len(expected)
    assert {"train_predictions", "unlabelled"} <= {Path(file).parent.name for file in report["inputs"]}
    with (folder / "step_metrics.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == -(-len(expected) // 16)
    assert all(float(row["kl_loss_raw"]) > 0 for row in rows)


def test_a_student_samples_its_epochs_from_all_of_them(taught: Taught, tmp_path: Path) -> None:
    variant = {
        "targets": "both",
        "unlabelled": "teacher",
        "training": {"epochs": 3, "epoch_sampling": True, "max_train_samples": 12, "token_budget": 480},
    }
    one, again = (taught.distil(variant, tmp_path / name) for name in ("one", "again"))
    report = json.loads((one / "training_report.json").read_text())
    number = len(records(taught)) + len(records(taught, "unlabelled"))
    assert report["epoch_sampling"]["records"] == number
    assert report["epoch_sampling"]["drawn_an_epoch"] == 12
    assert 12 / number < report["epoch_sampling"]["coverage"] <= 36 / number
    log = (one / "distillation_log.txt").read_text()
    assert f"epoch 2 draws 12 of {number} records" in log
    with (one / "step_metrics.csv").open(newline="") as a, (again / "step_metrics.csv").open(newline="") as b:
        losses = [[row["total_loss_weighted"] for row in csv.DictReader(table)] for table in (a, b)]
    assert losses[0] == losses[1]
    assert len(losses[0]) == report["optimizer_steps"]
