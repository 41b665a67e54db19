"""Exports against transformers: throughput, latency, size, agreement and quality, of one model in one process.

python benchmarks/export.py results/demo/students/trident/seed42

The baseline is transformers' own `generate` with float32 weights, at the same batch sizes and on as many threads; the
project's own decoding loop stands beside it. The model's test split is the input of each.
"""

import argparse
import tempfile
from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import fmean

import torch
from transformers import AutoModelForSeq2SeqLM, PreTrainedTokenizerFast

from assertkd.evaluation.cost import measure_speed
from assertkd.export.convert import convert
from assertkd.export.export import size_of, test_split_of
from assertkd.metrics.exact_match import exact_match
from assertkd.models.decoding import pad_sequences
from assertkd.models.length_limits import limits_of
from assertkd.models.registry import parameter_count
from assertkd.models.text_generator import TextGenerator
from assertkd.models.tokenizer import load_tokenizer
from assertkd.models.torch_text_generator import load_text_generator
from assertkd.prompts.prompt import Prompt
from assertkd.records import read_records


class TransformersGenerator(TextGenerator):
    """transformers' `generate`."""

    tokenizer: PreTrainedTokenizerFast

    def __init__(self, folder: Path) -> None:
        self.network = AutoModelForSeq2SeqLM.from_pretrained(folder)
        self.tokenizer = load_tokenizer(folder)
        self.parameters = parameter_count(self.network)

    @torch.inference_mode()
    def generate_batch(self, batch: Sequence[Sequence[int]], max_new_tokens: int, num_beams: int) -> list[str]:
        ids, mask = pad_sequences(batch, self.tokenizer.pad_token_id)
        outputs = self.network.generate(
            input_ids=ids, attention_mask=mask, max_new_tokens=max_new_tokens, num_beams=num_beams, do_sample=False
        )
        return self.tokenizer.batch_decode(outputs.tolist(), skip_special_tokens=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("student", type=Path)
    parser.add_argument("--test", type=Path)
    parser.add_argument("--examples", type=int)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    student: Path = options.student
    folder = student / "final_model" if (student / "final_model").is_dir() else student
    records = list(islice(read_records(options.test or test_split_of(folder)), options.examples))
    cpu = torch.device("cpu")
    own = load_text_generator(folder, cpu)
    with tempfile.TemporaryDirectory() as name:
        exports = {quantization: Path(name) / quantization for quantization in ("float32", "int8")}
        for quantization, export in exports.items():
            convert(folder, export, quantization)  # type: ignore[arg-type]
        generators: dict[str, tuple[TextGenerator, Path]] = {
            "transformers generate": (TransformersGenerator(folder), folder),
            "own loop": (own, folder),
            **{
                f"export {precision}": (load_text_generator(export, cpu), export)
                for precision, export in exports.items()
            },
        }
        limits = limits_of(folder)
        prompt = Prompt(own.tokenizer, limits.input, limits.output)
        inputs = [prompt.encode_record(record).ids for record in records]
        print(f"{folder}: {own.parameters:,} parameters, {len(records)} records, {options.threads} threads")
        heads = ("MB", "ratio", "ms at 1", "ratio", "/s at 32", "ratio", "same", "exact")
        print(" " * 22 + "".join(f"{head:>10}" for head in heads))
        base: tuple[list[str], dict[str, float], int] | None = None
        for label, (generator, home) in generators.items():
            generate = partial(generator.generate, max_new_tokens=limits.output)
            texts, speed = generate(inputs, batch_size=32), measure_speed(generate, inputs)
            size = size_of(home)["model_bytes"]
            base = base or (texts, speed, size)
            latency, rate = speed["latency_ms"], speed["examples_per_second"]
            same = fmean(one == other for one, other in zip(texts, base[0], strict=True))
            exact = fmean(exact_match(text, one.assertion) for text, one in zip(texts, records, strict=True))
            print(
                f"{label:<22}{size / 1e6:10.2f}{size / base[2]:10.2f}"
                f"{latency:10.2f}{base[1]['latency_ms'] / latency:10.2f}"
                f"{rate:10.1f}{rate / base[1]['examples_per_second']:10.2f}{same:10.2%}{exact:10.2%}"
            )


if __name__ == "__main__":
    main()
