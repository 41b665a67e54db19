"""Networks of transformers: read with every weight from their files, copied in part, and cut in their vocabulary."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, PreTrainedConfig, PreTrainedModel

from assertkd.errors import UserError
from assertkd.models.hub import located
from assertkd.models.loading import loading, unloadable
from assertkd.models.model_folder import FAILURE, check_weights, local_folder, output_length
from assertkd.models.special_tokens import END, PAD, START
from assertkd.settings.model import missing_layers

Network = TypeVar("Network", bound=PreTrainedModel)


def read_network(name: str | Path, config: PreTrainedConfig, architecture: type[PreTrainedModel]) -> PreTrainedModel:
    """Return the network of a hub name or folder, in float32, with this configuration; every weight is read from there.

    Of what its files say of decoding, it has the length of outputs, and the padding, end and start tokens of `config`.

    Raises:
        UserError: the weights are missing or damaged.
    """
    decoding = GenerationConfig(**{key: getattr(config, key, None) for key in (PAD, END, START)})
    with loading(name, FAILURE):
        if (folder := local_folder(name)) is not None:
            with torch.device("meta"):
                expected = architecture(config)
            check_weights(name, folder, expected)
            decoding.max_new_tokens = output_length(folder)
        network, loaded = architecture.from_pretrained(
            located(name),
            config=config,
            generation_config=decoding,
            dtype=torch.float32,
            output_loading_info=True,
        )
    if missing := sorted(loaded["missing_keys"]):
        # transformers would fill them with random numbers and go on.
        raise unloadable(name, FAILURE, f"{len(missing)} are missing, as {missing[0]}")
    return cast(PreTrainedModel, network)


def round_weights(network: nn.Module) -> None:
    """Round the weights to bfloat16, in place; buffers, the frequencies of positions among them, stay in float32."""
    for weight in network.parameters():
        weight.data = weight.data.to(torch.bfloat16)


def copied_network(network: Network, config: PreTrainedConfig, weight_of: Callable[[str], Tensor]) -> Network:
    """Return a network of the same class with this configuration, and copies of the weights that a function names.

    Args:
        network: of whose class.
        config: its sizes are those of the weights.
        weight_of: the weight for each name in the new network.
    """
    other: Network = type(network)(config)
    other.load_state_dict({name: weight_of(name) for name in other.state_dict()})
    return other


def check_layers(chosen: Mapping[str, Sequence[int]], held: Mapping[str, int], others: Sequence[str] = ()) -> None:
    """Refuse layers that a teacher does not have.

    Args:
        chosen: stack to the numbers of the layers that are wanted, from 0.
        held: stack to the teacher's number of layers.
        others: further faults of the choice.

    Raises:
        UserError: listing all.
    """
    if faults := [*missing_layers(chosen, held), *others]:
        raise UserError(f"model.teacher_layers: {'; '.join(faults)}", "Name layers that the teacher has.")


def keep_entries(network: PreTrainedModel, kept: Sequence[int]) -> None:
    """Keep these entries of the vocabulary, in this order, in the embeddings and in the head."""
    chosen = torch.tensor(kept)
    cut: dict[int, nn.Parameter] = {}
    for module in network.modules():
        is_head = module is network.get_output_embeddings()
        if not is_head and getattr(module, "num_embeddings", None) != network.config.vocab_size:
            continue
        weight = cast(nn.Parameter, module.weight)
        # What shares its weights keeps sharing them.
        module.weight = cut.setdefault(id(weight), nn.Parameter(weight.detach()[chosen]))
        setattr(module, "out_features" if is_head else "num_embeddings", len(kept))
        if getattr(module, "padding_idx", None) is not None:
            module.padding_idx = network.config.pad_token_id
        if (bias := getattr(module, "bias", None)) is not None:
            module.bias = nn.Parameter(bias.detach()[chosen])
    network.config.vocab_size = len(kept)
