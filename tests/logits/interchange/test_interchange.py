"""The interchange form: a run's logits go out and come back, and every fault of a line is named by its place."""

import base64
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lz4.frame
import numpy as np
import pytest
from interchange_files import FILES

from assertkd.batching.distributions import TeacherView
from assertkd.batching.examples import Payload
from assertkd.corpus.params import Reading
from assertkd.corpus.read import read_raw
from assertkd.errors import UserError
from assertkd.files import sha256_of_file
from assertkd.logits.codecs.dense import DenseCodec
from assertkd.logits.codecs.head import StoredHead
from assertkd.logits.codecs.hidden import HiddenView
from assertkd.logits.codecs.registry import CODECS
from assertkd.logits.interchange.export import export_logits
from assertkd.logits.interchange.import_file import import_file
from assertkd.logits.interchange.lines import read_interchange
from assertkd.logits.store.reader import StoreReader
from assertkd.records import TEACHER_FIELDS, read_records


def read(store: StoreReader, example_id: str, target_ids: list[int]) -> np.ndarray:
    """The dense logits of one example."""
    return store.read(example_id, target_ids)["logits"]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_lines(path: Path, content: Sequence[Any]) -> Path:
    """Write objects as JSON, and text and bytes as they are."""
    raw = [
        item if isinstance(item, bytes) else (item if isinstance(item, str) else json.dumps(item)).encode()
        for item in content
    ]
    path.write_bytes(b"".join(item + b"\n" for item in raw))
    return path


@pytest.fixture
def brought_back(tmp_path: Path) -> Callable[..., StoreReader]:
    """Return a function that imports a file with a run's tokenizer and opens the store."""

    def bring(file: Path, run: Any, **options: Any) -> StoreReader:
        output = tmp_path / "imported" / file.stem
        import_file(file, str(run.folder / "corpus/tokenizer"), output, **({"max_output_len": 24} | options))
        return StoreReader(output)

    return bring


def test_dense_logits_go_out_and_come_back_bit_for_bit(make_run, tmp_path, brought_back) -> None:
    run = make_run("dense")
    written = export_logits(run.folder, tmp_path / "out")
    assert {path.name: count for path, count in written.items()} == dict(zip(FILES.values(), (7, 3, 4), strict=True))
    for split, name in FILES.items():
        stored = StoreReader(run.folder / "logits" / split)
        back = brought_back(tmp_path / "out" / name, run)
        assert sorted(back.ids()) == sorted(stored.ids())
        back.verify()
        tokenizer = run.folder / "corpus/tokenizer/tokenizer.json"
        assert back.manifest.identity.provenance.tokenizer == sha256_of_file(tokenizer)
        for record in stored.ids():
            target = run.targets[record]
            assert np.array_equal(read(back, record, target), read(stored, record, target))
            assert np.allclose(read(back, record, target), run.logits(record), rtol=2**-10, atol=1e-4)


def test_hidden_vectors_go_out_as_the_logits_that_students_see(make_run, tmp_path, brought_back) -> None:
    run = make_run("hidden")
    export_logits(run.folder, tmp_path / "out", ["train"])
    assert [path.name for path in (tmp_path / "out").iterdir()] == [FILES["train"]]
    stored = StoreReader(run.folder / "logits/train")
    back = brought_back(tmp_path / "out" / FILES["train"], run)
    for record in stored.ids():
        target = run.targets[record]
        seen = stored.collate_views([stored.read(record, target)]).logits(slice(0, len(target))).numpy()
        assert np.abs(read(back, record, target) - seen).max() <= np.abs(seen).max() * 2.0**-11
        exact = run.logits(record)
        assert np.abs(read(back, record, target) - exact).max() <= 0.02 * np.abs(exact).max()


def test_a_line_is_the_record_and_the_original_fields(make_run, tmp_path) -> None:
    """Read with nothing but json, base64, lz4 and numpy."""
    run = make_run("dense")
    export_logits(run.folder, tmp_path / "out")
    for split, name in FILES.items():
        for line, record in zip(
            lines(tmp_path / "out" / name), read_records(run.folder / f"corpus/{split}.jsonl"), strict=True
        ):
            assert {key: value for key, value in line.items() if key not in TEACHER_FIELDS} == record.as_dict()
            assert line["teacher_prediction"] == run.predictions[record.id]
            assert line["target_ids"] == run.targets[record.id]
            assert line["teacher_logits_dtype"] == "float16"
            values = np.frombuffer(lz4.frame.decompress(base64.b64decode(line["teacher_logits_compressed"])), "<f2")
            values = values.reshape(line["teacher_logits_shape"])
            assert np.allclose(values, run.logits(record.id), rtol=2**-10, atol=1e-4)


def test_the_targets_that_were_the_teachers_own_are_marked_by_their_tokens(make_run, tmp_path, tiny_tokenizer) -> None:
    run = make_run("dense")
    export_logits(run.folder, tmp_path / "out", ["train"])
    texts = [tiny_tokenizer.decode(line["target_ids"][:-1]) for line in lines(tmp_path / "out" / FILES["train"])]
    assert [text.startswith("assertTrue(train") for text in texts] == [False, True, False, True, False, True, False]


