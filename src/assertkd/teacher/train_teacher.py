"""The rule `train_teacher`: cross-entropy with every gold assertion."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assertkd.corpus.training_records import Part, TrainingRecords
from assertkd.jsonl import LineIndex
from assertkd.layout import CorpusLayout, TrainingLayout
from assertkd.losses.loss_plan import hard_labels
from assertkd.models.registry import build_model
from assertkd.models.tokenizer import load_tokenizer
from assertkd.prompts.prompt import Prompt
from assertkd.runtime.seeding import seed_everything
from assertkd.teacher.params import TrainTeacherParams
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
def train_teacher(
    params: TrainTeacherParams,
    corpus: Path,
    folder: Path,
    checkpoints: Path | None = None,
    config: Mapping[str, Any] | None = None,
) -> None:
    """Fine-tune the teacher on `corpus` and write `final_model/` and the training logs to `folder`.

    Args:
        corpus: folder with `train.jsonl`, `validation.jsonl` and `tokenizer/`.
        checkpoints: where an interrupted training is continued from; `folder/checkpoints` if None.
        config: the configuration of the whole run, for the report.

    Raises:
        UserError: model or corpus are missing or do not fit together, or training cannot go on.
    """
    records_files, results = CorpusLayout(corpus), TrainingLayout(folder)
    checkpoints = checkpoints or results.checkpoints
    with logged_to(results.log, continued=checkpoints.exists()):
        seed_everything(params.seed)
        tokenizer = load_tokenizer(records_files.tokenizer)
        prompt = Prompt(tokenizer, params.max_input_len, params.max_output_len)
        index = LineIndex(records_files.train, "prepare_corpus")
        records = TrainingRecords([Part(index, None, gold=index, predicted=())])
        data = TrainingData(
            train=training_examples(ExamplePool(records, prompt), params.training),
            validation=validation_examples(records_files.validation, prompt, params.training),
            teacher=None,
            files=(records_files.train, records_files.validation),
            max_new_tokens=params.max_output_len,
            validation_encoder=load_validation_encoder(params.validation_encoder, params.training),
        )
        model = build_model(params.model, tokenizer, params.training.dropout_rate)
        if params.lora.rank:
            model.add_adapters(params.lora)
        model.remember_length_limits(params.max_input_len, params.max_output_len)
        recipe = Recipe("teacher", params.model_dump(mode="json"), {"corpus": str(corpus)}, config)
        plan, settings, seed = hard_labels(), params.training, params.seed
        train(model, tokenizer, data, plan, settings, seed, folder, checkpoints=checkpoints, recipe=recipe)
