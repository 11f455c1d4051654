"""G-Designer: a variational graph auto-encoder that draws a communication graph for each question.

Zhang et al., "G-Designer: Architecting Multi-agent Communication Topologies via Graph Neural Networks", ICML 2025,
arXiv 2410.11782. The names are the paper's: h the latents, S the sketch, Z and W the refinement, tau the temperature,
zeta the weight of the nuclear norm. Departures are named on docs/methods/gdesigner.md.

Shape letters: T problems in a batch, K designs drawn for each, B = T * K, N slots, P places, H hidden features, R rank
of the refinement.
"""

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch_geometric.data import Batch

from gdesign.design.draws import MAX_LOG_SIGMA, RNG, divergence, normal
from gdesign.design.edge_distribution import EdgeDesigner, EdgeDistribution
from gdesign.design.places import places
from gdesign.design.slot_graphs import each, pairs_of
from gdesign.encode.graph import GNN, GraphEncoder
from gdesign.encode.problem import Space, dense


class GDesigner(EdgeDesigner):
    """Encode agents and question, sketch the edges given the question, refine the sketch, draw.

    Its parameters do not depend on which agents there are.

    Args:
        gnn: Makes the graph encoder under the heads of mean and variance; it gives H (16 in the paper).
        tau: Temperature of an edge's probability, sigmoid(w / tau); the limit 0 makes edges certain.
        zeta: Weight of the nuclear norm in the refinement (0.1 in the paper).
        anchor_weight: Weight of the anchor in the refinement (1 in the paper).
        anchor_logit: Where the anchor pulls an edge's logit: up where it has the edge, down elsewhere.
        rank: R, how many singular vectors of the anchor span the refined graph; None for all.
        kl_weight: Weight of the latents' divergence from a standard normal, a node, in the penalty.
        num_rounds: How often each agent gets the floor (3 in the paper).
    """

    def __init__(
        self,
        *,
        space: Space,
        gnn: GNN = GraphEncoder,
        tau: float = 1.0,
        zeta: float = 0.1,
        anchor_weight: float = 0.1,
        anchor_logit: float = 2.0,
        rank: int | None = None,
        kl_weight: float = 0.005,
        num_rounds: int = 1,
    ) -> None:
        super().__init__(space=space, num_rounds=num_rounds)
        self.tau = tau
        self.zeta = zeta
        self.anchor_weight = anchor_weight
        self.anchor_logit = anchor_logit
        self.rank = rank
        self.kl_weight = kl_weight
        self.encoder = gnn(text_dim=space.text_dim)
        hidden_dim = self.encoder.hidden_dim
        self.mu = nn.Linear(hidden_dim, hidden_dim)
        self.log_sigma = nn.Linear(hidden_dim, hidden_dim)
        nn.init.constant_(self.log_sigma.bias, -2.0)
        self.from_heard = nn.Linear(hidden_dim, hidden_dim)
        self.from_hearer = nn.Linear(hidden_dim, hidden_dim, bias=False)
        self.from_task = nn.Linear(hidden_dim, hidden_dim, bias=False)
        self.edge = nn.Linear(hidden_dim, 1)
        self.order = nn.Sequential(  # a shift of all scores changes nothing, so no bias
            nn.Linear(2 * hidden_dim, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, 1, bias=False)
        )

    def distribution(
        self, problem: Batch, *, num_designs: int = 1, generator: RNG = None, mean: bool = False, greedy: bool = False
    ) -> EdgeDistribution:
        """Return the distribution over graphs of each design; in training mode each has latents of its own."""
        encoded = self.encoder(problem)
        rows = each(problem.num_graphs, num_designs, encoded.device)
        mu = dense(problem, self.mu(encoded))[rows]
        log_sigma = dense(problem, self.log_sigma(encoded).clamp(max=MAX_LOG_SIGMA))[rows]
        h = mu
        if self.training and not mean:
            h = replace(
                mu, slots=normal(mu.slots, log_sigma.slots, generator), task=normal(mu.task, log_sigma.task, generator)
            )
        task = h.task[:, None].expand_as(h.slots)
        order_logits = self.order(torch.cat([h.slots, task], dim=-1))[..., 0]
        at = places(h, order_logits, num_designs=1, generator=generator, greedy=greedy)
        anchor = at.take(at.take(h.anchor).mT).mT
        refined, penalty = self.refine(self.sketch(at.take(h.slots), h.task), anchor, at.mask)
        of_slots = (divergence(mu.slots, log_sigma.slots) * h.mask).sum(1)
        of_all = (of_slots + divergence(mu.task, log_sigma.task)) / (h.mask.sum(1) + 1)
        return EdgeDistribution.among(at, edge_logits=refined / self.tau, penalty=penalty + self.kl_weight * of_all)

    def sketch(self, slots: Float[Tensor, "B P H"], task: Float[Tensor, "B H"]) -> Float[Tensor, "B P P"]:
        """Return w_ij = FFN([h_i, h_j, h_task]), the logit of slot j hearing slot i."""
        heard = self.from_heard(slots)
        hearer = self.from_hearer(slots) + self.from_task(task)[:, None]
        hidden = (heard[:, :, None] + hearer[:, None, :]).relu_()  # in place: B P P H is the largest tensor here
        logits: Tensor = self.edge(hidden)[..., 0]
        return logits

    def refine(
        self, sketch: Float[Tensor, "B P P"], anchor: Float[Tensor, "B P P"], mask: Bool[Tensor, "B P"]
    ) -> tuple[Float[Tensor, "B P P"], Float[Tensor, " B"]]:
        """Return the refined logits Z W Z^T and the regularisers' value at W, a pair of slots.

        W minimises 1/2 |w - Z W Z^T|^2 + zeta |W|_* + a/2 |anchor - Z W Z^T|^2. Z has orthonormal columns, so the
        minimum is exact: singular values of Z^T (w + a anchor) Z / (1 + a), lowered by zeta / (1 + a).
        """
        pairs = pairs_of(mask)
        target = self.anchor_logit * (2 * anchor - 1) * pairs
        a = self.anchor_weight
        middle = (sketch * pairs + a * target) / (1 + a)
        if self.rank is not None:
            z = torch.linalg.svd(anchor).U[..., : self.rank]
            middle = z.mT @ middle @ z
        w, nuclear = lower_singular_values(middle, self.zeta / (1 + a))
        refined = w if self.rank is None else z @ w @ z.mT
        pull = 0.5 * a * ((refined - target) * pairs).square().sum((1, 2))
        return refined, (self.zeta * nuclear + pull) / pairs.sum((1, 2)).clamp_min(1)


