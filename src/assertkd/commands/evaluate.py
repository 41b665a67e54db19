"""The command `assertkd evaluate`: a model or predictions judged on any records, without a run."""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from assertkd.commands.options import KEY_PREFIX, add_setting, check_outside_stages, yaml_value
from assertkd.commands.predict_alone import settings_alone
from assertkd.settings.document import option_paths
from assertkd.settings.load import SECTIONS
from assertkd.settings.original import EVALUATE, original_names

DESCRIPTION = """Evaluates a model (--model with --records), a file of predictions (--predictions, with --records where
its lines have no reference), or two text files whose lines belong together (--predictions with --references). It reads
and writes no run. Prints every figure with its 95 % interval, beside the teacher's where one is given."""

WITHOUT_EFFECT = ("evaluation.baseline", "evaluation.external", "evaluation.nearest_record")
"""Keys of `evaluation` that are about the models of a run."""

READING = (
    *("data.format", "data.multiple", "data.max_characters", "data.on_bad_record", "data.on_visible_answer"),
    *("data.max_input_len", "data.max_output_len"),
)
"""Keys of `data` that have an effect here."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the command's arguments and the function that runs it."""
    parser.usage = f"{parser.prog} [--model FOLDER | --predictions FILE] [--records FILE | --references FILE] …"
    parser.add_argument(
        "--model",
        "--student_model_path",
        type=Path,
        metavar="FOLDER",
        help="a final_model/ or an export; predicts for --records",
    )
    parser.add_argument(
        "--predictions",
        type=Path,
        metavar="FILE",
        help="JSONL with `id` and `prediction`, or text with one prediction a line, in the order of the references",
    )
    parser.add_argument(
        "--records",
        "--teacher_data",
        type=Path,
        metavar="FILE",
        help="JSONL as for training; a teacher_prediction in every line is the teacher's, and evaluated if named alone",
    )
    parser.add_argument("--references", type=Path, metavar="FILE", help="text with one assertion a line, for text")
    parser.add_argument(
        "--teacher",
        type=Path,
        metavar="PATH",
        help="for gaps and retention: a model's folder, or a file like that of --predictions",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="where evaluation_metrics.json, predictions_final.jsonl, metrics_final.csv and metrics_summary_final.json "
        "go (default: the figures are only printed)",
    )
    names = original_names([EVALUATE])
    group = parser.add_argument_group("keys of config.yaml")
    group.add_argument(
        "--limit",
        dest=f"{KEY_PREFIX}evaluation.limit",
        type=yaml_value,
        default=argparse.SUPPRESS,
        metavar="N",
        help="short for --evaluation.limit",
    )
    for section in ("evaluation", "data"):
        for option in option_paths(section, SECTIONS[section]):
            if option.key in READING or (section == "evaluation" and option.key not in WITHOUT_EFFECT):
                add_setting(group, option, names.get(option.key, []))
    parser.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> None:
    from assertkd.evaluation.evaluate import Inputs, evaluate
    from assertkd.evaluation.params import EvaluateParams
    from assertkd.layout import EvaluationLayout
    from assertkd.report.evaluation_table import evaluation_table
    from assertkd.runtime.job import set_threads
    from assertkd.runtime.logs import logged_to_stderr
    from assertkd.runtime.machine import cores

    if options.output is not None:
        check_outside_stages(options.output, "--output")
    run, reading, lengths = settings_alone(options)
    params = EvaluateParams(evaluation=run.evaluation, reading=reading, **lengths)
    inputs = Inputs(options.model, options.predictions, options.records, options.references, options.teacher)
    # As in the workflow: scoring has processes in place of threads.
    set_threads(1)
    with TemporaryDirectory() as scratch, logged_to_stderr():
        folder = options.output or Path(scratch) / "evaluation"
        comparison = evaluate(inputs, params, folder, processes=cores())
    print(evaluation_table(comparison))
    if options.output is not None:
        print(f"\nWritten: {EvaluationLayout(folder).comparison}")
