"""Exports of small T5 models: the same texts, a smaller file, and a report that says so."""

import json
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from assertkd.cli import main
from assertkd.errors import UserError
from assertkd.evaluation.cost import measure_speed
from assertkd.evaluation.params import PredictParams
from assertkd.evaluation.predict import predict
from assertkd.export.convert import convert
from assertkd.export.export import compare, export_student, format_report
from assertkd.models.decoding import pad_sequences
from assertkd.models.distillable import DistillableModel
from assertkd.models.exported import ExportedModel, is_export
from assertkd.models.length_limits import Limits
from assertkd.models.registry import parameter_count
from assertkd.models.tokenizer import load_tokenizer
from assertkd.models.torch_text_generator import TorchTextGenerator, load_text_generator
from assertkd.predictions import read_predictions
from assertkd.prompts.prompt import Prompt
from assertkd.records import MARKER, Record, write_records
from assertkd.settings import EvaluationSettings
from assertkd.settings.model import ScratchSettings

SIZES = ScratchSettings(d_model=64, d_ff=128, heads=4, encoder_layers=2, decoder_layers=2)
CPU = torch.device("cpu")
Build = Callable[..., DistillableModel]


def records(count: int) -> list[Record]:
    return [
        Record(
            f"r{number}",
            f"public int size{number}() {{ return {'count + ' * (number % 7)}size; }}",
            f"@Test public void test{number}() {{ {'list.add(1); ' * (number % 40)}\n    {MARKER}\n}}",
            f"assertEquals({number}, list.size());",
        )
        for number in range(count)
    ]


def random_inputs(tokenizer: PreTrainedTokenizerFast, count: int, longest: int, seed: int) -> list[list[int]]:
    """Return inputs of random length whose last word can be read."""
    generator = random.Random(seed)
    words = [number for number in range(4, len(tokenizer)) if tokenizer.decode([number]).strip().isascii()]
    return [[*generator.choices(words, k=generator.randint(2, longest)), 1] for _ in range(count)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_t5: Build, tiny_tokenizer: PreTrainedTokenizerFast) -> Path:
    """Return a run's folder with one student, trained to write its input's last word a few times."""
    folder = tmp_path_factory.mktemp("run")
    model = tiny_t5(seed=3, sizes=SIZES).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(80):
        inputs = random_inputs(tiny_tokenizer, 32, 8, step)
        input_ids, attention_mask = pad_sequences(inputs, 0)
        labels, _ = pad_sequences([[one[-2]] * (one[-2] % 5 + 2) + [1] for one in inputs], -100)
        logits = model(input_ids, attention_mask, labels).logits
        loss = torch.nn.functional.cross_entropy(logits, labels[labels != -100])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.save(tiny_tokenizer, folder / "students/v/seed1/final_model")
    write_records(folder / "corpus/test.jsonl", records(120))
    return folder


@pytest.fixture(scope="module")
def float32(run: Path) -> Path:
    folder = run / "export"
    convert(run / "students/v/seed1/final_model", folder, "float32")
    return folder


def test_an_export_writes_what_its_original_writes(run: Path, float32: Path) -> None:
    original, exported = (
        load_text_generator(folder, CPU) for folder in (run / "students/v/seed1/final_model", float32)
    )
    assert isinstance(original, TorchTextGenerator)
    assert isinstance(exported, ExportedModel)
    # Of all lengths, up to ones beyond the largest distance that has a bucket of its own.
    inputs = random_inputs(original.tokenizer, 120, 12, 0) + random_inputs(original.tokenizer, 60, 250, 1)
    assert max(map(len, inputs)) > 200
    for batch_size in (1, 32):
        before, after = (
            form.generate(inputs, batch_size=batch_size, max_new_tokens=24) for form in (original, exported)
        )
        assert len(set(before)) > 30, "texts that are all alike would prove nothing"
        assert sum(one == other for one, other in zip(before, after, strict=True)) / len(before) >= 0.99


