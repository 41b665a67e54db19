"""The fidelity report, against float64 numpy."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import torch

from assertkd.batching.examples import Payload
from assertkd.corpus.targets import Supervision
from assertkd.logits.codecs.codec import Codec
from assertkd.logits.codecs.dense import DenseCodec
from assertkd.logits.codecs.head import StoredHead, balance_head
from assertkd.logits.codecs.hidden import HiddenCodec
from assertkd.logits.codecs.topk import TopKCodec
from assertkd.logits.compress_logits import compress_logits
from assertkd.logits.fidelity import measure as fidelity
from assertkd.logits.fidelity.baselines import OriginalForm, RenormalisedTopK
from assertkd.logits.fidelity.figure import draw_fidelity
from assertkd.logits.fidelity.imported import imported_fidelity
from assertkd.logits.fidelity.measure import Sample, divergence, draw_sample, measure
from assertkd.logits.fidelity.report import UNITS, candidates, fidelity_report, format_fidelity
from assertkd.logits.fidelity.temperature import temperature_warning
from assertkd.logits.params import CompressLogitsParams
from assertkd.logits.store.reader import StoreReader
from assertkd.prompts.prompt import Prompt
from assertkd.records import MARKER, Record, write_records
from assertkd.settings import LogitsSettings

CPU = torch.device("cpu")
V, D = 300, 24


@pytest.fixture
def sample(teacher) -> Sample:
    head, hidden = teacher("outlier", V, D, 61)
    return Sample(head, np.array_split(hidden, 9), seconds=0.5)


def log_softmax(logits: np.ndarray, temperature: float = 1) -> np.ndarray:
    shifted = logits.astype(np.float64) / temperature
    shifted -= shifted.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def reference(full: np.ndarray, stored: np.ndarray, temperature: float) -> np.ndarray:
    """KL(full ‖ stored) of each row, from logits, in float64."""
    log_p, log_q = log_softmax(full, temperature), log_softmax(stored, temperature)
    return (np.exp(log_p) * (log_p - log_q)).sum(axis=1)


def logits_of(sample: Sample) -> np.ndarray:
    return np.concatenate(sample.hidden) @ sample.head.T


def line_of(report: dict, name: str) -> dict:
    [line] = [line for line in report["codecs"] if line["name"] == name]
    return line


def encoded(codec, sample: Sample) -> list[Payload]:
    encode = codec.encoder(sample.head)
    return [encode(hidden) for hidden in sample.hidden]


@pytest.mark.parametrize("temperature", [1, 2, 4])
def test_divergence_of_dense_logits(sample: Sample, temperature: int) -> None:
    line = line_of(measure(sample, {"it": DenseCodec(V, D)}, CPU), "it")
    expected = reference(logits_of(sample), logits_of(sample).astype(np.float16), temperature)
    actual = line["kl"][str(temperature)]
    assert actual["mean"] == pytest.approx(expected.mean(), rel=1e-2)
    assert actual["p99"] == pytest.approx(np.quantile(expected, 0.99), rel=1e-2)
    assert actual["mass_dropped"] == 0
    assert line["bytes_per_token"] == 2 * V


@pytest.mark.parametrize("temperature", [1, 2, 4])
def test_divergence_of_hidden_vectors(sample: Sample, temperature: int) -> None:
    codec = HiddenCodec(V, D, group_size=D)
    line = line_of(measure(sample, {"it": codec}, CPU), "it")
    balanced = balance_head(sample.head)
    kept = balanced.deviations.astype(np.float64) + balanced.mean
    decoded = codec.collate(encoded(codec, sample), StoredHead(Path("unread"), "", V, D)).hidden.numpy()
    expected = reference(logits_of(sample), decoded.astype(np.float64) @ kept.T, temperature)
    actual = line["kl"][str(temperature)]
    assert actual["mean"] == pytest.approx(expected.mean(), rel=1e-3)
    assert actual["p99"] == pytest.approx(np.quantile(expected, 0.99), rel=1e-3)
    assert line["bytes_per_token"] == D + 2


@pytest.mark.parametrize("temperature", [1, 2, 4])
def test_a_renormalised_top_k_drops_mass_and_diverges_without_bound(sample: Sample, temperature: int) -> None:
    line = line_of(measure(sample, {"it": RenormalisedTopK(V, D, 16)}, CPU), "it")
    p = np.sort(np.exp(log_softmax(logits_of(sample), temperature)), axis=1)
    actual = line["kl"][str(temperature)]
    assert actual["mean"] is None
    assert actual["p99"] is None
    assert actual["mass_dropped"] == pytest.approx(p[:, :-16].sum(axis=1).mean(), rel=1e-4)
    assert line["bytes_per_token"] == 16 * 4


@pytest.mark.parametrize("temperature", [1, 2, 4])
def test_divergence_of_a_support_and_a_tail(sample: Sample, temperature: int) -> None:
    """The tail's mass lies evenly on what is outside the support, whose size differs from row to row."""
    codec = TopKCodec(V, D, temperatures=[2, 4], tolerance=1e-3, max_k=40)
    actual = line_of(measure(sample, {"it": codec}, CPU), "it")["kl"][str(temperature)]
    expected, sizes = [], set()
    for arrays, hidden in zip(encoded(codec, sample), sample.hidden, strict=True):
        view = codec.collate([arrays], None)
        log_p = log_softmax(hidden @ sample.head.T, temperature)
        for row, one in enumerate(log_p):
            k = int(arrays["k"][row]) + 1
            weights = np.exp(-view.distance[row, :k].double().numpy() / temperature)
            inside = 1 / (1 + np.exp(view.tail[row].double().numpy()[codec.temperatures.index(temperature)]))
            q = np.full(V, (1 - inside) / (V - k))
            q[view.ids[row, :k]] = inside * weights / weights.sum()
            expected.append((np.exp(one) * (one - np.log(q))).sum())
            sizes.add(k)
    assert len(sizes) > 3
    assert actual["mean"] == pytest.approx(np.mean(expected), rel=1e-3)
    assert actual["p99"] == pytest.approx(np.quantile(expected, 0.99), rel=1e-3)
    assert actual["mass_dropped"] == 0


