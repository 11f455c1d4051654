"""What agents replied alone to questions of the past, and which of these are like a new one.

Each past question has a profile: what every agent scored and cost on it, reduced to a few numbers. A linear map
predicts the profile of a new question from its text. Attention over the past questions, with the prediction as query
and the profiles as keys, says how much each of them counts; its scale is the error that the prediction makes on
questions it has not seen. So what cannot be told from the text does not count, and nobody says which questions are of
one kind.

An agent that was asked only some of the questions is taken to have replied to the others as its replies so far, what
all others replied there, and the text let expect: right, wrong like most who are wrong, or wrong in its own way, each
with its probability.

Shape letters: T past questions, B new ones, C candidates, D text features, R numbers of a profile, L designs, K places
of a shape, Q prices of cost, V ways to reply, F numbers that are told.
"""

from collections.abc import Sequence
from copy import copy
from itertools import product

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from gdesign.design.joint.vocabulary import Shape, compose

CHUNK = 1 << 22
"""Outcomes composed at once; bounds the memory that takes."""
SAME = 1 - 1e-6
"""Cosine above which two texts are one."""


class Profiles:
    """Single replies of C agents to T questions, attended to by the predicted profile of a new one.

    Args:
        ids: Equal for equal answers to one question; -1 for an unreadable one. What is not named is as in `Record`.
        usd: Of each agent alone, USD for 1,000 questions.
        seen: Which replies are known; all, of some agents.
        added: Which agents came after the others; none unless given.
        num_factors: R at most; this and the other settings as in `gdesign.design.joint.evidence.Evidence`.
    """

    def __init__(
        self,
        *,
        x: Float[Tensor, "T D"],
        ids: Int[Tensor, "T C"],
        scores: Float[Tensor, "T C"],
        usd: Float[Tensor, "T C"],
        seen: Bool[Tensor, "T C"],
        weight: Float[Tensor, " T"],
        added: Bool[Tensor, " C"] | None = None,
        num_factors: int = 6,
        cost_weight: float = 0.3,
        ridge: float = 0.3,
        spread: float = 1.5,
        text_weight: float = 3.0,
    ) -> None:
        whole = seen.all(0)
        ids, scores, chance, usd = _expected(x, ids, scores, usd, seen, text_weight)
        outcomes = torch.cat([(chance * scores).sum(0), cost_weight * (usd + 1e-6).log()], dim=1).double()
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
        self.ids = ids
        self.scores = scores
        self.chance = chance
        self.usd = usd
        self.part = ~whole
        self.added = torch.zeros_like(whole) if added is None else added
        self.weight = weight / weight.sum()
        self.keys: Tensor = keys.to(x)
        self.map = weights.to(x)
        self.mean = mean[: len(whole)].to(x)
        self.score_map = score_map.to(x)
        self.unseen_scores = unseen_scores.to(x)
        self.scale: Tensor = scale.to(x)
        # A profile that is common is likely to be near any prediction; it counts no more for that.
        self.level = torch.log(self.weight) - self._near(unseen.to(x)).logsumexp(0)
        self._spectrum = unseen.to(x)

    def __call__(self, x: Float[Tensor, "B D"]) -> Float[Tensor, "B T"]:
        """Return how much each past question counts for questions with these features; its own record never."""
        logits = self._near(x @ self.map) + self.level
        itself = self._alike(x) > SAME
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
        return attention @ (self.chance * self.scores).sum(0), attention @ self.usd

    def told(self, x: Float[Tensor, "B D"]) -> Float[Tensor, "B C"]:
        """Return what the text alone lets expect each agent to score; a question's own record never counts.

        Attention looks where all agents did alike, so it blurs an agent of which little was seen; this does not.
        """
        likeness, itself = self._alike(x).max(1)
        known = (likeness > SAME)[:, None]
        return (torch.where(known, self.unseen_scores[itself], x @ self.score_map) + self.mean).clamp(0.0, 1.0)

    def outcomes(self, shape: Shape, teams: Int[Tensor, "L K"]) -> tuple[Float[Tensor, "T L"], Float[Tensor, "T L"]]:
        """Return the expected score, and USD for 1,000 questions, of designs without messages."""
        place, agents, num = self._in_part(teams)
        score, usd = (self.usd.new_zeros(len(self.usd), len(teams)) for _ in range(2))
        for k in sorted(set(num.tolist())):
            rows = (num == k).nonzero()[:, 0]
            team, where = teams[rows], place[rows]
            for ways in product(range(len(self.ids)), repeat=k):
                way = torch.tensor([*ways, 0], device=teams.device)[where.clamp_max(k)]
                parts = compose(
                    shape,
                    self.ids[way, :, team].movedim(-1, 0),
                    self.scores[way, :, team].movedim(-1, 0),
                    self.usd[:, team],
                )
                chance = torch.ones_like(parts[0])
                for j, v in enumerate(ways):
                    chance = chance * self.chance[v][:, agents[rows, j]]
                score[:, rows] += chance * parts[0]
                usd[:, rows] += chance * parts[1]
        return score, usd

    def _in_part(self, teams: Int[Tensor, "L K"]) -> tuple[Int[Tensor, "L K"], Int[Tensor, "L K"], Int[Tensor, " L"]]:
        """Return which of the agents not asked all stands in each place (K for none), these agents, and their number.

        An agent that stands in several places gives one reply, so it counts once.
        """
        num_places = teams.shape[1]
        first = (teams[:, :, None] == teams[:, None]).int().argmax(-1)
        leads = self.part[teams] & (first == torch.arange(num_places, device=teams.device))
        place = torch.where(self.part[teams], (leads.cumsum(1) - 1).gather(1, first), num_places)
        agents = torch.zeros_like(teams[:, :1]).repeat(1, num_places + 1).scatter(1, place, teams)
        return place, agents[:, :num_places], leads.sum(1)

    def shortlist(
        self,
        shape: Shape,
        teams: Int[Tensor, "L K"],
        *,
        usd_weights: Sequence[float],
        num_best: int,
        num_places: int = 8,
    ) -> Int[Tensor, " _"]:
        """Return the designs that are among the best somewhere, at one of some prices of cost.

        Args:
            num_best: How many to take in each place at each price.
            num_places: How many predicted profiles to look from, spread over those of the past questions (and all of
                these together, once).
        """
        attention = torch.cat([self.weight[None], self._near(self._places(num_places)).add(self.level).softmax(-1)])
        values = []
        size = max(1, CHUNK // len(self.usd))
        for part in torch.split(teams, size):
            scores, usd = self.outcomes(shape, part)
            score, cost = attention @ scores, attention @ usd
            values.append(torch.stack([score - price * cost for price in usd_weights]))
        worth = torch.cat(values, dim=-1).flatten(0, 1)
        best = worth.topk(min(num_best, worth.shape[-1]), dim=-1).indices
        chosen: Tensor = torch.unique(best)
        return chosen

    def _places(self, num: int) -> Float[Tensor, "Q R"]:
        """Return predicted profiles far from each other: each the farthest from those before (Gonzalez 1985)."""
        points = self._spectrum / self.scale.sqrt()
        chosen = [int(points.square().sum(1).argmin())]
        distance = torch.full((len(points),), torch.inf)
        for _ in range(min(num, len(points)) - 1):
            distance = torch.minimum(distance, (points - points[chosen[-1]]).square().sum(1))
            chosen.append(int(distance.argmax()))
        return self._spectrum[chosen]


def _expected(
    x: Float[Tensor, "T D"],
    ids: Int[Tensor, "T C"],
    scores: Float[Tensor, "T C"],
    usd: Float[Tensor, "T C"],
    seen: Bool[Tensor, "T C"],
    text_weight: float,
) -> tuple[Int[Tensor, "V T C"], Float[Tensor, "V T C"], Float[Tensor, "V T C"], Float[Tensor, "T C"]]:
    """Return answers, scores and chances of each way to reply, and USD; one way where all replies are known.

    The ways are: as was seen, or else right; wrong with the answer of most who are wrong; wrong with one of its own.
    """
    part = (~seen.all(0)).nonzero()[:, 0].tolist()
    if not part:
        return ids[None], scores[None], torch.ones_like(scores)[None], usd
    others = seen.all(0)
    right, popular = (_commonest(ids[:, others], keep) for keep in (scores[:, others] > 0, scores[:, others] == 0))
    right[right < 0] = torch.iinfo(ids.dtype).max  # a right answer that nobody else gave
    ids, scores = ids.expand(3, -1, -1).clone(), scores.expand(3, -1, -1).clone()
    chance = torch.stack([torch.ones_like(usd), torch.zeros_like(usd), torch.zeros_like(usd)])
    usd = usd.clone()
    told = torch.cat([scores[0][:, others], text_weight * x], dim=1)
    for c in part:
        asked, unasked = seen[:, c], ~seen[:, c]
        p = _logistic(told, scores[0, :, c], asked)[unasked]
        wrong = asked & (scores[0, :, c] == 0)
        with_most = (wrong & (ids[0, :, c] == popular) & (popular >= 0)).sum() / wrong.sum().clamp_min(1)
        ids[:, unasked, c] = torch.stack([right, popular, torch.full_like(right, -1)])[:, unasked]
        scores[:, unasked, c] = torch.tensor([[1.0], [0.0], [0.0]])
        chance[:, unasked, c] = torch.stack([p, (1 - p) * with_most, (1 - p) * (1 - with_most)])
        usd[unasked, c] = _ridge_of_logs(usd[:, others], usd[:, c], asked)[unasked]
    return ids, scores, chance, usd


def _commonest(ids: Int[Tensor, "T C"], keep: Bool[Tensor, "T C"]) -> Int[Tensor, " T"]:
    """Return the most frequent of the answers that are to be looked at; -1 where there is none."""
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
