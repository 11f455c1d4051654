"""`gdesign ask`: draw a design for a question and let it answer."""

from argparse import Namespace
from typing import Any

from gdesign.api import load
from gdesign.cli.talk import complain, say
from gdesign.errors import ConfigError
from gdesign.execute.arena import refuse_unanswered
from gdesign.llm.base import LLMClient
from gdesign.report.text import describe, describe_move
from gdesign.types import Move, Wave


def run(options: Namespace) -> None:
    """Print the answer, and on stderr what a policy decides on the way, and what it cost."""
    llm = endpoint(options)
    model = load(options.checkpoint, llm=llm, trust=options.trust)
    answer = model.ask(options.question, lam=options.usd_weight, max_usd=options.max_usd, on_move=_Told())
    if options.verbose:
        say(describe(answer.design) + "\n")
        for turn in answer.run.turns:
            agent = answer.design.agents[turn.agent]
            words = "(silent)" if turn.silent else turn.error if turn.reply is None else turn.reply.text
            say(f"[{turn.agent + 1}. {agent.role} ({agent.llm}), round {turn.round}]\n{words}\n")
    for turn in answer.run.failures:
        complain(f"agent {turn.agent + 1} failed: {turn.error}")
    refuse_unanswered([(answer.run, answer.outcome)])
    say(answer.answer if answer.answer is not None else "no readable answer")
    outcome = answer.outcome
    tokens = outcome.prompt_tokens + outcome.completion_tokens
    complain(
        f"{outcome.calls} calls, {tokens} tokens, {outcome.usd:.6f} USD, {answer.run.seconds:.2f} s, {outcome.label}"
    )
    if model.warning:
        complain(model.warning)


class _Told:
    """Says what a policy decides as soon as it does."""

    def __init__(self) -> None:
        self._wave, self._first = 1, 0

    def __call__(self, move: Move) -> None:
        complain(describe_move(move, wave=self._wave, first=self._first))
        if isinstance(move, Wave):
            self._wave, self._first = self._wave + 1, self._first + len(move.agents)


def endpoint(options: Namespace, **settings: Any) -> LLMClient | None:
    """Return a client of the endpoint that `--llm` names; None without one."""
    if options.llm:
        from gdesign.llm.openai import OpenAIClient  # of the extra `openai`

        return OpenAIClient(base_url=options.llm, api_key_env=options.api_key_env, **settings)
    if options.api_key_env:
        raise ConfigError(f"--api-key-env {options.api_key_env} is for an endpoint; name it by --llm URL")
    return None
