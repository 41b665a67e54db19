"""The embeddings of a corpus in a file, so that an encoder sees each text once."""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from assertkd.files import written_whole
from assertkd.locking import Timing, held
from assertkd.models.encoders import TextEncoder

UNTIL_WRITTEN = Timing(touch=2.0, patience=math.inf)
"""A process that needs what another is computing waits for it, however long that takes."""


def load_or_embed(path: Path, encoder: TextEncoder, texts: Sequence[str]) -> bool:
    """Pin the embeddings of `texts` in the encoder, which also gets their mean (over different texts).

    They are read from `path` if that file holds these texts' embeddings by this encoder; otherwise they are computed
    and the file is written anew, whole, by one process while others that need it wait. The file is safetensors:
    `vectors` (n, d) float32 and `texts` (n, 32) uint8, the SHA-256 of each text, ascending; its metadata has the
    encoder's identity.

    Args:
        path: the file; its folder is made if it is missing.
        encoder: computes what is missing and remembers the result.
        texts: the corpus's texts in any order; repeated ones and surrounding blanks make no difference.

    Returns:
        Whether the file served.

    Raises:
        ValueError: there are no texts.
    """
    by_hash = {hashlib.sha256(text.encode()).digest(): text for text in (text.strip() for text in texts)}
    if not by_hash:
        raise ValueError("no texts to embed")
    hashes = sorted(by_hash)
    ordered = [by_hash[key] for key in hashes]
    keys = torch.frombuffer(bytearray(b"".join(hashes)), dtype=torch.uint8).view(-1, hashlib.sha256().digest_size)
    vectors = _read(path, encoder.identity, keys)
    served = vectors is not None
    if vectors is None:
        with held(path.parent, path.stem, UNTIL_WRITTEN):
            # Another process may have written it meanwhile.
            vectors = _read(path, encoder.identity, keys)
            served = vectors is not None
            if vectors is None:
                vectors = encoder.encode(ordered)
                content = save({"texts": keys, "vectors": vectors}, metadata={"encoder": encoder.identity})
                with written_whole(path, "wb") as handle:
                    handle.write(content)
    encoder.pin(ordered, vectors)
    return served


def _read(path: Path, identity: str, keys: Tensor) -> Tensor | None:
    """Return the vectors of a file that has this encoder's identity and these texts; None for any other."""
    try:
        with safe_open(str(path), framework="pt") as file:
            if (file.metadata() or {}).get("encoder") != identity or not torch.equal(file.get_tensor("texts"), keys):
                return None
            vectors: Tensor = file.get_tensor("vectors")
            return vectors
    except (OSError, SafetensorError):
        return None
