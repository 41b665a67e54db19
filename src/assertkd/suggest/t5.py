"""T5 in numpy, for one input at a time: importing torch and transformers would take longer than an answer may."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from assertkd.errors import UserError

Array = NDArray[np.float32]


class NumpyT5:
    """A T5 model's encoder, and what its decoder needs.

    Weights are float32 and keep the names that transformers gives them. The same numbers as
    `T5ForConditionalGeneration` in evaluation mode, up to rounding.
    """

    def __init__(self, folder: Path) -> None:
        """Load `config.json` and `model.safetensors`.

        Raises:
            UserError: a file is missing or damaged, or the model is not of the T5 family.
        """
        remedy = "Name a final_model/ folder of a teacher or a student."
        try:
            self.config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            weights = load_file(folder / "model.safetensors")
        except (OSError, ValueError, TypeError, SafetensorError) as fault:
            raise UserError(f"{folder}: no model could be loaded ({fault})", remedy) from None
        if self.config.get("model_type") != "t5":
            raise UserError(f"{folder}: is a {self.config.get('model_type')!r} model, not of the T5 family", remedy)
        self._weights = {name: array.astype(np.float32, copy=False) for name, array in weights.items()}
        self.heads = int(self.config["num_heads"])
        self.end = int(self.config["eos_token_id"])
        self.start = int(self.config["decoder_start_token_id"])

    def weight(self, name: str) -> Array:
        """Return a weight by its name.

        Raises:
            UserError: the model has none of this name.
        """
        try:
            return self._weights[f"{name}.weight"]
        except KeyError:
            raise UserError(f"the model has no weight {name!r}", "Save the model anew with transformers.") from None

    @cached_property
    def embeddings(self) -> Array:
        """The embeddings of the vocabulary, (V, d)."""
        return self.weight("shared") if "shared.weight" in self._weights else self.weight("encoder.embed_tokens")

    def encode(self, ids: list[int]) -> Array:
        """Return the encoder states of token ids, (S, d)."""
        hidden = self.embeddings[ids]
        positions = np.arange(len(ids))
        bias = self.bias("encoder", positions[None, :] - positions[:, None])
        for number in range(int(self.config["num_layers"])):
            layer = f"encoder.block.{number}.layer.0"
            normed = self.norm(hidden, f"{layer}.layer_norm")
            queries, keys, values = (self.by_head(normed, f"{layer}.SelfAttention.{part}") for part in "qkv")
            hidden = hidden + attend(queries, keys, values, bias) @ self.weight(f"{layer}.SelfAttention.o").T
            hidden = hidden + self.feed_forward(hidden, f"encoder.block.{number}.layer.1")
        return self.norm(hidden, "encoder.final_layer_norm")

    def bias(self, side: str, distance: NDArray[np.int64]) -> Array:
        """Return the attention bias of one side for (Q, K) distances from query to key, (H, Q, K)."""
        table = self.weight(f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias")
        buckets = relative_buckets(
            distance,
            both_ways=side == "encoder",
            count=int(self.config["relative_attention_num_buckets"]),
            furthest=int(self.config.get("relative_attention_max_distance", 128)),
        )
        return np.moveaxis(table[buckets], -1, 0)

    def norm(self, hidden: Array, name: str) -> Array:
        """Return T5's layer norm: scaled to root mean square 1, no mean subtracted."""
        variance = np.mean(hidden**2, axis=-1, keepdims=True)
        scaled: Array = hidden / np.sqrt(variance + np.float32(self.config["layer_norm_epsilon"]))
        return scaled * self.weight(name)

    def by_head(self, hidden: Array, name: str) -> Array:
        """Return a projection of (L, d), head by head: (H, L, w)."""
        projected = hidden @ self.weight(name).T
        return projected.reshape(len(hidden), self.heads, -1).transpose(1, 0, 2)

    def feed_forward(self, hidden: Array, layer: str) -> Array:
        """Return what a feed-forward layer adds to its input."""
        normed = self.norm(hidden, f"{layer}.layer_norm")
        kind = str(self.config["feed_forward_proj"])
        if kind.startswith("gated-"):
            inner = activated(normed @ self.weight(f"{layer}.DenseReluDense.wi_0").T, kind.removeprefix("gated-"))
            inner = inner * (normed @ self.weight(f"{layer}.DenseReluDense.wi_1").T)
        else:
            inner = activated(normed @ self.weight(f"{layer}.DenseReluDense.wi").T, kind)
        output: Array = inner @ self.weight(f"{layer}.DenseReluDense.wo").T
        return output

    def logits(self, hidden: Array) -> Array:
        """Return the next-token logits of the decoder's last states, (K, V)."""
        tied = bool(self.config.get("tie_word_embeddings", True))
        if self.config.get("scale_decoder_outputs", tied):
            hidden = hidden * np.float32(self.config["d_model"] ** -0.5)
        head = self._weights.get("lm_head.weight")
        output: Array = hidden @ (self.embeddings if head is None or tied else head).T
        return output


