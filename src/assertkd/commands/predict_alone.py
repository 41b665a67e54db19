"""`assertkd predict --model`: any saved model, or an export, writes assertions for any records, without a run."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from assertkd.commands.options import check_outside_stages, run_of_options, settings_of
from assertkd.errors import UserError
from assertkd.files import check_folder

if TYPE_CHECKING:
    from assertkd.corpus.params import Reading
    from assertkd.settings import RunSettings

OF_RUNS = {
    "run_name": "--run",
    "output_dir": "--output_dir",
    "variant": "--variant",
    "seeds": "--seeds",
    "student_model_path": "--student_model_path",
    "reset": "--reset",
    "retrain": "--retrain",
    "dry_run": "--dry-run",
}
"""Options of `predict` that have no meaning without a run, by their destination."""

RECORDS = "records.jsonl"
"""Name of the file of the records that were read, beside their predictions."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser of `predict` what predicting without a run takes."""
    group = parser.add_argument_group(
        "without a run", "Of the keys of config.yaml those of `evaluation` and the two lengths apply here."
    )
    group.add_argument("--model", type=Path, metavar="FOLDER", help="a final_model/, or an export")
    group.add_argument(
        "--records", type=Path, metavar="FILE", help="JSONL as for training; records need not have an assertion"
    )
    group.add_argument(
        "--to",
        type=Path,
        metavar="FOLDER",
        default=Path("predictions"),
        help="where predictions.jsonl and measured.json go (default: predictions)",
    )


def predict_alone(options: argparse.Namespace) -> None:
    """Write the predictions of `options.model` for `options.records`.

    Raises:
        UserError: no records are named, an option is for runs, a line is bad, or there is no such model.
    """
    for name, option in OF_RUNS.items():
        if getattr(options, name) not in (None, False):
            raise UserError(f"{option} is given with --model, which predicts without a run", f"Leave {option} out.")
    check_outside_stages(options.to, "--to")
    if options.records is None:
        raise UserError("--model is given without --records", "Name a JSONL file of records with --records FILE.")
    check_folder(options.to, "Name another folder with --to.")
    file = options.to / RECORDS
    if file.exists() and options.records.exists() and file.samefile(options.records):
        raise UserError(f"{file}: the records of --records would be written over", "Name another folder with --to.")
    from assertkd.evaluation.evaluation_records import read_evaluation_records
    from assertkd.evaluation.params import PredictParams
    from assertkd.evaluation.predict import predict
    from assertkd.layout import EvaluationLayout
    from assertkd.models.length_limits import limits_of
    from assertkd.predictions import read_predictions
    from assertkd.records import write_records
    from assertkd.runtime.job import set_threads

    # As in the workflow, so that what is measured can be compared.
    set_threads(1)
    run, reading, lengths = settings_alone(options)
    limits = limits_of(options.model, lengths["max_input_len"], lengths["max_output_len"])
    records = read_evaluation_records(options.records, reading, labelled=None).records
    write_records(file, records)
    params = PredictParams(evaluation=run.evaluation, max_input_len=limits.input, max_output_len=limits.output)
    predict(params, options.model, file, None, options.to)
    written = EvaluationLayout(options.to).predictions
    print(f"{sum(1 for _ in read_predictions(written))} predictions: {written}")


def settings_alone(options: argparse.Namespace) -> tuple["RunSettings", "Reading", dict[str, int | None]]:
    """Return the settings of a command without a run, how it reads records, and the lengths where they are given.

    A bad line is an error unless `data.on_bad_record` is given. Lengths that are not given are a model's own.

    Raises:
        UserError: an option has a bad value.
    """
    from assertkd.corpus.params import Reading

    run, data = run_of_options(options), settings_of(options).get("data", {})
    reading = Reading.of(run.data)
    if "on_bad_record" not in data:
        reading = reading.model_copy(update={"on_bad_record": "error"})
    return run, reading, {name: data.get(name) for name in ("max_input_len", "max_output_len")}
