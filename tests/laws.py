"""The laws every designer passes, and what the field's released systems get wrong, as functions of a method.

A method's test file names it once and runs what applies:

    METHOD = laws.Method(name="swarm", make=Swarm, designs=laws.dags, query_dependent=False, soft=True, lr=0.1)

    @pytest.mark.parametrize("law", laws.applying_to(METHOD), ids=lambda law: law.__name__)
    def test_swarm_keeps_the_law(law):
        law(METHOD)

Small pools, no LLM, and no noise: expectations are sums over all designs that a method can draw.

Shape letters: P problems, C designs, T and K as in `gdesign.learn.estimators`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import torch
from jaxtyping import Float
from torch import Tensor
from torch_geometric.data import Batch

from gdesign.agents import teams
from gdesign.design.base import Designer, Draft
from gdesign.encode.problem import Problem, ProblemEncoder, Space
from gdesign.learn.estimators import Estimator, Reinforce, Rollouts, leave_one_out
from gdesign.types import Design, Edge
from tests import worlds

EXEMPT = {
    ("fixed", "each_estimators_mean_gradient_is_exact"): "has no parameters",
    ("fixed", "a_planted_best_design_is_learned"): "learns nothing",
    ("search", "each_estimators_mean_gradient_is_exact"): "has no parameters; it looks at every design instead",
    ("search", "a_planted_best_design_is_learned"): "is fitted to answers, not to a reward; its own tests plant a best",
    ("random_search", "each_estimators_mean_gradient_is_exact"): "has no parameters",
    (
        "random_search",
        "a_planted_best_design_is_learned",
    ): "is fitted to runs, not by gradients; its own tests plant one",
    ("tree_search", "each_estimators_mean_gradient_is_exact"): "has no parameters",
    ("tree_search", "a_planted_best_design_is_learned"): "is fitted to runs, not by gradients; its own tests plant one",
    ("adaptive", "each_estimators_mean_gradient_is_exact"): "has no parameters; it is fitted and planned",
    ("adaptive", "a_planted_best_design_is_learned"): "is fitted to answers, not a reward; its own tests plant one",
    ("router", "each_estimators_mean_gradient_is_exact"): "has no parameters; it is fitted in closed form",
    ("router", "a_planted_best_design_is_learned"): "is fitted to scores, not to a reward; its own tests plant a best",
}
"""(method, law): why the law does not hold there; at most two a method."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """A designer and what the laws need to know of it.

    Attributes:
        name: What `EXEMPT` calls it.
        make: Called with `space=`.
        designs: All designs that the method could draw over a space, and any others.
        sizes: Numbers of slots to sum all designs over.
        query_dependent: Whether different questions can get different designs.
        soft: Whether its drafts carry edge probabilities.
        learned: Whether it has parameters.
        lr: Adam's step; methods with bare logits need a larger one.
    """

    name: str
    make: Callable[..., Designer]
    designs: Callable[[Space], Iterable[Design]]
    sizes: tuple[int, ...] = (1, 2, 3)
    query_dependent: bool = True
    soft: bool = False
    learned: bool = True
    lr: float = 0.005


Law = Callable[[Method], None]


def applying_to(method: Method) -> list[Law]:
    """Return the laws that a method has to keep."""
    laws = [*LAWS, *(DEFECTS if method.learned else ()), *(SOFT_DEFECTS if method.soft else ())]
    return [law for law in laws if (method.name, law.__name__) not in EXEMPT]


# --------------------------------------------------------------------------- designs


def singles(space: Space) -> list[Design]:
    """Return every agent alone."""
    return list(dict.fromkeys(teams.single([a]) for a in space.agents))


def votes(space: Space, *, num_voters: int = 3) -> list[Design]:
    """Return every vote, in every order of its agents."""
    return list(dict.fromkeys(teams.vote(team) for team in permutations(space.agents, num_voters)))


def cascades(space: Space) -> list[Design]:
    """Return every two-then-one cascade."""
    return list(dict.fromkeys(teams.cascade(team) for team in permutations(space.agents, 3)))


def dags(space: Space, *, num_rounds: int = 1) -> list[Design]:
    """Return every acyclic graph over every set of slots, the last agent deciding."""
    found: dict[Design, None] = {}
    for size in range(1, len(space.slots) + 1):
        pairs = list(combinations(range(size), 2))
        graphs = [[p for i, p in enumerate(pairs) if m >> i & 1] for m in range(2 ** len(pairs))]
        for team in permutations(space.agents, size):
            for graph in graphs:
                spatial = tuple(Edge(i, j) for i, j in graph)
                found[Design(agents=team, spatial=spatial, num_rounds=num_rounds)] = None
    return list(found)


# --------------------------------------------------------------------------- tools


def _made(method: Method, space: Space) -> Designer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return method.make(space=space).eval()


def _problems(encoder: ProblemEncoder, num: int = 2) -> list[Problem]:
    weights = [0.0, 0.3, 1.0, 10.0]
    return list(encoder(worlds.tasks(num), usd_weight=[weights[i % 4] for i in range(num)]).to_data_list())


def _table(designer: Designer, problems: Sequence[Problem], designs: Sequence[Design]) -> Float[Tensor, "P C"]:
    """Return the log-probability of every design for every problem."""
    rows = worlds.batch([p for p in problems for _ in designs])
    return designer.log_prob(rows, [*designs] * len(problems)).view(len(problems), len(designs))


def _drawable(method: Method, *, at_most: int = 40) -> tuple[Designer, list[Problem], list[Design]]:
    """Return a designer over the largest pool with few enough designs, two problems, and these designs."""
    for num in sorted(method.sizes, reverse=True):
        encoder = worlds.encoder(num)
        designer, problems = _made(method, encoder.space), _problems(encoder)
        every = list(method.designs(encoder.space))
        with torch.no_grad():
            possible = _table(designer, problems, every).isfinite().all(0).tolist()
        designs = [d for d, can in zip(every, possible, strict=True) if can]
        if 1 < len(designs) <= at_most:
            return designer, problems, designs
    raise AssertionError(f"{method.name} has no size with 2..{at_most} designs")


def _gradients(designer: Designer, value: Tensor) -> list[Tensor]:
    parameters = list(designer.parameters())
    grads = torch.autograd.grad(value, parameters, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, grads, strict=True)]


def _estimators() -> list[tuple[Estimator, int]]:
    used = Reinforce()
    used(Rollouts(**{k: torch.ones(1, 1) for k in ("log_prob", "utility", "entropy", "penalty")}, weight=torch.ones(1)))
    return [(Reinforce().eval(), 1), (used.eval(), 1), (leave_one_out, 2), (leave_one_out, 3)]


def _mean_loss(estimator: Estimator, k: int, log_p: Float[Tensor, " C"], utility: Float[Tensor, " C"]) -> Tensor:
    """Return the estimator's loss, averaged over all that K independent draws can be."""
    draws = torch.cartesian_prod(*[torch.arange(len(log_p))] * k).view(-1, k)
    probability = log_p.detach()[draws].sum(1).exp()
    zeros = torch.zeros(draws.shape)
    return estimator(
        Rollouts(
            log_prob=log_p[draws],
            utility=utility[draws],
            entropy=zeros,
            penalty=zeros,
            weight=probability * len(draws),  # the estimator takes the mean over tasks
        )
    )