def test_what_was_written_is_read_as_plain_records_without_the_logits(make_run, tmp_path) -> None:
    run = make_run("dense")
    export_logits(run.folder, tmp_path / "out", ["train"])
    found = [
        getattr(item, "record", item) for item in read_raw(tmp_path / "out" / FILES["train"], Reading(multiple="join"))
    ]
    assert found == list(read_records(run.folder / "corpus/train.jsonl"))


def plain(run: Any, number: int, split: str = "test") -> dict[str, Any]:
    """Return a line with the original's five fields alone, made by nothing of ours."""
    record = list(read_records(run.folder / f"corpus/{split}.jsonl"))[number]
    values = run.logits(record.id).astype("<f2")
    return {
        "focal_method": record.focal_method,
        "test_method": record.test_method,
        "assertion": record.assertion,
        "teacher_logits_compressed": base64.b64encode(lz4.frame.compress(values.tobytes())).decode(),
        "teacher_prediction": run.predictions[record.id],
    }


def test_the_plain_form_needs_no_shape_ids_or_tokens(make_run, tmp_path, brought_back) -> None:
    run = make_run("dense")
    file = write_lines(tmp_path / "plain.jsonl", [plain(run, 0), "", plain(run, 1), plain(run, 3)])
    back = brought_back(file, run)
    assert list(back.ids()) == ["plain:1", "plain:3", "plain:4"]
    for record, line in (("test-0", "plain:1"), ("test-1", "plain:3"), ("test-3", "plain:4")):
        assert np.array_equal(read(back, line, run.targets[record]), run.logits(record).astype(np.float16))


def other_tokens(line: dict[str, Any]) -> list[int]:
    return [*line["target_ids"][:-1], line["target_ids"][-1] + 1]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda line: b"{", "not a JSON object in UTF-8"),
        (lambda line: b"[1]", "not a JSON object in UTF-8"),
        (lambda line: b'{"assertion": "\xff"}', "not a JSON object in UTF-8"),
        (lambda line: line | {"teacher_logits_compressed": None}, "teacher_logits_compressed is missing"),
        (lambda line: line | {"teacher_logits_compressed": 3}, "teacher_logits_compressed is not a string"),
        (lambda line: line | {"teacher_logits_compressed": "?"}, "teacher_logits_compressed: not base64"),
        (lambda line: line | {"teacher_logits_compressed": "AAAA"}, "teacher_logits_compressed: not a sound LZ4 frame"),
        (lambda line: line | {"teacher_logits_dtype": "float32"}, "teacher_logits_dtype is 'float32', not 'float16'"),
        (lambda line: line | {"teacher_logits_shape": [3]}, "teacher_logits_shape is [3]"),
        (lambda line: line | {"teacher_logits_shape": [0, 5]}, "teacher_logits_shape is [0, 5]"),
        (lambda line: line | {"teacher_logits_shape": "3x5"}, "teacher_logits_shape is not a list of whole numbers"),
        (lambda line: line | {"teacher_logits_shape": [1, 300]}, "logits for 1 target tokens, but the target has"),
        (lambda line: line | {"teacher_prediction": 1}, "teacher_prediction is not a string"),
        (lambda line: line | {"teacher_prediction": "\ud800"}, "teacher_prediction holds half of a surrogate pair"),
        (lambda line: line | {"target_ids": [True, 1]}, "target_ids is not a list of whole numbers"),
        (lambda line: line | {"target_ids": other_tokens(line)}, "target_ids are the tokens neither of assertion nor"),
        (lambda line: line | {"assertion": None, "target_ids": None}, "neither assertion nor target_ids"),
        (lambda line: line | {"assertion": "x", "target_ids": None}, "logits for"),
        (lambda line: line | {"id": "train-0"}, "the id 'train-0' stands in"),
    ],
)  # fmt: skip
def test_a_bad_line_is_named_by_file_and_number(make_run, tmp_path, brought_back, edit, said: str) -> None:
    run = make_run("dense")
    export_logits(run.folder, tmp_path / "out", ["train"])
    content = lines(tmp_path / "out" / FILES["train"])
    content[2] = edit(content[2])
    file = write_lines(tmp_path / "bad.jsonl", content)
    with pytest.raises(UserError) as fault:
        brought_back(file, run)
    assert fault.value.problem.startswith(f"{file}:3: {said}")
    assert fault.value.remedy
    assert not (tmp_path / "imported/bad").exists(), "no store that looks finished"


def test_lines_of_two_teachers_are_not_mixed(make_run, tmp_path, brought_back) -> None:
    run = make_run("dense")
    line = plain(run, 1)
    wider = np.hstack([run.logits("test-1"), np.zeros((len(run.targets["test-1"]), 8))]).astype("<f2")
    line["teacher_logits_compressed"] = base64.b64encode(lz4.frame.compress(wider.tobytes())).decode()
    file = write_lines(tmp_path / "mixed.jsonl", [plain(run, 0), line])
    with pytest.raises(UserError) as fault:
        brought_back(file, run)
    assert fault.value.problem.startswith(f"{file}:2: holds {wider.nbytes} bytes")
    line |= {"teacher_logits_shape": list(wider.shape)}
    write_lines(file, [plain(run, 0), line])
    with pytest.raises(UserError, match=rf"mixed.jsonl:2: {wider.shape[1]} logits .* lines before have"):
        brought_back(file, run)


