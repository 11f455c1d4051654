"""What agents replied alone to questions of the past, and which of these are like a new one.

Each past question has a profile: what every agent scored and cost on it, reduced to a few numbers. A linear map
predicts the profile of a new question from its text. Attention over the past questions, with the prediction as query
and the profiles as keys, says how much each of them counts; its scale is the error that the prediction makes on
questions it has not seen. So what cannot be told from the text does not count, and nobody says which questions are of
one kind.

An agent that was asked only some of the questions is taken to have replied to the others as is to be expected: right,
wrong like most who are wrong, or wrong in its own way, each with its probability. Where few were asked everything,
that goes by agents that have something in common with it (gdesign.design.joint.crossed); for one that was added later,
by its replies so far, what all others replied to the question, and the text.

Shape letters: T past questions, B new ones, C candidates, D text features, R numbers of a profile, L designs, K places
of a shape, Q prices of cost, V ways to reply, F numbers that are told.
"""

from collections.abc import Sequence
from copy import copy
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from gdesign.design.base import Expected
from gdesign.design.joint.crossed import Crossed
from gdesign.design.joint.vocabulary import compose
from gdesign.types import Agent, Design

CHUNK = 1 << 22
"""Outcomes composed at once; bounds the memory that takes."""
NUM_DRAWS = 12
"""Draws of what is not known of replies."""
NUM_COPIES = 5
"""Different replies of one agent in a draw; in larger teams of its copies some reply alike."""
SAME = 1 - 1e-6
"""Cosine above which two texts are one."""


