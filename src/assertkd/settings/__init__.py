"""The typed configuration: its options, and how `config.yaml` becomes one run (`load`)."""

from assertkd.settings.cluster import ClusterSettings
from assertkd.settings.data import DataSettings, MiningSettings
from assertkd.settings.distillation import DistillationSettings, TeacherSettings
from assertkd.settings.evaluation import EvaluationSettings, ExecuteSettings, ReportSettings
from assertkd.settings.load import RunSettings, load_config, load_run
from assertkd.settings.logits import LogitsSettings
from assertkd.settings.loss import LossSettings
from assertkd.settings.model import ModelSettings, StudentModelSettings, TeacherModelSettings, TokenizerSettings
from assertkd.settings.training import TrainingSettings

__all__ = [
    "ClusterSettings",
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