class NumpyDecoder:
    """The decoder of one encoded input, run one token at a time for several sequences."""

    def __init__(self, model: NumpyT5, encoded: Array, sequences: int, max_steps: int) -> None:
        """Prepare the first step of at most `max_steps`, for `sequences` sequences that read `encoded` (S, d)."""
        self._model = model
        self._layers = [f"decoder.block.{n}.layer" for n in range(int(model.config["num_decoder_layers"]))]
        self._inputs = [
            tuple(model.by_head(encoded, f"{layer}.1.EncDecAttention.{part}") for part in "kv")
            for layer in self._layers
        ]
        width = self._inputs[0][0].shape[-1]
        shape = (sequences, model.heads, max_steps, width)
        self._written: list[tuple[Array, Array]] = [
            (np.zeros(shape, np.float32), np.zeros(shape, np.float32)) for _ in self._layers
        ]
        steps = np.arange(max_steps)
        self._bias = model.bias("decoder", steps[None, :] - steps[:, None])
        self._step = 0

    def logits(self, latest: list[int]) -> Array:
        """Return the logits (K, V) of the tokens that follow the `latest` of K sequences, and move on by one step."""
        model, now, end = self._model, self._step, self._step + 1
        hidden = model.embeddings[latest]
        for layer, (input_keys, input_values), (keys, values) in zip(
            self._layers, self._inputs, self._written, strict=True
        ):
            attention = f"{layer}.0.SelfAttention"
            normed = model.norm(hidden, f"{layer}.0.layer_norm")
            keys[: len(latest), :, now] = model.by_head(normed, f"{attention}.k").transpose(1, 0, 2)
            values[: len(latest), :, now] = model.by_head(normed, f"{attention}.v").transpose(1, 0, 2)
            queries = model.by_head(normed, f"{attention}.q").transpose(1, 0, 2)[:, :, None]
            scores: Array = queries @ keys[: len(latest), :, :end].swapaxes(-1, -2) + self._bias[:, now : now + 1, :end]
            read: Array = (softmax(scores) @ values[: len(latest), :, :end]).reshape(len(latest), -1)
            hidden = hidden + read @ model.weight(f"{attention}.o").T
            attention = f"{layer}.1.EncDecAttention"
            queries = model.by_head(model.norm(hidden, f"{layer}.1.layer_norm"), f"{attention}.q")
            hidden = hidden + attend(queries, input_keys, input_values) @ model.weight(f"{attention}.o").T
            hidden = hidden + model.feed_forward(hidden, f"{layer}.2")
        self._step = end
        return model.logits(model.norm(hidden, "decoder.final_layer_norm"))

    def keep(self, sequences: list[int]) -> None:
        """Go on with these of the sequences, in this order; one may be named several times."""
        for keys, values in self._written:
            keys[: len(sequences), :, : self._step] = keys[sequences, :, : self._step]
            values[: len(sequences), :, : self._step] = values[sequences, :, : self._step]


def softmax(scores: Array) -> Array:
    """Return the softmax over the last axis."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    output: Array = powers / powers.sum(axis=-1, keepdims=True)
    return output


def attend(queries: Array, keys: Array, values: Array, bias: Array | None = None) -> Array:
    """Return attention without scaling, as T5 has it: (H, Q, w) queries give (Q, H·w)."""
    scores = queries @ keys.swapaxes(-1, -2)
    read: Array = softmax(scores if bias is None else scores + bias) @ values
    return read.transpose(1, 0, 2).reshape(queries.shape[1], -1)


def activated(inner: Array, kind: str) -> Array:
    """Return T5's activation: `relu`, or `gelu` in its approximation by tanh.

    Raises:
        UserError: another one is asked for.
    """
    if kind == "relu":
        return np.maximum(inner, 0)
    if kind in ("gelu", "gelu_new"):
        cubic = np.float32(np.sqrt(2 / np.pi)) * (inner + np.float32(0.044715) * inner**3)
        output: Array = np.float32(0.5) * inner * (1 + np.tanh(cubic))
        return output
    raise UserError(f"the model's activation {kind!r} is not known", "Use a T5, CodeT5 or CodeT5+ model.")


def relative_buckets(distance: NDArray[np.int64], both_ways: bool, count: int, furthest: int) -> NDArray[np.int64]:
    """Return T5's bucket of each distance from query to key (Raffel et al. 2020, section 2.1).

    Args:
        distance: key's position - query's.
        both_ways: whether keys behind the query have buckets of their own; otherwise they share that of distance 0.
        count: of buckets.
        furthest: distances from here on share the last bucket.
    """
    if both_ways:
        count //= 2
        first = np.where(distance > 0, count, 0)
        distance = np.abs(distance)
    else:
        first = np.zeros_like(distance)
        distance = -np.minimum(distance, 0)
    exact = count // 2
    scale = np.float32(np.log(furthest / exact))
    logs = np.log(np.maximum(distance, 1).astype(np.float32) / np.float32(exact)) / scale
    far = np.minimum(exact + (logs * (count - exact)).astype(np.int64), count - 1)
    return first + np.where(distance < exact, distance, far)
