"""What `training.enhanced_metrics` costs, in training steps, on a finished run's teacher.

    python benchmarks/validation_metrics.py --run results/demo

Baseline: an optimizer step of the teacher's training as the run did it, on its own first records: the difference of a
training of --steps steps to one of a single step, divided by the steps between. Measured against it, on the trained
teacher and the validation records: the validation that every epoch has (loss and token accuracy over all of them),
decoding --samples of them, the metrics of the decoded texts that need no encoder, and embeddings with code quality. The
encoder has seen no text before, and no metric has, as at a training's first validation. Times are CPU seconds of this
process on one thread, the medians of --rounds rounds, so that a busy machine changes little. The last line is an epoch
with `enhanced_metrics` over one without, for the steps that an epoch of the run has. Loading the encoder is paid once a
training and printed apart.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch

from assertkd.batching.collation import load_batches
from assertkd.files import read_json
from assertkd.layout import TEACHER, RunLayout
from assertkd.losses.loss_plan import hard_labels
from assertkd.models.encoders import PACKAGED, TextEncoder
from assertkd.models.registry import load_model
from assertkd.models.tokenizer import load_tokenizer
from assertkd.prompts.prompt import Prompt
from assertkd.runtime.job import set_threads
from assertkd.teacher.params import TrainTeacherParams
from assertkd.training.data import TrainingData, validation_examples
from assertkd.training.hooks.validation import decoded, teacher_forced, text_figures
from assertkd.training.parallel.process_group import ProcessGroup
from assertkd.training.train import train
from scoring import CACHES


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU seconds of this process in `work`."""
    before = time.process_time()
    work()
    return time.process_time() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, metavar="FOLDER", help="a finished run")
    parser.add_argument("--steps", type=int, default=21, help="optimizer steps of the longer training")
    parser.add_argument("--samples", type=int, default=64, help="validation records that are decoded")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    set_threads(1)
    files = RunLayout(options.run)
    report = read_json(files.model(TEACHER).report)
    params = TrainTeacherParams.model_validate(report["recipe"]["settings"])
    tokenizer = load_tokenizer(files.corpus.tokenizer)
    prompt = Prompt(tokenizer, params.max_input_len, params.max_output_len)
    training = params.training
    first_records = training.model_copy(update={"max_val_samples": options.steps * training.batch_size})
    validation = validation_examples(files.corpus.validation, prompt, training)
    sample = validation[: options.samples]
    data = TrainingData(validation_examples(files.corpus.train, prompt, first_records), sample[:1], None, ())

    def training_of(steps: int) -> None:
        wanted = {"max_steps": steps, "enhanced_metrics": False, "best_metric": None, "early_stopping": None}
        settings = training.model_copy(update=wanted | {"device": "cpu", "checkpoint_every": 0})
        with tempfile.TemporaryDirectory() as folder:
            model = load_model(files.model(TEACHER).final_model)
            train(model, tokenizer, data, hard_labels(), settings, 1, Path(folder))

    model = load_model(files.model(TEACHER).final_model).eval()
    order = sorted(range(len(validation)), key=lambda index: len(validation[index].input_ids))
    batches = [order[start : start + training.batch_size] for start in range(0, len(order), training.batch_size)]

    def validate() -> None:
        loaded = load_batches(validation, batches, model.pad_token_id, None, num_workers=0, pin_memory=False)
        teacher_forced(model, loaded, ProcessGroup())

    before = time.process_time()
    encoder = TextEncoder(PACKAGED)
    print(f"loading the encoder, once a training: {time.process_time() - before:.1f} s", flush=True)
    references = [example.target for example in sample]
    predictions: list[str] = []

    def decode() -> None:
        size = max(32, training.batch_size)
        predictions[:] = decoded(model, tokenizer, sample, size, params.max_output_len)

    def judge(with_encoder: bool) -> None:
        for cache in CACHES:
            cache.cache_clear()
        encoder.restore_cache({"hits": 0, "misses": 0, "texts": []}, torch.zeros(0, encoder.dimension))
        text_figures(predictions, references, encoder if with_encoder else None)

    seconds: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        first, all_of_them = cpu_seconds(lambda: training_of(1)), cpu_seconds(lambda: training_of(options.steps))
        seconds.setdefault("a training step", []).append((all_of_them - first) / (options.steps - 1))
        seconds.setdefault(f"validation loss, {len(validation)} records", []).append(cpu_seconds(validate))
        seconds.setdefault(f"decoding {len(sample)} records", []).append(cpu_seconds(decode))
        plain = cpu_seconds(lambda: judge(False))
        seconds.setdefault("metrics without an encoder", []).append(plain)
        seconds.setdefault("similarity and code quality", []).append(cpu_seconds(lambda: judge(True)) - plain)
    step, *others = ((name, median(values)) for name, values in seconds.items())
    print(f"{step[0]:36} {1000 * step[1]:8.0f} ms")
    for name, value in others:
        print(f"{name:36} {1000 * value:8.0f} ms {value / step[1]:8.2f} steps")
    per_epoch = report["optimizer_steps"] / report["epochs"]
    without = per_epoch * step[1] + others[0][1]
    print(f"an epoch of {per_epoch:.0f} steps: {(without + sum(value for _, value in others[1:])) / without:.3f} times")


if __name__ == "__main__":
    main()
