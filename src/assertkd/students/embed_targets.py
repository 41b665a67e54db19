"""The rule `embed_targets`: the embeddings of the texts that students may learn, once for all students of a run."""

import logging
from itertools import islice
from pathlib import Path

from assertkd.corpus.split import labelled_ids
from assertkd.corpus.targets import read_teacher_predictions
from assertkd.models.embedding_file import write_embeddings
from assertkd.models.encoders import TextEncoder
from assertkd.records import read_records
from assertkd.runtime.devices import resolve_device
from assertkd.students.params import GOLD, PREDICTED, EmbedTargetsParams

MAXIMUM_TEXTS = 100_000
"""Different texts in one file; students embed further ones themselves."""

log = logging.getLogger(__name__)


def embed_targets(params: EmbedTargetsParams, texts: str, source: Path, output: Path) -> None:
    """Write the embeddings of those of `params.TEXTS` that `source` holds to `output` (see `models.embedding_file`).

    Raises:
        UserError: the source is missing or damaged, or there is no such encoder.
    """
    if texts == GOLD:
        assertions = {record.id: record.assertion for record in read_records(source)}
        labelled = labelled_ids(list(assertions), params.labelled_share, params.seed)
        targets = [assertion for identity, assertion in assertions.items() if identity in labelled]
    else:
        targets = [*read_teacher_predictions(source, "train" if texts == PREDICTED else "unlabelled").values()]
    different = dict.fromkeys(text.strip() for text in targets)
    encoder = TextEncoder(params.encoder, resolve_device("auto"))
    count = write_embeddings(output, encoder, islice(different, MAXIMUM_TEXTS))
    log.info("%s: %d of %d different texts embedded", output, count, len(different))
