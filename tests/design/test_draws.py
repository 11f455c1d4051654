import pytest
import torch

from gdesign.design.draws import NEVER, bernoulli_entropy, categorical_entropy, or_impossible, summed


def test_probabilities_are_summed_by_owner():
    log_prob = torch.tensor([0.1, 0.2, 0.3]).log()
    total = summed(log_prob, torch.tensor([0, 2, 2]), 3)
    torch.testing.assert_close(total.exp(), torch.tensor([0.1, 0.0, 0.5]))


def test_the_gradient_of_a_sum_is_that_of_logsumexp():
    log_prob = torch.randn(4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    summed(log_prob, torch.tensor([0, 0, 0, 1]), 2)[0].backward()
    expected = log_prob.detach()[:3].softmax(0)
    torch.testing.assert_close(log_prob.grad, torch.cat([expected, torch.zeros(1)]))


def test_sums_of_what_was_ruled_out_are_impossible():
    total = summed(torch.tensor([NEVER, NEVER, -1.0]), torch.tensor([0, 0, 1]), 2)
    assert or_impossible(total).tolist() == [-torch.inf, -1.0]


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_yes_or_no_is_a_distribution_over_two(p):
    probabilities = torch.tensor([p, 1 - p])
    torch.testing.assert_close(bernoulli_entropy(probabilities[0].logit()), categorical_entropy(probabilities.log()))