def _same_draft(a: Draft, b: Draft) -> None:
    assert a.designs == b.designs
    assert torch.equal(a.log_prob, b.log_prob)


def _train(
    designer: Designer, objective: Callable[[], Tensor], *, steps: int, lr: float, enough: float = float("inf")
) -> float:
    """Raise the objective by Adam until it is enough; return its last value."""
    optimizer = torch.optim.Adam(designer.parameters(), lr=lr)
    value = objective()
    for _ in range(steps):
        if value.item() >= enough:
            break
        optimizer.zero_grad()
        (-value).backward()
        optimizer.step()
        value = objective()
    return value.item()


# --------------------------------------------------------------------------- laws


def probabilities_of_all_designs_sum_to_one(method: Method) -> None:
    """Law 1; also where a candidate fills two slots, so that several choices give one design."""
    encoders = [worlds.encoder(n) for n in method.sizes]
    if max(method.sizes) >= 3:
        encoders.append(worlds.encoder(3, slots=[0, 1, 0]))
    for encoder in encoders:
        designer = _made(method, encoder.space)
        with torch.no_grad():
            log_p = _table(designer, _problems(encoder), list(method.designs(encoder.space)))
        assert not log_p.isnan().any()
        torch.testing.assert_close(log_p.exp().sum(1), torch.ones(2), atol=1e-4, rtol=0)


