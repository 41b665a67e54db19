"""`assertkd predict --model`: any saved model, or an export, writes assertions for any records, without a run."""

import argparse
from pathlib import Path

from assertkd.commands.options import settings_of
from assertkd.errors import UserError


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
        UserError: no records are named, a line is bad, or there is no such model.
    """
    if options.records is None:
        raise UserError("--model is given without --records", "Name a JSONL file of records with --records FILE.")
    from assertkd.corpus.record_audit import RecordAudit
    from assertkd.evaluation.params import PredictParams
    from assertkd.evaluation.predict import predict
    from assertkd.models.length_limits import limits_of
    from assertkd.records import write_records
    from assertkd.runtime.logs import hide_progress_bars
    from assertkd.settings import load_run

    hide_progress_bars()
    given = settings_of(options)
    # A run of these options alone: so faults in them are said as those of any run are.
    run = load_run({"run": "alone", "runs": {"alone": given}, "variants": {"none": {}}})
    lengths = given.get("data", {})
    limits = limits_of(options.model, lengths.get("max_input_len"), lengths.get("max_output_len"))
    records = RecordAudit().read_all(
        options.records, run.data.multiple, run.data.max_characters, labelled=None, stop_at_bad=True
    )
    file = options.to / "records.jsonl"
    write_records(file, records)
    params = PredictParams(evaluation=run.evaluation, max_input_len=limits.input, max_output_len=limits.output)
    predict(params, options.model, file, None, options.to)
    print(f"{len(records)} predictions: {options.to / 'predictions.jsonl'}")
