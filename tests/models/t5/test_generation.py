"""Decoding against transformers' own `generate`, on random models and on one trained until it ends its sequences."""

import pytest
import torch
from scipy.stats import chi2_contingency, chisquare
from transformers import T5Config, T5ForConditionalGeneration

from assertkd.models import generation
from assertkd.models.decoding import output_lengths, pad_sequences
from assertkd.models.t5.model import T5Model

VOCABULARY = 40
PAD, EOS = 0, 1


def tiny_model(seed: int) -> T5ForConditionalGeneration:
    torch.manual_seed(seed)
    config = T5Config(
        vocab_size=VOCABULARY,
        d_model=32,
        d_kv=8,
        d_ff=64,
        dropout_rate=0.0,
        num_layers=2,
        num_heads=4,
        pad_token_id=PAD,
        eos_token_id=EOS,
        decoder_start_token_id=PAD,
    )
    return T5ForConditionalGeneration(config).eval()


def random_inputs(count: int, seed: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(2, 12, (count,), generator=generator).tolist()
    return [[*torch.randint(2, VOCABULARY, (length,), generator=generator).tolist(), EOS] for length in lengths]


@pytest.fixture(scope="module")
def copier() -> T5ForConditionalGeneration:
    """A model trained to write 3 to 7 tokens, as its input's last token says: its outputs end at different places."""
    model = tiny_model(seed=1).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    inputs = random_inputs(128)
    input_ids, attention_mask = pad_sequences(inputs, PAD)
    targets, _ = pad_sequences([[one[-2]] * (one[-2] % 5 + 2) + [2, EOS] for one in inputs], -100)
    for _ in range(100):
        loss = model(input_ids=input_ids, attention_mask=attention_mask, labels=targets).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def by_generate(model: T5ForConditionalGeneration, inputs: list[list[int]], most: int, beams: int = 1) -> torch.Tensor:
    input_ids, attention_mask = pad_sequences(inputs, PAD)
    return model.generate(
        input_ids=input_ids, attention_mask=attention_mask, max_new_tokens=most, do_sample=False, num_beams=beams
    )[:, 1:]


@pytest.mark.parametrize("seed", range(6))
def test_greedy_is_generate_on_random_models(seed: int) -> None:
    model, inputs = tiny_model(seed), random_inputs(7, seed)
    # A fresh head mostly repeats what it reads; a random one writes all sorts.
    model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight))
    written = T5Model(model).generate(*pad_sequences(inputs, PAD), 20)
    assert torch.equal(written, by_generate(model, inputs, 20))
    assert len(written.unique()) > 5


def test_greedy_is_generate_where_sequences_end(copier: T5ForConditionalGeneration) -> None:
    inputs = random_inputs(40, seed=5)
    written = T5Model(copier).generate(*pad_sequences(inputs, PAD), 20)
    assert torch.equal(written, by_generate(copier, inputs, 20))
    ends = (written == EOS).any(dim=1)
    last = (written == EOS).int().argmax(dim=1)[ends]
    assert len(set(last.tolist())) >= 4, "the sequences are to end at different places"

    ending = [one for one, has_end in zip(inputs, ends.tolist(), strict=True) if has_end]
    assert T5Model(copier).generate(*pad_sequences(ending, PAD), 40).shape == (len(ending), int(last.max()) + 1)


def test_greedy_pads_behind_the_end(copier: T5ForConditionalGeneration) -> None:
    written = T5Model(copier).generate(*pad_sequences(random_inputs(40, seed=6), PAD), 20)
    behind_end = (written == EOS).cumsum(dim=1) - (written == EOS).int() > 0
    assert behind_end.any()
    assert (written[behind_end] == PAD).all()


def test_greedy_does_not_depend_on_the_batch(copier: T5ForConditionalGeneration) -> None:
    inputs = random_inputs(12, seed=7)
    together = T5Model(copier).generate(*pad_sequences(inputs, PAD), 20)
    for row, one in zip(together, inputs, strict=True):
        alone = T5Model(copier).generate(*pad_sequences([one], PAD), 20)[0]
        assert torch.equal(row[: len(alone)], alone)
        assert (row[len(alone) :] == PAD).all()