def test_progress_is_said_and_lengths_are_kept_to(float32: Path) -> None:
    exported = ExportedModel(float32)
    done: list[int] = []
    inputs = [exported.tokenizer("assertTrue(x);")["input_ids"]] * 5
    texts = exported.generate(inputs, batch_size=2, max_new_tokens=3, progress=done.append)
    assert done == [2, 4, 5]
    assert len(texts) == 5
    assert len(exported.tokenizer(texts[0])["input_ids"]) <= 4
    assert exported.generate([], batch_size=2, max_new_tokens=3) == []


def test_the_report_says_how_the_two_forms_differ(run: Path, tmp_path: Path) -> None:
    student = run / "students/v/seed1"
    report = export_student(student, tmp_path / "int8", "int8", max_input_len=256, max_output_len=16, examples=50)
    assert report == json.loads((tmp_path / "int8/export_report.json").read_text(encoding="utf-8"))
    assert report["examples"] == 50
    assert 0 < report["identical"] <= 1
    assert report["identical"] <= report["token_f1"] <= 1
    assert report["size_ratio"] < 0.4
    assert report["speed"]["original"]["latency_ms"] > 0
    assert is_export(tmp_path / "int8")
    original = load_text_generator(student / "final_model", CPU)
    assert isinstance(original, TorchTextGenerator)
    assert (
        load_text_generator(tmp_path / "int8", CPU).parameters == parameter_count(original.model) == original.parameters
    )
    assert "same text for" in format_report(report)


def test_figures_of_a_comparison() -> None:
    class Fixed:
        """Writes one text for all inputs, in a time of its own."""

        tokenizer = None
        parameters = 1

        def __init__(self, text: str, seconds: float) -> None:
            self.text, self.seconds = text, seconds

        def generate(self, inputs: list[list[int]], **_: object) -> list[str]:
            clock[0] += self.seconds
            return [self.text] * len(inputs)

    clock = [0.0]
    some = [Record(f"r{n}", "int f() { }", f"{MARKER}\n", "assertTrue(a);") for n in range(4)]
    original, exported = Fixed("assertTrue(a);", 0.4), Fixed("assertTrue(b);", 0.1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("assertkd.export.export.measure_speed", partial(measure_speed, clock=lambda: clock[0]))
        patch.setattr(Prompt, "__init__", lambda *_: None)
        patch.setattr(Prompt, "encode_record", lambda *_: type("Encoded", (), {"ids": [1]}))
        found = compare(original, exported, some, Limits(8, 8))  # type: ignore[arg-type]
    assert (found["identical"], found["token_f1"]) == (0.0, pytest.approx(4 / 5))
    assert found["exact_match"] == {"original": 1.0, "exported": 0.0}
    assert found["speed"]["original"] == pytest.approx(
        {"latency_ms": 400, "latency_p95_ms": 400, "examples_per_second": 10}
    )
    assert (found["latency_ratio"], found["throughput_ratio"]) == (pytest.approx(4), pytest.approx(4))
    assert [one["id"] for one in found["different"]] == ["r0", "r1", "r2", "r3"]


def test_prediction_runs_from_an_export(run: Path, float32: Path, tmp_path: Path) -> None:
    params = PredictParams(evaluation=EvaluationSettings(limit=20), max_input_len=256, max_output_len=16)
    for name, folder in (("original", run / "students/v/seed1/final_model"), ("export", float32)):
        predict(params, folder, run / "corpus/test.jsonl", None, tmp_path / name)
    original, export = (
        list(read_predictions(tmp_path / name / "predictions.jsonl")) for name in ("original", "export")
    )
    assert [one.id for one in export] == [f"r{number}" for number in range(20)]
    assert sum(one == other for one, other in zip(original, export, strict=True)) >= 19
    before, after = (json.loads((tmp_path / name / "measured.json").read_text()) for name in ("original", "export"))
    assert before["parameters"] == after["parameters"]
    assert after["disk_bytes"] > before["parameters"]
    with pytest.raises(UserError, match="cannot be measured on an export"):
        predict(params, float32, run / "corpus/test.jsonl", tmp_path / "logits", tmp_path / "kl")


def test_a_half_written_or_foreign_folder_is_no_export(run: Path, tmp_path: Path, float32: Path) -> None:
    model = run / "students/v/seed1/final_model"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="is no export, and not empty"):
        convert(model, tmp_path / "mine", "int8")
    with pytest.raises(UserError, match=r"holds no exported model \(export\.json is missing\)"):
        ExportedModel(model)
    (tmp_path / "empty").mkdir()
    convert(model, tmp_path / "empty", "int8")
    (tmp_path / "empty/model.bin").write_bytes(b"damaged")
    with pytest.raises(UserError, match="the export could not be loaded"):
        ExportedModel(tmp_path / "empty")
    convert(model, tmp_path / "empty", "float32")
    assert ExportedModel(tmp_path / "empty").description.quantization == "float32"
    assert not list(tmp_path.glob(".*partial"))


