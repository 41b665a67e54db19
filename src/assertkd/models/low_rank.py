"""Low-rank adapters: a model of which only small matrices beside its own are trained (LoRA)."""

from collections.abc import Callable

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
        UserError: the network has no layer of these names.
    """
    # Takes seconds to import, and few runs need it.
    from peft import LoraConfig, LoraModel

    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(settings.target_modules) or "all-linear",
    )
    try:
        merge: Callable[[], PreTrainedModel] = LoraModel(network, config, "default").merge_and_unload
        return merge
    except ValueError:
        linear = {name.rpartition(".")[2] for name, module in network.named_modules() if hasattr(module, "in_features")}
        raise UserError(
            f"teacher.lora.target_modules: {', '.join(settings.target_modules)}: the model has no such layers",
            f"Name some of {', '.join(sorted(linear))}, or none for all.",
        ) from None
