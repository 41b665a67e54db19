"""The logits stage from files: every record of the corpus gets its own line's logits, or a fault says why not."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interchange_files import FILES

from assertkd.corpus.split import labelled_ids
from assertkd.corpus.targets import Supervision, read_teacher_predictions
from assertkd.errors import UserError
from assertkd.logits.import_logits import import_logits
from assertkd.logits.interchange.export import export_logits
from assertkd.logits.params import ImportLogitsParams
from assertkd.logits.store.reader import StoreReader
from assertkd.records import read_records
from assertkd.settings import LogitsSettings

SETTINGS = LogitsSettings(codec="dense", examples_per_shard=3)
GOLD = Supervision(max_input_len=128, max_output_len=24, labelled_share=1.0, seed=0)


def half_labelled() -> Supervision:
    """Return the supervision under which the run's odd training records are those without gold."""
    ids = [f"train-{n}" for n in range(7)]
    for seed in range(1000):
        if labelled_ids(ids, 4 / 7, seed) == set(ids[::2]):
            return Supervision(max_input_len=128, max_output_len=24, labelled_share=4 / 7, seed=seed)
    raise AssertionError("no such seed")


@pytest.fixture
def given_run(make_run: Callable[..., Any], tmp_path: Path) -> Any:
    """A run whose logits are exported to `tmp_path/given`; only its corpus is used from then on."""
    run = make_run("dense")
    export_logits(run.folder, tmp_path / "given")
    return run


def taken(
    run: Any,
    tmp_path: Path,
    supervision: Supervision,
    files: list[Path] | None = None,
    settings: LogitsSettings = SETTINGS,
) -> Path:
    """Import the given files and return the folder of the stores."""
    files = files or [tmp_path / "given" / name for name in FILES.values()]
    params = ImportLogitsParams(logits=settings, temperatures=(), supervision=supervision)
    import_logits(params, files, run.folder / "corpus", tmp_path / "taken")
    return tmp_path / "taken"