def test_a_model_that_the_format_cannot_express_is_refused(
    tiny_t5: Build, tiny_tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    model = tiny_t5()
    model.network.config.dense_act_fn = model.network.config.feed_forward_proj = "mish"
    model.save(tiny_tokenizer, tmp_path / "model")
    with pytest.raises(UserError, match="CTranslate2 cannot express such a model"):
        convert(tmp_path / "model", tmp_path / "export", "float32")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_model_outside_a_run_needs_records(run: Path, tmp_path: Path, tiny_t5: Build) -> None:
    tokenizer = load_tokenizer(run / "students/v/seed1/final_model")
    tiny_t5().save(tokenizer, tmp_path / "model")
    with pytest.raises(UserError, match="belongs to no run with a test split"):
        export_student(tmp_path / "model", tmp_path / "export", "int8")
    write_records(tmp_path / "records.jsonl", records(3))
    report = export_student(
        tmp_path / "model", tmp_path / "export", "int8", test_file=tmp_path / "records.jsonl", max_output_len=4
    )
    assert report["examples"] == 3


RAW = {
    "focal_method": "int f() { return 1; }",
    "test_method": "void t() { f(); }",
    "assertion": "assertEquals(1, f());",
}


def test_raw_records_without_ids_are_compared_on(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "raw.jsonl"
    path.write_text(f"{json.dumps(RAW)}\n\n{json.dumps(RAW)}\n", encoding="utf-8")
    report = export_student(run / "students/v/seed1", tmp_path / "export", "float32", test_file=path, examples=5)
    assert report["examples"] == 2


def test_a_line_that_lacks_something_is_named_and_nobody_is_told_to_delete_it(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "raw.jsonl"
    path.write_text(json.dumps({name: RAW[name] for name in ("focal_method", "test_method")}), encoding="utf-8")
    with pytest.raises(UserError, match=r"raw\.jsonl:1: assertion is missing") as caught:
        export_student(run / "students/v/seed1", tmp_path / "export", "float32", test_file=path)
    assert caught.value.remedy == "Correct the line."
    assert not (tmp_path / "export").exists()


@pytest.mark.parametrize("target", ["file", "file/below/it", "/proc/1/none/below"])
def test_a_target_that_cannot_be_a_folder_is_refused(run: Path, tmp_path: Path, target: str) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match=r"is not a folder|nothing can be written there"):
        export_student(run / "students/v/seed1", tmp_path / target, "float32")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("option", ["--examples", "--threads", "--max-input-len", "--max-output-len"])
def test_counts_below_one_are_refused(
    option: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["export", str(run / "students/v/seed1"), str(tmp_path / "export"), option, "-1"]
    assert main(call) == 1
    assert capsys.readouterr().err == f"Error: {option} -1: must be at least 1\nLeave it out for the default.\n"
