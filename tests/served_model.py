"""A small server that speaks the completions protocol for a tiny T5, and fails on demand."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

from assertkd.models.distillable import DistillableModel
from assertkd.prompts.prompt_form import QUESTION

Fault = Callable[[BaseHTTPRequestHandler], bool]
"""Spoils an answer; returns whether it has been given."""


class ServedModel:
    """The model behind the server, which reads prompts in the form `continuation` as its own inputs.

    Attributes:
        question: what prompts end with, by which the server knows where an answer begins.
        asked: each completion that was answered whole, by kind (`write`, `score`) and prompt.
        faults: what becomes of the next requests for completions, one each.
        form: `prompt_logprobs` as vLLM answers, or `echo` alone, or neither.
        shift: added to each id that is decoded for a client, as another tokenizer's would be.
    """

    def __init__(self, model: DistillableModel, tokenizer: PreTrainedTokenizerFast) -> None:
        self._model, self._tokenizer, self._lock = model.eval(), tokenizer, threading.Lock()
        self.question = tokenizer(QUESTION, add_special_tokens=False, split_special_tokens=True).input_ids
        self.asked: Counter[tuple[str, tuple[int, ...]]] = Counter()
        self.faults: list[Fault] = []
        self.form, self.max_logprobs, self.key, self.shift = "prompt_logprobs", 400, "", 0
        self.busy = self.busiest = 0
        self.delay = 0.0

    def answer(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return status and answer of a request for a completion."""
        if body["model"] != "tiny":
            return 404, {"error": {"message": f"The model `{body['model']}` does not exist."}}
        wanted = body.get("prompt_logprobs") or body.get("logprobs") or 0
        if wanted > self.max_logprobs:
            return 400, {"error": {"message": f"Requested {wanted} logprobs, greater than max allowed"}}
        if "prompt_logprobs" in body and self.form != "prompt_logprobs":
            return 400, {"message": "Unrecognized request argument supplied: prompt_logprobs"}
        if "echo" in body and self.form == "neither":
            return 400, {"error": "echo and logprobs cannot be used together"}
        prompt, target = self._parts(body["prompt"])
        input_ids = torch.tensor([[*prompt, self._tokenizer.eos_token_id]])
        mask = torch.ones_like(input_ids)
        with self._lock, torch.inference_mode():
            if not wanted:
                [ids] = self._model.generate(input_ids, mask, body["max_tokens"]).tolist()
                text = self._tokenizer.decode(ids, skip_special_tokens=True)
                choice: dict[str, Any] = {"text": text}
            else:
                logits = self._model(input_ids, mask, torch.tensor([target])).logits
                choice = self._scored(torch.log_softmax(logits, dim=-1), body, target, wanted)
        self.asked["score" if wanted else "write", (*prompt, -1, *target)] += 1
        return 200, {"choices": [choice]}

    def _parts(self, ids: list[int]) -> tuple[list[int], list[int]]:
        size = len(self.question)
        for end in range(len(ids), size - 1, -1):
            if ids[end - size : end] == self.question:
                return ids[: end - size], ids[end:]
        raise AssertionError("a prompt without the question")

    def _scored(self, log_p: torch.Tensor, body: dict[str, Any], target: list[int], top_k: int) -> dict[str, Any]:
        rows: list[Any] = [None] * (len(body["prompt"]) - len(target))
        for row, token in zip(log_p, target, strict=True):
            ids = [token, *(i for i in row.topk(min(top_k, len(row))).indices.tolist() if i != token)]
            rows.append({i: float(row[i]) for i in ids})
        if "prompt_logprobs" in body:
            return {
                "text": "x",
                "prompt_logprobs": [
                    row and {str(i): {"logprob": p, "decoded_token": self._text(i)} for i, p in row.items()}
                    for row in rows
                ],
            }
        ids = body["prompt"]
        return {
            "text": "x",
            "logprobs": {
                "tokens": [*(f"token_id:{i}" for i in ids), "token_id:9"],
                "token_logprobs": [*(row and row[i] for i, row in zip(ids, rows, strict=True)), -1.0],
                "top_logprobs": [*(row and {f"token_id:{i}": p for i, p in row.items()} for row in rows), {"x": -1.0}],
                "text_offset": [0] * (len(ids) + 1),
            },
        }

    def _text(self, identity: int) -> str:
        return self._tokenizer.decode([(identity + self.shift) % len(self._tokenizer)])


def status(code: int, **headers: str) -> Fault:
    """Answer with a status."""

    def spoil(handler: BaseHTTPRequestHandler) -> bool:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True

    return spoil


def broken(content: bytes, promised: int) -> Fault:
    """Answer something else than promised: the beginning of an object, or no JSON."""

    def spoil(handler: BaseHTTPRequestHandler) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", str(promised))
        handler.end_headers()
        handler.wfile.write(content)
        handler.close_connection = True
        return True

    return spoil


def slow(seconds: float) -> Fault:
    """Answer too late."""

    def spoil(handler: BaseHTTPRequestHandler) -> bool:
        time.sleep(seconds)
        return False

    return spoil


@contextmanager
def serving(served: ServedModel) -> Iterator[str]:
    """Serve on this machine while the block runs; give the address."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            if served.key and self.headers.get("Authorization") != f"Bearer {served.key}":
                self._send(401, {"error": {"message": "Incorrect API key provided"}})
            else:
                self._send(200, {"data": [{"id": "tiny", "object": "model"}]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with counting:
                fault = served.faults.pop(0) if served.faults else None
                served.busy += 1
                served.busiest = max(served.busiest, served.busy)
            answer = None
            if fault is None or not fault(self):
                time.sleep(served.delay)
                answer = served.answer(body)
            # Before it is sent, since the client may then ask again.
            with counting:
                served.busy -= 1
            if answer is not None:
                self._send(*answer)

        def _send(self, code: int, value: dict[str, Any]) -> None:
            content = json.dumps(value).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that has gone is what some tests are about."""

    counting = threading.Lock()
    server = Quiet(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
