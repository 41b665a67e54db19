"""Shares of the gradient, from logs written by hand."""

import csv
import json
from pathlib import Path

import pytest

from assertkd.cli import main
from assertkd.errors import UserError
from assertkd.report.loss_scaling import analyse_scaling, format_scaling, write_scaling

STEPS = [
    # step, weights of ce and semantic, gradient norms of ce and semantic
    (0, 0.6, 0.4, 0.5, 0.10),
    (10, 0.5, 0.5, 0.3, 0.12),
    (20, 0.4, 0.6, 0.1, 0.14),
]
SCALE = 5.0


def write_run(folder: Path, semantic_norm: float = 1.0, scale: float = SCALE) -> Path:
    """Write the two files of a finished student whose `semantic` norms are multiplied by `semantic_norm`."""
    names = ["step", "ce_weight", "semantic_weight", "ce_grad_norm", "semantic_grad_norm"]
    with (folder / "step_metrics.csv").open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(names)
        writer.writerows([*row[:4], row[4] * semantic_norm] for row in STEPS)
    components = [{"name": "ce", "scale": 1.0}, {"name": "semantic", "scale": scale}]
    (folder / "training_report.json").write_text(json.dumps({"loss": {"components": components}}), encoding="utf-8")
    return folder


def add_column(folder: Path, name: str, cells: list[str]) -> None:
    """Give the log of `write_run` one more column."""
    table = folder / "step_metrics.csv"
    lines = table.read_text(encoding="utf-8").splitlines()
    longer = [f"{line},{cell}" for line, cell in zip(lines, [name, *cells], strict=True)]
    table.write_text("\n".join(longer) + "\n", encoding="utf-8")


def test_shares_by_hand(tmp_path: Path) -> None:
    scaling = analyse_scaling(write_run(tmp_path))
    ce = [0.6 * 0.5, 0.5 * 0.3, 0.4 * 0.1]
    semantic = [SCALE * 0.4 * 0.10, SCALE * 0.5 * 0.12, SCALE * 0.6 * 0.14]
    expected = [one / (one + other) for one, other in zip(semantic, ce, strict=True)]
    assert scaling.shares["semantic"].tolist() == pytest.approx(expected)
    assert scaling.shares["ce"].tolist() == pytest.approx([1 - share for share in expected])
    assert scaling.shares.index.tolist() == [0, 10, 20]


def test_the_balancing_weights_and_beta_balance(tmp_path: Path) -> None:
    scaling = analyse_scaling(write_run(tmp_path))
    weights = scaling.balanced_weights()
    assert sum(weights.values()) == pytest.approx(1)
    contributions = [weights[str(name)] * c["scale"] * c["norm"] for name, c in scaling.components.iterrows()]
    assert contributions[0] == pytest.approx(contributions[1])
    beta = scaling.balanced_scales()["semantic"]
    ce, semantic = scaling.components.loc["ce"], scaling.components.loc["semantic"]
    assert beta * semantic["weight"] * semantic["norm"] == pytest.approx(ce["weight"] * ce["norm"])


@pytest.mark.parametrize(
    ("semantic_norm", "warned"),
    [(1.0, []), (100.0, ["semantic dominates", "ce vanishes"]), (1e-4, ["ce dominates", "semantic vanishes"])],
)
def test_what_dominates_or_vanishes_is_said(tmp_path: Path, semantic_norm: float, warned: list[str]) -> None:
    warnings = analyse_scaling(write_run(tmp_path, semantic_norm)).warnings()
    assert sorted(" ".join(warning.split()[:2]).rstrip(":") for warning in warnings) == sorted(warned)


def test_a_component_without_gradient_gets_no_weight(tmp_path: Path) -> None:
    scaling = analyse_scaling(write_run(tmp_path, 0.0))
    assert scaling.balanced_weights() == {"ce": 1.0}
    assert scaling.balanced_scales() == {}