def a_draft_knows_the_probability_of_its_designs(method: Method) -> None:
    """Law 2."""
    for encoder in (worlds.encoder(4), worlds.encoder(3, slots=[0, 1, 0, 2])):
        designer = _made(method, encoder.space)
        problem = worlds.batch(_problems(encoder, 6))
        for seed in range(5):
            draft = designer(problem, generator=torch.Generator().manual_seed(seed))
            torch.testing.assert_close(draft.log_prob, designer.log_prob(problem, draft.designs), atol=1e-4, rtol=1e-4)
            assert draft.entropy.shape == draft.penalty.shape == (6,)


def each_estimators_mean_gradient_is_exact(method: Method) -> None:
    """Law 3."""
    designer, problems, designs = _drawable(method)
    utility = torch.rand(len(designs), generator=torch.Generator().manual_seed(1))
    log_p = _table(designer, problems[:1], designs)[0]
    exact = _gradients(designer, (log_p.exp() * utility).sum())
    for estimator, k in _estimators():
        if len(designs) ** k > 40_000:
            continue
        log_p = _table(designer, problems[:1], designs)[0]
        mean = _gradients(designer, -_mean_loss(estimator, k, log_p, utility))
        for got, want in zip(mean, exact, strict=True):
            torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-3)


def greedy_is_deterministic_and_a_generator_repeats_itself(method: Method) -> None:
    """Law 4."""
    encoder = worlds.encoder(4)
    designer, problem = _made(method, encoder.space), worlds.batch(_problems(encoder, 6))
    greedy = [designer(problem, greedy=True, generator=torch.Generator().manual_seed(s)) for s in (0, 1)]
    _same_draft(*greedy)
    _same_draft(*(designer(problem, generator=torch.Generator().manual_seed(7)) for _ in range(2)))
    designer.train()
    _same_draft(*(designer(problem, generator=torch.Generator().manual_seed(7)) for _ in range(2)))


def a_planted_best_design_is_learned(method: Method) -> None:
    """Law 5; where a method can tell questions apart, each has another best design."""
    designer, problems, designs = _drawable(method)
    best = [designs[0], designs[-1]] if method.query_dependent else [designs[-1]] * 2
    rows = worlds.batch(problems)
    mean = _train(designer, lambda: designer.log_prob(rows, best).exp().mean(), steps=400, lr=method.lr, enough=0.95)
    assert mean >= 0.95
    assert designer(rows, greedy=True).designs == best


def every_drawn_design_is_valid_for_its_pool(method: Method) -> None:
    """Law 6; a problem that offers only some slots of the space gets agents from these.

    A policy is played to its end, and what it came to is looked at.
    """
    encoder = worlds.encoder(4)
    designer = _made(method, encoder.space)
    offers = [[0, 1, 2, 3], [0, 1, 2], [3, 1, 2]] if method.learned else [[0, 1, 2, 3]]
    problems = [worlds.with_slots(p, o) for p in _problems(encoder, 2) for o in offers]
    offered = [{encoder.space.agents[i] for i in o} for _ in range(2) for o in offers]
    for seed in range(10):
        designs = designer(worlds.batch(problems), generator=torch.Generator().manual_seed(seed)).designs
        for drawn, agents in zip(designs, offered, strict=True):
            design = drawn if isinstance(drawn, Design) else worlds.played(drawn, encoder.space, seed=seed).design
            assert {worlds.ungated(a) for a in design.agents} <= agents
            for agent in design.agents:
                encoder.space.pool.check(agent)