def test_greedy_knows_several_end_tokens(copier: T5ForConditionalGeneration) -> None:
    inputs = random_inputs(10, seed=8)
    copier.generation_config.eos_token_id = [EOS, 2]
    try:
        written = T5Model(copier).generate(*pad_sequences(inputs, PAD), 20)
        assert torch.equal(written, by_generate(copier, inputs, 20))
        assert ((written == 2).any(dim=1) & ~(written == EOS).any(dim=1)).any()
    finally:
        copier.generation_config.eos_token_id = EOS


@pytest.mark.parametrize("most", [1, 2, 3])
def test_greedy_keeps_to_the_longest_output(copier: T5ForConditionalGeneration, most: int) -> None:
    inputs = random_inputs(5)
    assert torch.equal(T5Model(copier).generate(*pad_sequences(inputs, PAD), most), by_generate(copier, inputs, most))


def test_beam_is_generate(copier: T5ForConditionalGeneration) -> None:
    inputs = random_inputs(6, seed=9)
    assert torch.equal(
        T5Model(copier).generate(*pad_sequences(inputs, PAD), 12, 3), by_generate(copier, inputs, 12, beams=3)
    )


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def first_token_probabilities(model: T5ForConditionalGeneration, one: list[int], temperature: float) -> torch.Tensor:
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([one]), decoder_input_ids=torch.tensor([[PAD]])).logits[0, 0]
    return torch.softmax(logits.double() / temperature, dim=-1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_first_tokens_are_as_frequent_as_probable(temperature: float) -> None:
    # As peaked as a trained model, so that the rarest tokens test the tail.
    model, inputs, draws = tiny_model(seed=3), random_inputs(3, seed=3), 20_000
    with torch.no_grad():
        model.lm_head.weight.mul_(1.5)
    written = T5Model(model).sample(*pad_sequences(inputs, PAD), draws, 1, temperature=temperature, generator=seeded())
    assert written.shape == (3, draws, 1)
    for one, tokens in zip(inputs, written, strict=True):
        expected = draws * first_token_probabilities(model, one, temperature)
        observed = torch.bincount(tokens[:, 0], minlength=VOCABULARY).double()
        common = expected >= 5
        assert common.sum() > 4
        expected = torch.cat([expected[common], expected[~common].sum()[None] + 1e-9])
        observed = torch.cat([observed[common], observed[~common].sum()[None]])
        assert chisquare(observed, expected, sum_check=False).pvalue > 1e-3


def test_samples_of_an_example_are_independent() -> None:
    model, draws = tiny_model(seed=3), 4000
    input_ids, attention_mask = pad_sequences(random_inputs(1, seed=3) * draws, PAD)
    tokens = T5Model(model).sample(input_ids, attention_mask, 2, 2, generator=seeded(1))
    common = torch.bincount(tokens[:, 0, 0], minlength=VOCABULARY).topk(4).indices
    names = torch.arange(VOCABULARY)
    names[~torch.isin(names, common)] = -1
    first, second = names[tokens[:, 0, 0]], names[tokens[:, 1, 0]]
    table = [[((first == a) & (second == b)).sum().item() for a in [*common, -1]] for b in [*common, -1]]
    assert chi2_contingency(table).pvalue > 1e-3
    assert (tokens[:, 0] != tokens[:, 1]).any(dim=1).float().mean() > 0.5


@pytest.mark.parametrize("number", [None, 0.0, 1 - 2**-24], ids=["any", "least", "greatest"])
def test_no_token_of_probability_zero_is_drawn(
    copier: T5ForConditionalGeneration, number: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbidden = torch.tensor([PAD, 3, 17, VOCABULARY - 1])

    def forbid(module: torch.nn.Module, given: tuple[torch.Tensor], logits: torch.Tensor) -> torch.Tensor:
        return logits.index_fill(-1, forbidden, -torch.inf)

    if number is not None:  # of what torch.rand can return
        monkeypatch.setattr(torch, "rand", lambda *shape, **_: torch.full(shape, number))
    handle = copier.lm_head.register_forward_hook(forbid)
    try:
        written = T5Model(copier).sample(
            *pad_sequences(random_inputs(50), PAD), 8, 20, temperature=5.0, generator=seeded()
        )
    finally:
        handle.remove()
    lengths = output_lengths(written, T5Model(copier).end_token_ids)
    tokens = written[torch.arange(written.shape[-1]) < lengths[..., None]]
    assert not torch.isin(tokens, forbidden).any()
    if number is None:
        assert len(tokens.unique()) == VOCABULARY - len(forbidden)


def test_samples_follow_from_the_generator(copier: T5ForConditionalGeneration) -> None:
    inputs = pad_sequences(random_inputs(6, seed=11), PAD)
    first = T5Model(copier).sample(*inputs, 4, 20, generator=seeded(1))
    assert torch.equal(first, T5Model(copier).sample(*inputs, 4, 20, generator=seeded(1)))
    assert not torch.equal(first, T5Model(copier).sample(*inputs, 4, 20, generator=seeded(2))[..., : first.shape[-1]])

    state = torch.random.get_rng_state()
    generator = seeded(1)
    T5Model(copier).sample(*inputs, 4, 20, generator=generator)
    assert torch.equal(state, torch.random.get_rng_state()), "the global generator is not touched"
    other = seeded(1)
    T5Model(tiny_model(seed=0)).sample(*inputs, 4, 20, generator=other)
    assert torch.equal(generator.get_state(), other.get_state()), "as many numbers are drawn, whatever is written"


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
def test_samples_do_not_depend_on_who_has_left(
    copier: T5ForConditionalGeneration, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = pad_sequences(random_inputs(12, seed=12), PAD)
    expected = T5Model(copier).sample(*inputs, 4, 20, generator=seeded())
    monkeypatch.setattr(generation, "COMPACT_AT", share)
    assert torch.equal(T5Model(copier).sample(*inputs, 4, 20, generator=seeded()), expected)
    lengths = output_lengths(expected, T5Model(copier).end_token_ids)
    assert len(lengths.unique()) > 4, "the sequences are to end at different places"
    assert (lengths.amax(dim=1) > lengths.amin(dim=1)).any(), "and so are those of one example"


def test_cold_samples_are_greedy(copier: T5ForConditionalGeneration) -> None:
    inputs = pad_sequences(random_inputs(10, seed=13), PAD)
    written = T5Model(copier).sample(*inputs, 3, 20, temperature=1e-4, generator=seeded())
    expected = T5Model(copier).generate(*inputs, 20)
    assert torch.equal(written, expected[:, None].expand(-1, 3, -1))


def test_samples_end_as_they_should(copier: T5ForConditionalGeneration) -> None:
    inputs = pad_sequences(random_inputs(20, seed=14), PAD)
    ends = T5Model(copier).end_token_ids
    written = T5Model(copier).sample(*inputs, 4, 6, generator=seeded())
    lengths = output_lengths(written, ends)
    for sequence, length in zip(written.flatten(0, 1).tolist(), lengths.flatten().tolist(), strict=True):
        expected = sequence.index(EOS) + 1 if EOS in sequence else 6
        assert length == expected
        assert set(sequence[length:]) <= {PAD}
    assert (written == EOS).any() and not (written == EOS).any(dim=-1).all()

    ended = (written == EOS).any(dim=-1).all(dim=1)
    some = (inputs[0][ended], inputs[1][ended])
    early = T5Model(copier).sample(*some, 4, 200, temperature=0.3, generator=seeded())
    assert early.shape[-1] == output_lengths(early, ends).max() < 200


def test_samples_are_drawn_without_dropout_and_take_part_in_training() -> None:
    model, inputs = tiny_model(seed=4), pad_sequences(random_inputs(4), PAD)
    expected = T5Model(model).sample(*inputs, 3, 8, generator=seeded())
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5
    written = T5Model(model).sample(*inputs, 3, 8, generator=seeded())
    assert torch.equal(written, expected)
    assert model.training and model.decoder.block[0].training
    assert not written.is_inference()
    model(input_ids=inputs[0], labels=written[:, 0].contiguous()).loss.backward()
    assert model.shared.weight.grad is not None
