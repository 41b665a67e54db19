"""A student made of its teacher: some of its layers, and everything that is no layer."""

import copy
import re
from collections.abc import Sequence

from transformers import T5ForConditionalGeneration

from assertkd.errors import UserError
from assertkd.settings.model import missing_layers

LAYER = re.compile(r"(?P<stack>encoder|decoder)\.block\.(?P<layer>\d+)\.(?P<rest>.+)")
POSITIONS = "layer.0.SelfAttention.relative_attention_bias.weight"
"""T5 keeps a stack's position biases in its first layer, for all layers; whichever comes first has to have them."""


def from_teacher_layers(
    teacher: T5ForConditionalGeneration, encoder: Sequence[int], decoder: Sequence[int], dropout: float
) -> T5ForConditionalGeneration:
    """Return a model of copies of some of the teacher's layers, with its embeddings, norms, position biases and head.

    Widths, heads and vocabulary are the teacher's, so every copied weight fits. Source: Shleifer & Rush 2020,
    Pre-trained Summarization Distillation, section 3 (shrink and fine-tune).

    Args:
        teacher: keeps its own weights.
        encoder: numbers of its encoder layers, from 0, in the order in which the student runs them; at least one.
        decoder: the same of its decoder.
        dropout: dropout rate of every layer while training.

    Raises:
        UserError: a layer does not exist; all such are named.
    """
    config = copy.deepcopy(teacher.config)
    chosen = {"encoder": encoder, "decoder": decoder}
    held = {"encoder": config.num_layers, "decoder": config.num_decoder_layers}
    faults = missing_layers(chosen, held)
    if faults:
        raise UserError(f"model.teacher_layers: {'; '.join(faults)}", "Name layers that the teacher has.")
    config.num_layers, config.num_decoder_layers, config.dropout_rate = len(encoder), len(decoder), dropout
    weights = teacher.state_dict()
    student = T5ForConditionalGeneration(config)
    own = {}
    for name in student.state_dict():
        layer = LAYER.fullmatch(name)
        if layer is None:
            own[name] = weights[name]
            continue
        source = 0 if layer["rest"] == POSITIONS else chosen[layer["stack"]][int(layer["layer"])]
        own[name] = weights[f"{layer['stack']}.block.{source}.{layer['rest']}"]
    student.load_state_dict(own)
    return student
