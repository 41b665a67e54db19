"""Suggestions of an export, against those of the model that it was made of."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from assertkd.cli import main
from assertkd.export.convert import convert
from assertkd.models.export_form import TOKENIZER
from assertkd.suggest.beams import best_hypotheses
from assertkd.suggest.exported import ExportedBeams
from assertkd.suggest.t5 import NumpyT5
from assertkd.suggest.tokenizer import SavedTokenizer


@pytest.fixture(scope="module")
def model(saved_t5: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_t5(tmp_path_factory.mktemp("model"), spread=0.3)


@pytest.fixture(scope="module")
def export(model: Path) -> Path:
    convert(model, model / "export", "float32")
    return model / "export"


def test_the_best_hypotheses_are_those_of_the_original(model: Path, export: Path) -> None:
    original = NumpyT5(model)
    beams = ExportedBeams(export, SavedTokenizer(export / TOKENIZER, original.end))
    texts = set()
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        ids = [*torch.randint(4, 300, (9,), generator=generator).tolist(), original.end]
        for count in (1, 4):
            [theirs, *_], [ours, *_] = best_hypotheses(original, ids, count, 12), beams(ids, count, 12)
            # Of several that have ended, the two keep different ones.
            if original.end not in theirs.ids:
                assert ours.ids == theirs.ids
                assert ours.score == pytest.approx(theirs.score, rel=1e-3)
                texts.add(tuple(ours.ids))
    assert len(texts) > 10, "texts that are all alike would prove nothing"


def test_several_hypotheses_come_best_first(export: Path) -> None:
    found = ExportedBeams(export, SavedTokenizer(export / TOKENIZER, 1))([7, 9, 11, 1], 5, 8)
    assert len({tuple(one.ids) for one in found}) == 5
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_the_command_takes_an_export(export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test = tmp_path / "FooTest.java"
    test.write_text("class FooTest { @org.junit.Test public void adds() { new Foo().add(1); } }")
    (tmp_path / "Foo.java").write_text("class Foo { int add(int n) { return n + 1; } }")
    assert main(["suggest", str(test), "--model", str(export), "--count", "2", "--max-output-len", "6"]) == 0
    assert "FooTest.adds tests Foo.add" in capsys.readouterr().out
