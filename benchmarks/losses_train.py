"""Does each loss train what it names? One half-trained student, one component at a time, judged on held-out records.

    python benchmarks/losses_train.py --records data.jsonl --work /tmp/losses_train

Every component starts from the same half-trained student of a seed and takes the same steps (`ast`, which rewards any
valid statement, is mixed with `ce`). The baseline is that start. Printed is one table: the metric that the component
names, before and after, its mean change over seeds with the standard deviation, and exact match. Metrics of the
evaluation are those of greedy predictions; the contrastive risk, which it lacks, is that of samples.

Without --records the generated corpus is used. About forty minutes on two cores with the defaults.
"""

import argparse
import csv
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

import torch

from assertkd.batching.collation import collate
from assertkd.batching.examples import Example
from assertkd.corpus.params import PrepareCorpusParams
from assertkd.corpus.prepare_corpus import prepare_corpus
from assertkd.corpus.targets import Supervision
from assertkd.logits.compress_logits import compress_logits
from assertkd.logits.params import CompressLogitsParams
from assertkd.logits.store.reader import StoreReader
from assertkd.losses.contrastive import contrastive
from assertkd.losses.loss_plan import plan_loss
from assertkd.losses.registry import COMPONENTS, TokenComponent
from assertkd.losses.target_batch import TargetBatch
from assertkd.losses.text_batch import TextBatch
from assertkd.metrics.registry import pair_metrics
from assertkd.metrics.semantic_similarity import semantic_similarity
from assertkd.models.decoding import pad_sequences, sample_texts
from assertkd.models.distillable import IGNORED, DistillableModel
from assertkd.models.embedding_file import pin_targets
from assertkd.models.encoders import PACKAGED, TextEncoder
from assertkd.models.registry import load_model
from assertkd.models.tokenizer import load_tokenizer
from assertkd.models.torch_text_generator import TorchTextGenerator
from assertkd.prompts.prompt import Prompt
from assertkd.records import Record, read_records
from assertkd.settings import (
    DataSettings,
    LogitsSettings,
    LossSettings,
    StudentModelSettings,
    TeacherModelSettings,
    TokenizerSettings,
    TrainingSettings,
)
from assertkd.settings.loss import ContrastiveSettings, SemanticSettings, TextLossSettings
from assertkd.settings.model import ScratchSettings
from assertkd.students.distill_student import distill_student
from assertkd.students.embed_targets import embed_targets
from assertkd.students.params import DistillStudentParams, EmbedTargetsParams, TargetPolicy, encoder_slug
from assertkd.teacher.params import TrainTeacherParams
from assertkd.teacher.train_teacher import train_teacher

NAMED_METRIC = {
    "ce": ("cross-entropy", -1),
    "focal": ("focal", -1),
    "kl": ("kl", -1),
    "jsd": ("jsd", -1),
    "semantic": ("semantic_similarity", 1),
    "contrastive": ("contrastive risk", -1),
    "pans": ("pans", 1),
    "ast+ce": ("syntax_validity", 1),
}
"""Component to the metric that it names, and whether more (1) or less (-1) of it is better."""

TEMPERATURE = 2.0
MAX_INPUT, MAX_OUTPUT = 192, 48
SAMPLES = 4
SUPERVISION = Supervision(MAX_INPUT, MAX_OUTPUT, labelled_share=1.0, seed=0)
LOSS = LossSettings(
    temperature=TEMPERATURE,
    semantic=SemanticSettings(encoder=PACKAGED),
    contrastive=ContrastiveSettings(encoder=PACKAGED),
    text=TextLossSettings(share=1.0, samples=SAMPLES),
)


@dataclass(frozen=True)
class Setting:
    """What a worker process needs to train and judge one student."""

    work: Path
    seed: int
    component: str
    steps: int
    lr: float
    batch: int
    held_out: int


def embeddings_of(work: Path) -> Path:
    return work / "embeddings" / encoder_slug(PACKAGED) / "train.safetensors"


def loss_of(component: str) -> LossSettings:
    names = tuple(component.split("+"))
    return LOSS.model_copy(update={"components": names, "weights": tuple(1.0 for _ in names)})


