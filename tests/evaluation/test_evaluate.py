"""Evaluation outside a run: what goes together, and what is written of models, predictions and teachers."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from assertkd.batching.collation import collate
from assertkd.batching.examples import Example
from assertkd.cli import main
from assertkd.errors import UserError
from assertkd.evaluation import evaluate as module
from assertkd.evaluation.evaluate import Inputs, evaluate
from assertkd.evaluation.params import EvaluateParams
from assertkd.export.convert import convert
from assertkd.layout import EvaluationLayout
from assertkd.logits.interchange.lines import pack_logits
from assertkd.models.length_limits import Limits
from assertkd.models.registry import load_model
from assertkd.models.tokenizer import load_tokenizer
from assertkd.prompts.prompt import Prompt
from assertkd.records import Record, read_records
from assertkd.settings import EvaluationSettings, ExecuteSettings

LINES = [
    {
        "id": f"r{number}",
        "focal_method": f"int f{number}() {{ return {number}; }}",
        "test_method": f"@Test void t{number}() {{ int n = f{number}();\n    // <ASSERTION_PLACEHOLDER>\n}}",
        "assertion": f"assertEquals({number}, n);",
    }
    for number in range(6)
]


def written(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def names(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


WRITTEN = {"evaluation_metrics.json", "predictions_final.jsonl", "metrics_final.csv", "metrics_summary_final.json"}


@pytest.fixture
def params(tiny_encoder_folder: Path) -> EvaluateParams:
    off = ExecuteSettings(enabled=False)
    return EvaluateParams(
        evaluation=EvaluationSettings(encoder=str(tiny_encoder_folder), bootstrap_resamples=100, execute=off)
    )


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let models predict in this process, which is quicker to start."""
    monkeypatch.setattr(module, "_in_fresh_process", lambda function, *arguments: function(*arguments))


@pytest.fixture
def records(tmp_path: Path) -> Path:
    return written(tmp_path / "records.jsonl", LINES)


@pytest.fixture
def model(saved_t5: Callable[..., Path], tmp_path: Path) -> Path:
    return saved_t5(tmp_path / "model", Limits(64, 12), spread=0.5)


