import pytest
import torch

from gdesign.errors import ConfigError, UserError
from gdesign.learn.estimators import Reinforce, Replayed, Rollouts, critic, imitation, leave_one_out

UTILITY = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64)


def rollouts(logits, drawn, utility, *, weight=None, teacher=None):
    log_prob = torch.log_softmax(logits, dim=-1)
    taken = log_prob[drawn]
    return Rollouts(
        log_prob=taken,
        utility=utility,
        entropy=torch.zeros_like(taken),
        penalty=torch.zeros_like(taken),
        weight=torch.ones(len(drawn), dtype=logits.dtype) if weight is None else weight,
        teacher_log_prob=None if teacher is None else log_prob[teacher],
    )


def mean_gradient(estimator, utility_of, num_designs=2):
    """The estimator's gradient summed over all draws of K designs, times their probabilities."""
    logits = torch.tensor([0.5, -0.2, 0.1], dtype=torch.float64, requires_grad=True)
    probability = torch.softmax(logits.detach(), dim=-1)
    total = torch.zeros(3, dtype=torch.float64)
    for drawn in torch.cartesian_prod(*[torch.arange(3)] * num_designs).view(-1, 1, num_designs):
        loss = estimator(rollouts(logits, drawn, utility_of(drawn)))
        (gradient,) = torch.autograd.grad(loss, logits)
        total += probability[drawn].prod() * gradient
    return total


def exact_gradient():
    logits = torch.tensor([0.5, -0.2, 0.1], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(-(torch.softmax(logits, dim=-1) @ UTILITY), logits)
    return gradient


def seasoned():
    """A moving average that has seen utilities and is held still."""
    estimator = Reinforce(decay=0.5)
    logits = torch.zeros(3, dtype=torch.float64)
    estimator(rollouts(logits, torch.tensor([[0, 1]]), torch.tensor([[0.7, 0.1]], dtype=torch.float64)))
    return estimator.eval()


ESTIMATORS = [pytest.param(seasoned(), id="reinforce"), pytest.param(leave_one_out, id="leave_one_out")]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_mean_gradient_is_the_exact_one(estimator):
    torch.testing.assert_close(mean_gradient(estimator, lambda drawn: UTILITY[drawn]), exact_gradient())


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_reward_that_does_not_depend_on_the_design_has_no_mean_gradient(estimator):
    gradient = mean_gradient(estimator, lambda drawn: torch.full(drawn.shape, 3.0, dtype=torch.float64))
    torch.testing.assert_close(gradient, torch.zeros_like(gradient))


def test_a_task_counts_as_much_as_its_weight_says():
    logits = torch.zeros(3, dtype=torch.float64)
    drawn = torch.tensor([[0, 1], [1, 2]])
    weight = torch.tensor([2.0, 0.0], dtype=torch.float64)
    weighted = leave_one_out(rollouts(logits, drawn, UTILITY[drawn], weight=weight))
    alone = leave_one_out(rollouts(logits, drawn[:1], UTILITY[drawn[:1]]))
    torch.testing.assert_close(weighted, alone)


def test_the_baseline_is_the_moving_average_of_earlier_utilities():
    estimator = Reinforce(decay=0.5)
    logits = torch.zeros(3)
    assert estimator.baseline == 0
    for value in (1.0, 4.0):
        estimator(rollouts(logits, torch.tensor([[0]]), torch.tensor([[value]])))
    assert float(estimator.baseline) == pytest.approx((0.5 * 1 + 4) / 1.5)


def test_the_baseline_travels_in_the_state_dict():
    old, new = Reinforce(), Reinforce()
    old(rollouts(torch.zeros(3), torch.tensor([[0]]), torch.tensor([[2.0]])))
    new.load_state_dict(old.state_dict())
    assert new.baseline == old.baseline == 2.0


def test_leaving_one_out_needs_two_designs():
    with pytest.raises(ConfigError, match=r"leave_one_out.*num_designs must be 2 or more, got 1"):
        leave_one_out(rollouts(torch.zeros(3), torch.tensor([[0]]), torch.tensor([[1.0]])))


def test_imitation_makes_the_given_design_likelier():
    logits = torch.zeros(3, requires_grad=True)
    loss = imitation(rollouts(logits, torch.tensor([[0]]), torch.zeros(1, 1), teacher=torch.tensor([2])))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient[2] < 0
    assert (gradient[:2] > 0).all()


def test_a_design_that_the_method_cannot_draw_is_not_imitated():
    logits = torch.tensor([0.0, 0.0, -torch.inf])
    with pytest.raises(UserError, match="cannot draw"):
        imitation(rollouts(logits, torch.tensor([[0]]), torch.zeros(1, 1), teacher=torch.tensor([2])))


def test_imitation_asks_for_designs():
    with pytest.raises(ConfigError, match=r"learner\.teacher"):
        imitation(rollouts(torch.zeros(3), torch.tensor([[0]]), torch.zeros(1, 1)))


def expecting(value, utility, *, weight=(1.0, 1.0)):
    zeros = torch.zeros_like(utility)
    return Rollouts(
        log_prob=zeros, utility=utility, entropy=zeros, penalty=zeros, weight=torch.tensor(weight), value=value
    )


def test_a_critic_learns_the_mean_utility():
    utility = torch.tensor([[1.0, 0.0, 0.5], [0.0, 0.0, 3.0]])
    value = torch.zeros(2, 1, requires_grad=True)
    optimizer = torch.optim.SGD([value], lr=1.0)
    for _ in range(50):
        optimizer.zero_grad()
        critic(expecting(value.expand(2, 3), utility)).backward()
        optimizer.step()
    torch.testing.assert_close(value.detach()[:, 0], torch.tensor([0.5, 1.0]))


def test_a_critic_counts_a_task_by_its_weight():
    value, utility = torch.tensor([[0.0], [0.0]]), torch.tensor([[1.0], [2.0]])
    assert critic(expecting(value, utility, weight=(2.0, 0.0))) == pytest.approx(1.0)


def test_a_designer_without_a_critic_is_refused():
    with pytest.raises(ConfigError, match="the designer has none"):
        critic(expecting(None, torch.ones(2, 3)))


def test_a_critic_learns_from_earlier_runs_as_from_new_ones():
    zeros = torch.zeros(1, 2)
    value = torch.tensor([[0.0, 1.0]], requires_grad=True)
    replayed = Replayed(
        expected=torch.tensor([1.0, 0.0]),
        utility=torch.tensor([0.0, 0.0]),
        task=torch.tensor([0, 0]),
        weight=torch.ones(2),
    )
    rollouts = Rollouts(
        log_prob=zeros,
        utility=torch.tensor([[0.0, 0.0]]),
        entropy=zeros,
        penalty=zeros,
        weight=torch.ones(1),
        value=value,
        replayed=replayed,
    )
    assert critic(rollouts) == 0.5
    assert critic(rollouts, between=0.0) == 0.25
