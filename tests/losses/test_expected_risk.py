"""The estimator against the exact gradient, on a T5 model so small that all it can write is listed."""

from itertools import product

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor
from transformers import T5Config, T5ForConditionalGeneration

from assertkd.losses import divergence, expected_risk
from assertkd.losses.expected_risk import leave_one_out, logit_gradient_norms, policy_loss, sequence_log_probs
from assertkd.models.decoding import output_lengths, pad_sequences
from assertkd.models.t5.model import T5Model

VOCABULARY, LONGEST = 6, 3
PAD, EOS = 0, 1
INPUTS = [[3, 5, 2, EOS], [4, EOS]]
OTHERS = [token for token in range(VOCABULARY) if token != EOS]
OUTPUTS = [
    [*start, end]
    for length in range(LONGEST)
    for start in product(OTHERS, repeat=length)
    for end in (range(VOCABULARY) if length == LONGEST - 1 else [EOS])
]
"""All that can be written: 1, 5 and 150 sequences of 1, 2 and 3 tokens. The padding token can be written, too."""


@pytest.fixture(scope="module")
def model() -> T5ForConditionalGeneration:
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=VOCABULARY,
        d_model=8,
        d_kv=4,
        d_ff=12,
        num_layers=1,
        num_heads=2,
        dropout_rate=0.0,
        pad_token_id=PAD,
        eos_token_id=EOS,
        decoder_start_token_id=PAD,
    )
    model = T5ForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def scored(
    model: T5ForConditionalGeneration, inputs: list[list[int]], outputs: list[list[int]], more: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (N, V), labels (N,), lengths (M,) of teacher-forced outputs, both sides padded by `more` columns."""
    input_ids, attention_mask = pad_sequences(inputs, PAD)
    labels, is_target = pad_sequences(outputs, -100)
    lengths = is_target.sum(dim=1)
    empty = torch.zeros(len(inputs), more, dtype=torch.long)
    input_ids, attention_mask = torch.cat([input_ids, empty + PAD], 1), torch.cat([attention_mask, empty], 1)
    labels, is_target = torch.cat([labels, empty - 100], 1), torch.cat([is_target, empty], 1).bool()
    logits = T5Model(model)(input_ids, attention_mask, labels).logits
    return logits, labels[is_target], lengths


def flat_gradient(model: T5ForConditionalGeneration, value: Tensor) -> Tensor:
    parameters = list(model.parameters())
    gradients = torch.autograd.grad(value, parameters, retain_graph=True, materialize_grads=True)
    return torch.cat([gradient.flatten() for gradient in gradients])


def drawn(model: T5ForConditionalGeneration, one: list[int], draws: int, samples: int, seed: int = 0) -> Tensor:
    """Which of `OUTPUTS` each sample is, (draws, samples)."""
    input_ids, attention_mask = pad_sequences([one], PAD)
    written = T5Model(model).sample(
        input_ids.expand(draws, -1),
        attention_mask.expand(draws, -1),
        samples,
        LONGEST,
        generator=torch.Generator().manual_seed(seed),
    )
    lengths = output_lengths(written, T5Model(model).end_token_ids)
    index = {tuple(output): number for number, output in enumerate(OUTPUTS)}
    pairs = zip(written.flatten(0, 1).tolist(), lengths.flatten().tolist(), strict=True)
    return torch.tensor([index[tuple(sequence[:length])] for sequence, length in pairs]).view(draws, samples)


def estimates(risks: Tensor, chosen: Tensor, log_prob_gradients: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard error over draws of the loss's gradient, from that of every output's log-probability."""
    draws, samples = chosen.shape
    log_probs = torch.zeros(draws * samples, requires_grad=True)
    # One loss over all draws is the mean of the draws' own.
    policy_loss(leave_one_out(risks).flatten(), log_probs, 1.0).backward()
    on_outputs = torch.zeros(draws, len(OUTPUTS)).scatter_add(1, chosen, draws * log_probs.grad.view(draws, samples))
    each = on_outputs @ log_prob_gradients
    return each.mean(dim=0), each.std(dim=0) / draws**0.5


@pytest.fixture(scope="module")
def exact(model: T5ForConditionalGeneration) -> tuple[Tensor, Tensor]:
    """Probability of every output (156,) for the first input, and the gradient of its logarithm (156, parameters)."""
    log_probs = sequence_log_probs(*scored(model, INPUTS[:1] * len(OUTPUTS), OUTPUTS))
    gradients = torch.stack([flat_gradient(model, one) for one in log_probs])
    return log_probs.detach().exp(), gradients


def arbitrary_risks() -> Tensor:
    return torch.rand(len(OUTPUTS), generator=torch.Generator().manual_seed(3))


def test_outputs_are_all_there_are(exact: tuple[Tensor, Tensor]) -> None:
    assert exact[0].sum().item() == pytest.approx(1, abs=1e-5)
    assert exact[0].max() < 0.5, "no output is to stand for all"


def test_samples_come_as_often_as_they_are_probable(
    model: T5ForConditionalGeneration, exact: tuple[Tensor, Tensor]
) -> None:
    observed = torch.bincount(drawn(model, INPUTS[0], 10_000, 2, seed=5).flatten(), minlength=len(OUTPUTS)).double()
    expected = 20_000 * exact[0].double() / exact[0].double().sum()
    rare = expected < 5
    observed = torch.cat([observed[~rare], observed[rare].sum()[None]])
    expected = torch.cat([expected[~rare], expected[rare].sum()[None]])
    assert chisquare(observed, expected).pvalue > 1e-3


@pytest.mark.parametrize("samples", [2, 4])
def test_the_mean_over_draws_is_the_gradient_of_the_expected_risk(
    model: T5ForConditionalGeneration, exact: tuple[Tensor, Tensor], samples: int
) -> None:
    risks = arbitrary_risks()
    # By autograd through the sum over everything, not by the identity that the estimator rests on.
    log_probs = sequence_log_probs(*scored(model, INPUTS[:1] * len(OUTPUTS), OUTPUTS))
    expected = flat_gradient(model, (log_probs.exp() * risks).sum())

    chosen = drawn(model, INPUTS[0], 20_000, samples)
    mean, error = estimates(risks[chosen], chosen, exact[1])
    assert ((mean - expected).abs() <= 5 * error + 1e-6).all()
    assert torch.cosine_similarity(mean, expected, dim=0) > 0.99
    assert mean.norm().item() == pytest.approx(expected.norm().item(), rel=0.05)
    assert (expected.abs() > 5 * error).sum() > 50, "the errors are to be small enough to tell a wrong estimator"


def test_one_backward_pass_is_the_estimate(model: T5ForConditionalGeneration, exact: tuple[Tensor, Tensor]) -> None:
    chosen = drawn(model, INPUTS[0], 30, 3, seed=1)
    risks = arbitrary_risks()[chosen]
    outputs = [OUTPUTS[index] for index in chosen.flatten().tolist()]
    mean_length = sum(map(len, outputs)) / len(outputs)
    log_probs = sequence_log_probs(*scored(model, INPUTS[:1] * len(outputs), outputs))
    gradient = flat_gradient(model, policy_loss(leave_one_out(risks).flatten(), log_probs, mean_length))
    mean, _ = estimates(risks, chosen, exact[1])
    torch.testing.assert_close(gradient, mean / mean_length, rtol=1e-4, atol=1e-6)


def test_a_random_risk_pulls_nowhere(model: T5ForConditionalGeneration, exact: tuple[Tensor, Tensor]) -> None:
    chosen = drawn(model, INPUTS[0], 20_000, 4, seed=2)
    risks = torch.rand(chosen.shape, generator=torch.Generator().manual_seed(4))
    mean, error = estimates(risks, chosen, exact[1])
    assert (mean.abs() <= 5 * error + 1e-7).all()

    # Not even towards what is probable already: the direction in which the entropy changes fastest.
    probabilities, gradients = exact
    entropy_gradient = -(probabilities * (probabilities.log() + 1)) @ gradients
    along = (gradients @ (entropy_gradient / entropy_gradient.norm()))[:, None]
    slope, error = estimates(risks, chosen, along)
    assert slope.abs() <= 4 * error
    # The same draws do show a pull where the risk is surprise, whose mean is the entropy.
    slope, error = estimates(-probabilities.log()[chosen], chosen, along)
    assert (slope - entropy_gradient.norm()).abs() <= 4 * error < slope / 10


@pytest.mark.parametrize("risk", [0.1, 1 / 3, 7.7])
@pytest.mark.parametrize("samples", [2, 3, 4, 7])
def test_a_constant_risk_has_exactly_no_gradient(model: T5ForConditionalGeneration, risk: float, samples: int) -> None:
    outputs = [OUTPUTS[index] for index in drawn(model, INPUTS[0], 5, samples).flatten().tolist()]
    advantages = leave_one_out(torch.full((5, samples), risk)).flatten()
    log_probs = sequence_log_probs(*scored(model, INPUTS[:1] * len(outputs), outputs))
    assert (flat_gradient(model, policy_loss(advantages, log_probs, 2.0)) == 0).all()


def test_samples_that_agree_have_exactly_no_gradient(model: T5ForConditionalGeneration) -> None:
    input_ids, attention_mask = pad_sequences(INPUTS, PAD)
    generator = torch.Generator().manual_seed(0)
    written = T5Model(model).sample(input_ids, attention_mask, 4, LONGEST, temperature=1e-4, generator=generator)
    lengths = output_lengths(written, T5Model(model).end_token_ids).flatten().tolist()
    outputs = [one[:length] for one, length in zip(written.flatten(0, 1).tolist(), lengths, strict=True)]
    risks = torch.tensor([arbitrary_risks()[OUTPUTS.index(output)] for output in outputs]).view(2, 4)
    assert risks[0, 0] != risks[1, 0], "the examples differ, their samples agree"
    log_probs = sequence_log_probs(*scored(model, [INPUTS[0]] * 4 + [INPUTS[1]] * 4, outputs))
    assert (flat_gradient(model, policy_loss(leave_one_out(risks).flatten(), log_probs, 2.0)) == 0).all()


def test_padding_and_batching_change_nothing(model: T5ForConditionalGeneration) -> None:
    chosen = torch.cat([drawn(model, one, 4, 3, seed=6) for one in INPUTS])
    outputs = [OUTPUTS[index] for index in chosen.flatten().tolist()]
    inputs = [one for one in INPUTS for _ in range(12)]
    advantages = leave_one_out(arbitrary_risks()[chosen]).flatten()
    mean_length = sum(map(len, outputs)) / len(outputs)
    whole = flat_gradient(
        model, policy_loss(advantages, sequence_log_probs(*scored(model, inputs, outputs)), mean_length)
    )
    assert whole.norm() > 0.01

    more = sequence_log_probs(*scored(model, inputs, outputs, more=5))
    relative = (flat_gradient(model, policy_loss(advantages, more, mean_length)) - whole).norm() / whole.norm()
    assert relative < 1e-5

    parts = torch.zeros_like(whole)
    for start, end in [(0, 5), (5, 6), (6, 24)]:
        log_probs = sequence_log_probs(*scored(model, inputs[start:end], outputs[start:end]))
        share = (end - start) / len(outputs)
        parts += flat_gradient(model, share * policy_loss(advantages[start:end], log_probs, mean_length))
    assert (parts - whole).norm() / whole.norm() < 1e-5


def test_leave_one_out_by_hand() -> None:
    risks = torch.tensor([[1.0, 2.0, 6.0], [0.5, 0.5, 0.5]])
    expected = torch.tensor([[1 - 8 / 2, 2 - 7 / 2, 6 - 3 / 2], [0, 0, 0]])
    torch.testing.assert_close(leave_one_out(risks), expected)
    assert leave_one_out(torch.zeros(0, 4)).shape == (0, 4)


def test_leave_one_out_needs_another_sample() -> None:
    with pytest.raises(ValueError, match="2 samples"):
        leave_one_out(torch.ones(3, 1))


def test_log_probs_of_consecutive_sequences() -> None:
    torch.manual_seed(0)
    logits, labels = 4 * torch.randn(7, 5), torch.randint(0, 5, (7,))
    picked = [logits[n].double().softmax(-1)[labels[n]].log().item() for n in range(7)]
    expected = torch.tensor([sum(picked[:2]), sum(picked[2:6]), picked[6]])
    torch.testing.assert_close(sequence_log_probs(logits, labels, torch.tensor([2, 4, 1])), expected)
    low = sequence_log_probs(logits.bfloat16(), labels, torch.tensor([2, 4, 1]))
    assert low.dtype == torch.float32


def test_gradients_by_finite_differences() -> None:
    torch.manual_seed(0)
    advantages = torch.randn(3, dtype=torch.float64)
    log_probs = torch.randn(3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda given: policy_loss(advantages, given, 2.5), log_probs)

    logits = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    labels, lengths = torch.randint(0, 5, (6,)), torch.tensor([1, 3, 2])
    assert torch.autograd.gradcheck(lambda given: sequence_log_probs(given, labels, lengths), logits)


def test_advantages_and_mean_length_are_constants() -> None:
    advantages, mean_length = torch.randn(3, requires_grad=True), torch.tensor(2.0, requires_grad=True)
    log_probs = torch.randn(3, requires_grad=True)
    policy_loss(advantages, log_probs, mean_length).backward()
    assert advantages.grad is None and mean_length.grad is None
    torch.testing.assert_close(log_probs.grad, advantages.detach() / 6)


@pytest.mark.parametrize("chunk", [1, 17, 1 << 22])
def test_gradient_norms_are_those_of_autograd(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert expected_risk.CHUNK_ELEMENTS == divergence.CHUNK_ELEMENTS
    monkeypatch.setattr(expected_risk, "CHUNK_ELEMENTS", chunk)
    torch.manual_seed(0)
    logits = (3 * torch.randn(9, 8)).requires_grad_()
    labels, lengths = torch.randint(0, 8, (9,)), torch.tensor([4, 2, 1, 2])
    advantages = {"one": torch.randn(4), "other": 10 * torch.randn(4), "still": torch.zeros(4)}
    norms = logit_gradient_norms(advantages, logits, labels, lengths, 2.25)
    assert list(norms) == list(advantages)
    for name, each in advantages.items():
        loss = policy_loss(each, sequence_log_probs(logits, labels, lengths), 2.25)
        (gradient,) = torch.autograd.grad(loss, logits)
        assert norms[name].shape == () and not norms[name].requires_grad
        torch.testing.assert_close(norms[name], gradient.norm())
