"""What a run is worth: its score, its cost, and the utility that weighs both."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from gdesign.errors import ConfigError
from gdesign.types import LLM, AgentPool, Grade, Label, Outcome, Run, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """What a run is worth: score - lambda * cost.

    Attributes:
        usd_weight: lambda for USD per 1,000 questions.
        token_weight: lambda for tokens (prompt and completion) per question.
        second_weight: lambda for seconds of latency per question.

    Methods that know score and USD alone are told tokens and seconds in USD, by `in_usd`: at this lambda a second is
    worth second_weight / usd_weight USD per 1,000 questions, and keeps that rate at every other (`at`).
    """

    usd_weight: float = 0.0
    token_weight: float = 0.0
    second_weight: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not (value := getattr(self, field.name)) >= 0:
                raise ConfigError(f"{field.name} is {value:g}; expected 0 or more")

    def utility(self, outcome: Outcome) -> float:
        """Return what an outcome is worth."""
        tokens = outcome.prompt_tokens + outcome.completion_tokens
        return self.of(score=outcome.score, usd=outcome.usd, tokens=tokens, seconds=outcome.seconds)

    def of(self, *, score: float, usd: float, tokens: float, seconds: float) -> float:
        """Return what a score is worth that cost so much."""
        return score - (self.usd_weight * 1000 * usd + self.token_weight * tokens + self.second_weight * seconds)

    def at(self, usd_weight: float) -> "Reward":
        """Return it at another price of cost, at which tokens and seconds are worth as many USD as before."""
        if usd_weight == self.usd_weight:
            return self
        rate = usd_weight / self.usd_weight if self.usd_weight else 1.0
        tokens, seconds = rate * self.token_weight, rate * self.second_weight
        return Reward(usd_weight=usd_weight, token_weight=tokens, second_weight=seconds)

    def refuse_untold(self) -> None:
        """Raise ConfigError where tokens or seconds have a price and USD have none, so that `in_usd` cannot tell it."""
        if (self.token_weight or self.second_weight) and not self.usd_weight:
            raise ConfigError(
                f"reward.token_weight is {self.token_weight:g} and reward.second_weight {self.second_weight:g}, which "
                "this designer is told in USD; give USD a weight too, such as reward.usd_weight=0.03"
            )

    def in_usd(self, outcome: Outcome) -> Outcome:
        """Return an outcome whose USD hold what its tokens and seconds are worth."""
        if not (self.token_weight or self.second_weight):
            return outcome
        other = self.token_weight * (outcome.prompt_tokens + outcome.completion_tokens)
        other += self.second_weight * outcome.seconds
        return replace(outcome, usd=outcome.usd + other / (1000 * self.usd_weight))


def account(run: Run, *, grade: Grade, pool: AgentPool) -> Outcome:
    """Score a run and add up its cost.

    A recorded answer scores by what its recording says; any other by the benchmark's grader. An
    unreadable answer scores 0 and is marked, unless its recording says otherwise.
    """
    decided = None if run.decided_by is None else run.turns[run.decided_by]
    if decided is not None and decided.reply is not None and decided.reply.score is not None:
        score = decided.reply.score
    elif run.answer is not None:
        score = grade(run.task, run.answer)
    else:
        score = 0.0
    usd = paid_usd = 0.0
    prompt_tokens = completion_tokens = calls = faults = counted = 0
    agent_usd = [0.0] * len(run.design.agents)
    for turn in run.turns:
        if turn.reply is None:
            continue
        usage = turn.reply.usage
        calls += turn.reply.num_calls
        faults += len(turn.reply.faults)
        counted += usage.counted
        prompt_tokens += usage.prompt_tokens
        completion_tokens += usage.completion_tokens
        llm = pool.llm(run.design.agents[turn.agent].llm)
        price = turn.reply.usd
        if price is None:
            price = _price(llm, usage)
        usd += price
        agent_usd[turn.agent] += price
        if turn.reply.label is Label.LIVE:
            paid_usd += price
        elif (live := turn.reply.live) is not None:
            paid_usd += _price(llm, live)
    return Outcome(
        score=score,
        usd=usd,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        calls=calls,
        critical_path=critical_path(run),
        unreadable=run.answer is None,
        failures=len(run.failures),
        label=run.label,
        paid_usd=paid_usd,
        seconds=latency(run),
        faults=faults,
        counted=counted,
        agent_usd=tuple(agent_usd),
    )


def _price(llm: LLM, usage: Usage) -> float:
    return llm.usd(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cached_tokens=usage.cached_tokens,
    )


def critical_path(run: Run) -> int:
    """Return the number of calls on the longest chain of turns that waited for each other."""
    return round(_longest(run, [0 if turn.reply is None else turn.reply.num_calls for turn in run.turns]))


def latency(run: Run) -> float:
    """Return the seconds of the slowest chain of turns that waited for each other, by what their replies say.

    What a busy machine or a limit on concurrency adds is not in it, so a replayed run has the latency of the live one.
    """
    seconds = [0.0 if turn.reply is None else turn.reply.seconds for turn in run.turns]
    return _longest(run, seconds) if any(seconds) else 0.0


def _longest(run: Run, lengths: Sequence[float]) -> float:
    heard = [run.design.heard(r) for r in range(1, run.design.num_rounds + 1)]
    end: dict[tuple[int, int], float] = {}
    for turn, length in zip(run.turns, lengths, strict=True):
        i, r = turn.agent, turn.round
        spatial, temporal = heard[r - 1][i]
        waits_for = [(j, r) for j in spatial]
        gate = run.design.agents[i].gate
        if gate is not None:
            waits_for += [(j, r) for j in gate.watch]
        if r > 1:
            waits_for.append((i, r - 1))
            waits_for += [(j, r - 1) for j in temporal]
        end[i, r] = max([end[key] for key in waits_for], default=0) + length
    return max(end.values(), default=0)
