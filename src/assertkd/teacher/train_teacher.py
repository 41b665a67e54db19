"""The rules `pretrain` and `train_teacher`: a model learns what was cut out of methods, then gold assertions."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assertkd.corpus.training_records import Part, TrainingRecords
from assertkd.jsonl import LineIndex
from assertkd.layout import CorpusLayout, TrainingLayout
from assertkd.losses.loss_plan import hard_labels
from assertkd.models.registry import build_model, weights_file
from assertkd.models.tokenizer import load_tokenizer
from assertkd.prompts.prompt import Prompt
from assertkd.runtime.seeding import seed_everything
from assertkd.settings import TeacherModelSettings
from assertkd.teacher.params import PretrainParams, TrainTeacherParams
from assertkd.training.data import (
    ExamplePool,
    TrainingData,
    load_validation_encoder,
    training_examples,
    validation_examples,
)
from assertkd.training.parallel.launch import in_processes
from assertkd.training.provenance import Recipe
from assertkd.training.train import logged_to, train


@in_processes
def pretrain(
    params: PretrainParams,
    corpus: Path,
    folder: Path,
    checkpoints: Path | None = None,
    config: Mapping[str, Any] | None = None,
) -> None:
    """Train the teacher's model on the records of `prepare_pretraining`; otherwise as `train_teacher`."""
    files = CorpusLayout(corpus)
    recipe = Recipe("pretrain", params.model_dump(mode="json"), {"corpus": str(corpus)}, config)
    learnt = _Learnt(files.pretraining, files.pretraining_validation, "prepare_pretraining")
    _train(params, params.model, learnt, files.tokenizer, folder, checkpoints, recipe)


@in_processes
def train_teacher(
    params: TrainTeacherParams,
    corpus: Path,
    folder: Path,
    checkpoints: Path | None = None,
    config: Mapping[str, Any] | None = None,
    pretrained: Path | None = None,
) -> None:
    """Fine-tune the teacher on `corpus` and write `final_model/` and the training logs to `folder`.

    Args:
        corpus: folder with `train.jsonl`, `validation.jsonl` and `tokenizer/`.
        checkpoints: where an interrupted training is continued from; `folder/checkpoints` if None.
        config: the configuration of the whole run, for the report.
        pretrained: the `final_model/` of `pretrain`, to begin with; None for the model of `params`.

    Raises:
        UserError: model or corpus are missing or do not fit together, or training cannot go on.
    """
    files, inputs = CorpusLayout(corpus), {"corpus": str(corpus), "pretrained": pretrained and str(pretrained)}
    recipe = Recipe("teacher", params.model_dump(mode="json"), inputs, config)
    model = params.model if pretrained is None else TeacherModelSettings(name=str(pretrained))
    learnt = _Learnt(files.train, files.validation, "prepare_corpus", pretrained and weights_file(pretrained))
    _train(params, model, learnt, files.tokenizer, folder, checkpoints, recipe)


@dataclass(frozen=True)
class _Learnt:
    """Files of records to train and to validate on, the rule that wrote them, and the weights that come before."""

    records: Path
    validation: Path
    rule: str
    weights: Path | None = None


def _train(
    params: TrainTeacherParams,
    start: TeacherModelSettings,
    learnt: _Learnt,
    tokenizer_folder: Path,
    folder: Path,
    checkpoints: Path | None,
    recipe: Recipe,
) -> None:
    """Train the model `start` on records with cross-entropy, and write to `folder` as `train_teacher` says."""
    checkpoints = checkpoints or TrainingLayout(folder).checkpoints
    with logged_to(TrainingLayout(folder).log, continued=checkpoints.exists()):
        seed_everything(params.seed)
        tokenizer = load_tokenizer(tokenizer_folder)
        prompt = Prompt(tokenizer, params.max_input_len, params.max_output_len)
        index = LineIndex(learnt.records, learnt.rule)
        records = TrainingRecords([Part(index, None, gold=index, predicted=())])
        data = TrainingData(
            train=training_examples(ExamplePool(records, prompt), params.training),
            validation=validation_examples(learnt.validation, prompt, params.training),
            teacher=None,
            files=(learnt.records, learnt.validation, *([] if learnt.weights is None else [learnt.weights])),
            max_new_tokens=params.max_output_len,
            validation_encoder=load_validation_encoder(params.validation_encoder, params.training),
        )
        model = build_model(start, tokenizer, params.training.dropout_rate)
        if params.lora.rank:
            model.add_adapters(params.lora)
        model.remember_length_limits(params.max_input_len, params.max_output_len)
        plan, settings, seed = hard_labels(), params.training, params.seed
        train(model, tokenizer, data, plan, settings, seed, folder, checkpoints=checkpoints, recipe=recipe)