def batch_size_padding_and_node_order_change_nothing(method: Method) -> None:
    """Law 7."""
    encoder = worlds.encoder(max(method.sizes) + 1)
    designer = _made(method, encoder.space)
    n = len(encoder.space.slots)
    small = range(max(method.sizes))
    whole = _problems(encoder, 2)
    problems = [whole[0], worlds.with_slots(whole[1], small), whole[1]]
    together = designer(worlds.batch(problems), greedy=True).designs
    for problem, design in zip(problems, together, strict=True):
        assert designer(worlds.batch([problem]), greedy=True).designs == [design]
    designs = list(method.designs(worlds.encoder(max(method.sizes)).space))[:200]
    with torch.no_grad():
        alone = torch.stack([_table(designer, [p], designs)[0] for p in problems])
        mixed = worlds.batch([p for _ in designs for p in problems])
        rows = designer.log_prob(mixed, [d for d in designs for _ in problems]).view(len(designs), 3).T
        torch.testing.assert_close(rows, alone, atol=1e-4, rtol=1e-4)

        sub = [worlds.with_slots(p, order) for p in whole for order in (small, small[::-1], [*small[1:], small[0]])]
        every = list(method.designs(worlds.encoder(max(method.sizes)).space))
        masses = [_mass(every, row) for row in _table(designer, sub, every)]
    for start in (0, 3):
        for permuted in masses[start + 1 : start + 3]:
            assert permuted.keys() == masses[start].keys()
            for key, mass in permuted.items():
                assert abs(mass - masses[start][key]) < 1e-4
    assert n == len(small) + 1


def _mass(designs: Sequence[Design], log_p: Float[Tensor, " C"]) -> dict[object, float]:
    mass: dict[object, float] = defaultdict(float)
    for design, p in zip(designs, log_p.exp().tolist(), strict=True):
        mass[worlds.key(design)] += p
    return mass


def the_right_answer_is_not_read(method: Method) -> None:
    """Law 8."""
    encoder = worlds.encoder(3)
    designer = _made(method, encoder.space)
    asked = worlds.tasks(3)
    problem, other = encoder(asked), encoder([worlds.with_answer(t, "another") for t in asked])
    drafts = [designer(p, generator=torch.Generator().manual_seed(3)) for p in (problem, other)]
    _same_draft(*drafts)
    designs = drafts[0].designs
    assert torch.equal(designer.log_prob(problem, designs), designer.log_prob(other, designs))


def designs_drawn_together_are_those_drawn_one_by_one(method: Method) -> None:
    """K designs a problem are those that its repetitions get: in training as well, also where it is padded."""
    for encoder in (worlds.encoder(4), worlds.encoder(3, slots=[0, 1, 0, 2])):
        designer = _made(method, encoder.space)
        problems = _problems(encoder, 2)
        if method.learned:
            problems[1] = worlds.with_slots(problems[1], [3, 1, 0])
        once, repeated = worlds.batch(problems), worlds.batch([p for p in problems for _ in range(4)])
        for training, greedy in ((False, True), (False, False), (True, False)):
            designer.train(training)
            together, apart = (
                designer(problem, num_designs=k, greedy=greedy, generator=torch.Generator().manual_seed(5))
                for problem, k in ((once, 4), (repeated, 1))
            )
            assert together.designs == apart.designs
            for name in ("log_prob", "entropy", "penalty", "value"):
                a, b = getattr(together, name), getattr(apart, name)
                assert (a is None) == (b is None)
                if a is not None:
                    torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


LAWS: tuple[Law, ...] = (
    probabilities_of_all_designs_sum_to_one,
    a_draft_knows_the_probability_of_its_designs,
    each_estimators_mean_gradient_is_exact,
    greedy_is_deterministic_and_a_generator_repeats_itself,
    a_planted_best_design_is_learned,
    every_drawn_design_is_valid_for_its_pool,
    batch_size_padding_and_node_order_change_nothing,
    the_right_answer_is_not_read,
    designs_drawn_together_are_those_drawn_one_by_one,
)


