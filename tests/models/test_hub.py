"""Fetching from the hub: what arrives is verified, and a job without a network says what was to be fetched."""

import hashlib
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

import preloaded
from assertkd.models.distillable import DistillableModel

READ_ENVIRONMENT = """
from importlib import reload
from huggingface_hub import constants
from huggingface_hub.utils import _cache_manager
_cache_manager.HF_HUB_CACHE = reload(constants).HF_HUB_CACHE
"""
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """As much of the hub as a download of one public repository needs.

    Attributes:
        folder: its files.
        damage: how many further times `model.safetensors` is sent with a changed byte.
        sent: names of the files sent.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.folder, self.damage, self.sent = folder, 0, []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answers(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path.startswith("/api/models/me/tiny/tree/"):
            self._answer(json.dumps(self._tree()).encode(), "application/json", {})
        elif path.startswith("/api/models/me/tiny"):
            described = {"id": "me/tiny", "sha": COMMIT, "private": False, "tags": []}
            siblings = [{"rfilename": one["path"]} for one in self._tree()]
            self._answer(json.dumps(described | {"siblings": siblings}).encode(), "application/json", {})
        elif path.startswith("/me/tiny/resolve/"):
            name = path.split("/", 5)[5]
            content = (self.server.folder / name).read_bytes()
            tag = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
            if self.command == "GET":
                self.server.sent.append(name)
                if name == "model.safetensors" and self.server.damage:
                    self.server.damage -= 1
                    content = content[:-1] + bytes([content[-1] ^ 1])
            self._answer(content, "application/octet-stream", tag)
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _tree(self) -> list[dict[str, object]]:
        files = []
        for path in sorted(self.server.folder.iterdir()):
            content = path.read_bytes()
            size = len(content)
            entry: dict[str, object] = {"type": "file", "path": path.name, "size": size}
            if path.suffix == ".safetensors":
                # A large file's git object is a pointer; its content has a hash of its own.
                entry |= {"oid": "0" * 40}
                entry |= {"lfs": {"oid": hashlib.sha256(content).hexdigest(), "size": size, "pointerSize": 134}}
            else:
                entry |= {"oid": hashlib.sha1(b"blob %d\0" % size + content).hexdigest()}
            files.append(entry)
        return files

    def _answer(self, content: bytes, kind: str, headers: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def hub(
    tmp_path: Path, tiny_t5: Callable[..., DistillableModel], tiny_tokenizer: PreTrainedTokenizerFast
) -> Iterator[Hub]:
    """A hub with the repository `me/tiny`."""
    folder = tmp_path / "repository"
    tiny_t5().save(tiny_tokenizer, folder)
    (folder / "README.md").write_text("Not needed.", encoding="utf-8")
    server = Hub(folder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def prefetch(hub: Hub, home: Path, name: str = "me/tiny") -> subprocess.CompletedProcess[str]:
    """Fetch a model and its tokenizer in a process that may reach the hub."""
    script = (
        "from assertkd.cluster.params import PrefetchModelsParams\n"
        "from assertkd.cluster.prefetch_models import prefetch_models\n"
        f"prefetch_models(PrefetchModelsParams(models=[{name!r}], tokenizers=[{name!r}], encoders=[]))"
    )
    return python(script, HF_HOME=str(home), HF_ENDPOINT=hub.url, HF_HUB_OFFLINE="0")


def python(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script, after what Hugging Face's libraries read from the environment when they are imported."""
    command = [preloaded.python(), "-c", f"{READ_ENVIRONMENT}\n{script}"]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=300)