def test_a_temperature_that_is_not_stored_has_no_figure(sample: Sample, tmp_path: Path) -> None:
    report = fidelity_report(sample, TopKCodec(V, D, temperatures=[4]), CPU)
    kl = line_of(report, report["in_use"])["kl"]
    assert kl["2"] is None
    assert kl["4"]["mean"] >= 0
    assert any("unstored" in line for line in format_fidelity(report))
    draw_fidelity(report, tmp_path / "it.svg")
    assert ET.parse(tmp_path / "it.svg").getroot().tag.endswith("svg")


def test_a_top_k_of_the_whole_vocabulary_is_as_close_as_float16(sample: Sample) -> None:
    report = measure(sample, {"all": RenormalisedTopK(V, D, V + 5), "dense": DenseCodec(V, D)}, CPU)
    for temperature, kl in line_of(report, "all")["kl"].items():
        assert kl["mean"] == pytest.approx(line_of(report, "dense")["kl"][temperature]["mean"], rel=1e-2)


def test_the_original_form_holds_the_dense_logits(sample: Sample) -> None:
    original, dense = OriginalForm(V, D), DenseCodec(V, D)
    texts = encoded(original, sample)
    for text, arrays in zip(texts, encoded(dense, sample), strict=True):
        assert text["text"].tobytes().decode("ascii").isprintable()
        assert np.array_equal(original.collate([text], None).values.numpy(), arrays["logits"])
    line = line_of(measure(sample, {"it": original}, CPU), "it")
    assert line["bytes_per_token"] == sum(len(text["text"]) for text in texts) / sample.positions


def test_divergence_where_a_distribution_is_zero() -> None:
    zero = -torch.inf
    half = float(np.log(0.5))
    log_p = torch.tensor([[half, half, zero], [half, half, zero], [half, half, zero]], dtype=torch.float64)
    log_q = torch.tensor([[half, half, zero], [half, zero, half], [zero, zero, 0.0]], dtype=torch.float64)
    kl, dropped = divergence(log_p, log_q)
    assert kl.tolist() == [0.0, torch.inf, torch.inf]
    assert dropped.tolist() == pytest.approx([0.0, 0.5, 1.0])


