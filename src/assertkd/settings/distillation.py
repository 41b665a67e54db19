"""Options of a student configuration."""

from typing import Literal

from assertkd.settings.loss import LossSettings
from assertkd.settings.model import StudentModelSettings
from assertkd.settings.on_policy import OnPolicySettings
from assertkd.settings.section import Section
from assertkd.settings.training import TrainingSettings


class DistillationSettings(Section):
    """One student configuration; `variants` holds what differs from these defaults."""

    model: StudentModelSettings = StudentModelSettings()
    training: TrainingSettings = TrainingSettings()
    loss: LossSettings = LossSettings()
    on_policy: OnPolicySettings = OnPolicySettings()
    targets: Literal["gold", "teacher", "both"] = "gold"
    """What is learnt of a record whose gold assertion the student may use: `gold`; the teacher's own prediction
    (`teacher`: sequence-level distillation, Kim & Rush 2016, section 3.2); or `both`, one example with each. A loss
    that reads the teacher's distributions reads those along the target at hand."""
    unlabelled: Literal["teacher", "skip"] = "teacher"
    """Records without a gold assertion that the student may use (withheld by `data.labelled_share`, or from
    `data.unlabelled`): learn the teacher's prediction, or skip them."""
