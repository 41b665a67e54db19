"""Every loss component, trained alone from one half-trained student, improves on held-out examples what it names."""

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedTokenizerFast

from assertkd.batching.collation import collate
from assertkd.batching.distributions import DenseView
from assertkd.batching.examples import Example, Payload
from assertkd.losses.contrastive import contrastive
from assertkd.losses.loss_plan import plan_loss
from assertkd.losses.text_batch import TextBatch
from assertkd.metrics.pans import pans
from assertkd.metrics.semantic_similarity import cosines
from assertkd.metrics.syntax_validity import syntax_validity
from assertkd.models.decoding import pad_sequences, sample_texts
from assertkd.models.distillable import DistillableModel
from assertkd.models.encoders import TextEncoder
from assertkd.models.registry import build_model
from assertkd.models.tokenizer import train_tokenizer
from assertkd.runtime.seeding import seed_everything
from assertkd.settings import LossSettings, ModelSettings, TrainingSettings
from assertkd.settings.loss import TextLossSettings
from assertkd.settings.model import ScratchSettings
from assertkd.training.data import TrainingData
from assertkd.training.train import train

pytestmark = pytest.mark.long

NOUNS = ["list", "queue", "stack", "tree", "heap", "ring", "graph", "table"]
GETTERS = ["size", "depth", "rank", "total", "width"]
TEMPERATURE = 2.0
COMPONENTS_ALONE = [("ce",), ("focal",), ("kl",), ("jsd",), ("semantic",), ("contrastive",), ("pans",), ("ast", "ce")]
"""`ast` is mixed with `ce`: any valid statement would satisfy it."""


@dataclass(frozen=True)
class Task:
    """A small language to learn, its tokenizer, and a teacher's logits for every example."""

    tokenizer: PreTrainedTokenizerFast
    train: list[Example]
    held_out: list[Example]
    teacher: "KnownLogits"
    start: DistillableModel


class KnownLogits:
    """A teacher whose logits are known for every example."""

    def __init__(self, logits: dict[str, np.ndarray]) -> None:
        self.logits = logits

    def read_example(self, example: Example) -> Payload:
        return {"logits": self.logits[example.id]}

    def collate_views(self, payloads: Sequence[Payload]) -> DenseView:
        return DenseView(torch.from_numpy(np.concatenate([payload["logits"] for payload in payloads])))


def texts() -> list[tuple[str, str]]:
    pairs = []
    for noun, getter, number in product(NOUNS, GETTERS, range(10)):
        gold = f"assertEquals({number}, {noun}.{getter}());"
        if number == 0:
            gold = f"assertTrue({noun}.isEmpty());" if getter == "size" else f"assertNull({noun}.{getter}());"
        pairs.append((f"{noun} has {getter} {number}", gold))
    return pairs


def examples_of(tokenizer: PreTrainedTokenizerFast) -> list[Example]:
    def ids(text: str) -> list[int]:
        return [*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]

    order = np.random.default_rng(0).permutation(len(texts()))
    chosen = [texts()[index] for index in order]
    return [Example(f"e{n}", ids(source), ids(gold), gold) for n, (source, gold) in enumerate(chosen)]


@torch.no_grad()
def target_logits(model: DistillableModel, examples: Sequence[Example]) -> tuple[Tensor, Tensor]:
    model.eval()
    batch = collate(examples, model.pad_token_id, None)
    logits = model(batch.input_ids, batch.attention_mask, batch.labels).logits
    return logits, batch.labels[batch.labels != -100]


def trained(
    model: DistillableModel,
    data: TrainingData,
    tokenizer: PreTrainedTokenizerFast,
    loss: LossSettings,
    folder: Path,
    epochs: int,
    lr: float,
) -> DistillableModel:
    seed_everything(1)
    settings = TrainingSettings(
        batch_size=16, dropout_rate=0.0, device="cpu", validation_frequency=100, log_every=20, epochs=epochs, lr=lr
    )
    train(model, tokenizer, data, plan_loss(loss), settings, 1, folder)
    torch.use_deterministic_algorithms(False)
    return model