def test_chunks_change_no_divergence(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = measure(sample, candidates(V, D), CPU)
    monkeypatch.setattr(fidelity, "CHUNK_ELEMENTS", V)
    parts = measure(sample, candidates(V, D), CPU)
    for one, other in zip(whole["codecs"], parts["codecs"], strict=True):
        assert one["bytes_per_token"] == other["bytes_per_token"]
        for temperature, kl in one["kl"].items():
            # float32 products of another height round differently, which is most of what float16 loses.
            assert kl == {k: v and pytest.approx(v, rel=0.05) for k, v in other["kl"][temperature].items()}


def test_the_codec_in_use_is_named_and_joins_where_it_is_no_candidate(sample: Sample) -> None:
    for codec in candidates(V, D).values():
        report = fidelity_report(sample, codec, CPU)
        assert len(report["codecs"]) == len(candidates(V, D))
        line = line_of(report, report["in_use"])
        assert (line["codec"], line["parameters"]) == (codec.name, codec.parameters)
    report = fidelity_report(sample, HiddenCodec(V, D, group_size=5), CPU)
    assert len(report["codecs"]) == len(candidates(V, D)) + 1
    assert line_of(report, report["in_use"])["parameters"]["group_size"] == 5


def test_the_report_is_json_of_finite_numbers_in_named_units(sample: Sample) -> None:
    report = fidelity_report(sample, HiddenCodec(V, D), CPU)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    p = log_softmax(logits_of(sample))
    assert report["sample"]["mean_entropy_nats"] == pytest.approx(-(np.exp(p) * p).sum(axis=1).mean(), rel=1e-4)
    assert report["sample"]["positions"] == 61
    assert report["teacher_us_per_token"] == pytest.approx(0.5e6 / 61)
    for line in report["codecs"]:
        assert line.keys() - {"name", "codec", "parameters"} <= UNITS.keys()
        share = line["rebuild_us_per_token"] / report["teacher_us_per_token"]
        assert line["rebuild_share_of_teacher"] == pytest.approx(share)
    assert len(format_fidelity(report)) == len(report["codecs"])


def test_a_codec_that_refuses_the_teacher_is_listed_with_its_reason(sample: Sample, tmp_path: Path) -> None:
    loud = Sample(sample.head * np.float32(1e4), sample.hidden, 0.5)
    report = fidelity_report(loud, HiddenCodec(V, D), CPU)
    assert "does not fit float16" in line_of(report, "dense")["refused"]
    assert "kl" not in line_of(report, "dense")
    assert line_of(report, report["in_use"])["kl"]["1"]["mean"] >= 0
    assert any("refused" in line for line in format_fidelity(report))
    draw_fidelity(report, tmp_path / "it.svg")
    assert "original" not in "".join(ET.parse(tmp_path / "it.svg").getroot().itertext())


def test_the_picture_is_svg_that_names_axes_codecs_and_temperatures(sample: Sample, tmp_path: Path) -> None:
    draw_fidelity(fidelity_report(sample, HiddenCodec(V, D), CPU), tmp_path / "it.svg")
    root = ET.parse(tmp_path / "it.svg").getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    text = "".join(root.itertext())
    for shown in ("bytes per target token", "nats", "hidden", "dense", "top k, renormalised", "T = 1", "T = 4"):
        assert shown in text
    assert not [element for element in root.iter() if element.tag.endswith(("script", "image", "foreignObject"))]


def test_a_sample_is_drawn_at_random_and_holds_what_was_asked_for() -> None:
    lengths = [3, 9, 4, 1, 7] * 40
    drawn = draw_sample(lengths, 200, 1)
    assert drawn == sorted(set(drawn)) == draw_sample(lengths, 200, 1)
    assert 200 <= sum(lengths[number] for number in drawn) < 200 + max(lengths)
    assert drawn != draw_sample(lengths, 200, 2)
    assert draw_sample(lengths, 10_000, 1) == list(range(200))


def test_compress_logits_reports_what_its_store_gives_back(tmp_path: Path, tiny_t5, tiny_tokenizer) -> None:
    """With every position in the sample, the figure in use is that of the store against the model's own logits."""
    model = tiny_t5(seed=3).eval()
    # Random weights as small as usual give nearly even distributions, of which any codec is true.
    model.network.lm_head.weight.data *= 20
    model.save(tiny_tokenizer, tmp_path / "teacher")
    records = [
        Record(f"r{n}", f"int f() {{ return {n}; }}", f"@Test t() {{ {MARKER} }}", f"assertEquals({n}, f());")
        for n in range(12)
    ]
    for split in ("train", "validation", "test"):
        write_records(tmp_path / "corpus" / f"{split}.jsonl", records)
    out = tmp_path / "logits"
    params = CompressLogitsParams(
        logits=LogitsSettings(batch_size=5, device="cpu"), temperatures=(), supervision=Supervision(64, 48, 1.0, 0)
    )
    compress_logits(params, tmp_path / "teacher", tmp_path / "corpus", out)
    report = json.loads((out / "fidelity.json").read_text(encoding="utf-8"))
    store, prompt = StoreReader(out / "train"), Prompt(tiny_tokenizer, 64, 48)
    expected = []
    for record in records:
        target = prompt.encode_target(record.assertion)
        view = store.collate_views([store.read(record.id, target)])
        stored = view.logits(slice(0, len(target))).numpy()  # type: ignore[attr-defined]
        with torch.no_grad():
            inputs = torch.tensor([prompt.encode_record(record).ids])
            full = model.network(input_ids=inputs, labels=torch.tensor([target])).logits[0].numpy()
        expected.append(reference(full, stored, 1))
    assert report["sample"]["positions"] == sum(map(len, expected)) == store.manifest.tokens
    line = line_of(report, report["in_use"])
    assert line["codec"] == "hidden"
    assert np.concatenate(expected).mean() > 1e-7, "nothing is lost, so nothing is tested"
    assert line["kl"]["1"]["mean"] == pytest.approx(np.concatenate(expected).mean(), rel=1e-2)
    assert ET.parse(out / "fidelity.svg").getroot().tag.endswith("svg")


@pytest.mark.parametrize("codec", [DenseCodec(V, D), TopKCodec(V, D, temperatures=[4], tolerance=0.1)])
def test_imported_logits_have_the_figures_of_the_teachers_own(sample: Sample, codec: Codec) -> None:
    report = fidelity_report(sample, codec, CPU)
    own = line_of(report, report["in_use"])
    imported = imported_fidelity((hidden @ sample.head.T for hidden in sample.hidden), codec, [])
    line = line_of(imported, imported["in_use"])
    assert imported["sample"]["positions"] == sample.positions
    assert line["bytes_per_token"] == own["bytes_per_token"]
    for tau, kl in own["kl"].items():
        assert line["kl"][tau] == (kl and pytest.approx(kl, rel=1e-3, abs=1e-12))


@pytest.mark.parametrize(
    ("temperature", "figure"),
    [
        (1, None),
        (0.5, None),
        (1.5, "0.3 nats of KL divergence from the teacher at T = 2"),
        (2, "0.3 nats"),
        (3, "inf nats of KL divergence from the teacher at T = 4"),
        (8, "inf nats"),
    ],
)
def test_a_temperature_at_which_the_cache_is_another_teacher_is_named(temperature: float, figure: str | None) -> None:
    used = {"codec": "topk", "parameters": {"temperatures": [1, 2], "tolerance": 1.0}}
    report = {
        "in_use": "topk, as configured",
        "codecs": [
            {"name": "topk, finer", "codec": "topk", "parameters": {"tolerance": 2.0}, "kl": {"2": {"mean": 9.0}}},
            {"name": "topk, elsewhere", **used, "kl": {"2": {"mean": 7.0}, "4": {"mean": None}}},
            {"name": "topk, as configured", **used, "kl": {"1": {"mean": 1e-2}, "2": {"mean": 0.3}, "4": None}},
        ],
    }
    warning = temperature_warning(report, temperature)
    if figure is None:
        assert warning is None
    else:
        assert warning is not None
        assert figure in warning
        assert f"loss.temperature is {temperature:g}. Use the codec `hidden`" in warning


def test_a_codec_that_refused_the_teacher_warns_of_nothing() -> None:
    refused = {"name": "hidden", "codec": "hidden", "parameters": {}, "refused": "why"}
    assert temperature_warning({"in_use": "hidden", "codecs": [refused]}, 2.0) is None