def edited(path: Path, edit: Callable[[int, dict[str, Any]], Any]) -> None:
    """Replace each line by what `edit` makes of its number and content; None removes it, text stands as it is."""
    made: Iterator[Any] = (
        edit(number, json.loads(line)) for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    )
    lines = [line if isinstance(line, str) else json.dumps(line) for line in made if line is not None]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_every_record_has_its_logits_and_the_teachers_prediction(given_run, tmp_path) -> None:
    folder = taken(given_run, tmp_path, half_labelled())
    for split in FILES:
        ids = [record.id for record in read_records(given_run.folder / f"corpus/{split}.jsonl")]
        reader, original = StoreReader(folder / split), StoreReader(given_run.folder / "logits" / split)
        assert sorted(reader.ids()) == sorted(ids)
        for record in ids:
            target = given_run.targets[record]
            assert np.array_equal(reader.read(record, target)["logits"], original.read(record, target)["logits"])
        found = read_teacher_predictions(folder / "teacher_predictions.jsonl", split)
        assert found == {record: given_run.predictions[record] for record in ids}
        assert len(reader.manifest.shards) == -(-len(ids) // 3)


def test_what_the_codec_keeps_is_measured(given_run, tmp_path) -> None:
    folder = taken(given_run, tmp_path, half_labelled())
    report = json.loads((folder / "fidelity.json").read_text(encoding="utf-8"))
    manifest = StoreReader(folder / "train").manifest
    assert (report["sample"]["positions"], report["sample"]["examples"]) == (manifest.tokens, 7)
    [line] = report["codecs"]
    assert (line["codec"], report["in_use"]) == ("dense", "dense")
    # float16 in the files, float16 in the store.
    assert [kl["mean"] for kl in line["kl"].values()] == pytest.approx([0, 0, 0], abs=1e-12)


def test_what_was_not_given_is_said_with_a_bound(given_run, tmp_path) -> None:
    """Against the divergence of the teacher itself, which the bound has to cover."""
    mass, bound, true = [], [], []

    def as_served(number: int, line: dict[str, Any]) -> dict[str, Any]:
        logits = given_run.logits(line["id"])
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        rows = []
        for row, target in zip(log_p, line["target_ids"], strict=True):
            given = sorted({target, *np.argsort(-row)[:8].tolist()})
            rows.append({str(identity): float(row[identity]) for identity in given})
            if line["id"].startswith("train"):
                rest = np.delete(row, given)
                mass.append(np.exp(rest).sum())
                bound.append(mass[-1] * np.log(len(rest)))
                true.append((np.exp(rest) * (rest - np.log(mass[-1] / len(rest)))).sum())
        del line["teacher_logits_compressed"], line["teacher_logits_shape"]
        return line | {"teacher_logprobs": rows}

    for name in FILES.values():
        edited(tmp_path / "given" / name, as_served)
    topk = SETTINGS.model_copy(update={"codec": "topk"})
    folder = taken(given_run, tmp_path, half_labelled(), settings=topk)
    report = json.loads((folder / "fidelity.json").read_text(encoding="utf-8"))
    assert report["given"]["tail_mass"] == pytest.approx(np.mean(mass), rel=1e-6)
    assert report["given"]["kl_bound"] == pytest.approx(np.mean(bound), rel=1e-6)
    assert 0 < np.mean(true) < np.mean(bound)
    [line] = report["codecs"]
    assert line["kl"]["1"]["mean"] < 0.05
    assert list(line["kl"]) == ["1"], "at other temperatures nothing is known"
    assert {split: StoreReader(folder / split).manifest.rows for split in FILES} == {
        "train": 7,
        "validation": 3,
        "test": 4,
    }


def test_lines_that_the_corpus_did_not_take_are_passed_over(given_run, tmp_path) -> None:
    files = [tmp_path / "given" / name for name in FILES.values()]
    more = '{"id": "dropped", "teacher_logits_compressed": "?"}\nno JSON, which the corpus has rejected\n\n'
    files[0].write_text(more + files[0].read_text(encoding="utf-8"), encoding="utf-8")
    reader = StoreReader(taken(given_run, tmp_path, half_labelled(), files) / "train")
    assert reader.manifest.rows == 7
    assert "dropped" not in reader


def test_splits_may_come_from_one_file(given_run, tmp_path) -> None:
    one = tmp_path / "all.jsonl"
    one.write_bytes(b"".join((tmp_path / "given" / name).read_bytes() for name in FILES.values()))
    folder = taken(given_run, tmp_path, half_labelled(), [one])
    assert {split: StoreReader(folder / split).manifest.rows for split in FILES} == {
        "train": 7,
        "validation": 3,
        "test": 4,
    }


def refused(run: Any, tmp_path: Path, supervision: Supervision) -> UserError:
    with pytest.raises(UserError) as fault:
        taken(run, tmp_path, supervision)
    assert not (tmp_path / "taken/train").exists()
    assert not (tmp_path / "taken/teacher_predictions.jsonl").exists()
    return fault.value


def test_logits_along_the_prediction_do_not_pass_for_logits_along_gold(given_run, tmp_path) -> None:
    fault = refused(given_run, tmp_path, GOLD)
    train = tmp_path / "given" / FILES["train"]
    assert fault.problem == f"{train}:2: the logits are for another target than the assertion's tokens"


def test_logits_along_gold_do_not_pass_for_logits_along_the_prediction(given_run, tmp_path) -> None:
    validation = tmp_path / "given" / FILES["validation"]
    train = tmp_path / "given" / FILES["train"]
    lines = validation.read_text(encoding="utf-8").splitlines()
    edited(train, lambda number, line: line if number != 4 else json.loads(lines[0]) | {"id": "train-3"})
    fault = refused(given_run, tmp_path, half_labelled())
    assert fault.problem == f"{train}:4: the logits are for another target than the tokens of the teacher's prediction"
    assert "labelled_share: 1" in fault.remedy


def test_a_prediction_that_is_the_target_must_be_there(given_run, tmp_path) -> None:
    train = tmp_path / "given" / FILES["train"]
    edited(train, lambda number, line: line | ({"teacher_prediction": None} if number == 2 else {}))
    fault = refused(given_run, tmp_path, half_labelled())
    assert fault.problem.startswith(f"{train}:2: teacher_prediction is missing")


def test_a_prediction_that_nothing_needs_may_be_missing(given_run, tmp_path) -> None:
    train = tmp_path / "given" / FILES["train"]
    edited(train, lambda number, line: line | ({"teacher_prediction": None} if number == 1 else {}))
    folder = taken(given_run, tmp_path, half_labelled())
    assert "train-0" not in read_teacher_predictions(folder / "teacher_predictions.jsonl", "train")
    assert "train-0" in StoreReader(folder / "train")


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda line: line | {"teacher_logits_compressed": None}, ":2: teacher_logits_compressed is missing"),
        (lambda line: line | {"teacher_logits_compressed": "AAAA"}, ":2: teacher_logits_compressed: not a sound LZ4"),
        (lambda line: line | {"id": "test-0"}, ":2: the id 'test-0' stands in"),
        (lambda line: None, ": no logits for 1 records of the corpus (first 'test-1')"),
        (lambda line: "lost", ": no logits for 1 records of the corpus (first 'test-1')"),
    ],
)
def test_a_record_without_sound_logits_stops_the_import(given_run, tmp_path, edit, said: str) -> None:
    test = tmp_path / "given" / FILES["test"]
    edited(test, lambda number, line: edit(line) if number == 2 else line)
    fault = refused(given_run, tmp_path, half_labelled())
    assert f"{test}{said}" in fault.problem
    assert fault.remedy
