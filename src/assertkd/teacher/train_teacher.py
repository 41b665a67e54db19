"""Fine-tunes the teacher: the shared loop with cross-entropy on every gold assertion."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assertkd.corpus.training_records import TrainingRecords, gold_part
from assertkd.jsonl import LineIndex
from assertkd.losses.loss_plan import hard_labels
from assertkd.models.length_limits import Limits, remember_limits
from assertkd.models.t5.model import build_model
from assertkd.models.tokenizer import load_tokenizer
from assertkd.prompts.prompt import Prompt
from assertkd.runtime.seeding import seed_everything
from assertkd.settings import TeacherSettings
from assertkd.training.data import TrainingData
from assertkd.training.examples import ExamplePool, training_examples, validation_examples
from assertkd.training.logs import logged_to
from assertkd.training.parallel.launch import spread
from assertkd.training.provenance import Recipe
from assertkd.training.trainer import train


def train_teacher(
    settings: TeacherSettings,
    max_input_len: int,
    max_output_len: int,
    corpus: Path,
    folder: Path,
    checkpoints: Path | None = None,
    config: Mapping[str, Any] | None = None,
) -> None:
    """Fine-tune the teacher on `corpus` and write `final_model/` and the training logs to `folder`.

    Args:
        settings: model, training and seed.
        max_input_len: longest input, in tokens.
        max_output_len: longest target, in tokens.
        corpus: folder with `train.jsonl`, `validation.jsonl` and `tokenizer/`.
        folder: where the results go.
        checkpoints: where an interrupted training is continued from; `folder/checkpoints` if None.
        config: the configuration of the whole run, for the report.

    Raises:
        UserError: model or corpus are missing or do not fit together, or training cannot go on.
    """
    if spread(train_teacher, settings.training, locals()):
        return
    checkpoints = checkpoints or folder / "checkpoints"
    with logged_to(folder / "distillation_log.txt", continued=checkpoints.exists()):
        seed_everything(settings.seed)
        tokenizer = load_tokenizer(corpus / "tokenizer")
        prompt = Prompt(tokenizer, max_input_len, max_output_len)
        records = TrainingRecords([gold_part(LineIndex(corpus / "train.jsonl", "prepare_corpus"))])
        validation, sample = validation_examples(corpus / "validation.jsonl", prompt, settings.training)
        data = TrainingData(
            train=training_examples(ExamplePool(records, prompt), settings.training),
            validation=validation,
            teacher=None,
            sample=sample,
            files=(corpus / "train.jsonl", corpus / "validation.jsonl"),
        )
        model = build_model(settings.model, tokenizer, settings.training.dropout_rate)
        remember_limits(model, Limits(max_input_len, max_output_len))
        limits = {"max_input_len": max_input_len, "max_output_len": max_output_len}
        recipe = Recipe(
            stage="teacher",
            settings=settings.model_dump(mode="json") | {"limits": limits},
            inputs={"corpus": str(corpus)},
            config=config,
        )
        train(
            *(model, tokenizer, data, hard_labels(), settings.training, settings.seed, folder),
            checkpoints=checkpoints,
            recipe=recipe,
        )
