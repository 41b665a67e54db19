"""From loss settings to the components and weights that are used."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from assertkd.errors import UserError
from assertkd.losses.loss_plan import LossPlan, hard_labels, plan_loss
from assertkd.settings import LossSettings


def planned(**settings: Any) -> LossPlan:
    return plan_loss(LossSettings(**settings))


def ends(plan: LossPlan) -> dict[str, tuple[float, float]]:
    return {component.name: (component.start, component.end) for component in plan.components}


def test_traditional() -> None:
    plan = planned(function="traditional", alpha=0.3, temperature=2.0)
    assert ends(plan) == {"ce": (0.3, 0.3), "kl": (0.7, 0.7)}
    assert plan.weights(0.0) == plan.weights(1.0) == {"ce": 0.3, "kl": 0.7}
    assert (plan.sum_to_one, plan.temperature, plan.alpha, plan.needs_teacher) == (False, 2.0, 0.3, True)


@pytest.mark.parametrize(("function", "name"), [("enhanced", "pans"), ("ast_enhanced", "ast")])
def test_presets_with_a_third_component(function: str, name: str) -> None:
    plan = planned(function=function, pans_weight=0.15, ast_weight=0.15)
    assert ends(plan) == {"ce": (0.5, 0.5), "kl": (0.5, 0.5), name: (0.15, 0.15)}
    assert plan.weights(0.5) == {"ce": 0.5, "kl": 0.5, name: 0.15}, "the presets' weights are not normalised"
    assert plan.alpha == 0.5


def test_the_default_is_trident_with_its_start_weights() -> None:
    plan = planned()
    assert ends(plan) == {"focal": (0.2, 0.2), "jsd": (0.75, 0.75), "semantic": (0.05, 0.05)}
    assert plan.weights(0.7) == pytest.approx({"focal": 0.2, "jsd": 0.75, "semantic": 0.05})
    assert (plan.sum_to_one, plan.temperature, plan.alpha) == (True, 1.0, None)
    assert plan.components[0].options == {"alpha": 1.0, "gamma": 1.0}
    assert plan.components[1].options == {}


def test_dynamic_weights_move_from_start_to_end_and_sum_to_1() -> None:
    plan = planned(dynamic_weighting=True)
    assert ends(plan) == {"focal": (0.2, 0.15), "jsd": (0.75, 0.6), "semantic": (0.05, 0.25)}
    assert plan.weights(1.0) == pytest.approx({"focal": 0.15, "jsd": 0.6, "semantic": 0.25})
    assert plan.weights(0.5) == pytest.approx({"focal": 0.175, "jsd": 0.675, "semantic": 0.15})
    five = planned(components=["focal", "jsd", "semantic", "contrastive", "ce"], dynamic_weighting=True)
    for share in (0.0, 0.1, 0.9):
        assert sum(five.weights(share).values()) == pytest.approx(1.0)


def test_given_weights() -> None:
    fixed = planned(components=["ce", "kl"], weights=[1, 3])
    assert ends(fixed) == {"ce": (1.0, 1.0), "kl": (3.0, 3.0)}
    assert fixed.weights(0.4) == {"ce": 0.25, "kl": 0.75}
    moving = planned(components=["ce", "kl"], weights=[1, 3], dynamic_weighting=True)
    assert ends(moving) == {"ce": (1.0, 0.25), "kl": (3.0, 0.35)}


def test_the_schedule_overrides_the_table() -> None:
    settings: dict[str, Any] = {"components": ["ce", "kl"], "schedule": {"kl": {"start": 0.1, "end": 0.9}}}
    assert ends(planned(**settings)) == {"ce": (0.35, 0.35), "kl": (0.1, 0.1)}
    assert ends(planned(**settings, dynamic_weighting=True)) == {"ce": (0.35, 0.25), "kl": (0.1, 0.9)}


def test_what_a_loss_does_not_read_is_not_in_its_plan() -> None:
    plan = planned(components=["ce"], temperature=9.0, alpha=0.9, focal={"gamma": 9.0})
    assert plan == planned(components=["ce"])
    assert plan.temperature is None
    assert not plan.needs_teacher


def test_a_plan_round_trips_through_json() -> None:
    for plan in (planned(components=["focal", "jsd"]), planned(function="traditional"), hard_labels()):
        assert LossPlan(**plan.model_dump(mode="json")) == plan


def test_hard_labels_are_plain_cross_entropy() -> None:
    plan = hard_labels()
    assert plan.weights(0.0) == plan.weights(1.0) == {"ce": 1.0}
    assert not plan.needs_teacher


def test_what_text_components_need() -> None:
    plan = planned(components=["ce", "semantic", "contrastive", "pans"], text={"share": 0.5, "samples": 3})
    assert [name.name for name, _ in plan.text_components] == ["semantic", "contrastive", "pans"]
    assert [name.name for name, _ in plan.token_components] == ["ce"]
    assert plan.sampling is not None
    assert (plan.sampling.share, plan.sampling.samples) == (0.5, 3)
    ce, semantic, contrastive, pans = plan.components
    assert (ce.scale, semantic.scale, contrastive.scale, pans.scale) == (1.0, 1.0, 1.0, 1.0)
    assert [part.encoder is None for part in plan.components] == [True, False, False, True]
    assert contrastive.options == {"temperature": 0.1}
    assert planned(components=["ce"]).sampling is None


def test_token_weights_are_planned_where_a_component_heeds_them() -> None:
    weighting = {"enabled": True, "critical_token_weight": 3.0}
    assert planned(components=["ce", "kl"], token_weighting=weighting).critical_token_weight == 3.0
    assert planned(components=["kl"], token_weighting=weighting).critical_token_weight is None
    off = weighting | {"enabled": False}
    assert planned(components=["ce"], token_weighting=off) == planned(components=["ce"])


def test_a_plan_says_which_components_train() -> None:
    ce, kl = planned(function="traditional", alpha=1.0).components
    assert (ce.trains, kl.trains) == (True, False)


@pytest.mark.parametrize(
    "settings",
    [
        {"components": ["ce"], "schedule": {"ce": {"start": 0, "end": 1}}},
        {"components": ["ce"], "schedule": {"ce": {"start": 1, "end": 0}}, "dynamic_weighting": True},
        {"components": ["ast"]},
    ],
)
def test_weights_that_are_all_0_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="weights of all components are 0 at the first or the last step"):
        planned(**settings)


def test_text_components_wait_for_their_start() -> None:
    plan = planned(text={"start": 0.5})
    assert plan.weights(0.49) == pytest.approx({"focal": 4 / 19, "jsd": 15 / 19, "semantic": 0.0})
    assert plan.weights(0.5)["semantic"] == pytest.approx(0.05)
    alone = planned(components=["semantic", "pans"], text={"start": 0.5, "max_share": 0.1})
    assert alone.sampling is not None
    assert (alone.sampling.start, alone.sampling.max_share) == (0.0, 1.0), "nothing else is trained before"
    assert alone.weights(0.0) == pytest.approx({"semantic": 0.5, "pans": 0.5})


def test_the_limit_on_text_components_holds_where_token_components_get_a_weight_later() -> None:
    schedule = {"ce": {"start": 0, "end": 1}, "pans": {"start": 1, "end": 1}}
    text = {"start": 0.5, "max_share": 0.1}
    plan = planned(components=["ce", "pans"], dynamic_weighting=True, schedule=schedule, text=text)
    assert plan.sampling is not None
    assert (plan.sampling.start, plan.sampling.max_share) == (0.0, 0.1)
    assert plan.weights(0.0) == {"ce": 0.0, "pans": 1.0}


def test_the_original_numbers_stay_available() -> None:
    # As the original pipeline documents them.
    components = ["focal", "jsd", "semantic", "contrastive"]
    plan = planned(preset="original", components=components, dynamic_weighting=True)
    assert ends(plan) == {
        "focal": (0.3, 0.25),
        "jsd": (0.6, 0.35),
        "semantic": (0.05, 0.25),
        "contrastive": (0.1, 0.15),
    }
    assert (plan.temperature, plan.components[0].options, plan.components[2].scale) == (
        4.0,
        {"alpha": 0.25, "gamma": 2.0},
        5.0,
    )
    assert plan.sampling is not None
    assert (plan.sampling.start, plan.sampling.max_share) == (0.0, 1.0)
    mixed = planned(preset="original", temperature=2.0, focal={"gamma": 3.0})
    assert (mixed.temperature, mixed.components[0].options) == (2.0, {"alpha": 0.25, "gamma": 3.0})


def test_who_reads_settings_does_not_wait_for_torch() -> None:
    rules = (Path(__file__).parents[2] / "workflow" / "rules").glob("*.smk")
    text = "\n".join(path.read_text(encoding="utf-8") for path in rules)
    imports = re.findall(r"^from assertkd\S* import (?:[^(\n]+|\([^)]+\))", text, re.MULTILINE)
    code = "\n".join([*imports, "import sys", "sys.exit('torch' in sys.modules)"])
    assert len(imports) > 10
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