# --------------------------------------------------------------------------- what others get wrong


def every_parameter_receives_gradient(method: Method) -> None:
    """Drawn designs with random rewards, the penalty, and the value that a critic expects reach every parameter."""
    encoder = worlds.encoder(4)
    designer = _made(method, encoder.space).train()
    problem = worlds.batch(_problems(encoder, 6))
    generator = torch.Generator().manual_seed(0)
    loss = torch.zeros(())
    for _ in range(10):
        draft = designer(problem, generator=generator)
        loss = loss + (draft.log_prob * torch.randn(6, generator=generator) + draft.penalty).sum()
        if draft.value is not None:
            loss = loss + draft.value.sum()
    for (name, _), grad in zip(designer.named_parameters(), _gradients(designer, loss), strict=True):
        assert grad.abs().max() > 1e-5, f"{name} receives no gradient"


def a_constant_reward_has_zero_mean_gradient(method: Method) -> None:
    """Whatever the constant."""
    designer, problems, designs = _drawable(method)
    for estimator, k in _estimators():
        if len(designs) ** k > 40_000:
            continue
        log_p = _table(designer, problems[:1], designs)[0]
        for grad in _gradients(designer, _mean_loss(estimator, k, log_p, torch.full((len(designs),), 0.5))):
            assert grad.abs().max() < 1e-5


def query_dependence_survives_a_sparsity_reward(method: Method) -> None:
    """Training all questions for few agents and edges leaves their distributions over designs apart.

    Log-probabilities are compared, so that certainty for both is not mistaken for a collapse.
    """
    if not method.query_dependent:
        return
    designer, problems, designs = _drawable(method)
    sparse = -torch.tensor([float(len(d.agents) + len(d.spatial)) for d in designs])
    if len(set(sparse.tolist())) == 1:
        return

    def apart() -> float:
        with torch.no_grad():
            first, second = _table(designer, problems, designs)
            return float((first - second).abs().mean())

    before = apart()
    start = (_table(designer, problems, designs).exp() @ sparse).mean()
    end = _train(designer, lambda: (_table(designer, problems, designs).exp() @ sparse).mean(), steps=40, lr=method.lr)
    assert end > start
    assert apart() > 0.1 * before > 0


DEFECTS: tuple[Law, ...] = (
    every_parameter_receives_gradient,
    a_constant_reward_has_zero_mean_gradient,
    query_dependence_survives_a_sparsity_reward,
)


def _soft(designer: Designer, problem: Batch) -> Float[Tensor, "P N N"]:
    soft = designer(problem, generator=torch.Generator().manual_seed(0)).soft
    assert soft is not None
    return soft


def edge_probabilities_approach_0_and_1_and_directions_differ(method: Method) -> None:
    """Trained for the edge 0 -> 1, that edge becomes certain and 1 -> 0 impossible."""
    encoder = worlds.encoder(3)
    designer, problem = _made(method, encoder.space), worlds.batch(_problems(encoder))
    _train(designer, lambda: _soft(designer, problem)[:, 0, 1].min(), steps=400, lr=10 * method.lr, enough=0.99)
    soft = _soft(designer, problem)
    assert (soft[:, 0, 1] > 0.98).all()
    assert (soft[:, 1, 0] < 0.02).all()


def two_slots_of_one_candidate_can_differ(method: Method) -> None:
    """Trained so that slot 2 hears slot 0 and not slot 1, which holds the same candidate."""
    encoder = worlds.encoder(2, slots=[0, 0, 1])
    designer, problem = _made(method, encoder.space), worlds.batch(_problems(encoder))

    def gap() -> Tensor:
        soft = _soft(designer, problem)
        return (soft[:, 0, 2] - soft[:, 1, 2]).mean()

    assert _train(designer, gap, steps=400, lr=10 * method.lr, enough=0.9) >= 0.9


SOFT_DEFECTS: tuple[Law, ...] = (
    edge_probabilities_approach_0_and_1_and_directions_differ,
    two_slots_of_one_candidate_can_differ,
)
