"""Models in the form of llama.cpp: found by file or package, converted once, and then like any other."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import constants

from assertkd.errors import UserError
from assertkd.files import sha256_of_file
from assertkd.models.gguf import convert_gguf, converted_folder, gguf_file
from assertkd.models.model_folder import local_folder, model_files
from assertkd.models.registry import check_model, load_model


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package `weights_in_a_wheel` without a model yet."""
    folder = tmp_path / "weights_in_a_wheel"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "home"))
    yield folder
    sys.modules.pop("weights_in_a_wheel", None)


def test_a_file_is_found_by_path_or_package(package: Path) -> None:
    file, name = package / "one.gguf", "gguf:weights_in_a_wheel"
    with pytest.raises(UserError, match=r"the package has 0 \.gguf files, not one"):
        gguf_file(name)
    file.write_bytes(b"GGUF")
    assert gguf_file(name) == gguf_file(f"gguf:{file}") == file
    assert model_files(name) == [file]
    (package / "two.gguf").write_bytes(b"GGUF")
    with pytest.raises(UserError, match=r"the package has 2 \.gguf files, not one"):
        gguf_file(name)
    for absent in ("gguf:no_such_package", "gguf:absent/file.gguf", "gguf:"):
        with pytest.raises(UserError, match="no such file, and no such package"):
            check_model(absent, None)


def test_a_converted_model_is_taken_from_its_folder(package: Path) -> None:
    (package / "one.gguf").write_bytes(b"GGUF")
    name = "gguf:weights_in_a_wheel"
    check_model(name, None)
    assert local_folder(name) is None
    folder = converted_folder(name)
    folder.mkdir(parents=True)
    assert local_folder(name) == folder
    (package / "one.gguf").write_bytes(b"GGUF of another model")
    assert local_folder(name) is None


def test_a_file_is_read_once_until_it_changes(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, read = package / "one.gguf", list[Path]()
    monkeypatch.setattr("assertkd.models.gguf.sha256_of_file", lambda path: read.append(path) or sha256_of_file(path))
    file.write_bytes(b"GGUF")
    first = [converted_folder(name) for name in ("gguf:weights_in_a_wheel", f"gguf:{file}") * 2]
    assert len({*first}) == 1 and read == [file]
    file.write_bytes(b"GGUF!")
    assert converted_folder(f"gguf:{file}") != first[0]
    changed = file.stat().st_mtime_ns + 10**9
    file.write_bytes(b"GGUF?")
    os.utime(file, ns=(changed, changed))
    assert converted_folder(f"gguf:{file}").name.endswith(sha256_of_file(file)[:16])
    assert len(read) == 3


def test_others_may_read_a_converted_model(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Loaded:
        """A model or a tokenizer that writes a file."""

        config = SimpleNamespace(quantization_config={})

        def save_pretrained(self, folder: str) -> None:
            Path(folder).mkdir(exist_ok=True)
            Path(folder, "config.json").write_text("{}")

    for name in ("AutoModelForCausalLM", "AutoTokenizer"):
        monkeypatch.setattr(f"transformers.{name}.from_pretrained", lambda *_, **__: Loaded())
    (package / "one.gguf").write_bytes(b"GGUF")
    folder = convert_gguf("gguf:weights_in_a_wheel")
    ordinary = package / "ordinary"
    ordinary.mkdir()
    assert folder.stat().st_mode == ordinary.stat().st_mode
    assert [*folder.parent.iterdir()] == [folder]


def test_a_damaged_file_is_said_in_two_lines(package: Path) -> None:
    (package / "one.gguf").write_bytes(b"not this form")
    with pytest.raises(UserError, match=r"^gguf:weights_in_a_wheel: no model could be loaded \("):
        load_model("gguf:weights_in_a_wheel")
    assert not [*Path(constants.HF_HOME, "assertkd-gguf").iterdir()]
