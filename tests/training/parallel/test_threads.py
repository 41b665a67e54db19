"""The choice of thread counts, on machines whose speeds are known; and one real measurement."""

from collections.abc import Callable
from pathlib import Path

import pytest

from assertkd.cli import main
from assertkd.errors import UserError
from assertkd.settings import ModelSettings
from assertkd.settings.load import load_run
from assertkd.training.parallel import threads
from assertkd.training.parallel.threads import Workload, best, described, measure, workload

WORK = Workload({"name": "scratch"}, vocab_size=64, batch_size=2, source=8, target=4, seconds=0.05)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that gives this machine so many cores, on which a job of n threads is n ** power times as fast.

    It slows by the factor `crowded` where it is not alone.
    """

    def set_up(cores: int, power: float, crowded: float = 1.0) -> None:
        def rates(work: Workload, threads: int, jobs: int) -> list[float]:
            return [10.0 * threads**power * (crowded if jobs > 1 else 1.0)] * jobs

        monkeypatch.setattr(threads, "cores", lambda: cores)
        monkeypatch.setattr(threads, "run_trials", rates)

    return set_up


@pytest.mark.parametrize(
    ("jobs", "power", "crowded", "expected"),
    [
        (1, 0.8, 1.0, 8),  # a job alone takes all
        (9, 0.8, 1.0, 1),  # many share the cores, since threads help less than in proportion
        (2, 0.8, 1.0, 4),  # two have half of them each
        (9, 0.8, 0.3, 8),  # unless they are in each other's way
        (1, -0.5, 1.0, 1),  # a model too small for threads
    ],
)
def test_the_best_count(machine: Callable[..., None], jobs: int, power: float, crowded: float, expected: int) -> None:
    machine(8, power, crowded)
    counts = measure(WORK, jobs)
    assert [count.threads for count in counts] == [1, 2, 4, 8]
    assert all(count.threads * count.jobs <= 8 and count.jobs <= jobs for count in counts)
    assert best(counts).threads == expected
    (line,) = (line for line in described("jobs", counts).splitlines() if line.endswith("best"))
    assert line.split()[0] == str(expected)


def test_all_cores_are_tried_where_they_are_no_power_of_two(machine: Callable[..., None]) -> None:
    machine(6, 1.0)
    assert [count.threads for count in measure(WORK, 1)] == [1, 2, 4, 6]


def test_a_runs_sizes(tmp_path: Path) -> None:
    scratch = {"name": "scratch", "scratch": {"d_model": 32, "d_ff": 64, "heads": 4}}
    run = load_run({"run": "r", "runs": {"r": {"tokenizer": {"vocab_size": 500}, "teacher": {"model": scratch}}}})
    work = workload(run.teacher.model, run.teacher.training, run, 1.0)
    assert work.vocab_size == 500
    assert work.model["scratch"] == {"d_model": 32, "d_ff": 64, "heads": 4, "encoder_layers": 3, "decoder_layers": 3}
    assert (work.batch_size, work.source, work.target) == (4, 307, 32)
    with pytest.raises(UserError, match="no model could be loaded"):
        workload(ModelSettings(name=str(tmp_path)), run.teacher.training, run, 1.0)


@pytest.mark.usefixtures("preloaded")
def test_real_processes_are_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.yaml"
    model = "{name: scratch, scratch: {d_model: 16, d_ff: 32, heads: 2, encoder_layers: 1, decoder_layers: 1}}"
    config.write_text(
        f"run: r\nruns: {{r: {{data: {{max_input_len: 16, max_output_len: 4}}}}}}\nteacher: {{model: {model}}}\n"
        f"distillation: {{model: {model}}}\nvariants: {{a: {{}}, b: {{}}}}\n"
    )
    assert main(["threads", "--configfile", str(config), "--seconds", "0.1"]) == 0
    out = capsys.readouterr().out
    assert "students (2)" in out
    assert out.splitlines()[-1].startswith("--set-threads train_teacher=")