def train_one(setting: Setting) -> dict[str, float]:
    """Train one component from the seed's start; return the held-out figures."""
    torch.set_num_threads(1)
    folder = setting.work / f"seed{setting.seed}" / setting.component
    if not (folder / "training_report.json").exists():
        plan = plan_loss(loss_of(setting.component))
        params = DistillStudentParams(
            model=StudentModelSettings(name=str(setting.work / f"seed{setting.seed}" / "start" / "final_model")),
            training=TrainingSettings(
                batch_size=setting.batch,
                epochs=1,
                lr=setting.lr,
                relative_lr=True,
                dropout_rate=0.0,
                max_train_samples=setting.steps * setting.batch,
                max_val_samples=32,
                log_every=20,
            ),
            loss=plan,
            target_policy=TargetPolicy(
                targets="gold", learns_withheld=False, learns_unlabelled=False, needs_distributions=plan.needs_teacher
            ),
            supervision=SUPERVISION,
            on_policy=None,
        )
        corpus, logits = setting.work / "corpus", setting.work / "logits"
        distill_student(params, setting.seed, corpus, logits, [embeddings_of(setting.work)], folder)
    return judge(folder, setting)


def judge(folder: Path, setting: Setting) -> dict[str, float]:
    """Return every metric of `NAMED_METRIC`, and exact match, of a student on the test split."""
    path = folder / "held_out.json"
    if path.exists():
        found: dict[str, float] = json.loads(path.read_text())
        return found
    model = load_model(folder / "final_model").eval()
    prompt = Prompt(load_tokenizer(folder / "final_model"), MAX_INPUT, MAX_OUTPUT)
    records = list(read_records(setting.work / "corpus" / "test.jsonl"))[: setting.held_out]
    inputs = [prompt.encode_record(record).ids for record in records]
    texts = TorchTextGenerator(model, prompt.tokenizer).generate(inputs, batch_size=32, max_new_tokens=MAX_OUTPUT)
    references = [record.assertion for record in records]
    figures = {
        name: fmean(pair_metrics()[name](text, gold) for text, gold in zip(texts, references, strict=True))
        for name in ("exact_match", "pans", "syntax_validity")
    }
    encoder = TextEncoder(PACKAGED)
    pin_targets(encoder, (), references)
    figures["semantic_similarity"] = float(semantic_similarity(encoder, texts, references).mean())
    figures["contrastive risk"] = contrastive_risk(model, prompt, inputs, references, encoder)
    figures |= token_losses(model, records, inputs, prompt, StoreReader(setting.work / "logits" / "test"))
    path.write_text(json.dumps(figures))
    return figures


@torch.no_grad()
def contrastive_risk(
    model: DistillableModel,
    prompt: Prompt,
    inputs: Sequence[list[int]],
    references: Sequence[str],
    encoder: TextEncoder,
) -> float:
    """Return the mean InfoNCE risk of four samples a record, against the references of 16 records at a time.

    The evaluation has no such metric: this is what the component says it is, an expectation over what is sampled.
    """
    risks: list[float] = []
    generator = torch.Generator().manual_seed(0)
    for start in range(0, len(inputs), 16):
        part = slice(start, start + 16)
        input_ids, attention_mask = pad_sequences(inputs[part], model.pad_token_id)
        tokens = model.sample(input_ids, attention_mask, SAMPLES, MAX_OUTPUT, generator=generator)
        texts = sample_texts(prompt.tokenizer, tokens)
        batch = TextBatch(texts, references[part], references[part], {"contrastive": encoder})
        risks += contrastive(batch, temperature=0.1).flatten().tolist()
    return fmean(risks)


@torch.no_grad()
def token_losses(
    model: DistillableModel, records: Sequence[Record], inputs: Sequence[list[int]], prompt: Prompt, store: StoreReader
) -> dict[str, float]:
    """Return each token component's mean over the held-out target tokens."""
    examples = [
        Example(record.id, ids, prompt.encode_target(record.assertion), record.assertion)
        for record, ids in zip(records, inputs, strict=True)
    ]
    totals = dict.fromkeys(("ce", "focal", "kl", "jsd"), 0.0)
    tokens = 0
    for start in range(0, len(examples), 32):
        batch = collate(examples[start : start + 32], model.pad_token_id, store)
        is_target = batch.labels != IGNORED
        logits = model(batch.input_ids, batch.attention_mask, batch.labels).logits
        target = TargetBatch(logits, batch.labels[is_target], batch.teacher, TEMPERATURE)
        for name in totals:
            component = COMPONENTS[name]
            assert isinstance(component, TokenComponent)
            totals[name] += float(component.compute(target, **component.options(LOSS)))
        tokens += batch.tokens
    names = {"ce": "cross-entropy"}
    return {names.get(name, name): total / tokens for name, total in totals.items()}


