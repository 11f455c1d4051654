"""A trained designer as a Python object: `gdesign.load("runs/a").ask("...")`."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from gdesign.agents import teams
from gdesign.design.base import Designer, refuse_below_one
from gdesign.design.choose import Held, along, held, within
from gdesign.encode.problem import ProblemEncoder
from gdesign.errors import ConfigError, UserError
from gdesign.execute.adaptive import OnMove, opening, play
from gdesign.execute.limits import Limits
from gdesign.execute.operators import tools_of
from gdesign.execute.reward import account
from gdesign.execute.run import OnTurn
from gdesign.llm.base import LLMClient
from gdesign.runs.checkpoint import BEST, assemble
from gdesign.runs.config import read_config, refuse_unnamed_endpoints
from gdesign.runs.standing import deployed
from gdesign.sandbox import Sandbox
from gdesign.tasks.base import Benchmark, WantsPrograms
from gdesign.types import Agent, AgentPool, Branch, Design, Foreseeing, Outcome, Play, Reply, Run, Task

Kind = Literal["single", "chain", "complete"]
"""Standard teams, for comparison; see `Model.standard`."""
MAX_READ = 20_000
"""How many characters of a question designers read; agents read all of it."""
TEAM = 4
"""The most agents of a standard team."""

_RECENT = "gdesign.encode.text.Recent"
_ENDPOINT = "gdesign.llm.live.endpoint"
_WRITERS = {
    "gdesign.encode.text.CachedEncoder": "encoder",
    "gdesign.encode.adapters.Adaptable": "encoder",
    "gdesign.llm.replay.Replay": "llm",
}
"""What writes down what it is asked, and the argument that says who answers instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The design that a designer holds best for a question.

    Attributes:
        question: What it is for.
        design: The design, or the policy: a design that goes on deciding while it runs.
        lam: lambda, the price of cost that it was chosen at, in utility for a USD per 1,000 questions.
        score: The score that is expected of it, in [0, 1]; None where the method expects nothing.
        usd: The USD per 1,000 such questions that are expected; None likewise.
    """

    question: str
    design: Play
    lam: float
    score: float | None = None
    usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a design answered, and everything about how.

    Attributes:
        answer: The decided answer, as the benchmark of the training reads it; None if nobody gave a readable one.
        reply: What the agent said whose answer was decided on; None if nobody spoke.
        proposal: The design and what was expected of it.
        run: Everything that was said: its `turns`, and those that are `failures`.
        outcome: Tokens, USD, calls and times. Its score says nothing: nobody knows the right answer.
    """

    answer: str | None
    reply: Reply | None
    proposal: Proposal
    run: Run
    outcome: Outcome

    @property
    def text(self) -> str | None:
        """The words of the reply."""
        return None if self.reply is None else self.reply.text

    @property
    def design(self) -> Design:
        """The design that answered; of a policy, what it came to."""
        return self.run.design


