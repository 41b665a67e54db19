"""The typed configuration: what each option means (`schema`), how `config.yaml` becomes one run (`load`)."""

from assertkd.settings.evaluation import EvaluationSettings
from assertkd.settings.execution import ExecuteSettings
from assertkd.settings.load import RunSettings, load_config, load_run
from assertkd.settings.mining import MiningSettings
from assertkd.settings.schema import (
    DataSettings,
    DistillationSettings,
    LogitsSettings,
    LossSettings,
    ModelSettings,
    ReportSettings,
    StudentModelSettings,
    TeacherModelSettings,
    TeacherSettings,
    TokenizerSettings,
    TrainingSettings,
)

__all__ = [
    "DataSettings",
    "DistillationSettings",
    "EvaluationSettings",
    "ExecuteSettings",
    "LogitsSettings",
    "LossSettings",
    "MiningSettings",
    "ModelSettings",
    "ReportSettings",
    "RunSettings",
    "StudentModelSettings",
    "TeacherModelSettings",
    "TeacherSettings",
    "TokenizerSettings",
    "TrainingSettings",
    "load_config",
    "load_run",
]
