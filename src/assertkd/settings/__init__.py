"""The typed configuration: a module a section of options, and how `config.yaml` becomes one run (`load`)."""

from assertkd.settings.cluster import ClusterSettings
from assertkd.settings.data import DataSettings
from assertkd.settings.distillation import DistillationSettings
from assertkd.settings.evaluation import EvaluationSettings
from assertkd.settings.execution import ExecuteSettings
from assertkd.settings.load import RunSettings, load_config, load_run
from assertkd.settings.logits import LogitsSettings
from assertkd.settings.loss import LossSettings
from assertkd.settings.mining import MiningSettings
from assertkd.settings.model import ModelSettings, StudentModelSettings, TeacherModelSettings, TokenizerSettings
from assertkd.settings.report import ReportSettings
from assertkd.settings.teacher import TeacherSettings
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
