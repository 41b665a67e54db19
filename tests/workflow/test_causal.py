"""Students of both families and with other tokens than their decoder-only teacher, from records to the report."""

import csv
import json
from pathlib import Path

import pytest
from driver import Project

pytestmark = pytest.mark.workflow

CONFIG = {
    "runs": {
        "tiny": {
            "variants": ["half", "t5", "own"],
            "data": {"embedded": {"records": 60}},
            "teacher": {"model": {"scratch": {"family": "causal", "decoder_layers": 2}}, "training": {"epochs": 3}},
            "distillation": {"training": {"epochs": 2}},
            # Whatever wrote a prediction, it is run in the same way.
            "evaluation": {"execute": {"enabled": False}},
        }
    },
    "variants": {
        "half": {"model": {"teacher_layers": [1]}, "loss": {"function": "traditional"}, "targets": "both"},
        "t5": {"loss": {"function": "traditional"}},
        "own": {
            "model": {"tokenizer": {"vocab_size": 320}},
            "loss": {"components": ["ce", "uld"], "weights": [0.5, 0.5]},
        },
    },
}


def test_a_run_of_a_decoder_only_teacher(project: Project) -> None:
    done = project.snakemake("--profile", "profiles/local", **CONFIG)
    assert done.returncode == 0, done.stdout + done.stderr
    results = project.folder / "results/tiny"
    for model, layers in (("teacher", 2), ("students/half/seed42", 1)):
        config = json.loads((results / model / "final_model/config.json").read_text())
        assert (config["model_type"], config["num_hidden_layers"]) == ("llama", layers)
        assert config["trained_input_length"] == 192
        predictions = (results / "evaluation" / model / "predictions.jsonl").read_text().splitlines()
        assert len(predictions) == _lines(results / "corpus/test.jsonl")
    vocabularies = {}
    for student in ("t5", "own"):
        config = json.loads((results / f"students/{student}/seed42/final_model/config.json").read_text())
        assert config["model_type"] == "t5"
        vocabularies[student] = config["vocab_size"]
        measured = json.loads((results / f"evaluation/students/{student}/seed42/measured.json").read_text())
        assert ("kl_divergence" in measured) == (student == "t5"), "they can be compared token by token alone"
    assert vocabularies["own"] == 320 < vocabularies["t5"]
    with (results / "report/leaderboard.csv").open(encoding="utf-8", newline="") as handle:
        assert {row["variant"] for row in csv.DictReader(handle)} == {"", "half", "t5", "own"}
    page = (results / "report/report.html").read_text(encoding="utf-8")
    assert "uld" in page
    tokenizer = json.loads((results / "corpus/tokenizer/tokenizer_config.json").read_text())
    assert tokenizer["prompt_form"]["placeholder"] == ["<extra_id_0>"]


def _lines(file: Path) -> int:
    return len(file.read_text().splitlines())
