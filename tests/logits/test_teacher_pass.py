"""The teacher's pass in the precision that `logits.precision` names."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerFast, T5ForConditionalGeneration

from assertkd.corpus.targets import Supervision, read_teacher_predictions
from assertkd.logits.compress_logits import compress_logits
from assertkd.logits.params import CompressLogitsParams
from assertkd.logits.store.reader import StoreReader
from assertkd.prompts.prompt import Prompt
from assertkd.records import MARKER, Record, write_records
from assertkd.settings import LogitsSettings

RECORDS = [
    Record(f"r{n}", f"int f() {{ return {n}; }}", f"@Test void t() {{ {MARKER} }}", f"assertEquals({n}, f());")
    for n in range(6)
]


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_a_store_has_the_distributions_of_the_precision(
    precision: str,
    dtype: torch.dtype,
    tmp_path: Path,
    saved_t5: Callable[..., Path],
    tiny_tokenizer: PreTrainedTokenizerFast,
) -> None:
    """Equal to those of transformers' own model in that precision, far closer than those of the other."""
    teacher = saved_t5(tmp_path / "teacher", spread=0.3)
    for split in ("train", "validation", "test"):
        write_records(tmp_path / "corpus" / f"{split}.jsonl", RECORDS)
    settings = LogitsSettings(codec="dense", precision=precision, batch_size=4, device="cpu")  # type: ignore[arg-type]
    params = CompressLogitsParams(logits=settings, temperatures=(), supervision=Supervision(64, 48, 1.0, 0))
    compress_logits(params, teacher, tmp_path / "corpus", tmp_path / "logits")
    reader, prompt = StoreReader(tmp_path / "logits" / "train"), Prompt(tiny_tokenizer, 64, 48)
    assert reader.manifest.identity.teacher_pass == ({} if precision == "fp32" else {"precision": "bf16"})
    errors = {}
    for other in (torch.float32, torch.bfloat16):
        network = T5ForConditionalGeneration.from_pretrained(teacher, dtype=other).eval()
        differences = []
        for record in RECORDS:
            target = prompt.encode_target(record.assertion)
            view = reader.collate_views([reader.read(record.id, target)])
            stored = torch.log_softmax(view.logits(slice(0, len(target))), dim=-1)  # type: ignore[attr-defined]
            inputs = torch.tensor([prompt.encode_record(record).ids])
            with torch.no_grad():
                output = network(input_ids=inputs, labels=torch.tensor([target]), output_hidden_states=True)
            # The head's product is taken in float32, of vectors and weights in the precision. T5 scales tied vectors.
            vectors = output.decoder_hidden_states[-1][0] * network.model_dim**-0.5
            logits = vectors.float() @ network.lm_head.weight.detach().float().T
            differences.append((stored - torch.log_softmax(logits, dim=-1)).abs().max())
        errors[other] = float(max(differences))
    assert errors.pop(dtype) < 0.1 * min(errors.values())
    texts = read_teacher_predictions(tmp_path / "logits" / "teacher_predictions.jsonl", "train")
    assert set(texts) == {record.id for record in RECORDS}
