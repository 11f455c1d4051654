import asyncio

from gdesign.design import fixed
from gdesign.learn.rollout import rollout
from tests import worlds
from tests.learn.parts import Tiny, right_first


def test_a_job_named_twice_is_run_once_and_answered_twice():
    agent = worlds.encoder().space.agents[0]
    design = fixed.single([agent])
    task, other = worlds.tasks(2)
    jobs = [(design, task, 0), (design, other, 0), (design, task, 0), (design, task, 1)]
    llm, done = worlds.Scripted(right_first), []
    results = asyncio.run(
        rollout(jobs, pool=worlds.pool(), llm=llm, benchmark=Tiny(), record=lambda *result: done.append(result))
    )
    assert len(llm.requests) == len(done) == 3
    assert [(run.task.id, run.seed) for run, _ in results] == [(t.id, seed) for _, t, seed in jobs]
    assert results[0] == results[2]