def test_another_tokenizer_or_limit_is_refused(make_run, tmp_path, brought_back) -> None:
    run = make_run("dense")
    file = write_lines(tmp_path / "cut.jsonl", [plain(run, 3)])
    assert len(run.targets["test-3"]) == 24, "the target was cut"
    with pytest.raises(UserError, match=r"cut.jsonl:1: .* for \d+ target tokens\n.*max_output_len"):
        brought_back(file, run, max_output_len=128)


def test_missing_and_empty_files_are_named(make_run, tmp_path, brought_back) -> None:
    run = make_run("dense")
    with pytest.raises(UserError, match=r"none.jsonl: no such file"):
        brought_back(tmp_path / "none.jsonl", run)
    with pytest.raises(UserError, match="hold no logits"):
        brought_back(write_lines(tmp_path / "empty.jsonl", [""]), run)
    with pytest.raises(UserError, match="no such file"):
        next(read_interchange(tmp_path / "none.jsonl"))


def test_a_codec_that_needs_the_head_is_refused_and_one_that_takes_logits_serves(
    make_run, tmp_path, brought_back, monkeypatch
) -> None:
    class Negated(DenseCodec):
        name = "negated"

        def encode_logits(self, logits: np.ndarray) -> Payload:
            return super().encode_logits(-logits)

    run = make_run("dense")
    file = write_lines(tmp_path / "plain.jsonl", [plain(run, 0)])
    monkeypatch.setitem(CODECS, "negated", Negated)
    with pytest.raises(UserError) as fault:
        brought_back(file, run, codec="hidden")
    assert "`hidden` stores what enters the teacher's head" in fault.value.problem
    assert fault.value.remedy == "Use one of: dense, topk, negated."
    back = brought_back(file, run, codec="negated")
    assert back.manifest.identity.codec == "negated"
    assert np.array_equal(read(back, "plain:1", run.targets["test-0"]), -run.logits("test-0").astype(np.float16))
    with pytest.raises(UserError, match="'zip' is unknown"):
        brought_back(file, run, codec="zip")


class Few(TeacherView):
    """A view that knows less than every logit."""

    num_tokens, vocab_size = 0, 300

    def to(self, device: object, non_blocking: bool = False) -> "Few":
        return self

    def pin_memory(self) -> "Few":
        return self


def test_a_store_of_the_likeliest_tokens_is_not_exported(make_run, tmp_path, monkeypatch) -> None:
    class FewCodec(DenseCodec):
        name = "few"
        keeps_vocabulary = False

        def collate(self, payloads: Sequence[Payload], head: StoredHead | None) -> Few:
            return Few()

    monkeypatch.setitem(CODECS, "few", FewCodec)
    run = make_run("few")
    with pytest.raises(UserError) as fault:
        export_logits(run.folder, tmp_path / "out")
    assert fault.value.problem.startswith(f"{run.folder / 'logits/train'}: the codec `few` keeps the likeliest tokens")
    assert "logits.codec: hidden" in fault.value.remedy
    assert not (tmp_path / "out").exists()


def test_what_an_export_lacks_is_named(make_run, tmp_path) -> None:
    run = make_run("dense")
    (run.folder / "evaluation/teacher/predictions.jsonl").unlink()
    with pytest.raises(UserError, match=r"evaluation/teacher/predictions.jsonl: no such file") as fault:
        export_logits(run.folder, tmp_path / "out")
    assert "--split train validation" in fault.value.remedy
    assert f"--config run={run.folder.name} -- {run.folder}/evaluation/teacher" in fault.value.remedy
    assert not (tmp_path / "out").exists(), "nothing is written before"
    export_logits(run.folder, tmp_path / "out", ["train", "validation"])
    (run.folder / "logits/teacher_predictions.jsonl").unlink()
    with pytest.raises(UserError, match=r"'train-1': its logits in .* belong neither to its assertion nor"):
        export_logits(run.folder, tmp_path / "out", ["train"])
    shutil.rmtree(run.folder / "logits/validation")
    (run.folder / "config.yaml").touch()
    with pytest.raises(UserError, match=r"logits/validation: no such store, so nothing was written") as fault:
        export_logits(run.folder, tmp_path / "out", ["validation"])
    assert f"--configfile {run.folder}/config.yaml -- " in fault.value.remedy


def test_logits_beyond_float16_are_not_written(make_run, tmp_path, monkeypatch) -> None:
    run = make_run("hidden")
    rebuild = HiddenView.logits
    monkeypatch.setattr(HiddenView, "logits", lambda view, rows: rebuild(view, rows) * 1e6)
    with pytest.raises(UserError, match=r"'validation-0': a logit in .* does not fit float16"):
        export_logits(run.folder, tmp_path / "out", ["validation"])
    assert not list((tmp_path / "out").iterdir()), "files are whole or absent"
