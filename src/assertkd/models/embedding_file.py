"""The embeddings of texts in a file, so that an encoder sees each text once for all students of a run."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from assertkd.errors import UserError
from assertkd.files import written_whole
from assertkd.models.encoders import TextEncoder

REMEDY = "Move it away and rerun `embed_targets`."


def write_embeddings(path: Path, encoder: TextEncoder, texts: Iterable[str]) -> int:
    """Write the embeddings of the different texts to `path`, whole, and return their number.

    The file is safetensors: `vectors` (n, d) float32 and `texts` (n, 32) uint8, the SHA-256 of each text, ascending.
    Its metadata has the encoder's identity.

    Args:
        path: the file; its folder is made if it is missing.
        encoder: computes the embeddings.
        texts: in any order; repeated ones and surrounding blanks make no difference.
    """
    by_hash = _by_hash(texts)
    hashes = sorted(by_hash)
    keys = torch.frombuffer(bytearray(b"".join(hashes)), dtype=torch.uint8) if hashes else torch.empty(0).byte()
    vectors = encoder.encode([by_hash[key] for key in hashes])
    tensors = {"texts": keys.view(-1, hashlib.sha256().digest_size), "vectors": vectors}
    with written_whole(path, "wb") as handle:
        handle.write(save(tensors, metadata={"encoder": encoder.identity}))
    return len(hashes)


def pin_targets(encoder: TextEncoder, files: Sequence[Path], texts: Iterable[str]) -> int:
    """Pin the embeddings of the different `texts` in the encoder, with their mean; return how many were computed here.

    Args:
        encoder: computes what the files lack.
        files: of `write_embeddings`.
        texts: a student's targets; the files may hold further texts, and need not hold all of these.

    Raises:
        UserError: a file is missing or damaged, or another encoder's.
        ValueError: there are no texts.
    """
    by_hash = _by_hash(texts)
    if not by_hash:
        raise ValueError("no texts to embed")
    vectors: dict[bytes, Tensor] = {}
    for file in files:
        keys, rows = _read(file, encoder)
        vectors |= {key: row for key, row in zip(keys, rows, strict=True) if key in by_hash}
    hashes = sorted(by_hash)
    missing = [key for key in hashes if key not in vectors]
    vectors |= dict(zip(missing, encoder.encode([by_hash[key] for key in missing]), strict=True))
    encoder.pin([by_hash[key] for key in hashes], torch.stack([vectors[key] for key in hashes]))
    return len(missing)


def _by_hash(texts: Iterable[str]) -> dict[bytes, str]:
    return {hashlib.sha256(text.encode()).digest(): text for text in (text.strip() for text in texts)}


def _read(path: Path, encoder: TextEncoder) -> tuple[list[bytes], Tensor]:
    """Return the hashes of a file's texts, and their vectors (n, d)."""
    try:
        with safe_open(str(path), framework="pt") as file:
            identity = (file.metadata() or {}).get("encoder")
            keys, vectors = file.get_tensor("texts"), file.get_tensor("vectors")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file", "Run `embed_targets` first.") from None
    except (OSError, SafetensorError) as fault:
        raise UserError(f"{path}: holds no embeddings ({fault})", REMEDY) from None
    if identity != encoder.identity:
        raise UserError(f"{path}: the embeddings are those of another encoder than {encoder.name}", REMEDY)
    return [key.numpy().tobytes() for key in keys], vectors
