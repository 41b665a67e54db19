"""The targets that come before a cluster's first run, driven through Snakemake."""

import pytest
from driver import Project

pytestmark = pytest.mark.workflow


def test_prefetch_models_says_what_the_run_takes_and_can_be_asked_again(project: Project) -> None:
    for _ in range(2):
        done = project.snakemake("--profile", "profiles/local", "prefetch_models")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "The run takes nothing from the hub." in done.stdout
    assert not (project.folder / "results").exists(), "it needs no corpus"


def test_check_cuda_says_what_is_wrong_where_there_is_no_gpu(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    done = project.snakemake("--profile", "profiles/local", "check_cuda")
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "sees no GPU" in said
    assert "Check that the job was given a GPU" in said
    assert "Traceback" not in said