@pytest.fixture
def teacher(saved_t5: Callable[..., Path], tmp_path: Path) -> Path:
    return saved_t5(tmp_path / "teacher", Limits(64, 12), spread=0.3)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "there is nothing to evaluate"),
        ({"model": "model", "predictions": "p.jsonl"}, "--model and --predictions are both given"),
        ({"model": "model"}, "--model is given without --records"),
        ({"model": "absent", "records": "r.jsonl"}, "--model absent: no such folder"),
        ({"references": "r.txt"}, "--references is given without --predictions"),
        ({"predictions": "p.txt", "records": "r.jsonl", "references": "r.txt"}, "--records and --references are both"),
        ({"predictions": "p.jsonl", "references": "r.txt"}, "p.jsonl: JSONL with --references"),
        ({"records": "r.jsonl", "teacher": "model"}, "--teacher is given, but nothing to compare with it"),
        ({"predictions": "p.jsonl", "teacher": "absent"}, "--teacher absent: no such file or folder"),
        ({"predictions": "p.jsonl", "teacher": "model"}, "--teacher model: a model predicts for records"),
        ({"predictions": "absent.txt", "references": "r.txt"}, "absent.txt: no such file"),
        ({"predictions": "p.txt"}, "p.txt: text has no references"),
        ({"predictions": "p.txt", "references": "two.txt"}, "p.txt: 1 line for 2 examples"),
        ({"predictions": "p.txt", "references": "r.txt", "teacher": "two.txt"}, "two.txt: 2 lines for 1 example"),
        ({"predictions": "p.jsonl", "records": "bad.jsonl"}, "bad.jsonl:1: assertion is missing"),
        ({"predictions": "p.jsonl", "records": "r.jsonl"}, "p.jsonl: has no prediction for 1 example (first 'b')"),
        ({"records": "r.jsonl"}, "r.jsonl: there is nothing to evaluate"),
        ({"records": "half.jsonl"}, "half.jsonl: has no teacher_prediction for 1 example (first 'b')"),
        ({"records": "joined.jsonl"}, "joined.jsonl: a teacher_prediction is for several assertions"),
    ],
)
def test_what_does_not_go_together_is_said(
    given: dict[str, str], problem: str, params: EvaluateParams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model").mkdir()
    Path("p.txt").write_text("fail ( )\n")
    Path("r.txt").write_text("fail ( )\n")
    Path("two.txt").write_text("fail ( )\nfail ( )\n")
    written(Path("p.jsonl"), [{"id": "a", "prediction": "fail();"}])
    line = {"focal_method": "f", "test_method": "t"}
    two = [{**line, "id": name, "assertion": "fail();"} for name in "ab"]
    written(Path("r.jsonl"), two)
    written(Path("half.jsonl"), [two[0] | {"teacher_prediction": "x"}, two[1]])
    written(Path("bad.jsonl"), [line])
    written(Path("joined.jsonl"), [line | {"assertions": ["fail();", "fail(1);"], "teacher_prediction": "x"}])
    with pytest.raises(UserError) as fault:
        evaluate(Inputs(**{name: Path(file) for name, file in given.items()}), params, Path("out"))
    assert problem in fault.value.problem
    assert fault.value.remedy
    assert not EvaluationLayout(Path("out")).comparison.exists()


@pytest.mark.usefixtures("here")
def test_a_model_beside_its_teacher(
    model: Path, teacher: Path, records: Path, params: EvaluateParams, tmp_path: Path
) -> None:
    found = evaluate(Inputs(model=model, records=records, teacher=teacher), params, tmp_path / "out")
    assert names(tmp_path / "out") >= WRITTEN | {f"teacher/{name}" for name in WRITTEN}
    assert found == json.loads((tmp_path / "out/evaluation_metrics.json").read_text())
    assert (found["student"]["n"], found["teacher"]["n"]) == (6, 6)
    assert found["student"]["kl_divergence"] > 0
    assert found["student"]["kl_divergence_is"] == "whole"
    for metric, gap in found["gaps"].items():
        sides = (found[side]["metrics"][metric]["mean"] for side in ("teacher", "student"))
        assert gap["mean"] == pytest.approx(np.subtract(*sides))
    assert set(found["cost"]) == {"teacher", "student"}
    assert found["cost"]["student"]["parameters"] > 0
    with pytest.raises(UserError, match="exists already"):
        evaluate(Inputs(model=model, records=records), params, tmp_path / "out")


@pytest.mark.usefixtures("here")
def test_a_model_does_not_diverge_from_itself(
    teacher: Path, records: Path, params: EvaluateParams, tmp_path: Path
) -> None:
    found = evaluate(Inputs(model=teacher, records=records, teacher=teacher), params, tmp_path / "out")
    # The teacher's states are stored in 8 bits.
    assert found["student"]["kl_divergence"] == pytest.approx(0, abs=1e-3)
    assert found["retention"]["exact_agreement"]["mean"] == 1
    assert found["student"]["metrics"] == found["teacher"]["metrics"]


@pytest.mark.usefixtures("here")
def test_predictions_in_a_file_have_the_figures_of_their_model(
    model: Path, teacher: Path, records: Path, params: EvaluateParams, tmp_path: Path
) -> None:
    of_model = evaluate(Inputs(model=model, records=records), params, tmp_path / "model out")
    assert set(of_model) == {"student", "cost"}
    predictions = tmp_path / "model out/predictions.jsonl"
    for name, inputs in {
        "own references": Inputs(predictions=predictions),
        "records": Inputs(predictions=predictions, records=records),
    }.items():
        of_file = evaluate(inputs, params, tmp_path / name)
        assert of_file == {"student": of_model["student"], "cost": {"student": {}}}
        assert names(tmp_path / name) == WRITTEN | {"predictions.jsonl"}
    against = evaluate(Inputs(model=teacher, records=records, teacher=predictions), params, tmp_path / "against")
    assert against["teacher"] == of_model["student"]


@pytest.mark.usefixtures("here")
def test_an_export_has_the_figures_of_its_original_but_no_divergence(
    model: Path, teacher: Path, records: Path, params: EvaluateParams, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    convert(model, tmp_path / "export", "float32")
    found = {
        name: evaluate(Inputs(tmp_path / name, None, records, None, teacher), params, tmp_path / f"{name} out")
        for name in ("model", "export")
    }
    assert found["model"]["student"].pop("kl_divergence") > 0
    assert "an export gives no distributions" in caplog.text
    assert found["export"]["student"]["metrics"] == found["model"]["student"]["metrics"]
    assert found["export"]["retention"] == found["model"]["retention"]
    assert "kl_divergence" not in found["export"]["student"]


def test_lines_of_text_are_compared_with_lines_of_text(params: EvaluateParams, tmp_path: Path) -> None:
    references = ["assertEquals ( 1 , a )", "assertTrue ( b )", "assertNull ( c )"]
    predictions = ["assertEquals ( 1 , a )", "", "org . junit . Assert . assertNull ( c )"]
    (tmp_path / "r.txt").write_text("\n".join(references))
    (tmp_path / "p.txt").write_text("\n".join(predictions))
    inputs = Inputs(predictions=tmp_path / "p.txt", references=tmp_path / "r.txt", teacher=tmp_path / "r.txt")
    found = evaluate(inputs, params, tmp_path / "out")
    means = {name: figure["mean"] for name, figure in found["student"]["metrics"].items()}
    assert means["exact_match"] == pytest.approx(1 / 3)
    assert means["exact_match_lenient"] == means["ast_validity"] == means["assertion_form"] == pytest.approx(2 / 3)
    assert found["gaps"]["exact_match"]["mean"] == pytest.approx(2 / 3)
    assert [line["id"] for line in read(tmp_path / "out/predictions_final.jsonl")] == ["1", "2", "3"]


def test_the_accuracy_of_a_replication_package_is_reproduced(params: EvaluateParams, tmp_path: Path) -> None:
    # Labels and results as such packages have them: tokens between blanks, no semicolon, line ends of Windows.
    labels = [
        "org . junit . Assert . assertEquals ( 3 , extensions . size ( ) )",
        'assert Equals ( " property not set " , 0.25 , bean . get Double Property ( ) )',
        'Assert . assertEquals ( "{\\"id\\":1}" , toJson ( ) )',
        'assertEquals ( "<p><a href=\\\\"https://google.com\\\\"></a></p>" , text . asHtml ( ) )',
        "assertThat ( result , is ( not ( nullValue ( ) ) ) )",
        "assertTrue ( a < b )",
        'assertEquals ( "a b" , x )',
    ]
    results = [
        labels[0],
        labels[1],
        labels[2].replace("toJson", "asJson"),
        labels[3].replace("google.com", "google.org"),
        "assertThat ( result , is ( not ( nullValue ( ) ) )",
        "",
        'assertEquals ( "a  b" , x )',
    ]
    for name, lines in (("Label", labels), ("Result", results)):
        (tmp_path / f"{name}.txt").write_bytes("".join(f"{line} \r\n" for line in lines).encode())
    accuracy = sum(label.strip() == result.strip() for label, result in zip(labels, results, strict=True)) / len(labels)
    found = evaluate(
        Inputs(predictions=tmp_path / "Result.txt", references=tmp_path / "Label.txt"), params, tmp_path / "out"
    )
    metrics = found["student"]["metrics"]
    assert metrics["exact_match"]["mean"] == pytest.approx(accuracy) == pytest.approx(2 / 7)
    assert metrics["exact_match_unspaced"]["mean"] == pytest.approx(3 / 7)


def distillation_lines(teacher: Path, records: list[Record], limits: Limits) -> list[dict[str, Any]]:
    """Return the records with a teacher's logits along their assertions, from its forward pass."""
    network, prompt = load_model(teacher).eval(), Prompt(load_tokenizer(teacher), *limits)
    lines = []
    for record in records:
        target = prompt.encode_target(record.assertion)
        batch = collate([Example(record.id, prompt.encode_record(record).ids, target)], network.pad_token_id, None)
        with torch.no_grad():
            logits = network(batch.input_ids, batch.attention_mask, batch.labels).logits
        packed = pack_logits(logits.numpy().astype(np.float16))
        given = {"teacher_logits_compressed": packed, "target_ids": target, "teacher_prediction": f"t{record.id}();"}
        lines.append(record.as_dict() | given)
    return lines


@pytest.mark.usefixtures("here")
def test_records_with_a_teachers_logits_need_no_teacher(
    model: Path, teacher: Path, records: Path, params: EvaluateParams, tmp_path: Path
) -> None:
    lines = distillation_lines(teacher, list(read_records(records)), Limits(64, 12))
    given = written(tmp_path / "distillation.jsonl", lines)
    alone = evaluate(Inputs(records=given), params, tmp_path / "alone")
    assert set(alone) == {"teacher", "cost"}
    found = evaluate(Inputs(model=model, records=given), params, tmp_path / "out")
    assert found["teacher"] == alone["teacher"]
    answers = read(tmp_path / "out/predictions_final.jsonl")
    assert [line["teacher_prediction"] for line in answers] == [f"tr{number}();" for number in range(6)]
    exact = evaluate(Inputs(model=model, records=records, teacher=teacher), params, tmp_path / "exact")
    assert found["student"]["kl_divergence"] == pytest.approx(exact["student"]["kl_divergence"], rel=0.02)


def test_a_teacher_of_some_records_is_none(
    params: EvaluateParams, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = written(tmp_path / "half.jsonl", [LINES[0] | {"teacher_prediction": "fail();"}, *LINES[1:]])
    predictions = written(tmp_path / "p.jsonl", [{"id": line["id"], "prediction": "fail();"} for line in LINES])
    found = evaluate(Inputs(predictions=predictions, records=given), params, tmp_path / "out")
    assert set(found) == {"student", "cost"}
    assert "half.jsonl: has no teacher_prediction for 5 examples (first 'r1'); there is no comparison" in caplog.text


@pytest.mark.parametrize(
    ("output", "taken"),
    [
        *(("out", f"out/{name}") for name in (*sorted(WRITTEN), "predictions.jsonl", "measured.json")),
        *(("out", f"out/{name}") for name in ("execution.jsonl", "teacher/measured.json")),
        ("a file", "a file"),
        ("a file/out", "a file"),
    ],
)
def test_a_folder_is_not_shared_with_another_evaluation(
    output: str, taken: str, params: EvaluateParams, tmp_path: Path
) -> None:
    (tmp_path / taken).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / taken).write_text("of another\n")
    predictions = written(tmp_path / "p.jsonl", [{"id": "a", "prediction": "fail();", "reference": "fail();"}])
    with pytest.raises(UserError) as fault:
        evaluate(Inputs(predictions=predictions), params, tmp_path / output)
    assert fault.value.problem.startswith(f"{tmp_path / taken}: ")
    assert "--output" in fault.value.remedy
    assert (tmp_path / taken).read_text() == "of another\n"


@pytest.mark.usefixtures("here")
def test_logits_of_another_target_are_left_out(
    model: Path, teacher: Path, records: Path, params: EvaluateParams, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = distillation_lines(teacher, list(read_records(records)), Limits(64, 12))
    given = written(tmp_path / "distillation.jsonl", [line | {"target_ids": [3]} for line in lines])
    found = evaluate(Inputs(model=model, records=given), params, tmp_path / "out")
    assert "kl_divergence" not in found["student"]
    assert "the logits are for other tokens" in caplog.text
    assert "gaps" in found


@pytest.mark.usefixtures("preloaded")
def test_the_command_prints_every_figure_and_keeps_nothing_unasked(
    model: Path, records: Path, tiny_encoder_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = names(tmp_path)
    options = ["--evaluation.encoder", str(tiny_encoder_folder), "--evaluation.bootstrap_resamples", "100"]
    call = ["evaluate", "--student_model_path", str(model), "--teacher_data", str(records), "--student_limit", "4"]
    assert main([*call, "--device", "cpu", "--temperature", "1.5", *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("4 examples")
    assert any(line.startswith("Exact match, %") and "[" in line for line in lines)
    assert any(line.startswith("Latency, ms") for line in lines)
    assert names(tmp_path) == before
    assert main(["evaluate", "--model", str(model), "--records", str(tmp_path / "absent.jsonl")]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[-2].endswith("absent.jsonl: no such file")


def test_a_model_is_measured_on_one_thread() -> None:
    torch.set_num_threads(2)
    assert module._logged(torch.get_num_threads) == 1


@pytest.mark.usefixtures("preloaded")
def test_a_model_is_measured_in_a_process_of_its_own() -> None:
    assert module._in_fresh_process(os.getpid) != os.getpid()


def test_a_bad_option_is_said(records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--records", str(records), "--limit", "0"]) == 1
    assert "evaluation.limit" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["evaluate", "--records", str(records), "--lr", "1"])
    assert "--lr" in capsys.readouterr().err
