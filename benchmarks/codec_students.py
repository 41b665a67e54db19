"""Does it matter to a student which codec kept its teacher's logits? The same seeds, `dense` against `hidden`.

    python benchmarks/codec_students.py --run results/demo --work /tmp/codec_students

Baseline: the students of the `dense` store, which keeps every logit in float16. Of a finished run corpus and teacher
are taken; its logits are stored by both codecs, and a student of ce + kl is distilled from each with every seed.
Printed are, on the test split, each codec's exact match and token F1, the mean of the paired differences with its 95 %
bootstrap interval over examples (seeds averaged), and for scale the largest difference between two seeds of one codec.
About ten minutes on two cores with the demo's run.
"""

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path

import numpy as np
import torch

from assertkd.corpus.targets import Supervision
from assertkd.evaluation.significance import bootstrap_intervals
from assertkd.logits.compress_logits import compress_logits
from assertkd.logits.params import CompressLogitsParams
from assertkd.losses.loss_plan import plan_loss
from assertkd.metrics.exact_match import exact_match
from assertkd.metrics.overlap import f1
from assertkd.models.torch_text_generator import load_text_generator
from assertkd.prompts.prompt import Prompt
from assertkd.records import read_records
from assertkd.settings import LogitsSettings, LossSettings, StudentModelSettings, TrainingSettings
from assertkd.settings.model import ScratchSettings
from assertkd.students.distill_student import distill_student
from assertkd.students.params import DistillStudentParams, TargetPolicy

BASELINE, OTHER = "dense", "hidden"
SUPERVISION = Supervision(max_input_len=256, max_output_len=48, labelled_share=1.0, seed=0)
METRICS = {"exact match": exact_match, "token F1": f1}


@dataclass(frozen=True)
class Setting:
    """One student to distil."""

    run: Path
    work: Path
    codec: str
    seed: int
    epochs: int


def evaluate_student(setting: Setting) -> list[list[float]]:
    """Distil one student; return every test example's value of every metric, (metrics, examples)."""
    torch.set_num_threads(1)
    folder = setting.work / "students" / f"{setting.codec}-{setting.seed}"
    if not (folder / "values.json").exists():
        sizes = ScratchSettings(d_model=64, d_ff=256, heads=4, encoder_layers=2, decoder_layers=2)
        params = DistillStudentParams(
            model=StudentModelSettings(name="scratch", scratch=sizes),
            training=TrainingSettings(
                batch_size=16, epochs=setting.epochs, lr=1e-2, relative_lr=True, dropout_rate=0.0, log_every=50
            ),
            loss=plan_loss(LossSettings(function="traditional", temperature=2.0)),
            target_policy=TargetPolicy(
                targets="gold", learns_withheld=False, learns_unlabelled=False, needs_distributions=True
            ),
            supervision=SUPERVISION,
            on_policy=None,
        )
        corpus = setting.run / "corpus"
        distill_student(params, setting.seed, corpus, setting.work / setting.codec, [], folder)
        generator = load_text_generator(folder / "final_model", torch.device("cpu"))
        prompt = Prompt(generator.tokenizer, SUPERVISION.max_input_len, SUPERVISION.max_output_len)
        records = list(read_records(corpus / "test.jsonl"))
        inputs = [prompt.encode_record(record).ids for record in records]
        texts = generator.generate(inputs, batch_size=32, max_new_tokens=SUPERVISION.max_output_len)
        pairs = [(text, record.assertion) for text, record in zip(texts, records, strict=True)]
        values = [[metric(*pair) for pair in pairs] for metric in METRICS.values()]
        (folder / "values.json").write_text(json.dumps(values))
    stored: list[list[float]] = json.loads((folder / "values.json").read_text())
    return stored


def main() -> None:
    """Store, distil, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=Path("results/demo"), help="a finished run")
    parser.add_argument("--work", type=Path, default=Path("results/benchmarks/codec_students"), help="working folder")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    for codec in (BASELINE, OTHER):
        if not (arguments.work / codec / "fidelity.json").exists():
            compress_logits(
                CompressLogitsParams(logits=LogitsSettings(codec=codec), temperatures=(), supervision=SUPERVISION),
                arguments.run / "teacher" / "final_model",
                arguments.run / "corpus",
                arguments.work / codec,
            )
    settings = [
        Setting(arguments.run, arguments.work, codec, seed, arguments.epochs)
        for seed, codec in product(arguments.seeds, (BASELINE, OTHER))
    ]
    with ProcessPoolExecutor(arguments.processes) as pool:
        values = np.array(list(pool.map(evaluate_student, settings)))
    values = values.reshape(len(arguments.seeds), 2, len(METRICS), -1)
    differences = (values[:, 1] - values[:, 0]).mean(axis=0)
    intervals = bootstrap_intervals(differences.T, 10_000, 42)
    for place, (name, interval) in enumerate(zip(METRICS, intervals, strict=True)):
        by_seed = values[:, :, place].mean(axis=-1)
        spread = max((abs(a - b) for codec in by_seed.T for a, b in combinations(codec, 2)), default=float("nan"))
        noise = "within noise" if interval.low <= 0 <= interval.high else "a difference"
        for codec, of_codec in zip((BASELINE, OTHER), by_seed.T, strict=True):
            print(f"{name:<12} {codec:<7} mean {of_codec.mean():.4f}   seeds {', '.join(f'{v:.4f}' for v in of_codec)}")
        print(
            f"{name:<12} {OTHER} - {BASELINE} {interval.mean:+.4f} "
            f"[{interval.low:+.4f}, {interval.high:+.4f}]: {noise}; two seeds of one codec differ by up to {spread:.4f}"
        )


if __name__ == "__main__":
    main()