def test_text_components_count_after_their_limit_where_it_is_logged(tmp_path: Path) -> None:
    write_run(tmp_path, 100.0)
    free = analyse_scaling(tmp_path)
    add_column(tmp_path, "text_limit", ["0.5", "0.01", ""])
    held = analyse_scaling(tmp_path)
    semantic = [SCALE * 0.4 * 10 * 0.5, SCALE * 0.5 * 12 * 0.01, SCALE * 0.6 * 14]
    expected = [one / (one + other) for one, other in zip(semantic, [0.3, 0.15, 0.04], strict=True)]
    assert held.shares["semantic"].tolist() == pytest.approx(expected)
    assert held.balanced_weights() == free.balanced_weights(), "what the weights would do without the limit"


def test_steps_before_a_component_begins_do_not_count(tmp_path: Path) -> None:
    write_run(tmp_path)
    begun = analyse_scaling(tmp_path)
    table = tmp_path / "step_metrics.csv"
    header, *lines = table.read_text(encoding="utf-8").splitlines()
    waiting = [f"-{step},1.0,0.0,0.4,0.0" for step in (20, 10)]
    table.write_text("\n".join([header, *waiting, *lines]) + "\n", encoding="utf-8")
    scaling = analyse_scaling(tmp_path)
    for figure in ("share", "first", "last", "weight", "norm"):
        assert scaling.components.loc["semantic", figure] == pytest.approx(begun.components.loc["semantic", figure])
    assert scaling.components.loc["ce", "first"] == 1.0
    assert scaling.shares["semantic"].tolist()[:2] == [0.0, 0.0]


def test_the_command_prints_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyse-scaling", str(write_run(tmp_path, 100.0))]) == 0
    printed = capsys.readouterr().out
    assert "Warning: semantic dominates" in printed
    assert "loss.semantic.scale (beta) that would balance" in printed
    written = json.loads((tmp_path / "loss_scaling.json").read_text(encoding="utf-8"))
    scaling = analyse_scaling(tmp_path)
    assert written["balanced_beta"] == scaling.balanced_scales()["semantic"]
    assert written["components"]["ce"]["share"]["mean"] == scaling.components.loc["ce", "share"]
    picture = (tmp_path / "loss_scaling.svg").read_text(encoding="utf-8")
    assert picture.startswith("<svg")
    assert "semantic" in picture


def test_a_run_lists_its_finished_students(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, semantic_norm in (("calm/seed1", 1.0), ("loud/seed1", 100.0)):
        folder = tmp_path / "students" / name
        folder.mkdir(parents=True)
        write_run(folder, semantic_norm)
    (tmp_path / "students" / "unfinished" / "seed1").mkdir(parents=True)
    assert main(["analyse-scaling", str(tmp_path)]) == 0
    calm, loud, *warnings, _, hint = capsys.readouterr().out.splitlines()
    mean = analyse_scaling(tmp_path / "students" / "calm" / "seed1").components["share"]
    assert calm == f"{tmp_path}/students/calm/seed1: ce {mean['ce']:.1%}, semantic {mean['semantic']:.1%}"
    assert loud.startswith(f"{tmp_path}/students/loud/seed1: ce ")
    assert "ce vanishes" in warnings[0]
    assert "semantic dominates" in warnings[1]
    assert hint.endswith(calm.split(":")[0])
    assert not list(tmp_path.rglob("loss_scaling.json")), "listing writes nothing"


def test_one_component_alone_is_described(tmp_path: Path) -> None:
    write_run(tmp_path)
    (tmp_path / "training_report.json").write_text(
        json.dumps({"loss": {"components": [{"name": "ce", "scale": 1.0}]}}), encoding="utf-8"
    )
    text = format_scaling(analyse_scaling(tmp_path))
    assert "100.0%" in text
    assert "would balance" not in text
    assert "Warning" not in text
    assert write_scaling(analyse_scaling(tmp_path), tmp_path).is_file()


def test_what_cannot_be_analysed_is_said_in_two_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyse-scaling", str(tmp_path / "nowhere")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "step_metrics.csv: no such file" in lines[0]
    write_run(tmp_path)
    (tmp_path / "step_metrics.csv").write_text("step,ce_weight\n0,1\n", encoding="utf-8")
    with pytest.raises(UserError, match="holds no gradient norms"):
        analyse_scaling(tmp_path)