def made(folder: Path) -> Task:
    """The teacher has learnt the language, the start is a student that has learnt some of it."""
    tokenizer = train_tokenizer((text for pair in texts() for text in pair), 330)
    examples = examples_of(tokenizer)
    train_split, held_out = examples[:300], examples[300:]

    def learnt(width: int, layers: int, seen: int, epochs: int) -> DistillableModel:
        data = TrainingData(train_split[:seen], held_out, None, ())
        torch.manual_seed(0)
        sizes = ScratchSettings(d_model=width, d_ff=2 * width, heads=2, encoder_layers=layers, decoder_layers=layers)
        model = build_model(ModelSettings(name="scratch", scratch=sizes), tokenizer, 0.0)
        loss = LossSettings(components=("ce",))
        return trained(model, data, tokenizer, loss, folder / str(width), epochs=epochs, lr=4e-3)

    # What is sampled from the start has to be near what it writes greedily: few examples, seen often, make it sure.
    teacher, start = learnt(64, 2, 300, 20), learnt(32, 1, 48, 60)
    logits = {one.id: target_logits(teacher, [one])[0].numpy().astype(np.float16) for one in examples}
    return Task(tokenizer, train_split, held_out, KnownLogits(logits), start)


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    return made(tmp_path_factory.mktemp("task"))


def token_figures(model: DistillableModel, task: Task) -> dict[str, float]:
    """The four token components' values on held-out examples, by torch's own functions."""
    logits, labels = target_logits(model, task.held_out)
    known = torch.cat([torch.from_numpy(task.teacher.logits[one.id]).float() for one in task.held_out])
    gold = functional.cross_entropy(logits, labels, reduction="none")
    log_q = (logits / TEMPERATURE).log_softmax(-1)
    log_p = (known / TEMPERATURE).log_softmax(-1)
    log_m = torch.logaddexp(log_q, log_p) - math.log(2)
    kl = functional.kl_div(log_q, log_p, log_target=True, reduction="batchmean")
    to_middle = [functional.kl_div(log_m, one, log_target=True, reduction="batchmean") for one in (log_q, log_p)]
    focal = 0.25 * (1 - (-gold).exp()).square() * gold
    return {"ce": float(gold.mean()), "focal": float(focal.mean()), "kl": float(kl), "jsd": float(sum(to_middle) / 2)}


def text_figures(model: DistillableModel, task: Task, encoder: TextEncoder) -> dict[str, float]:
    """The four text components' values on predictions sampled for held-out examples."""
    input_ids, attention_mask = pad_sequences([one.input_ids for one in task.held_out], task.tokenizer.pad_token_id)
    written = model.sample(input_ids, attention_mask, 4, 24, generator=torch.Generator().manual_seed(9))
    references = [one.target for one in task.held_out]
    batch = TextBatch(sample_texts(task.tokenizer, written), references, references, {"contrastive": encoder})
    pairs = list(zip(*batch.pairs(), strict=True))
    return {
        "semantic": 1 - float(cosines(encoder, *batch.pairs()).mean()),
        "contrastive": float(contrastive(batch, temperature=0.1).mean()),
        "pans": 1 - fmean(pans(*pair) for pair in pairs),
        "ast": 1 - fmean(syntax_validity(text) for text, _ in pairs),
    }


@pytest.fixture(scope="module")
def before(task: Task, minilm: TextEncoder) -> dict[str, float]:
    references = sorted({one.target for one in (*task.train, *task.held_out)})
    minilm.pin(references, minilm.encode(references))
    return token_figures(task.start, task) | text_figures(task.start, task, minilm)


def test_the_start_is_half_trained(before: dict[str, float]) -> None:
    assert 0.1 < before["ast"] < 0.8
    assert 0.2 < before["pans"] < 0.8


@pytest.mark.parametrize("names", COMPONENTS_ALONE, ids="+".join)
def test_a_component_improves_what_it_names(
    names: tuple[str, ...], task: Task, before: dict[str, float], minilm: TextEncoder, tmp_path: Path
) -> None:
    loss = LossSettings(
        components=names,
        weights=tuple(1.0 for _ in names),
        temperature=TEMPERATURE,
        text=TextLossSettings(share=0.5, samples=4),
    )
    encoders = {name: minilm for name in names if name in ("semantic", "contrastive")}
    data = TrainingData(task.train, task.held_out, task.teacher, (), encoders, max_new_tokens=24)
    student = trained(deepcopy(task.start), data, task.tokenizer, loss, tmp_path, epochs=6, lr=1e-3)
    after = token_figures(student, task) | text_figures(student, task, minilm)
    assert after[names[0]] < 0.95 * before[names[0]]
