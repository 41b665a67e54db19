"""Stores of a teacher that caps its logits, against what transformers computes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import random_model
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from assertkd.batching.distributions import BucketedDistribution, FullDistribution, TeacherView
from assertkd.corpus.targets import Supervision
from assertkd.files import read_json
from assertkd.logits.compress_logits import compress_logits
from assertkd.logits.fidelity.measure import whole_distribution
from assertkd.logits.params import CompressLogitsParams
from assertkd.logits.store.reader import StoreReader
from assertkd.models.tokenizer import load_tokenizer
from assertkd.prompts.prompt import Prompt
from assertkd.records import MARKER, Record, write_records
from assertkd.settings import LogitsSettings

pytestmark = pytest.mark.usefixtures("undrawn")

CAP, TEMPERATURE = 3.0, 2.0
RECORDS = [
    Record(f"r{n}", f"int f() {{ return {n}; }}", f"@Test t() {{ {MARKER} }}", f"assertEquals({n}, f());")
    for n in range(6)
]


def log_probabilities(view: TeacherView) -> torch.Tensor:
    if isinstance(view, FullDistribution):
        return torch.log_softmax(view.logits(slice(None)).double() / TEMPERATURE, dim=-1)
    assert isinstance(view, BucketedDistribution)
    return whole_distribution(view.buckets(slice(None), TEMPERATURE), view.vocab_size)


@pytest.mark.parametrize(
    ("codec", "bound"),
    [
        ({"codec": "dense"}, 1e-5),
        ({"codec": "hidden", "hidden": {"dtype": "float16"}}, 1e-5),
        ({"codec": "hidden"}, 1e-3),
        ({"codec": "topk", "topk": {"max_k": 1024, "tolerance": 1e-9}}, 1e-4),
    ],
    ids=["dense", "hidden float16", "hidden int8", "topk"],
)
@pytest.mark.parametrize("kind", ["gemma2", "gemma3_text"])
def test_the_store_has_the_capped_distribution(
    kind: str, codec: dict[str, Any], bound: float, tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    sizes = {"vocab_size": len(tiny_tokenizer), "final_logit_softcapping": CAP, "max_position_embeddings": 256}
    random_model(kind, **sizes).save(tiny_tokenizer, tmp_path / "teacher")
    for split in ("train", "validation", "test"):
        write_records(tmp_path / "corpus" / f"{split}.jsonl", RECORDS)
    params = CompressLogitsParams(
        logits=LogitsSettings(batch_size=4, device="cpu", **codec),
        temperatures=(TEMPERATURE,),
        supervision=Supervision(128, 48, 1.0, 0),
    )
    compress_logits(params, tmp_path / "teacher", tmp_path / "corpus", tmp_path / "logits")
    reader = StoreReader(tmp_path / "logits" / "train")
    network = AutoModelForCausalLM.from_pretrained(tmp_path / "teacher", dtype=torch.float32).eval()
    prompt = Prompt(load_tokenizer(tmp_path / "teacher"), 128, 48)
    capped, uncapped = [], []
    for record in RECORDS:
        inputs, target = prompt.encode_record(record).ids, prompt.encode_target(record.assertion)
        with torch.no_grad():
            logits = network(torch.tensor([[*inputs, *target]])).logits[0, len(inputs) - 1 : -1].double()
        stored = log_probabilities(reader.collate_views([reader.read(record.id, target)]))
        for divergences, full in ((capped, logits), (uncapped, CAP * torch.atanh(logits / CAP))):
            log_p = torch.log_softmax(full / TEMPERATURE, dim=-1)
            divergences.append((log_p.exp() * (log_p - stored)).sum(dim=-1).mean())
    assert max(capped) < bound
    assert min(uncapped) > 0.02, "a cap that changes little would prove nothing"
    report = read_json(tmp_path / "logits" / "fidelity.json")
    [line] = [line for line in report["codecs"] if line["name"] == report["in_use"]]
    assert line["parameters"]["logit_cap"] == CAP
    assert line["kl"]["2"]["mean"] < bound