def prepare(arguments: argparse.Namespace) -> None:
    """Make corpus, teacher, logits and each seed's half-trained start, as far as they are missing."""
    work = arguments.work
    data = {"max_input_len": MAX_INPUT, "max_output_len": MAX_OUTPUT}
    if arguments.records is not None:
        data |= {"source": "files", "train_file": str(arguments.records)}
    else:
        data |= {"embedded": {"records": 8000}}
    if not (work / "corpus" / "quality.json").exists():
        tokenizer = TokenizerSettings(vocab_size=4096)
        prepare_corpus(
            PrepareCorpusParams(data=DataSettings(**data), tokenizer=tokenizer, teacher="scratch"), work / "corpus"
        )
    sizes = {"batch_size": arguments.batch, "dropout_rate": 0.0, "max_val_samples": 64, "log_every": 50}
    sizes |= {"lr": 1e-2, "relative_lr": True}
    if not (work / "teacher" / "training_report.json").exists():
        params = TrainTeacherParams(
            model=TeacherModelSettings(
                name="scratch",
                scratch=ScratchSettings(d_model=128, d_ff=512, heads=4, encoder_layers=2, decoder_layers=2),
            ),
            training=TrainingSettings(epochs=arguments.teacher_epochs, **sizes),
            seed=42,
            max_input_len=MAX_INPUT,
            max_output_len=MAX_OUTPUT,
        )
        train_teacher(params, work / "corpus", work / "teacher")
    if not (work / "logits" / "test" / "manifest.json").exists():
        params = CompressLogitsParams(logits=LogitsSettings(), temperatures=(), supervision=SUPERVISION)
        compress_logits(params, work / "teacher" / "final_model", work / "corpus", work / "logits")
    if not embeddings_of(work).exists():
        gold = EmbedTargetsParams(encoder=PACKAGED, labelled_share=1.0, seed=0)
        embed_targets(gold, "train", work / "corpus" / "train.jsonl", embeddings_of(work))
    small = ScratchSettings(d_model=96, d_ff=384, heads=4, encoder_layers=2, decoder_layers=2)
    for seed in arguments.seeds:
        if not (work / f"seed{seed}" / "start" / "training_report.json").exists():
            params = DistillStudentParams(
                model=StudentModelSettings(name="scratch", scratch=small),
                training=TrainingSettings(epochs=arguments.start_epochs, **sizes),
                loss=plan_loss(loss_of("ce")),
                target_policy=TargetPolicy(
                    targets="gold", learns_withheld=False, learns_unlabelled=False, needs_distributions=False
                ),
                supervision=SUPERVISION,
                on_policy=None,
            )
            distill_student(params, seed, work / "corpus", None, [], work / f"seed{seed}" / "start")


def main() -> None:
    """Prepare, train every component from every start, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=Path, help="JSONL of real records; without it the generated corpus")
    parser.add_argument("--work", type=Path, default=Path("results/benchmarks/losses_train"), help="working folder")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--components", nargs="+", default=list(NAMED_METRIC), choices=list(NAMED_METRIC))
    parser.add_argument("--steps", type=int, default=120, help="optimizer steps of each component")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=1e-3, help="relative to each weight's size")
    parser.add_argument("--held-out", type=int, default=400, help="test records judged")
    parser.add_argument("--teacher-epochs", type=int, default=2)
    parser.add_argument("--start-epochs", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    prepare(arguments)
    settings = {
        (name, seed): Setting(
            arguments.work, seed, name, arguments.steps, arguments.lr, arguments.batch, arguments.held_out
        )
        for name in arguments.components
        for seed in arguments.seeds
    }
    before = {
        seed: judge(arguments.work / f"seed{seed}" / "start", settings[arguments.components[0], seed])
        for seed in arguments.seeds
    }
    with ProcessPoolExecutor(arguments.processes) as pool:
        after = dict(zip(settings, pool.map(train_one, settings.values()), strict=True))
    rows = [row(name, before, {seed: after[name, seed] for seed in arguments.seeds}) for name in arguments.components]
    with (arguments.work / "losses_train.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    for line in rows:
        print(
            "  ".join(
                f"{value!s:<20}" if key in ("component", "metric") else f"{value:>12}" for key, value in line.items()
            )
        )
        if line is rows[0]:
            print()


def row(name: str, before: dict[int, dict[str, float]], after: dict[int, dict[str, float]]) -> dict[str, str]:
    """Return a component's line of the table."""
    metric, sign = NAMED_METRIC[name]
    changes = [sign * (after[seed][metric] - before[seed][metric]) for seed in before]
    exact = [after[seed]["exact_match"] - before[seed]["exact_match"] for seed in before]
    spread = stdev(changes) if len(changes) > 1 else float("nan")
    return {
        "component": name,
        "metric": metric,
        "before": f"{fmean(each[metric] for each in before.values()):.4f}",
        "after": f"{fmean(each[metric] for each in after.values()):.4f}",
        "improvement": f"{fmean(changes):+.4f}",
        "sd over seeds": f"{spread:.4f}",
        "seeds improved": f"{sum(change > 0 for change in changes)}/{len(changes)}",
        "exact match": f"{fmean(exact):+.4f}",
    }


if __name__ == "__main__":
    main()
