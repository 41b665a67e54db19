"""The typed configuration: its options, and how `config.yaml` becomes one run (`load`)."""

from assertkd.settings.cluster import ClusterSettings as ClusterSettings
from assertkd.settings.config_file import load_config as load_config
from assertkd.settings.data import DataSettings as DataSettings
from assertkd.settings.data import MiningSettings as MiningSettings
from assertkd.settings.distillation import DistillationSettings as DistillationSettings
from assertkd.settings.distillation import TeacherSettings as TeacherSettings
from assertkd.settings.evaluation import EvaluationSettings as EvaluationSettings
from assertkd.settings.evaluation import ExecuteSettings as ExecuteSettings
from assertkd.settings.evaluation import ReportSettings as ReportSettings
from assertkd.settings.load import RunSettings as RunSettings
from assertkd.settings.load import load_run as load_run
from assertkd.settings.logits import LogitsSettings as LogitsSettings
from assertkd.settings.loss import LossSettings as LossSettings
from assertkd.settings.model import ModelSettings as ModelSettings
from assertkd.settings.model import StudentModelSettings as StudentModelSettings
from assertkd.settings.model import TeacherModelSettings as TeacherModelSettings
from assertkd.settings.model import TokenizerSettings as TokenizerSettings
from assertkd.settings.training import TrainingSettings as TrainingSettings
