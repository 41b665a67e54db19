"""The trained tokenizer loses nothing, and what cannot be loaded is named."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import ByteLevelBPETokenizer, Tokenizer, models
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from assertkd.errors import UserError
from assertkd.models.tokenizer import PLACEHOLDER_TOKEN, load_tokenizer, train_tokenizer

TEXTS = ["assertEquals(expected, actual);", "public int size() { return size; }"] * 5
TOKENIZER = train_tokenizer(TEXTS, 350)


def test_special_tokens() -> None:
    assert TOKENIZER.convert_ids_to_tokens([0, 1, 2, 3]) == ["<pad>", "</s>", "<unk>", PLACEHOLDER_TOKEN]
    assert (TOKENIZER.pad_token_id, TOKENIZER.eos_token_id, TOKENIZER.unk_token_id) == (0, 1, 2)
    assert TOKENIZER(f"a{PLACEHOLDER_TOKEN}b", add_special_tokens=False)["input_ids"][1] == 3


def test_size() -> None:
    assert 260 < len(TOKENIZER) <= 350
    assert len(train_tokenizer(["ab"], 2000)) == 4 + 256 + 1, "bytes, special tokens and one merge"


def test_frequent_words_are_few_tokens() -> None:
    assert len(TOKENIZER("assertEquals", add_special_tokens=False)["input_ids"]) <= 3
    assert len(TOKENIZER("zqxjkvwyqzxk", add_special_tokens=False)["input_ids"]) == 12


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_every_text_round_trips(text: str) -> None:
    ids = TOKENIZER(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert TOKENIZER.decode(ids) == text
    assert TOKENIZER.unk_token_id not in ids


def test_training_is_deterministic() -> None:
    one, again = (train_tokenizer(TEXTS, 350).backend_tokenizer.to_str() for _ in range(2))
    assert one == again == TOKENIZER.backend_tokenizer.to_str()


def test_save_and_load(tmp_path: Path) -> None:
    TOKENIZER.save_pretrained(tmp_path / "tokenizer")
    again = load_tokenizer(tmp_path / "tokenizer")
    text = f'void t() {{ {PLACEHOLDER_TOKEN} assertEquals("ü", x); n \'t . }}'
    assert again(text)["input_ids"] == TOKENIZER(text)["input_ids"]
    assert again.decode(again(text)["input_ids"]) == text
    assert (again.pad_token_id, again.eos_token_id, len(again)) == (0, 1, len(TOKENIZER))


@pytest.mark.parametrize("name", ["no/such-tokenizer", "not a name!", ""])
def test_a_missing_tokenizer_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_tokenizer(name or tmp_path)
    assert caught.value.problem.startswith(f"{name or tmp_path}: no tokenizer could be loaded (")
    assert "\n" not in caught.value.problem


def test_a_tokenizer_without_end_token_is_refused(tmp_path: Path) -> None:
    backend = Tokenizer(models.WordLevel({"a": 0, "<unk>": 1}, unk_token="<unk>"))
    PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", pad_token="<unk>").save_pretrained(tmp_path)
    with pytest.raises(UserError, match="no padding token or no end token"):
        load_tokenizer(tmp_path)


def test_a_damaged_tokenizer_is_named(tmp_path: Path) -> None:
    TOKENIZER.save_pretrained(tmp_path)
    file = tmp_path / "tokenizer.json"
    whole = json.loads(file.read_text())
    for damaged in ("{", "[]", "[" * 100_000):
        file.write_text(damaged)
        with pytest.raises(UserError, match=rf"^{file}: (not valid JSON|holds no JSON object)"):
            load_tokenizer(tmp_path)
    for key in ("added_tokens", "model"):
        file.write_text(json.dumps({name: value for name, value in whole.items() if name != key}))
        with pytest.raises(UserError, match=rf"^{tmp_path}: no tokenizer could be loaded \(.+\)\nName a whole model"):
            load_tokenizer(tmp_path)


@pytest.mark.parametrize("changes", [{"model_max_length": "512"}, {"tokenizer_class": 3}, {"pad_token": 7}], ids=str)
def test_a_tokenizer_with_values_of_a_wrong_type_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    TOKENIZER.save_pretrained(tmp_path)
    file = tmp_path / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    with pytest.raises(UserError, match=rf"^{tmp_path}: (no tokenizer could be loaded|the tokenizer )"):
        load_tokenizer(tmp_path)


def test_a_tokenizer_that_cannot_be_kept_as_one_file_is_refused(tmp_path: Path) -> None:
    ByT5Tokenizer().save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"ByT5Tokenizer has no tokenizer\.json"):
        load_tokenizer(tmp_path)


@pytest.fixture
def codet5_files(tmp_path: Path) -> Path:
    """A folder with the two vocabulary files of CodeT5, at a small size."""
    trained = ByteLevelBPETokenizer()
    names = ["<pad>", "<s>", "</s>", "<unk>", "<mask>"]
    trained.train_from_iterator(["assertEquals(4, map.get(k));"] * 9, vocab_size=300, special_tokens=names)
    trained.save_model(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "t5"}))
    return tmp_path


def check_codet5(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    text = "assertEquals(4, map.get(k));"
    entries = json.loads((folder / "vocab.json").read_text())
    ids = tokenizer(text).input_ids
    assert [entries[token] for token in tokenizer.convert_ids_to_tokens(ids)] == ids
    assert ids[-1] == tokenizer.eos_token_id == entries["</s>"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert tokenizer.convert_tokens_to_ids(PLACEHOLDER_TOKEN) == len(entries) + 99
    assert len(tokenizer) == len(entries) + 100


def test_codet5_by_its_vocabulary_files_alone(codet5_files: Path) -> None:
    check_codet5(codet5_files)


@pytest.mark.parametrize("form", ["texts", "objects"])
def test_codet5_as_the_hub_has_it(codet5_files: Path, form: str) -> None:
    (codet5_files / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "RobertaTokenizer"}))
    sentinels = [f"<extra_id_{number}>" for number in range(99, -1, -1)]
    listed = sentinels if form == "texts" else [{"content": one, "lstrip": True} for one in sentinels]
    special = {"pad_token": "<pad>", "eos_token": "</s>", "additional_special_tokens": listed}
    (codet5_files / "special_tokens_map.json").write_text(json.dumps(special))
    size = len(json.loads((codet5_files / "vocab.json").read_text()))
    added = {one: size + number for number, one in enumerate(sentinels)}
    (codet5_files / "added_tokens.json").write_text(json.dumps(added))
    check_codet5(codet5_files)


def test_a_tokenizer_that_cannot_spell_java_is_refused(codet5_files: Path) -> None:
    (codet5_files / "merges.txt").unlink()
    (codet5_files / "vocab.json").unlink()
    with pytest.raises(UserError, match="cannot spell Java"):
        load_tokenizer(codet5_files)
