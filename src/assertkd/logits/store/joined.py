"""Several stores of one teacher as one: an example is read from the store that was written with its target."""

from collections.abc import Sequence

from assertkd.batching.distributions import TeacherView
from assertkd.batching.examples import Payload
from assertkd.errors import UserError
from assertkd.logits.codecs.head import RERUN
from assertkd.logits.store.reader import StoreReader


class JoinedStores:
    """Stores whose examples may share ids, since a record has logits on each of its targets.

    Args:
        stores: at least one; all of one teacher and codec.

    Attributes:
        vocab_size: V, of all of them.

    Raises:
        UserError: two differ in teacher, tokenizer or codec.
    """

    def __init__(self, stores: Sequence[StoreReader]) -> None:
        self._stores = stores
        self.vocab_size = stores[0].codec.vocab_size
        first = stores[0].manifest.identity
        for store in stores[1:]:
            other = store.manifest.identity
            differs = {
                "teacher": first.provenance.teacher != other.provenance.teacher,
                "tokenizer": first.provenance.tokenizer != other.provenance.tokenizer,
                "codec": (first.codec, first.parameters) != (other.codec, other.parameters),
            }
            differing = [name for name, is_other in differs.items() if is_other]
            if differing:
                raise UserError(
                    f"{store.folder}: written with another {' and another '.join(differing)} than {stores[0].folder}",
                    RERUN,
                )

    def read(self, example_id: str, target_ids: Sequence[int]) -> Payload:
        """Return what the teacher knew of an example at exactly this target.

        Raises:
            UserError: no store holds the example with this target, or its bytes are missing or damaged.
        """
        holders = [store for store in self._stores if example_id in store]
        for store in holders:
            if store.is_for(example_id, target_ids):
                return store.read(example_id, target_ids)
        # Says what is wrong: no such example, or another target.
        return (holders or self._stores)[0].read(example_id, target_ids)

    def collate_views(self, payloads: Sequence[Payload]) -> TeacherView:
        """Return one view over the payloads of a batch, in their order."""
        return self._stores[0].collate_views(payloads)
