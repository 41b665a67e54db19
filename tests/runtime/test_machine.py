from pathlib import Path

import pytest

from assertkd.errors import UserError
from assertkd.runtime.machine import gpu_count, has_gpu, unquoted_python


@pytest.mark.parametrize(
    ("nodes", "visible", "count"),
    [
        ([], None, 0),
        (["nvidiactl"], None, 0),
        (["nvidia0", "nvidia1", "nvidiactl"], None, 2),
        (["nvidia3"], None, 1),
        (["dxg"], None, 1),
        (["dxg"], "", 0),
        (["nvidia0", "nvidia1"], "1", 1),
        (["nvidia0", "nvidia1"], "GPU-1f,GPU-2e", 2),
        (["nvidia0", "nvidia1"], "0,1,2", 2),
        (["nvidia0", "nvidia1"], "", 0),
        (["nvidia0", "nvidia1"], "-1", 0),
        (["nvidia0", "nvidia1"], "0,-1,1", 1),
        (["nvidia0", "nvidia1"], "1,,0", 1),
    ],
)
def test_gpus_are_counted_by_their_device_nodes(
    nodes: list[str], visible: str | None, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assertkd.runtime.machine.DEVICES", tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    for name in nodes:
        (tmp_path / name).touch()
    assert gpu_count() == count
    assert has_gpu() == (count > 0)


@pytest.mark.parametrize(
    ("executable", "folder", "path"),
    [
        ("/usr/bin/python3", "/a b", "/usr/bin/python3"),
        ("/a b/.venv/bin/python", "/a b", ".venv/bin/python"),
        ("/a'$b/.venv/bin/python", "/a'$b/c", "../.venv/bin/python"),
        ("/ä/.venv/bin/python", "/ä", "/ä/.venv/bin/python"),
        ("/a~1/bin/python", "/b", "/a~1/bin/python"),
        ("/a b/env/bin/python", "/a", None),
        ("/a/my env/bin/python", "/a", None),
    ],
)
def test_a_python_is_named_without_what_a_shell_reads_otherwise(executable: str, folder: str, path: str | None) -> None:
    if path is None:
        with pytest.raises(UserError, match="whose path has blanks"):
            unquoted_python(executable, Path(folder))
    else:
        assert unquoted_python(executable, Path(folder)) == path
