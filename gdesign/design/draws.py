"""Draws, entropies and log-probabilities that the learned methods share."""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import softplus

RNG = torch.Generator | None
"""Where randomness comes from; None for torch's own."""

NEVER = -1e9
"""Stands for log 0 inside sums, where an infinity would turn gradients into NaN."""

MAX_LOG_SIGMA = 1.0
"""Without a penalty nothing else keeps the noise of latents from growing."""

ALWAYS = -NEVER
"""The logit of what is certain."""


def or_impossible(log_prob: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
    """Return sums of log-probabilities with -inf for what `NEVER` ruled out."""
    return torch.where(log_prob < NEVER / 2, torch.full_like(log_prob, -torch.inf), log_prob)


def summed(log_prob: Float[Tensor, " G"], owner: Int[Tensor, " G"], num: int) -> Float[Tensor, " _"]:
    """Return, for each of so many owners, the log of the sum of its probabilities; -inf where it has none.

    Args:
        owner: Whose each is, in rising order.
    """
    owner = owner.contiguous()
    column = torch.arange(len(owner), device=owner.device) - torch.searchsorted(owner, owner)
    width = int(column.max()) + 1 if len(owner) else 1
    return log_prob.new_full((num, width), -torch.inf).index_put((owner, column), log_prob).logsumexp(1)


def categorical(logits: Float[Tensor, "B N"], generator: RNG, greedy: bool) -> Int[Tensor, " B"]:
    """Draw one of N a row; greedily, the likeliest."""
    if greedy:
        return logits.argmax(-1)
    return torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]


def bernoulli(logits: Float[Tensor, "*S"], generator: RNG, greedy: bool) -> Bool[Tensor, "*S"]:
    """Draw yes or no; greedily, yes where it is likelier."""
    if greedy:
        return logits > 0
    u = torch.rand(logits.shape, generator=generator, device=logits.device, dtype=logits.dtype)
    return u < torch.sigmoid(logits)


def gumbel(like: Float[Tensor, "*S"], generator: RNG) -> Float[Tensor, "*S"]:
    """Draw standard Gumbel noise; the order of logits with noise added is one by Plackett-Luce."""
    u = torch.rand(like.shape, generator=generator, device=like.device, dtype=like.dtype)
    tiny = torch.finfo(like.dtype).tiny
    return -(-(u.clamp_min(tiny)).log()).clamp_min(tiny).log()


def categorical_entropy(
    log_prob: Float[Tensor, "*S N"], prior: Float[Tensor, "*S N"] | None = None
) -> Float[Tensor, "*S"]:
    """Return the entropy of distributions over N; beside a prior, what is left of log(N) after the divergence from it.

    Args:
        prior: Log-probabilities, `NEVER` for what cannot be; an even one changes nothing.
    """
    entropy = -(log_prob.exp() * log_prob).sum(-1)
    if prior is None:
        return entropy
    options = (prior > NEVER / 2).sum(-1).clamp_min(1)
    return entropy + (log_prob.exp() * prior).sum(-1) + options.log()


def bernoulli_entropy(logits: Float[Tensor, "*S"], prior: Float[Tensor, "*S"] | None = None) -> Float[Tensor, "*S"]:
    """Return the entropy of yes or no; beside a prior, what is left of log(2) after the divergence from it.

    Args:
        prior: Logits; 0 changes nothing.
    """
    p = torch.sigmoid(logits)
    entropy = softplus(logits) - p * logits
    return entropy if prior is None else entropy + p * prior - softplus(prior) + math.log(2)


def normal(mu: Float[Tensor, "*S H"], log_sigma: Float[Tensor, "*S H"], generator: RNG) -> Float[Tensor, "*S H"]:
    """Draw latents, with the gradient of both parameters."""
    return mu + torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype) * log_sigma.exp()


def divergence(mu: Float[Tensor, "*S H"], log_sigma: Float[Tensor, "*S H"]) -> Float[Tensor, "*S"]:
    """Return the latents' divergence from a standard normal, a feature."""
    return 0.5 * (mu.square() + (2 * log_sigma).exp() - 2 * log_sigma - 1).mean(-1)
