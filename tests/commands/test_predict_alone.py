"""`assertkd predict --model`: predictions without a run."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from assertkd.cli import main
from assertkd.export.convert import convert
from assertkd.models.length_limits import Limits

LINE = {"focal_method": "int one() { return 1; }", "test_method": "@Test void a() { one(); }"}


@pytest.fixture
def model(saved_t5: Callable[..., Path], tmp_path: Path) -> Path:
    return saved_t5(tmp_path / "model", Limits(64, 6))


def written(tmp_path: Path, *lines: dict[str, str]) -> str:
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def predicted(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]


def test_every_record_gets_a_prediction(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = written(tmp_path, LINE, LINE, {**LINE, "id": "mine", "assertion": "assertEquals(1, one());"})
    to = tmp_path / "out"
    assert main(["predict", "--model", str(model), "--records", records, "--to", str(to)]) == 0
    assert f"3 predictions: {to / 'predictions.jsonl'}" in capsys.readouterr().out
    lines = predicted(to)
    assert [line["id"] for line in lines] == ["mine:1", "mine:2", "mine"]
    assert [line["reference"] for line in lines] == ["", "", "assertEquals(1, one());"]
    assert json.loads((to / "measured.json").read_text())["examples"] == 3


def test_a_model_is_measured_on_one_thread(model: Path, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        call = ["predict", "--model", str(model), "--records", written(tmp_path, LINE)]
        assert main([*call, "--to", str(tmp_path / "out")]) == 0
    finally:
        torch.set_num_threads(before)
    assert json.loads((tmp_path / "out/measured.json").read_text())["threads"] == 1


def test_an_export_predicts_what_its_original_does(model: Path, tmp_path: Path) -> None:
    convert(model, tmp_path / "export", "float32")
    bodies = [f"@Test void t{number}() {{ one(); {'two(); ' * number}}}" for number in range(20)]
    records = written(tmp_path, *({**LINE, "test_method": body} for body in bodies))
    for form in ("model", "export"):
        folder = tmp_path / f"{form} out"
        assert main(["predict", "--model", str(tmp_path / form), "--records", records, "--to", str(folder)]) == 0
    assert predicted(tmp_path / "model out") == predicted(tmp_path / "export out")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "--model is given without --records"),
        (["--records", "absent.jsonl"], "absent.jsonl: no such file"),
        (["--records", "bad.jsonl"], "bad.jsonl:1: focal_method is missing"),
        (["--records", "bad.jsonl", "--evaluation.num_beams", "0"], " evaluation.num_beams: must"),
        (["--records", "bad.jsonl", "--evaluation.num_beams", "0"], "\nFix the options;"),
        (["--records", "bad.jsonl", "--run", "demo"], "--run is given with --model"),
        (["--records", "bad.jsonl", "--output_dir", "results/x"], "--output_dir is given with --model"),
        (["--records", "bad.jsonl", "--variant", "x"], "--variant is given with --model"),
        (["--records", "bad.jsonl", "--seeds", "0"], "--seeds is given with --model"),
        (["--records", "bad.jsonl", "--reset"], "--reset is given with --model"),
        (["--records", "bad.jsonl", "--retrain"], "--retrain is given with --model"),
        (["--records", "bad.jsonl", "--dry-run"], "--dry-run is given with --model"),
        (["--records", "bad.jsonl", "--to", "results/x/evaluation/teacher"], "evaluation has results of the workflow"),
    ],
)
def test_what_is_missing_is_said(
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    given: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.jsonl").write_text('{"test_method": "@Test void a() { }"}\n')
    assert main(["predict", "--model", str(model), *given]) == 1
    assert said in capsys.readouterr().err


def test_what_is_said_is_what_was_written(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mixed.jsonl"
    path.write_text("no json\n" + "".join(json.dumps(LINE) + "\n" for _ in range(5)), encoding="utf-8")
    call = ["predict", "--model", str(model), "--records", str(path), "--to", str(tmp_path / "out")]
    assert main(call) == 1
    said = capsys.readouterr().err
    assert said == (
        f"Error: {path}:1: not JSON: no json\n"
        "Correct the line, or add --data.on_bad_record reject to go on without it.\n"
    )
    assert main([*call, "--data.on_bad_record", "reject", "--evaluation.limit", "3"]) == 0
    assert f"3 predictions: {tmp_path / 'out/predictions.jsonl'}" in capsys.readouterr().out
    assert len(predicted(tmp_path / "out")) == 3


@pytest.mark.parametrize("target", ["file", "file/below"])
def test_a_target_that_is_a_file_is_refused(
    target: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    call = ["predict", "--model", str(model), "--records", written(tmp_path, LINE), "--to", str(tmp_path / target)]
    assert main(call) == 1
    assert capsys.readouterr().err == f"Error: {tmp_path}/file: is not a folder\nName another folder with --to.\n"
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


def test_records_without_a_model_are_not_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "--records", written(tmp_path, LINE)]) == 1
    assert "is given without --model" in capsys.readouterr().err


def test_records_are_not_written_over_by_what_was_read_of_them(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "records.jsonl"
    Path(written(tmp_path, LINE)).rename(own)
    before = own.read_bytes()
    assert main(["predict", "--model", str(model), "--records", str(own), "--to", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith(f"Error: {own}: the records of --records would be written over\n")
    assert own.read_bytes() == before
