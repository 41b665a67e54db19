"""The rule `embed_targets`: which texts it embeds, and that students of any policy find theirs."""

from pathlib import Path

import pytest
from safetensors import safe_open
from tiny_run import Taught

from assertkd.corpus.targets import read_teacher_predictions
from assertkd.models.embedding_file import pin_targets
from assertkd.models.encoders import PACKAGED, TextEncoder
from assertkd.records import read_records
from assertkd.students import embed_targets as module
from assertkd.students.embed_targets import embed_targets
from assertkd.students.params import DistillStudentParams, EmbedTargetsParams, encoder_slug
from assertkd.students.training_targets import open_training_targets


def embedded(taught: Taught, texts: str, folder: Path) -> Path:
    sources = {
        "train": "corpus/train.jsonl",
        "teacher_predictions": "logits/teacher_predictions.jsonl",
        "unlabelled_predictions": "logits/unlabelled_predictions.jsonl",
    }
    output = folder / encoder_slug(PACKAGED) / f"{texts}.safetensors"
    params = EmbedTargetsParams.from_run(taught.run_with({}), PACKAGED, texts)
    embed_targets(params, texts, taught.folder / sources[texts], output)
    return output


def count(path: Path) -> int:
    with safe_open(str(path), framework="pt") as file:
        return len(file.get_tensor("texts"))


@pytest.mark.parametrize("policy", [{}, {"targets": "teacher"}, {"targets": "both", "unlabelled": "teacher"}])
def test_a_student_finds_all_its_targets(
    taught: Taught, tmp_path: Path, minilm: TextEncoder, policy: dict[str, str]
) -> None:
    variant = {"loss": {"components": ["ce", "semantic"], "semantic": {"encoder": PACKAGED}}, **policy}
    params = DistillStudentParams.from_run(taught.run_with(variant), "x")
    assert params.encoders == (PACKAGED,)
    files = [embedded(taught, texts, tmp_path) for texts in params.embedded_texts]
    logits = taught.folder / "logits" if params.target_policy.needs_logits else None
    targets = open_training_targets(params, taught.folder / "corpus", logits).records
    texts = [target for _, target in targets.read(range(len(targets)))]
    assert pin_targets(minilm, files, texts) == 0


def test_gold_that_is_withheld_is_not_embedded(taught: Taught, tmp_path: Path) -> None:
    records = list(read_records(taught.folder / "corpus/train.jsonl"))
    assert count(embedded(taught, "train", tmp_path)) <= len(records) / 2 + 1


def test_the_number_of_texts_is_bounded(taught: Taught, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAXIMUM_TEXTS", 3)
    predictions = read_teacher_predictions(taught.folder / "logits/teacher_predictions.jsonl", "train")
    assert len({text.strip() for text in predictions.values()}) > 3
    assert count(embedded(taught, "teacher_predictions", tmp_path)) == 3
