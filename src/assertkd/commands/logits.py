"""The commands `assertkd logits inspect`, `export` and `import`."""

import argparse
from pathlib import Path

from assertkd.commands.limits import check_positive
from assertkd.commands.options import check_outside_stages
from assertkd.layout import SPLITS, RunLayout

# The stages' modules load torch, which takes seconds; each command imports its own when it is run.


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser its subcommands."""
    commands = parser.add_subparsers(required=True, metavar="command")
    command = commands.add_parser(
        "inspect",
        help="what a store holds, whether it is sound, and what the teacher thought at each token of an example",
        description="Prints the manifest of a store, its size in all and per target token, and its shards.",
    )
    command.add_argument("dir", type=Path, help="the store: results/<run>/logits/<split>")
    command.add_argument("--verify", action="store_true", help="read every file and compare its checksum")
    command.add_argument(
        "--example", metavar="ID", help="show each target token with its rank, and the likeliest tokens in its place"
    )
    command.add_argument("--tokenizer", metavar="NAME", help="hub name or folder (default: that of the store's run)")
    command.add_argument(
        "--records",
        type=Path,
        metavar="FILE",
        help="JSONL that holds the example's record (default: the corpus of the store's run)",
    )
    command.set_defaults(run=_inspect)
    command = commands.add_parser(
        "export",
        help="write a run's stored logits as JSONL",
        description="Writes distillation_data_training.jsonl, distillation_data_validation.jsonl and "
        "distillation_data_test.jsonl: the records with teacher_logits_compressed and teacher_prediction. "
        "Mind the size: 2 bytes for every entry of the vocabulary and every target token, and a third more as text.",
    )
    command.add_argument("run_dir", type=Path, help="results/<run>")
    command.add_argument("--output", type=Path, metavar="DIR", help="where the files go (default: RUN_DIR/interchange)")
    command.add_argument(
        "--split", nargs="+", choices=SPLITS, default=list(SPLITS), help="which splits (default: all three)"
    )
    command.set_defaults(run=_export)
    command = commands.add_parser(
        "import",
        help="make a store of a JSONL file of logits",
        description="Checks every line of a JSONL file of records with teacher_logits_compressed, or with "
        "teacher_logprobs (which need --codec topk), and makes one store of it. The workflow does this itself where "
        "data.distillation_jsonl names such files.",
    )
    command.add_argument("file", type=Path, help="the JSONL file")
    command.add_argument("--tokenizer", required=True, metavar="NAME", help="hub name or folder: that of the teacher")
    command.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder of the store")
    command.add_argument(
        "--codec", choices=["dense", "topk"], default="dense", help="a codec that takes logits (default: dense)"
    )
    command.add_argument(
        "--temperatures",
        type=float,
        nargs="+",
        default=[],
        metavar="T",
        help="temperatures that topk keeps the tail's mass at, besides 1",
    )
    command.add_argument(
        "--max-output-len",
        type=int,
        default=128,
        metavar="TOKENS",
        help="longest target that the teacher was fed (default: 128)",
    )
    command.set_defaults(run=_import)


def _inspect(options: argparse.Namespace) -> None:
    from assertkd.logits.store.inspect import format_example, format_store
    from assertkd.logits.store.reader import StoreReader
    from assertkd.models.tokenizer import load_tokenizer

    reader = StoreReader(options.dir)
    print(format_store(reader))
    if options.verify:
        reader.verify()
        print("  checksums    OK")
    if options.example is not None:
        folder = options.dir.absolute()
        corpus = RunLayout(folder.parents[1]).corpus
        tokenizer = load_tokenizer(options.tokenizer or corpus.tokenizer)
        print(format_example(reader, options.example, tokenizer, options.records or corpus.split(folder.name)))


def _export(options: argparse.Namespace) -> None:
    from assertkd.logits.interchange.export import export_logits

    output = options.output or RunLayout(options.run_dir).interchange.folder
    check_outside_stages(output, "--output")
    for path, examples in export_logits(options.run_dir, output, options.split).items():
        print(f"{path}: {examples} examples, {path.stat().st_size / 1e6:.1f} MB")


def _import(options: argparse.Namespace) -> None:
    from assertkd.logits.interchange.import_file import import_file

    check_positive(options, "max_output_len")
    check_outside_stages(options.output, "--output")
    manifest = import_file(
        options.file, options.tokenizer, options.output, options.codec, options.max_output_len, options.temperatures
    )
    print(f"{options.output}: {manifest.rows} examples, {manifest.tokens} target tokens")
