"""The config of a tiny run, and a function that distils one variant of it."""

from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from assertkd.settings import RunSettings, load_run
from assertkd.students.distill_student import distill_student
from assertkd.students.params import DistillStudentParams
from assertkd.validate import validate

CONFIG = yaml.safe_load("""
run: r
runs: {r: {}}
data:
  embedded: {records: 90}
  max_input_len: 96
  max_output_len: 24
  labelled_share: 0.5
  unlabelled: more.jsonl
tokenizer: {vocab_size: 400}
teacher:
  model: {name: scratch, scratch: {d_model: 16, d_ff: 32, heads: 2, encoder_layers: 2, decoder_layers: 2}}
  training: {batch_size: 16, epochs: 4, lr: 3.0e-2, relative_lr: true, dropout_rate: 0.0, device: cpu}
logits: {device: cpu}
distillation:
  model: {name: scratch, scratch: {d_model: 8, d_ff: 16, heads: 2, encoder_layers: 1, decoder_layers: 1}}
  training: {batch_size: 16, epochs: 1, lr: 1.0e-2, relative_lr: true, dropout_rate: 0.0, device: cpu}
  loss: {components: [ce, kl], weights: [0.5, 0.5]}
  unlabelled: skip
variants: {}
""")


@dataclass(frozen=True)
class Taught:
    """A run's folder with `corpus/`, `teacher/` and `logits/`, as the rules leave them."""

    folder: Path
    config: dict[str, Any] = field(default_factory=lambda: CONFIG)

    def run_with(self, variant: dict[str, Any]) -> RunSettings:
        """Return the settings of the run with this one variant, checked."""
        config = deepcopy(self.config) | {"variants": {"x": variant}}
        run = load_run(config)
        validate(run)
        return run

    def distil(self, variant: dict[str, Any], folder: Path, seed: int = 1) -> Path:
        """Distil this variant into a folder, given what its rule would be given; return the folder."""
        run = self.run_with(variant)
        params = DistillStudentParams.from_run(run, "x")
        distill_student(
            params,
            seed,
            corpus=self.folder / "corpus",
            logits=self.folder / "logits" if params.target_policy.needs_logits else None,
            embeddings=[],
            folder=folder,
            teacher=self.folder / "teacher/final_model" if params.needs_teacher_model else None,
        )
        return folder
