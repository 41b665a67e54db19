"""Decoder-only teacher and student, from records to the report."""

import json
from pathlib import Path

import pytest
from driver import Project

pytestmark = pytest.mark.workflow

CONFIG = {
    "runs": {
        "tiny": {
            "variants": ["half"],
            "data": {"embedded": {"records": 60}},
            "teacher": {"model": {"scratch": {"family": "causal", "decoder_layers": 2}}, "training": {"epochs": 3}},
            "distillation": {"training": {"epochs": 2}},
        }
    },
    "variants": {"half": {"model": {"teacher_layers": [1]}, "loss": {"function": "traditional"}, "targets": "both"}},
}


def test_a_run_of_decoder_only_models(project: Project) -> None:
    done = project.snakemake("--profile", "profiles/local", **CONFIG)
    assert done.returncode == 0, done.stdout + done.stderr
    results = project.folder / "results/tiny"
    for model, layers in (("teacher", 2), ("students/half/seed42", 1)):
        config = json.loads((results / model / "final_model/config.json").read_text())
        assert (config["model_type"], config["num_hidden_layers"]) == ("llama", layers)
        assert config["trained_input_length"] == 192
        predictions = (results / "evaluation" / model / "predictions.jsonl").read_text().splitlines()
        assert len(predictions) == _lines(results / "corpus/test.jsonl")
    assert (results / "report/report.html").is_file()
    tokenizer = json.loads((results / "corpus/tokenizer/tokenizer_config.json").read_text())
    assert tokenizer["prompt_form"]["placeholder"] == ["<extra_id_0>"]


def _lines(file: Path) -> int:
    return len(file.read_text().splitlines())