class Model:
    """A trained designer, with the agents that it designs teams of.

    Methods may be called from several threads. Those that ask agents have twins that are awaited (`aask`, `aasks`),
    for use in a running event loop; `ask` and `asks` make one of their own. Where the run is on recorded answers only
    recorded questions get any.

    Args:
        designer: Draws the designs.
        problems: Encodes questions.
        config: That of the run folder; it says who reads answers, who answers agents, and what cost weighs.
        make_llm: Returns who answers the agents, when the first design is run.
        warning: See below.

    Attributes:
        config: That of the run folder.
        usd_weight: lambda of the training, which is used where none is named.
        warning: By how much the learned designer was worse than another design on validation questions, and which
            of them answers; None where it was not.
    """

    def __init__(
        self,
        *,
        designer: Designer,
        problems: ProblemEncoder,
        config: DictConfig,
        make_llm: Callable[[], LLMClient],
        warning: str | None = None,
    ) -> None:
        self.config = config
        self.warning = warning
        self.usd_weight: float = config.reward.usd_weight
        self._designer = designer.eval()
        self._problems = problems
        self._make_llm = make_llm
        self._executor: tuple[Benchmark, LLMClient, Sandbox | None] | None = None
        self._lock = threading.Lock()  # torch is entered by one thread at a time
        self._making = threading.Lock()

    @property
    def pool(self) -> AgentPool:
        """The agents that designs are made of."""
        return self._problems.space.pool

    @property
    def wants_programs(self) -> bool:
        """Whether right answers to what it was trained on are programs; its task's files are read."""
        with _own_errors():
            return _wants_programs(instantiate(self.config.task))

    # ----------------------------------------------------------------------- designs

    def design(self, question: str, *, max_usd: float | None = None, lam: float | None = None) -> Proposal:
        """Return the design held best for a question.

        Args:
            question: Any text.
            max_usd: The most that may be expected, USD for 1,000 such questions: the design held best at the lowest
                price of cost that keeps it within that.
            lam: lambda, the price of cost; with `max_usd`, the lowest that is looked at. None for that of the
                training; with `max_usd`, None for any.

        Raises:
            ConfigError: lambda is below 0, the method expects nothing of designs and a budget is given, or no design
                is expected to cost so little.
        """
        if max_usd is None:
            (proposal,) = self.designs([question], lam=lam)
            return proposal
        if lam is not None and lam < 0:
            raise ConfigError(f"lam is {lam:g}; expected 0 or more")
        task = self._seen(question)
        with self._alone():
            return _proposal(question, within(self._designer, self._problems, task, max_usd=max_usd, lowest=lam or 0.0))

    def designs(self, questions: Sequence[str], *, lam: float | Sequence[float] | None = None) -> list[Proposal]:
        """Return the design held best for each question; faster than one by one.

        Args:
            questions: Any texts.
            lam: lambda, one for all or one a question; None for that of the training.

        Raises:
            ConfigError: lambda is below 0.
        """
        lam = self.usd_weight if lam is None else lam
        prices = [float(lam)] * len(questions) if isinstance(lam, int | float) else list(lam)
        if len(prices) != len(questions):
            raise ConfigError(f"there are {len(questions)} questions and {len(prices)} prices of cost; give one each")
        if not questions:
            return []
        tasks = [self._seen(question) for question in questions]
        with self._alone():
            found = held(self._designer, self._problems, tasks, usd_weight=prices)
        return list(map(_proposal, questions, found))

    def curve(self, question: str, *, prices: Sequence[float]) -> list[Proposal]:
        """Return the design held best at each of some prices of cost; none where the method expects nothing of them."""
        task = self._seen(question)
        with self._alone():
            try:
                found = along(self._designer, self._problems, task, prices=prices)
            except ConfigError:
                return []
            return [_proposal(question, best) for best in found]

    def standard(self, question: str, *, kind: Kind, lam: float | None = None) -> Proposal:
        """Return a standard team, for comparison: the same for every question.

        `single` is the first agent on offer with the dearest LLM. `chain` and `complete` are one agent of each of the
        first roles, `TEAM` at most, each with the dearest LLM that its role is offered with. Nothing is expected of
        them: what a method expects is checked of the designs that it draws alone.

        Args:
            question: What it is for.
            kind: Which.
            lam: lambda, which is only repeated.

        Raises:
            ConfigError: There is no such kind.
        """
        if kind not in get_args(Kind):
            raise ConfigError(f"kind is {kind!r}; expected one of {', '.join(get_args(Kind))}")
        team = self._team()
        design: Design = getattr(teams, kind)([max(team, key=self._price)] if kind == "single" else team[:TEAM])
        return Proposal(question=question, design=design, lam=self.usd_weight if lam is None else lam)

    def opening(self, proposal: Proposal) -> Design:
        """Return the proposed design; of a policy its first wave, as a design by itself."""
        return opening(proposal.design, self._seen(proposal.question))

    def tree(self, proposal: Proposal, *, depth: int = 3) -> Branch:
        """Return what is done first for a question, and what may follow where the designer can tell.

        Args:
            proposal: A policy or a design, with its question.
            depth: How many moves to look ahead.

        Raises:
            ConfigError: depth is below 1.
        """
        refuse_below_one(depth=depth)
        if isinstance(proposal.design, Foreseeing):
            return proposal.design.tree(depth)
        if isinstance(proposal.design, Design):
            return Branch(move=proposal.design)
        return Branch(move=proposal.design.next(self._seen(proposal.question), (), ()))

    def _team(self) -> list[Agent]:
        by_role: dict[str, Agent] = {}
        for agent in self._problems.space.agents:
            if agent.role not in by_role or self._price(agent) > self._price(by_role[agent.role]):
                by_role[agent.role] = agent
        return list(by_role.values())

    def _price(self, agent: Agent) -> tuple[float, float]:
        llm = self.pool.llm(agent.llm)
        return llm.usd_per_1M_output, llm.usd_per_1M_input

    def _seen(self, question: str) -> Task:
        # half a surrogate pair, as JSON may carry, is no text that an encoder or an endpoint takes
        text = question[:MAX_READ].encode("utf-8", "replace").decode("utf-8")
        return Task(id="question", question=text, answer="", benchmark=self.config.names.task)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Enter torch alone, with one of its threads: the networks are so small that more only wait for each other."""
        with self._lock:
            threads = torch.get_num_threads()
            torch.set_num_threads(1)
            try:
                yield
            finally:
                torch.set_num_threads(threads)

    # ----------------------------------------------------------------------- answers

    def ask(
        self,
        question: str,
        *,
        max_usd: float | None = None,
        lam: float | None = None,
        limits: Limits | None = None,
        on_move: OnMove | None = None,
    ) -> Answer:
        """Design a team for a question and let it answer; see `design` and `execute`, also for what is raised."""
        return asyncio.run(self.aask(question, max_usd=max_usd, lam=lam, limits=limits, on_move=on_move))

    async def aask(
        self,
        question: str,
        *,
        max_usd: float | None = None,
        lam: float | None = None,
        limits: Limits | None = None,
        on_move: OnMove | None = None,
    ) -> Answer:
        """Do as `ask`, in the running event loop; the design is made in a thread."""
        proposal = await self.adesign(question, max_usd=max_usd, lam=lam)
        return await self.execute(proposal, limits=limits, on_move=on_move)

    def asks(
        self, questions: Sequence[str], *, lam: float | Sequence[float] | None = None, limits: Limits | None = None
    ) -> list[Answer]:
        """Design a team for each question and let all of them answer at the same time; see `designs` and `execute`."""
        return asyncio.run(self.aasks(questions, lam=lam, limits=limits))

    async def aasks(
        self, questions: Sequence[str], *, lam: float | Sequence[float] | None = None, limits: Limits | None = None
    ) -> list[Answer]:
        """Do as `asks`, in the running event loop."""
        proposals = await asyncio.to_thread(self.designs, questions, lam=lam)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.execute(proposal, limits=limits)) for proposal in proposals]
        return [task.result() for task in tasks]

    async def adesign(self, question: str, *, max_usd: float | None = None, lam: float | None = None) -> Proposal:
        """Do as `design`, in a thread, so that the running event loop stays free."""
        return await asyncio.to_thread(self.design, question, max_usd=max_usd, lam=lam)

    async def execute(
        self,
        proposal: Proposal,
        *,
        context: str | None = None,
        seed: int = 0,
        limits: Limits | None = None,
        wrap: Callable[[LLMClient], LLMClient] | None = None,
        on_turn: OnTurn | None = None,
        on_move: OnMove | None = None,
    ) -> Answer:
        """Let a design answer the question that it was proposed for.

        Args:
            proposal: The design and the question.
            context: What agents read instead of the question, such as a conversation that ends with it.
            seed: Picks among independent answers of an LLM to the same request.
            limits: How much all agents, and each agent, may take.
            wrap: Puts something around the LLM client, such as a meter.
            on_turn: Is told each turn as soon as it has ended.
            on_move: Is told each move of a policy as soon as it is decided.

        Raises:
            PoolError: The design names an agent that the pool lacks.
            ConfigError: No agent can be asked.
            UnsupportedRequestError: Whoever answers cannot answer such a question.
            BudgetExceededError: The limit on spending is reached.
        """
        made = self._executor
        benchmark, llm, tools = await asyncio.to_thread(self.executor) if made is None else made
        task = replace(
            self._seen(""),
            question=proposal.question if context is None else context,
            wants_program=_wants_programs(benchmark),
        )
        done = await play(
            proposal.design,
            task,
            pool=self.pool,
            llm=llm if wrap is None else wrap(llm),
            extract=benchmark.extract,
            seed=seed,
            limits=limits,
            tools=tools,
            on_turn=on_turn,
            on_move=on_move,
        )
        return Answer(
            answer=done.answer,
            reply=None if done.decided_by is None else done.turns[done.decided_by].reply,
            proposal=proposal,
            run=done,
            outcome=account(done, grade=lambda task, answer: 0.0, pool=self.pool),
        )

    def executor(self) -> tuple[Benchmark, LLMClient, Sandbox | None]:
        """Return who reads answers, who answers the agents, and where programs run; they are made at the first call."""
        with self._making:
            if self._executor is None:
                with _own_errors():
                    benchmark: Benchmark = instantiate(self.config.task)
                    llm = self._make_llm()
                self._executor = benchmark, llm, tools_of(benchmark, self.pool)
            return self._executor


def load(
    folder: str | Path, *, llm: LLMClient | str | None = None, api_key_env: str | None = None, trust: bool = False
) -> Model:
    """Return the trained designer of a run folder, ready to be asked.

    Args:
        folder: As gdesign train writes it, such as `runs/gdesigner-synthetic-0`.
        llm: Who answers the agents: a client, or the base_url of an OpenAI-compatible endpoint. None for what the run
            was trained on, without its recording: nothing is written down, and nobody gets a reply to somebody else.
        api_key_env: The environment variable with that endpoint's key.
        trust: Whether its config may build things from outside gdesign, and ask endpoints that it names itself.

    Raises:
        MissingDataError: A file is not there.
        ConfigError: The config names something outside gdesign and is not trusted, or does not fit the checkpoint.
    """
    config = read_config(folder, trust=trust, without=("data", "learner"))
    parts = OmegaConf.to_container(config)
    assert isinstance(parts, dict)
    # the questions of a server's users do not belong in a file, nor is a reply to one of them for the next; embeddings
    # of all would fill memory without end
    if parts["text"].get("trainable"):  # remembers nothing
        config.text.path = None
    else:
        config.text = {"_target_": _RECENT, "encoder": _without_files(parts["text"])}
    config.llm = _without_files(parts["llm"])
    with _own_errors():
        problems, designer = assemble(config)
    designer, warning = deployed(designer, Path(folder) / BEST, deploy=config.get("deploy") or "learned")
    if llm is not None and "recorded" in config.task:
        config.task.recorded = False  # what it says was not recorded

    def make_llm() -> LLMClient:
        if isinstance(llm, str):
            from gdesign.llm.openai import OpenAIClient  # it needs an extra that other clients do not

            return OpenAIClient(base_url=llm, api_key_env=api_key_env)
        if llm is not None:
            return llm
        if not trust:
            refuse_unnamed_endpoints(config, source=f"{folder}/config.yaml")
        client: LLMClient = instantiate(config.llm)
        return client

    return Model(designer=designer, problems=problems, config=config, make_llm=make_llm, warning=warning)


def _wants_programs(benchmark: Benchmark) -> bool:
    return isinstance(benchmark, WantsPrograms) and benchmark.wants_programs


def _without_files(node: Any) -> Any:
    """Return the config of an encoder or a client without the caches and recordings around its parts."""
    if isinstance(node, dict):
        target = node.get("_target_")
        if (inner := node.get(_WRITERS.get(str(target)))) is not None:
            return _without_files(inner)
        return {key: _without_files(value) for key, value in node.items() if (target, key) != (_ENDPOINT, "record")}
    return [_without_files(value) for value in node] if isinstance(node, list) else node


@contextmanager
def _own_errors() -> Iterator[None]:
    """Raise a mistake that the user can mend as what it is, where Hydra wraps it."""
    try:
        yield
    except InstantiationException as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, UserError | OSError):
            cause = cause.__cause__
        if cause is None:
            raise
        raise cause from None


def _proposal(question: str, best: Held) -> Proposal:
    score = None if best.score is None else min(1.0, max(0.0, best.score))  # a regression knows no bounds
    return Proposal(question=question, design=best.design, lam=best.usd_weight, score=score, usd=best.usd)
