"""One step after the other against the model's own teacher-forced pass, on all shapes that T5 comes in."""

import pytest
import torch
from transformers import T5Config, T5ForConditionalGeneration

from assertkd.models.t5.generation import DecoderSteps

EXAMPLES, SEQUENCES, INPUTS, STEPS, VOCABULARY = 3, 4, 9, 20, 30


def random_model(**shape: object) -> T5ForConditionalGeneration:
    torch.manual_seed(0)
    sizes = {"d_model": 24, "d_kv": 8, "num_heads": 3, "d_ff": 40, "num_layers": 1, "num_decoder_layers": 2}
    config = T5Config(vocab_size=VOCABULARY, decoder_start_token_id=0, dropout_rate=0.1, **(sizes | shape))
    model = T5ForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in model.decoder.parameters():
            parameter.normal_(std=0.5)
    return model


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"d_kv": 5, "num_heads": 2},
        {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
        {"relative_attention_num_buckets": 8, "relative_attention_max_distance": 10},
    ],
    ids=["plain", "narrow heads", "version 1.1", "far buckets"],
)
@torch.inference_mode()
def test_steps_give_the_teacher_forced_logits(shape: dict[str, object]) -> None:
    model = random_model(**shape)
    input_ids = torch.randint(2, VOCABULARY, (EXAMPLES, INPUTS))
    attention_mask = (torch.arange(INPUTS) < torch.tensor([9, 4, 1])[:, None]).long()
    tokens = torch.randint(0, VOCABULARY, (EXAMPLES, SEQUENCES, STEPS))
    expected = model(
        input_ids=input_ids.repeat_interleave(SEQUENCES, dim=0),
        attention_mask=attention_mask.repeat_interleave(SEQUENCES, dim=0),
        decoder_input_ids=tokens.view(-1, STEPS),
        use_cache=False,
    ).logits.view(EXAMPLES, SEQUENCES, STEPS, VOCABULARY)

    encoded = model.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
    decoder = DecoderSteps(model, encoded, attention_mask, SEQUENCES, STEPS)
    for step in range(STEPS):
        if step == 7:  # the middle example goes, and of the others the sequences stay that are named, in that order
            chosen = (torch.tensor([[0], [2]]), torch.tensor([[3, 0, 1], [2, 1, 3]]))
            decoder.keep(torch.tensor([0, 2]), chosen[1])
            tokens, expected = tokens[chosen], expected[chosen]
        if step == 12:
            decoder.keep(torch.tensor([1]), torch.tensor([[2]]))
            tokens, expected = tokens[1:, 2:], expected[1:, 2:]
        torch.testing.assert_close(decoder.logits(tokens[..., step]), expected[:, :, step], rtol=1e-4, atol=1e-4)
