import asyncio
import json
from time import perf_counter

from gdesign.agents import teams
from gdesign.execute.arena import rollout
from gdesign.tasks.jsonl import JSONL
from tests import worlds
from tests.learn.parts import Tiny, right_first


def test_a_job_named_twice_is_run_once_and_answered_twice():
    agent = worlds.encoder().space.agents[0]
    design = teams.single([agent])
    task, other = worlds.tasks(2)
    jobs = [(design, task, 0), (design, other, 0), (design, task, 0), (design, task, 1)]
    llm, done = worlds.Scripted(right_first), []
    results = asyncio.run(
        rollout(jobs, pool=worlds.pool(), llm=llm, benchmark=Tiny(), record=lambda *result: done.append(result))
    )
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
    jobs = [(teams.single([worlds.encoder().space.agents[0]]), task, seed) for task in tasks for seed in range(3)]
    beats = []

    async def beat():
        while True:
            beats.append(perf_counter())
            await asyncio.sleep(0.001)

    async def main():
        beating = asyncio.create_task(beat())
        results = await rollout(jobs, pool=worlds.pool(), llm=worlds.Scripted(written), benchmark=benchmark)
        beating.cancel()
        return results

    results = asyncio.run(main())
    assert [outcome.score for _, outcome in results] == [0, 1, 1] * 2
    assert len(beats) > 5


def written(request):
    return "```python\ndef f(x): return x" + ("" if request.sample else " + 1") + "\n```"
