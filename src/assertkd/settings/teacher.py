"""Options of the teacher."""

from assertkd.settings.model import TeacherModelSettings
from assertkd.settings.section import Section, Seed
from assertkd.settings.training import TrainingSettings


class TeacherSettings(Section):
    """The model that is fine-tuned on the gold assertions and then distilled."""

    model: TeacherModelSettings = TeacherModelSettings()
    training: TrainingSettings = TrainingSettings()
    seed: Seed = 42
    """Seed of the teacher's initial weights, batches and dropout."""
