"""What is said of a full disk and of folders that may not be written."""

import errno
import logging
import os
import threading
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from assertkd.cli import main
from assertkd.files import write_text
from assertkd.runtime.job import job, sole_writer
from assertkd.runtime.storage import RUN_BYTES, format_bytes, size_of, storage_fault
from assertkd.training.checkpoint_store import CheckpointStore

FULL = Path("/dev/full")
"""Every write to it fails as on a full disk."""


def full(name: str | None = None) -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)


@pytest.mark.parametrize(
    ("fault", "place"),
    [
        (full("out/file.json"), "out"),
        (full(), "results/r"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "results/r"),
        (SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"), "results/r"),
    ],
)
def test_a_full_disk_is_said_with_the_folder_and_the_room_that_is_needed(
    fault: Exception, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_text(tmp_path / "results/r/some", "x" * 3_000_000)
    monkeypatch.setenv(RUN_BYTES, str(7_000_000_000))
    said = storage_fault(fault, Path("results/r"))
    assert said is not None
    assert said.problem.startswith(f"{place}: ")
    assert "about 7.0 GB is needed)" in said.problem
    assert len(str(said).splitlines()) == 2
    monkeypatch.setenv(RUN_BYTES, str(500_000_000))
    said = storage_fault(full(), Path("results/r"))
    assert said is not None
    assert "about 497.0 MB is needed)" in said.problem, "what is there already is no longer needed"
    monkeypatch.delenv(RUN_BYTES)
    said = storage_fault(full(), Path("results/r"))
    assert said is not None
    assert "more is needed" in said.problem


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENOTDIR, errno.EISDIR])
def test_a_place_that_may_not_be_written_is_named(number: int) -> None:
    said = storage_fault(OSError(number, "x", "some/place"))
    assert said is not None
    assert said.problem.startswith("some/place: ")


@pytest.mark.parametrize("fault", [PermissionError(errno.EACCES, "x"), ConnectionError(errno.EPERM, "x")])
def test_a_fault_without_a_file_is_none_of_the_disk(fault: OSError) -> None:
    assert storage_fault(fault) is None


def test_a_fault_that_hides_the_one_before_it_is_its_own() -> None:
    with pytest.raises(KeyError) as caught:
        try:
            raise PermissionError(errno.EACCES, "x", "some/place")
        except OSError:
            raise KeyError("of the program") from None
    assert storage_fault(caught.value) is None


def test_a_full_disk_of_temporary_files_is_not_taken_for_that_of_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In /dev/shm, since it is a disk of its own.
    results = tmp_path / "results/r"
    monkeypatch.setattr("assertkd.runtime.storage._free", lambda folder: 9 if folder == results else 3)
    monkeypatch.setattr("tempfile.tempdir", "/dev/shm")
    said = storage_fault(full(), results)
    assert said is not None
    assert (said.problem.split(":")[0], "TMPDIR" in said.remedy) == ("/dev/shm", True)


def test_a_link_that_leads_nowhere_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "results").symlink_to("absent")
    with pytest.raises(FileExistsError) as caught:
        (tmp_path / "results").mkdir()
    said = storage_fault(caught.value)
    assert said is not None
    assert said.problem.endswith("results: a file, or a link that leads nowhere, stands where a folder is needed")


def test_what_was_raised_while_another_fault_was_handled_counts() -> None:
    try:
        try:
            raise full()
        except OSError:
            raise RuntimeError("the writer has ended")  # noqa: B904
    except RuntimeError as fault:
        assert storage_fault(fault) is not None
    for other in (OSError(errno.ECONNREFUSED, "x"), FileNotFoundError(errno.ENOENT, "x"), ValueError("os error 28")):
        assert storage_fault(other) is None


def test_a_job_on_a_full_disk_ends_in_two_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    with pytest.raises(SystemExit) as ended, job(Path("logs/demo/train.log")), FULL.open("w", buffering=1) as handle:
        handle.write("x\n")
    torch.set_num_threads(threads)
    assert ended.value.code == 1
    problem, remedy = capsys.readouterr().err.splitlines()
    assert problem.startswith("Error: results/demo: no space is left on the disk (")
    assert "what is finished stays" in remedy
    assert problem.removeprefix("Error: ") in Path("logs/demo/train.log").read_text(encoding="utf-8")


def test_a_thread_that_finds_the_disk_full_prints_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(fault: Exception) -> None:
        raise fault

    printed: list[threading.ExceptHookArgs] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(threading, "excepthook", printed.append)
    with job("logs/a.log"):
        for fault in (full(), ValueError("another")):
            thread = threading.Thread(target=fail, args=(fault,))
            thread.start()
            thread.join()
    assert [str(ended.exc_value) for ended in printed] == ["another"]
    assert threading.excepthook == printed.append


def test_a_log_on_a_full_disk_loses_lines_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("logs").mkdir()
    Path("logs/a.log").symlink_to(FULL)
    with job("logs/a.log"):
        logging.getLogger("assertkd").info("lost")
    assert capsys.readouterr().err == ""


def test_a_lock_on_a_full_disk_is_said_in_two_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise full()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(SystemExit), sole_writer(Path("results/demo/teacher")):
        pass
    problem, _ = capsys.readouterr().err.splitlines()
    assert problem.startswith("Error: results/demo/teacher: no space is left on the disk (")


def test_a_folder_that_is_a_file_is_said_in_two_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("results").write_text("", encoding="utf-8")
    with pytest.raises(SystemExit), sole_writer(Path("results/demo/teacher")):
        pass
    assert capsys.readouterr().err.startswith("Error: results")


def test_a_command_on_a_full_disk_ends_in_two_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise full()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("assertkd.cli.parser_for", lambda _: _Parser(fail))
    assert main(["families"]) == 1
    assert capsys.readouterr().err.startswith(f"Error: {tmp_path}: no space is left on the disk (")


class _Parser:
    def __init__(self, run: object) -> None:
        self.run = run

    def parse_known_args(self, _: object) -> tuple[object, list[str]]:
        return Namespace(run=self.run), []


def test_a_checkpoint_that_does_not_fit_leaves_the_last_and_its_own_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CheckpointStore(tmp_path / "checkpoints")
    weights = {"model": {"weight": torch.ones(8)}}
    store.save(1, weights, {}, {}, {})

    def fail(tensors: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    with monkeypatch.context() as patched:
        patched.setattr("assertkd.training.checkpoint_store.save_file", fail)
        with pytest.raises(SafetensorError):
            store.save(2, weights, {}, {}, {})
    assert [path.name for path in store.folder.iterdir()] == ["step-00000001"]
    latest = store.latest()
    assert latest is not None
    assert latest.step == 1


def test_sizes_are_counted_without_following_links(tmp_path: Path) -> None:
    write_text(tmp_path / "a/b", "x" * 100)
    (tmp_path / "a/c").symlink_to("absent")
    assert 100 <= size_of(tmp_path) < 200
    assert (format_bytes(1_500_000), format_bytes(2_000_000_000)) == ("1.5 MB", "2.0 GB")
