"""What all tests share: one thread, no network, and models small enough to train in a second."""

import multiprocessing.spawn
import os
import sys

os.environ["OMP_NUM_THREADS"] = "1"
# Two threads of a training wait for one another; spinning, they take the core that the other needs.
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
import torch
from playwright.sync_api import Browser, sync_playwright
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaModel

from assertkd.models.distillable import DistillableModel
from assertkd.models.encoders import PACKAGED, TextEncoder
from assertkd.models.length_limits import Limits
from assertkd.models.registry import build_model
from assertkd.models.tokenizer import train_tokenizer
from assertkd.settings import ModelSettings
from assertkd.settings.model import ScratchSettings
from browser import CHROMIUM, FLAGS
from preloaded import SHARED, python

torch.set_num_threads(1)
# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")

JAVA = """public boolean isEmpty() { return size == 0; }
@Test public void testIsEmpty() { List<String> list = new ArrayList<>(); assertTrue(list.isEmpty()); }
public int add(int a, int b) { return a + b; }
@Test public void testAdd() { assertEquals(3, calculator.add(1, 2)); assertNotNull(calculator); }
"""

TINY = ScratchSettings(d_model=16, d_ff=32, heads=2, encoder_layers=1, decoder_layers=1)


def pytest_configure(config: pytest.Config) -> None:
    """Let all processes that run tests share the one that others are forked off."""
    if getattr(config.option, "numprocesses", None):
        os.environ |= {name: python(modules) for modules, name in SHARED.items()}


@pytest.fixture
def preloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the processes that the program starts as `sys.executable` start at once."""
    monkeypatch.setattr(sys, "executable", python())
    monkeypatch.setattr(multiprocessing.spawn, "_python_exe", os.fsencode(python()))


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let stores be made without the picture of their fidelity, which takes longer than a tiny store."""
    monkeypatch.setattr("assertkd.logits.compress_logits.draw_fidelity", lambda report, path: None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that take longest first, so that of several processes none is left with them at the end.

    The very first make the run that others share, and these come last of them, so that no process waits for it.
    """
    shared = Counter(item.path for item in items if "finished" in getattr(item, "fixturenames", ()))
    first = max(shared, key=shared.__getitem__, default=None)

    def place(item: pytest.Item) -> int:
        if item.path == first:
            return 0
        if item.get_closest_marker("workflow") is None:
            return 3
        return 2 if item.path in shared else 1

    items.sort(key=place)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A headless Chromium; tests that take it are marked `needs_chromium`."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer of 320 entries at most."""
    return train_tokenizer(JAVA.splitlines(), 320)


@pytest.fixture(scope="session")
def tiny_t5(tiny_tokenizer: PreTrainedTokenizerFast) -> Callable[..., DistillableModel]:
    """Return a function that builds a T5 model of one layer each, for `tiny_tokenizer`, from a seed."""

    def build(seed: int = 0, dropout: float = 0.0, sizes: ScratchSettings = TINY) -> DistillableModel:
        torch.manual_seed(seed)
        return build_model(ModelSettings(name="scratch", scratch=sizes), tiny_tokenizer, dropout)

    return build


@pytest.fixture
def reachable_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the hub count as reachable, so that checks leave what is not on this machine to be fetched."""
    monkeypatch.setattr("assertkd.models.hub.is_reachable", lambda: True)


@pytest.fixture(scope="session")
def saved_t5(tiny_t5: Callable[..., DistillableModel], tiny_tokenizer: PreTrainedTokenizerFast) -> Callable[..., Path]:
    """Return a function that saves a model (that of `tiny_t5`) in a folder as a training does; it returns the folder.

    `limits` are the lengths that the model is said to be trained for, `spread` the deviation of weights drawn anew.
    """

    def save(folder: Path, limits: Limits | None = None, spread: float | None = None) -> Path:
        model = tiny_t5()
        if limits is not None:
            model.remember_length_limits(*limits)
        if spread is not None:
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.normal_(std=spread)
        model.save(tiny_tokenizer, folder)
        return folder

    return save


@pytest.fixture(scope="session")
def tiny_encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `microsoft/codebert-base` is one, RoBERTa weights and tokenizer alone; 16 dimensions."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    backend = Tokenizer(models.BPE(unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    backend.train_from_iterator(
        JAVA.splitlines(),
        trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    names = dict(zip(("bos", "pad", "eos", "unk", "mask"), special, strict=True))
    tokens = {f"{name}_token": token for name, token in names.items()} | {"cls_token": "<s>", "sep_token": "</s>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=62, **tokens)
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        type_vocab_size=1,
        # Random weights as small as usual would put all texts in one place.
        initializer_range=0.5,
    )
    folder = tmp_path_factory.mktemp("tiny_encoder")
    RobertaModel(config).save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return folder


@pytest.fixture
def tiny_encoder(tiny_encoder_folder: Path) -> TextEncoder:
    """A fresh encoder of `tiny_encoder_folder`, nothing in its cache."""
    return TextEncoder(tiny_encoder_folder)


@pytest.fixture(scope="session")
def minilm() -> TextEncoder:
    """The packaged sentence encoder with its real weights; its cache is shared by all tests."""
    return TextEncoder(PACKAGED)