class Profiles:
    """Single replies of C agents to T questions, attended to by the predicted profile of a new one.

    Args:
        agents: The candidates.
        ids: Equal for equal answers to one question; -1 for an unreadable one. What is not named is as in `Record`.
        usd: Of each agent alone, USD for 1,000 questions.
        seen: Which replies are known; all, of some agents.
        added: Which agents came after the others; none unless given.
        again: Scores of agents that were asked a question again; NaN where they were not. None where replies do not
            change from one time to the next.
        num_factors: R at most; this and the other settings as in `gdesign.design.joint.evidence.Evidence`.
    """

    def __init__(
        self,
        *,
        agents: Sequence[Agent],
        x: Float[Tensor, "T D"],
        ids: Int[Tensor, "T C"],
        scores: Float[Tensor, "T C"],
        usd: Float[Tensor, "T C"],
        seen: Bool[Tensor, "T C"],
        weight: Float[Tensor, " T"],
        added: Bool[Tensor, " C"] | None = None,
        again: Float[Tensor, "T C"] | None = None,
        num_factors: int = 6,
        cost_weight: float = 0.3,
        ridge: float = 0.3,
        spread: float = 1.5,
        text_weight: float = 3.0,
    ) -> None:
        whole = seen.all(0)
        self.added = torch.zeros_like(whole) if added is None else added
        ways = _Ways.of(agents, x, ids, scores, usd, seen, self.added, text_weight)
        outcomes = torch.cat([ways.right, cost_weight * (ways.usd + 1e-6).log()], dim=1).double()
        mean = outcomes.mean(0)
        centred = outcomes - mean
        _, singular, factors = torch.linalg.svd(centred, full_matrices=False)
        factors = factors[:num_factors][singular[:num_factors] > 1e-6]  # a direction without spread tells nothing
        keys = centred @ factors.mT
        features = x.double()
        inverse = torch.linalg.inv(features.mT @ features + ridge * torch.eye(x.shape[1], dtype=torch.float64))
        reach = ((features @ inverse) * features).sum(1, keepdim=True)

        def fitted(y: Float[Tensor, "T _"]) -> tuple[Float[Tensor, "D _"], Float[Tensor, "T _"]]:
            """Return the map from text to y, and what it says of each question when fitted without it."""
            weights = inverse @ (features.mT @ y)
            return weights, y - (y - features @ weights) / (1 - reach)

        weights, unseen = fitted(keys)
        scale = spread * (keys - unseen).square().mean(0).clamp_min(1e-6)
        score_map, unseen_scores = fitted(centred[:, : len(whole)])
        self.directions = normalize(x, dim=1)  # not all encoders give unit vectors
        self.right = ways.right
        self.usd = ways.usd
        fresh = (unseen_scores + mean[: len(whole)]).clamp(0.0, 1.0).to(x)
        steady = _steady(scores, again, fresh) if again is not None else 1.0
        self.ids, self.scores = ways.drawn(fresh, steady)
        self.weight = weight / weight.sum()
        self.keys: Tensor = keys.to(x)
        self.map = weights.to(x)
        self.mean = mean[: len(whole)].to(x)
        self.score_map = score_map.to(x)
        self.unseen_scores = unseen_scores.to(x)
        self.scale: Tensor = scale.to(x)
        # A profile that is common is likely to be near any prediction; it counts no more for that.
        self.level = torch.log(self.weight) - self._near(unseen.to(x)).logsumexp(0)
        self.unseen = unseen.to(x)

    def __call__(self, x: Float[Tensor, "B D"]) -> Float[Tensor, "B T"]:
        """Return how much each past question counts for questions with these features; its own record never."""
        alike = self._alike(x)
        likeness, nearest = alike.max(1)
        # the map has seen its own questions: of these it says what it does when fitted without them
        profile = torch.where((likeness > SAME)[:, None], self.unseen[nearest], x @ self.map)
        logits = self._near(profile) + self.level
        itself = alike > SAME
        itself &= ~itself.all(1, keepdim=True)  # where there is no other record, its own must do
        return logits.masked_fill(itself, -torch.inf).softmax(-1)

    def to(self, device: torch.device) -> "Profiles":
        """Return the same with its tensors there."""
        moved = copy(self)
        vars(moved).update({k: v.to(device) for k, v in vars(self).items() if isinstance(v, Tensor)})
        return moved

    def _alike(self, x: Float[Tensor, "B D"]) -> Float[Tensor, "B T"]:
        """Return the cosine between questions and those of the past."""
        return normalize(x, dim=1) @ self.directions.mT

    def _near(self, profile: Float[Tensor, "B R"]) -> Float[Tensor, "B T"]:
        return -((profile[:, None] - self.keys).square() / (2 * self.scale)).sum(-1)

    def alone(self, attention: Float[Tensor, "B T"]) -> tuple[Float[Tensor, "B C"], Float[Tensor, "B C"]]:
        """Return what each agent alone is expected to score and cost."""
        return attention @ self.right, attention @ self.usd

    def told(self, x: Float[Tensor, "B D"]) -> Float[Tensor, "B C"]:
        """Return what the text alone lets expect each agent to score; a question's own record never counts.

        Attention looks where all agents did alike, so it blurs an agent of which little was seen; this does not.
        """
        likeness, itself = self._alike(x).max(1)
        known = (likeness > SAME)[:, None]
        return (torch.where(known, self.unseen_scores[itself], x @ self.score_map) + self.mean).clamp(0.0, 1.0)

    def outcomes(self, design: Design, teams: Int[Tensor, "L K"]) -> Expected:
        """Return the expected score and cost of designs that differ from one in their agents alone.

        Messages are left out. Copies of an agent answer as it was seen to when it was asked again.

        Args:
            teams: Who stands in the places of each of L designs.
        """
        num_draws, num, _, num_copies = self.ids.shape
        first = (teams[:, :, None] == teams[:, None]).tril()
        copy = (first.sum(-1) - 1) % num_copies
        parts = []
        size = max(1, CHUNK // (num * num_draws))
        for part, which in zip(torch.split(teams, size), torch.split(copy, size), strict=True):
            ids, scores = (t[:, :, part, which].flatten(0, 1) for t in (self.ids, self.scores))
            usd = self.usd[:, part].repeat(num_draws, 1, 1)
            score, cost = compose(design, ids, scores, usd)
            parts.append((score.view(num_draws, num, -1).mean(0), cost.view(num_draws, num, -1).mean(0)))
        return Expected(*(torch.cat(columns, dim=1) for columns in zip(*parts, strict=True)))


class _Ways(NamedTuple):
    """How each agent may have replied to each question: as was seen, or else in one of three ways.

    These are: right; wrong with the answer of most who are wrong; wrong with one of its own.

    Attributes:
        ids: What was seen.
        scores: Likewise.
        seen: Where it was.
        right: The expected score.
        usd: As was seen or is expected.
        answer: The right answer to each question, where it is known, and that of most who are wrong.
        with_most: How often each agent that is wrong is wrong like most.
    """

    ids: Int[Tensor, "T C"]
    scores: Float[Tensor, "T C"]
    seen: Bool[Tensor, "T C"]
    right: Float[Tensor, "T C"]
    usd: Float[Tensor, "T C"]
    answer: Int[Tensor, "T 2"]
    with_most: Float[Tensor, " C"]

    @classmethod
    def of(
        cls,
        agents: Sequence[Agent],
        x: Float[Tensor, "T D"],
        ids: Int[Tensor, "T C"],
        scores: Float[Tensor, "T C"],
        usd: Float[Tensor, "T C"],
        seen: Bool[Tensor, "T C"],
        added: Bool[Tensor, " C"],
        text_weight: float,
    ) -> "_Ways":
        """Expect what was not seen."""
        whole = seen.all(0)
        known = seen & ~added
        right, popular = (_commonest(ids, known & keep) for keep in (scores > 0, scores == 0))
        right[right < 0] = torch.iinfo(ids.dtype).max  # a right answer that nobody gave
        wrong = seen & (scores == 0)
        with_most = (wrong & (ids == popular[:, None]) & (ids >= 0)).sum(0) / wrong.sum(0).clamp_min(1)
        expected, usd = scores.clone(), usd.clone()
        told, known_usd = torch.cat([scores[:, whole], text_weight * x], dim=1), usd[:, whole]
        if bool((~whole & ~added).any()):
            expected = torch.where(seen, scores, Crossed(agents, x).mean(scores, seen))
        for c in (~whole).nonzero()[:, 0].tolist():
            unasked = ~seen[:, c]
            if added[c]:
                expected[unasked, c] = _logistic(told, scores[:, c], seen[:, c])[unasked]
            usd[unasked, c] = _ridge_of_logs(known_usd, usd[:, c], seen[:, c])[unasked]
        return cls(ids, scores, seen, expected, usd, torch.stack([right, popular], dim=1), with_most)

    def drawn(
        self, fresh: Float[Tensor, "T C"], steady: float
    ) -> tuple[Int[Tensor, "M T C J"], Float[Tensor, "M T C J"]]:
        """Return M draws of what each agent, and further copies of it, reply; always the same ones.

        Args:
            fresh: How likely a copy is right that does not reply as the agent did.
            steady: How often it does.
        """
        if bool(self.seen.all()) and steady >= 1:
            return self.ids[None, ..., None], self.scores[None, ..., None]
        num_copies = 1 if steady >= 1 else NUM_COPIES
        generator = torch.Generator().manual_seed(0)

        def even() -> Float[Tensor, "M T C"]:
            """Return numbers spread evenly in [0, 1) over the draws."""
            shape = (NUM_DRAWS, *self.ids.shape)
            order = torch.rand(shape, generator=generator).argsort(0)
            return (order + torch.rand(shape, generator=generator)) / NUM_DRAWS

        def replies(p: Float[Tensor, "T C"]) -> tuple[Int[Tensor, "M T C"], Float[Tensor, "M T C"]]:
            right, with_most = even() < p, even() < self.with_most
            own = torch.full_like(self.ids, -1)
            ids = torch.where(right, self.answer[:, :1], torch.where(with_most, self.answer[:, 1:], own))
            return ids.to(self.ids.dtype), right.to(p)

        ids, scores = replies(self.right)
        first = torch.where(self.seen, self.ids, ids), torch.where(self.seen, self.scores, scores)
        drawn = [first]
        for _ in range(1, num_copies):
            again = even() < steady
            ids, scores = replies(fresh)
            drawn.append((torch.where(again, first[0], ids), torch.where(again, first[1], scores)))
        ids, scores = (torch.stack(columns, dim=-1) for columns in zip(*drawn, strict=True))
        return ids, scores


def _steady(scores: Float[Tensor, "T C"], again: Float[Tensor, "T C"], fresh: Float[Tensor, "T C"]) -> float:
    """Return how often an agent asked again replies as before, beyond what its level makes of it."""
    known = ~again.isnan()
    first, second = (scores - fresh)[known], (again - fresh)[known]
    return float(((first @ second) / (first @ first).clamp_min(1e-6)).clamp(0.0, 1.0)) if len(first) else 1.0


def _commonest(ids: Int[Tensor, "T C"], keep: Bool[Tensor, "T C"]) -> Int[Tensor, " T"]:
    """Return the most frequent of the answers that are to be looked at; -1 where there is none."""
    if not ids.shape[1]:
        return ids.new_full((len(ids),), -1)
    keep = keep & (ids >= 0)
    votes = ((ids[:, :, None] == ids[:, None]) & keep[:, None]).sum(-1) * keep
    most = votes.argmax(1)
    answer = ids.gather(1, most[:, None])[:, 0]
    return torch.where(votes.gather(1, most[:, None])[:, 0] > 0, answer, -1)


def _logistic(
    told: Float[Tensor, "T F"], right: Float[Tensor, " T"], asked: Bool[Tensor, " T"], *, ridge: float = 3.0
) -> Float[Tensor, " T"]:
    from sklearn.linear_model import LogisticRegression  # slow to import, and needed for agents added later alone

    x = (told - told.mean(0)).double()
    rows, y = x[asked], right[asked].double()
    # a reply that is half right is half a right one and half a wrong one; and one reply of each kind, half each, keeps
    # the fit finite where all are alike
    level, half = torch.zeros_like(x[:1]), torch.tensor([0.5])
    model = LogisticRegression(C=1 / ridge, solver="newton-cholesky", tol=1e-10).fit(
        torch.cat([rows, level, rows, level]).numpy(),
        torch.tensor([True, False]).repeat_interleave(len(rows) + 1).numpy(),
        sample_weight=torch.cat([y, half, 1 - y, half]).numpy(),
    )
    return torch.from_numpy(model.predict_proba(x.numpy())[:, 1]).to(told)


def _ridge_of_logs(
    known: Float[Tensor, "T C"], usd: Float[Tensor, " T"], asked: Bool[Tensor, " T"], *, ridge: float = 5.0
) -> Float[Tensor, " T"]:
    x = (known + 1e-6).log().double()
    x = torch.cat([x - x.mean(0), torch.ones(len(x), 1, dtype=x.dtype)], dim=1)
    y = (usd[asked] + 1e-6).log().double()
    rows = x[asked]
    penalty = ridge * torch.eye(x.shape[1], dtype=x.dtype)
    expected = (x @ torch.linalg.solve(rows.mT @ rows + penalty, rows.mT @ (y - y.mean())) + y.mean()).exp()
    out: Tensor = (expected * usd[asked].sum() / expected[asked].sum().clamp_min(1e-12)).to(known)
    return out
