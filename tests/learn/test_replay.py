import pytest
import torch

from gdesign.agents.teams import chain, single
from gdesign.errors import ConfigError
from gdesign.learn.replay import ReplayBuffer
from gdesign.types import Outcome, Run
from tests import worlds

AGENTS = worlds.encoder().space.agents
DESIGNS = (single(AGENTS[:1]), chain(AGENTS[:2]))
TASKS = worlds.tasks(3)
RUNS = [(step, task, design) for step in range(2) for task in TASKS for design in DESIGNS]


def filled(runs=RUNS):
    buffer = ReplayBuffer(num_tasks=4)
    for step, task, design in runs:
        run = Run(design=design, task=task, seed=step, turns=(), answer=None, decided_by=None, label=None)
        outcome = Outcome(
            score=0.1 * step, usd=1 / 3, prompt_tokens=10, completion_tokens=5, calls=1, critical_path=1,
            unreadable=False, failures=0, label=None, seconds=0.7,
        )  # fmt: skip
        buffer.add(run, outcome, step=step)
    return buffer


def drawn(buffer, seed=0):
    return buffer.draw(torch.Generator().manual_seed(seed))


def test_tasks_of_earlier_steps_come_with_all_their_runs_then():
    for (step, benchmark, task), done in drawn(filled()):
        assert (benchmark, task) in {(t.benchmark, t.id) for t in TASKS}
        assert [d.design for d in done] == list(DESIGNS)
        assert {(d.score, d.usd, d.tokens, d.seconds, d.seed) for d in done} == {(0.1 * step, 1 / 3, 15, 0.7, step)}
    assert len(drawn(filled())) == 4


def test_before_the_first_step_nothing_is_drawn_and_no_randomness_used():
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert ReplayBuffer(num_tasks=4).draw(generator) == []
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("runs", [RUNS, []])
def test_what_was_kept_survives_a_checkpoint(tmp_path, runs):
    old, new = filled(runs), filled(RUNS[:1])
    torch.save(old.state_dict(), tmp_path / "state")
    new.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    assert drawn(old) == drawn(new)
    old, new = (filled_again(buffer) for buffer in (old, new))
    assert drawn(old, seed=1) == drawn(new, seed=1)


def filled_again(buffer):
    run = Run(design=DESIGNS[0], task=TASKS[0], seed=5, turns=(), answer=None, decided_by=None, label=None)
    outcome = Outcome(
        score=1.0, usd=0.0, prompt_tokens=0, completion_tokens=0, calls=0, critical_path=0, unreadable=False,
        failures=0, label=None,
    )  # fmt: skip
    buffer.add(run, outcome, step=9)
    return buffer


def test_a_replay_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="num_tasks of the replay must be 1 or more; got 0"):
        ReplayBuffer(num_tasks=0)
