"""`assertkd logits`: what is printed of a store, and the exit code and two lines of a fault."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from interchange_files import FILES

from assertkd.batching.distributions import BucketedDistribution, Buckets, DenseView
from assertkd.cli import main
from assertkd.logits.store.inspect import positions
from assertkd.records import read_records


def said(capsys, *arguments: object) -> tuple[int, str, list[str]]:
    """Run a command; return its exit code, its output and the lines of its error."""
    code = main(["logits", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err.splitlines()


@pytest.mark.parametrize(("codec", "kept"), [("dense", "codec        dense\n"), ("hidden", "hidden size  24\n")])
def test_a_store_is_described(make_run, capsys, codec: str, kept: str) -> None:
    run = make_run(codec)
    store = run.folder / "logits/train"
    code, out, _ = said(capsys, "inspect", store)
    assert code == 0
    tokens = sum(len(run.targets[f"train-{n}"]) for n in range(7))
    size = sum(file.stat().st_size for file in store.iterdir())
    assert kept in out
    assert f"vocabulary   {len(run.head)} entries\n" in out
    assert "examples     7 (first: train-6, train-5, train-4)\n" in out
    assert f"tokens       {tokens:,}, {tokens / 7:.1f} an example\n" in out
    assert f"bytes        {size:,}, {size / tokens:.1f} a token" in out
    for name, digest in (("tokenizer", "1"), ("teacher", "2"), ("corpus", "3")):
        assert re.search(rf"{name} +SHA-256 {digest * 64}\n", out)
    assert re.findall(r"shard-\d+\.safetensors  \d examples", out) == [
        f"shard-0000{number}.safetensors  {examples} examples" for number, examples in enumerate((3, 3, 1))
    ]
    assert "checksums" not in out


def test_verify_says_ok_or_which_shard_is_damaged(make_run, capsys) -> None:
    store = make_run("hidden").folder / "logits/train"
    code, out, _ = said(capsys, "inspect", store, "--verify")
    assert (code, out.splitlines()[-1]) == (0, "  checksums    OK")
    shard = store / "shard-00001.safetensors"
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    assert said(capsys, "inspect", store)[0] == 0, "examples are not read unasked"
    code, out, error = said(capsys, "inspect", store, "--verify")
    assert code == 1
    assert error == [f"Error: {shard}: damaged (SHA-256 differs)", "Rerun `compress_logits` for this split."]
    assert "OK" not in out


def test_a_missing_store_is_two_lines(tmp_path, capsys) -> None:
    code, _, error = said(capsys, "inspect", tmp_path)
    assert (code, len(error)) == (1, 2)
    assert error[0].startswith(f"Error: {tmp_path / 'manifest.json'}: no such file")


def test_an_example_is_shown_token_by_token(make_run, capsys, tiny_tokenizer) -> None:
    run = make_run("dense")
    code, out, _ = said(capsys, "inspect", run.folder / "logits/train", "--example", "train-2")
    assert code == 0
    (record,) = [r for r in read_records(run.folder / "corpus/train.jsonl") if r.id == "train-2"]
    table = out[out.index("train-2: ") :].splitlines()
    assert table[0] == f"train-2: {record.assertion}"
    rows = [row for row in table[2:] if row.strip()]
    assert len(rows) == len(run.targets["train-2"])
    logits = run.logits("train-2")
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    for row, gold, p in zip(rows, run.targets["train-2"], probabilities, strict=True):
        rank, probability = re.search(r"  +(\d+)  +(\d\.\d{4})", row).groups()
        assert int(rank) == 1 + int((p > p[gold]).sum())
        assert float(probability) == pytest.approx(p[gold], abs=2e-3)
        shown = [float(one) for one in re.findall(r"\d\.\d{4}", row)][1:]
        assert shown == pytest.approx(sorted(p, reverse=True)[:5], abs=2e-3)
        likeliest = tiny_tokenizer.decode([int(p.argmax())])
        if "\ufffd" in likeliest:  # a byte of a character, which has a name but no text
            likeliest = tiny_tokenizer.convert_ids_to_tokens(int(p.argmax()))
        assert f"{probability}  {likeliest!r} {shown[0]:.4f}" in row
    assert rows[-1].lstrip().startswith("'</s>'")


def test_a_target_that_was_the_teachers_own_is_said_to_be(make_run, capsys) -> None:
    run = make_run("hidden")
    _, out, _ = said(capsys, "inspect", run.folder / "logits/train", "--example", "train-3")
    assert f"target, the teacher's prediction: {run.predictions['train-3']}" in out
    _, out, _ = said(capsys, "inspect", run.folder / "logits/train", "--example", "train-4")
    assert "prediction" not in out


def test_a_cut_target_of_the_test_is_found(make_run, capsys) -> None:
    code, out, _ = said(capsys, "inspect", make_run("dense").folder / "logits/test", "--example", "test-3")
    assert code == 0
    assert "likeliest" in out


def test_an_unknown_example_and_a_missing_tokenizer_are_two_lines(make_run, capsys) -> None:
    run = make_run("dense")
    store = run.folder / "logits/train"
    code, _, error = said(capsys, "inspect", store, "--example", "train-99")
    assert (code, len(error)) == (1, 2)
    assert error[0] == f"Error: {run.folder / 'corpus/train.jsonl'}: holds no record 'train-99'"
    shutil.rmtree(run.folder / "corpus/tokenizer")
    code, _, error = said(capsys, "inspect", store, "--example", "train-0")
    assert (code, len(error)) == (1, 2)
    assert "tokenizer" in error[0]


def test_logits_go_out_and_in_by_command(make_run, capsys, tmp_path: Path) -> None:
    run = make_run("hidden")
    code, out, _ = said(capsys, "export", run.folder, "--split", "train", "test")
    assert code == 0
    folder = run.folder / "interchange"
    assert {path.name for path in folder.iterdir()} == {FILES["train"], FILES["test"]}
    assert f"{folder / FILES['train']}: 7 examples, " in out
    options = ("--tokenizer", run.folder / "corpus/tokenizer", "--max-output-len", "24")
    code, out, _ = said(capsys, "import", folder / FILES["test"], *options, "--output", tmp_path / "store")
    assert (code, out.startswith(f"{tmp_path / 'store'}: 4 examples, ")) == (0, True)
    known = ("--tokenizer", run.folder / "corpus/tokenizer", "--records", folder / FILES["test"])
    code, out, _ = said(capsys, "inspect", tmp_path / "store", "--verify", "--example", "test-1", *known)
    assert code == 0
    assert "checksums    OK" in out
    file = tmp_path / "bad.jsonl"
    file.write_text("{}\n", encoding="utf-8")
    code, _, error = said(capsys, "import", file, *options, "--output", tmp_path / "bad")
    assert code == 1
    assert error == [f"Error: {file}:1: neither assertion nor target_ids", "Give the text that the logits are for."]


class TopTwo(BucketedDistribution):
    """Two positions over ten tokens: three kept, then one, with a bucket for the others."""

    num_tokens, vocab_size, temperatures = 2, 10, (1.0, 4.0)

    def to(self, device: object, non_blocking: bool = False) -> "TopTwo":
        return self

    def pin_memory(self) -> "TopTwo":
        return self

    def buckets(self, rows: slice, temperature: float) -> Buckets:
        assert temperature == 1.0
        p = torch.tensor([[0.2, 0.5, 0.2], [0.9, 0.0, 0.0]])[rows]
        ids = torch.tensor([[7, 3, 4], [5, 0, 0]])[rows]
        return Buckets(ids, p.log(), torch.tensor([0.1, 0.1])[rows].log())


def test_a_view_of_the_likeliest_tokens_is_shown_as_far_as_it_knows() -> None:
    first, second = positions(TopTwo(), [4, 0])
    assert [token for token, _ in first.top] == [3, 7, 4]
    assert [p for _, p in first.top] == pytest.approx([0.5, 0.2, 0.2])
    assert (first.rank, first.probability) == (2, pytest.approx(0.2)), "equals share the better rank"
    assert (second.rank, second.probability) == (None, None), "padding is no token"
    assert second.top == [(5, pytest.approx(0.9))]
    assert (first.tail, second.tail) == (pytest.approx(0.1), pytest.approx(0.1))


def test_a_full_view_has_no_tail() -> None:
    (position,) = positions(DenseView(torch.tensor([[0.0, 2.0, 1.0]]).half()), [2], count=2)
    assert position.tail == 0
    assert position.rank == 2
    assert position.top == [(1, pytest.approx(0.66524, abs=1e-5)), (2, pytest.approx(0.24473, abs=1e-5))]
