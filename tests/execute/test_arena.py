import asyncio
import json
from time import perf_counter

import pytest

from gdesign.agents import teams
from gdesign.errors import BudgetExceededError
from gdesign.execute.arena import LocalArena
from gdesign.llm.wrappers import Budget
from gdesign.tasks.jsonl import JSONL
from gdesign.types import Job
from tests import worlds
from tests.learn.parts import Tiny, right_first


def test_a_job_named_twice_is_run_once_and_answered_twice():
    agent = worlds.encoder().space.agents[0]
    design = teams.single([agent])
    task, other = worlds.tasks(2)
    jobs = [Job(design, task, 0), Job(design, other, 0), Job(design, task, 0), Job(design, task, 1)]
    llm, done = worlds.Scripted(right_first), []
    with LocalArena(pool=worlds.pool(), llm=llm, benchmark=Tiny()) as arena:
        results = arena.run(jobs, phase="test", on_run=lambda *result: done.append(result))
    assert len(llm.requests) == len(done) == 3
    assert [(run.task.id, run.seed) for run, _ in results] == [(t.id, seed) for _, t, seed in jobs]
    assert results[0] == results[2]


def test_grading_that_runs_programs_does_not_hold_up_the_others(tmp_path):
    for name in ("train", "test"):
        line = {
            "id": name,
            "question": name,
            "answer": "def f(x): return x",
            "tests": "assert f(1) == 1",
            "grader": "code",
        }
        (tmp_path / name).write_text(json.dumps(line))
    benchmark = JSONL(train=tmp_path / "train", test=tmp_path / "test")
    tasks = benchmark.load("all")
    jobs = [Job(teams.single([worlds.encoder().space.agents[0]]), task, seed) for task in tasks for seed in range(3)]
    beats = []

    async def beat():
        while True:
            beats.append(perf_counter())
            await asyncio.sleep(0.001)

    async def main():
        beating = asyncio.create_task(beat())
        with LocalArena(pool=worlds.pool(), llm=worlds.Scripted(written), benchmark=benchmark) as arena:
            results = await arena.gather(jobs, phase="test")
        beating.cancel()
        return results

    results = asyncio.run(main())
    assert [outcome.score for _, outcome in results] == [0, 1, 1] * 2
    assert len(beats) > 5


def written(request):
    return "```python\ndef f(x): return x" + ("" if request.sample else " + 1") + "\n```"


class Lines:
    def __init__(self):
        self.lines = []

    def append(self, run, outcome, *, phase, step=None):
        self.lines.append((run.task.id, outcome.score, phase, step))


def test_a_run_is_written_down_when_it_ends_though_a_later_one_breaks_off():
    design = teams.single([worlds.encoder().space.agents[0]])
    log, llm = Lines(), Budget(llm=worlds.Scripted(right_first), pool=worlds.pool(), calls=3)
    with LocalArena(pool=worlds.pool(), llm=llm, benchmark=Tiny(), log=log) as arena:
        arena.run([Job(design, task, 0) for task in worlds.tasks(2)], phase="fit:train", step=7)
        with pytest.raises(BudgetExceededError):
            [arena.run([Job(design, task, 1)], phase="test") for task in worlds.tasks(4)]
    assert log.lines == [("q0", 1.0, "fit:train", 7), ("q1", 1.0, "fit:train", 7), ("q0", 1.0, "test", None)]


class Loops:
    """Keeps something of the loop that it is asked in, as clients of endpoints keep their connections."""

    def __init__(self):
        self.seen = set()

    async def __call__(self, request):
        self.seen.add(asyncio.get_running_loop())
        return await worlds.Scripted(right_first)(request)


def test_all_runs_of_an_arena_share_one_event_loop():
    design, llm = teams.single([worlds.encoder().space.agents[0]]), Loops()
    with LocalArena(pool=worlds.pool(), llm=llm, benchmark=Tiny()) as arena:
        for task in worlds.tasks(2):
            arena.run([Job(design, task, 0)], phase="test")
    (loop,) = llm.seen
    assert loop.is_closed()


def test_an_arena_says_how_programs_are_kept_apart():
    with LocalArena(pool=worlds.pool(), llm=worlds.Scripted(right_first), benchmark=Tiny()) as arena:
        assert arena.isolation is None
