"""Low-rank adapters: a model of which only small matrices beside its own are trained (LoRA)."""

from collections import Counter
from collections.abc import Callable, Sequence

from transformers import PreTrainedModel

from assertkd.errors import UserError
from assertkd.settings.model import LoraSettings


def add_adapters(network: PreTrainedModel, settings: LoraSettings) -> Callable[[], PreTrainedModel]:
    """Put adapters beside matrices of a network, in place, and freeze all else.

    The first of each pair comes from torch's global generator, the second is 0, so that the network computes what it
    did. Source: Hu et al. 2022, LoRA, section 4.1.

    Returns:
        A function that adds them to the matrices and returns the network without adapters.

    Raises:
        UserError: the network has no such layers of a name, or ones that share their weights, as tied embeddings and
            head do: what is added to one of them is not added to the other until they are saved.
    """
    _check_names(network, settings.target_modules)
    # Takes seconds to import, and few runs need it.
    from peft import LoraConfig, LoraModel

    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(settings.target_modules) or "all-linear",
    )
    merge: Callable[[], PreTrainedModel] = LoraModel(network, config, "default").merge_and_unload
    return merge


def _check_names(network: PreTrainedModel, names: Sequence[str]) -> None:
    """Refuse names of layers that cannot have adapters, as `add_adapters` says."""
    layers = {path: one for path, one in network.named_modules() if path}
    weights = {path: getattr(one, "weight", None) for path, one in layers.items()}
    matrices = {path: weight for path, weight in weights.items() if getattr(weight, "ndim", 0) == 2}
    holders = Counter(map(id, matrices.values()))
    usable = {path for path, weight in matrices.items() if holders[id(weight)] == 1}
    # As peft matches them.
    named = {name: {path for path in layers if f".{path}".endswith(f".{name}")} for name in names}
    absent = [name for name, paths in named.items() if not paths or not paths <= matrices.keys()]
    shared = [name for name, paths in named.items() if name not in absent and not paths <= usable]
    if absent or shared:
        faults = [f"{', '.join(absent)}: the model has no such layers"] if absent else []
        faults += [f"{', '.join(shared)}: the model has such layers that share their weights"] if shared else []
        linear = {path.rpartition(".")[2] for path in usable if not hasattr(layers[path], "num_embeddings")}
        raise UserError(
            f"teacher.lora.target_modules: {'; '.join(faults)}",
            f"Name some of {', '.join(sorted(linear))}, or none for all.",
        )