def test_what_was_fetched_loads_offline_by_its_name(hub: Hub, tmp_path: Path) -> None:
    done = prefetch(hub, tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert "model me/tiny: 0.0M parameters" in done.stdout
    assert "tokenizer me/tiny: " in done.stdout
    assert "README.md" not in hub.sent
    assert sorted(hub.sent) == sorted(set(hub.sent)), "each file came once"
    load = "from assertkd.models.registry import load_model; print(load_model('me/tiny').hidden_size)"
    offline = python(load, HF_HOME=str(tmp_path / "home"), HF_HUB_OFFLINE="1")
    assert offline.stdout == "16\n", offline.stderr


def test_a_file_that_is_damaged_on_its_way_is_fetched_again(hub: Hub, tmp_path: Path) -> None:
    hub.damage = 1
    done = prefetch(hub, tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert hub.sent.count("model.safetensors") == 2


def test_a_file_that_arrives_damaged_every_time_is_named(hub: Hub, tmp_path: Path) -> None:
    hub.damage = 100
    done = prefetch(hub, tmp_path / "home")
    assert done.returncode != 0
    assert "model.safetensors: damaged on its way, twice" in done.stderr


def test_a_file_that_was_damaged_in_the_cache_is_fetched_again(hub: Hub, tmp_path: Path) -> None:
    prefetch(hub, tmp_path / "home")
    (weights,) = (tmp_path / "home").rglob("model.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.resolve().write_bytes(content)
    done = prefetch(hub, tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert weights.read_bytes() == (hub.folder / "model.safetensors").read_bytes()


def test_a_name_that_the_hub_does_not_know_is_said(hub: Hub, tmp_path: Path) -> None:
    done = prefetch(hub, tmp_path / "home", "me/tinny")
    assert "me/tinny: the hub has no such repository" in done.stderr


def test_a_cleaned_cache_is_filled_again(hub: Hub, tmp_path: Path) -> None:
    prefetch(hub, tmp_path / "home")
    shutil.rmtree(tmp_path / "home")
    assert prefetch(hub, tmp_path / "home").returncode == 0
    assert hub.sent.count("model.safetensors") == 2


NOWHERE = "http://127.0.0.1:9"
"""An address at which nobody answers."""

EACH_LOAD = """
from assertkd.errors import UserError
from assertkd.models.encoders import TextEncoder
from assertkd.models.hub import fetch
from assertkd.models.registry import load_model
from assertkd.models.tokenizer import load_tokenizer
from assertkd.models.t5.model import T5Model

name = "Salesforce/codet5-small"
weights = lambda name: T5Model.from_pretrained(name, T5Model.published[name], 0.0)
for load in (load_model, weights, load_tokenizer, TextEncoder, fetch):
    try:
        load(name)
    except UserError as fault:
        print(str(fault).replace("\\n", " | "))
"""


def test_a_hub_that_does_not_answer_is_said_in_two_lines_without_minutes_of_retries(tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = python(EACH_LOAD, HF_HOME=str(home), HF_HUB_OFFLINE="0", HF_ENDPOINT=NOWHERE)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert len(said) == 5
    for line in said[:4]:
        problem, remedy = line.split(" | ")
        assert problem.startswith("Salesforce/codet5-small: ")
        assert f"(not in the hub's cache {home / 'hub'}, and {NOWHERE} cannot be reached)" in problem
        assert "snakemake prefetch_models" in remedy
        assert "HF_HOME" in remedy
    assert said[4].startswith(f"Salesforce/codet5-small: cannot be fetched, since {NOWHERE} cannot be reached | ")
    assert "Retrying" not in done.stderr, "the libraries ask six times for every file"


def test_a_model_in_the_cache_loads_though_the_hub_does_not_answer(hub: Hub, tmp_path: Path) -> None:
    done = prefetch(hub, tmp_path / "home")
    assert done.returncode == 0, done.stderr
    load = (
        "from assertkd.models.registry import load_model; from assertkd.models.tokenizer import load_tokenizer\n"
        "from assertkd.models.hub import cached_models\n"
        "print(load_model('me/tiny').hidden_size, len(load_tokenizer('me/tiny')) > 300)\n"
        "print({name: (model.size > 1000, model.has_weights) for name, model in cached_models().items()})"
    )
    offline = python(load, HF_HOME=str(tmp_path / "home"), HF_HUB_OFFLINE="0", HF_ENDPOINT=NOWHERE)
    assert offline.stdout == "16 True\n{'me/tiny': (True, True)}\n", offline.stderr


def test_a_cache_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    done = python("from assertkd.models.hub import cached_models; print(cached_models())", HF_HOME=str(tmp_path / "no"))
    assert done.stdout == "{}\n", done.stderr


def test_offline_the_fault_says_what_to_run(tmp_path: Path) -> None:
    done = python(EACH_LOAD, HF_HOME=str(tmp_path / "home"), HF_HUB_OFFLINE="1")
    said = done.stdout.splitlines()
    assert len(said) == 5, done.stderr
    for line in said[:4]:
        assert line.startswith("Salesforce/codet5-small: ")
        assert "snakemake prefetch_models" in line
