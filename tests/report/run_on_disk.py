"""A run's files as the other stages write them, small and made by hand, so that every figure on the page is known."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assertkd.evaluation.example_scores import assertion_kind
from assertkd.evaluation.shuffled import SHUFFLED
from assertkd.layout import is_external
from assertkd.metrics.lexer import java_tokens
from assertkd.metrics.registry import METRICS
from assertkd.records import MARKER, Record, write_records
from assertkd.report.params import ComparisonParams
from assertkd.report.results import Model

EVIL = '</script><img src=x onerror="window.hacked=1"><!--'
"""What data must not be able to do."""

COMPARED = ComparisonParams(baseline="hard_labels", resamples=200, seed=42)
"""How variants of the runs here are compared."""

COMPONENTS = {"teacher": ["ce"], "hard_labels": ["ce"]}
"""Loss components of the models that have others than focal and jsd."""


class RunOnDisk:
    """A run in `folder`, with a corpus and one test example a sign of `add`'s `right`."""

    def __init__(self, folder: Path, examples: int = 8, evil: str = "") -> None:
        self.folder, self.evil = folder, evil
        self.records = [
            Record(
                id=f"r{index}{evil}",
                focal_method=f"int size() {{ return {index}; }} {evil}",
                test_method=f"@Test void t{index}() {{\n  {MARKER}\n}} {evil}",
                assertion=self.gold(index),
                project=f"project-{index % 2}{evil}",
            )
            for index in range(examples)
        ]
        corpus = folder / "corpus"
        corpus.mkdir(parents=True)
        write_records(corpus / "test.jsonl", self.records)
        rejected = {f"train: too long{evil}": {"count": 3, "where": [f"file{evil}:7"]}}
        self.write(
            "corpus/quality.json", {"read": {"embedded": 1234}, "kept": {"test": examples}, "rejected": rejected}
        )

    def gold(self, index: int) -> str:
        """Return an example's reference; every third is of another kind and longer."""
        if index % 3 == 2:
            return f'assertTrue(box.contains("{index}", other.value(), {index}));'
        return f"assertEquals({index}, box.size());"

    def write(self, name: str, value: Any) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value), encoding="utf-8")
        return path

    def add(
        self,
        name: str,
        right: str,
        wrong: str = "assertEquals(77, box.size());",
        shuffled: float | None = None,
        **cost: float,
    ) -> Model:
        """Train and judge a model: `+` in `right` stands for a match, `-` for the answer `wrong`.

        Another system is judged alone. `shuffled` is the code quality against other tests' assertions.
        """
        if not is_external(name):
            self.train(name)
        matches = [float(sign == "+") for sign in right]
        scores = self.folder / "evaluation" / name
        scores.mkdir(parents=True)
        lines = [
            {
                "id": record.id,
                "prediction": record.assertion if match else wrong + self.evil,
                "reference": record.assertion,
                "teacher_prediction": None,
                "kind": assertion_kind(record.assertion),
                "project": record.project,
                "target_tokens": len(java_tokens(record.assertion)),
                **self.metrics(match),
            }
            for record, match in zip(self.records, matches, strict=True)
        ]
        (scores / "predictions_final.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        with (scores / "metrics_final.csv").open("w", newline="") as handle:
            table = csv.writer(handle)
            table.writerow(["id", *METRICS])
            table.writerows([line["id"], *(line[metric] for metric in METRICS)] for line in lines)
        share = sum(matches) / len(matches)
        means = {metric: interval(value) for metric, value in self.metrics(share).items()}
        summary: dict[str, Any] = {
            "n": len(matches),
            "metrics": means,
            **({} if shuffled is None else {SHUFFLED: shuffled}),
        }
        side = "teacher" if name == "teacher" else "student"
        measured = {"parameters": 5_000_000 if side == "teacher" else 1_100_000, "model_memory_mb": 40.0, **cost}
        comparison: dict[str, Any] = {"cost": {side: measured}}
        if side == "student" and not is_external(name):
            summary |= {"kl_divergence": 0.25, "kl_divergence_is": "lower bound"}
            comparison["retention"] = {"output_agreement": interval(0.7)}
        self.write(f"evaluation/{name}/metrics_summary_final.json", summary)
        self.write(f"evaluation/{name}/evaluation_metrics.json", comparison)
        return Model(name, self.folder, is_trained=not is_external(name))

    def metrics(self, exact_match: float) -> dict[str, float]:
        return {name: exact_match if name == "exact_match" else (1 + exact_match) / 2 for name in METRICS}

    def train(self, name: str, steps: int = 120, *, ends: bool = True) -> Model:
        """Write a training's logs; one that has not ended lacks its report."""
        variant = name.split("/")[1] if "/" in name else name
        components = COMPONENTS.get(variant, ["focal", "jsd"])
        folder = name if ends else f"{name}/checkpoints/logs"
        self.write_table(f"{folder}/step_metrics.csv", [self.step(components, step) for step in range(steps)])
        epochs = [
            {
                "epoch": epoch,
                "step": epoch * steps // 2,
                "validation_loss": 3 / epoch,
                "validation_token_accuracy": 1 - 0.5 / epoch,
            }
            for epoch in (1, 2)
        ]
        self.write_table(f"{folder}/training_metrics.csv", epochs)
        if ends:
            plan = {"components": [{"name": component, "scale": 1.0} for component in components]}
            report = {
                "parameters": 1_000_000,
                "seed": 1,
                "settings": {"epochs": 2, "note": self.evil},
                "loss": plan,
                "examples": {"train": 100},
                "epochs": 2,
                "optimizer_steps": steps,
                "skipped_steps": 0,
                "examples_seen": 10 * steps,
                "target_tokens": 300 * steps,
                "seconds": 12.5,
                "machine": {"device": "cpu", "host": "my-own-host"},
                "versions": {"torch": "2"},
                "git_commit": "0123456789abcdef",
                "inputs": {"/data/of/me/train.jsonl": "ab" * 32},
            }
            self.write(f"{name}/training_report.json", report)
        return Model(name, self.folder)

    def step(self, components: Sequence[str], step: int) -> dict[str, Any]:
        row: dict[str, Any] = {"epoch": 1 + step // 60, "step": step, "total_loss_raw": 1.0}
        for place, component in enumerate(components):
            row[f"{component}_loss_raw"] = math.exp(-step / 50) + place
            row[f"{component}_weight"] = 1 / len(components)
            row[f"{component}_grad_norm"] = 1.0 + 2 * place
        return row

    def write_table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as handle:
            table = csv.DictWriter(handle, list(rows[0]))
            table.writeheader()
            table.writerows(rows)


def interval(mean: float) -> dict[str, float]:
    return {"mean": mean, "low": mean - 0.1, "high": mean + 0.1}


def fidelity(evil: str = "") -> dict[str, Any]:
    """Return what `fidelity.json` holds: a codec, one that refused, one with infinite divergence."""
    kl = {"1": {"mean": 3.2e-5, "p99": 4.5e-4, "mass_dropped": 0.0}, "2": None}
    lost = {tau: {"mean": None, "p99": None, "mass_dropped": 0.0871} for tau in ("1", "2")}
    speeds = {"encode_mb_per_s": 1234.5, "decode_mb_per_s": 56.7, "rebuild_us_per_token": 8.9}
    return {
        "in_use": "int8",
        "sample": {"positions": 2013, "split": "train", "vocab_size": 1024, "hidden_size": 64},
        "codecs": [
            {"name": "int8", "codec": "hidden", "bytes_per_token": 792.0, "kl": kl, **speeds},
            {"name": f"refusing{evil}", "codec": "topk", "refused": f"reason{evil}"},
            {"name": "top k", "codec": "topk", "bytes_per_token": 40.06, "kl": lost, **speeds},
        ],
    }