class _LowerSingularValues(torch.autograd.Function):
    """Soft threshold of singular values with a gradient that exists at repeated ones too.

    Differentiating through the decomposition divides by differences of singular values; the operator itself is smooth
    there. Its derivative by divided differences: Lewis & Sendov 2001, "Twice differentiable spectral functions"; the
    non-symmetric case as in Candes et al. 2013, "Unbiased risk estimates for singular value thresholding", section 3.
    """

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
        u, s, vh = torch.linalg.svd(matrix)
        lowered = (s - threshold).clamp_min(0)
        ctx.save_for_backward(u, s, vh, lowered)
        return (u * lowered[..., None, :]) @ vh, lowered.sum(-1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor, grad_nuclear: Tensor) -> tuple[Tensor, None]:
        u, s, vh, f = ctx.saved_tensors
        active = (f > 0).to(s.dtype)
        inner = u.mT @ grad @ vh.mT
        gap, total = s[..., :, None] - s[..., None, :], s[..., :, None] + s[..., None, :]
        close = gap.abs() < 1e-5 * (1 + total)
        slope = 0.5 * (active[..., :, None] + active[..., None, :])
        difference = torch.where(close, slope, (f[..., :, None] - f[..., None, :]) / torch.where(close, 1.0, gap))
        mean = (f[..., :, None] + f[..., None, :]) / total.clamp_min(1e-12)
        symmetric, skew = 0.5 * (inner + inner.mT), 0.5 * (inner - inner.mT)
        inner = difference * symmetric + mean * skew + torch.diag_embed(active * grad_nuclear[..., None])
        return u @ inner @ vh, None


def lower_singular_values(
    matrix: Float[Tensor, "B R R"], threshold: float
) -> tuple[Float[Tensor, "B R R"], Float[Tensor, " B"]]:
    """Lower every singular value by a threshold, not below 0; return the matrix and its nuclear norm."""
    out: tuple[Tensor, Tensor] = _LowerSingularValues.apply(matrix, threshold)  # type: ignore[no-untyped-call]
    return out
