import asyncio
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

ray = pytest.importorskip("ray", reason="the extra ray is not installed")

from ray.cluster_utils import Cluster  # noqa: E402

from gdesign.agents import teams  # noqa: E402
from gdesign.agents.pool import named  # noqa: E402
from gdesign.errors import BudgetExceededError, ConfigError, LLMError, UserError  # noqa: E402
from gdesign.execute import cluster  # noqa: E402
from gdesign.execute.arena import Arena, LocalArena  # noqa: E402
from gdesign.execute.cluster import RayArena  # noqa: E402
from gdesign.llm.recording import Recording  # noqa: E402
from gdesign.llm.replay import Replay  # noqa: E402
from gdesign.llm.simulated import SimulatedClient  # noqa: E402
from gdesign.llm.wrappers import Budget  # noqa: E402
from gdesign.tasks.synthetic import Synthetic  # noqa: E402
from gdesign.types import Agent, Job, Label, Reply, Usage  # noqa: E402
from tests import worlds  # noqa: E402

pytestmark = pytest.mark.ray
AGENTS = [Agent(role=c.role, llm=c.llm) for c in worlds.pool().candidates]
# by name, workers would import the parts of other tests, and with them torch
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module", autouse=True)
def nodes():
    """A cluster of three nodes on this machine; the first is where the tests are."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    others = [cluster.add_node(num_cpus=2) for _ in range(2)]
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    yield cluster, others
    ray.shutdown()
    cluster.shutdown()


class Tiny:
    """A benchmark whose answers are read after `Answer: `."""

    name = "tiny"

    def extract(self, task, text):
        return text.removeprefix("Answer: ") or None

    def grade(self, task, answer):
        return float(answer == task.answer)


class Paid:
    """Answers after a while, and writes down what it was asked: what somebody had to pay."""

    def __init__(self, path, *, seconds=0.05):
        self.path, self.seconds = Path(path), seconds

    async def __call__(self, request):
        with self.path.open("a") as file:
            file.write(f"{request.llm} {request.messages[-1].content!r} {request.sample}\n")
        await asyncio.sleep(self.seconds)
        if "Peru" in request.messages[-1].content:
            raise LLMError("nobody knows", faults=("500",))
        usage = Usage(prompt_tokens=10, completion_tokens=5)
        right = request.origin.task_id.removeprefix("q")
        return Reply(text=f"Answer: {right if request.llm == 'llm-0' else 'wrong'}", usage=usage, label=Label.LIVE)

    def paid(self):
        return self.path.read_text().splitlines() if self.path.exists() else []


class Deadly(Tiny):
    """Kills the process that reads an answer to the fourth question, so many times."""

    def __init__(self, folder, *, times=1):
        self.folder, self.times = folder, times

    def extract(self, task, text):
        if task.id == "q3" and len(list(self.folder.glob("death-*"))) < self.times:
            (self.folder / f"death-{os.getpid()}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return Tiny.extract(self, task, text)


def arena(llm, *, benchmark=None, **settings):
    return RayArena(pool=worlds.pool(), llm=llm, benchmark=benchmark or Tiny(), **settings)


def jobs(num=12, *, design=None):
    return [Job(design or teams.chain(AGENTS[:2]), task, 0) for task in worlds.tasks(num)]


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_give_what_one_process_gives_in_the_order_of_the_jobs(workers):
    pool, benchmark = named("simulated"), Synthetic()
    agents = [Agent(role=c.role, llm=c.llm) for c in pool.candidates[:4]]
    tasks = benchmark.load("validation")[:20]
    todo = [Job(design, task, seed) for task in tasks for seed in (0, 1)
            for design in (teams.chain(agents), teams.single(agents[:1]))]  # fmt: skip
    todo += todo[:3]
    parts = {"pool": pool, "llm": SimulatedClient(pool=pool), "benchmark": benchmark}
    told = []
    with LocalArena(**parts) as here, RayArena(**parts, workers=workers) as there:
        assert isinstance(there, Arena)
        found = there.run(todo, phase="test", on_run=lambda *result: told.append(result))
        assert found == here.run(todo, phase="test")
    assert len(told) == len(set(todo))


def test_the_same_request_in_flight_is_asked_once_by_all_workers_and_never_again(tmp_path):
    llm = Paid(tmp_path / "paid", seconds=0.2)
    (task,) = worlds.tasks(1)
    design = teams.single(AGENTS[:1])
    with arena(Replay(path=tmp_path / "calls.sqlite", llm=llm), workers=3) as there:
        # other words in the design than in the request, so that these are other jobs with the same call
        same = [Job(design, worlds.with_answer(task, str(i)), 0) for i in range(30)]
        first = there.run(same, phase="test")
        again = there.run(same[:4], phase="test")
    assert len(llm.paid()) == len(Recording(tmp_path / "calls.sqlite")) == 1
    assert sorted(run.label for run, _ in first)[:2] == [Label.LIVE, Label.REPLAYED]
    assert {run.label for run, _ in again} == {Label.REPLAYED}


def test_all_workers_together_keep_to_one_budget_with_what_was_spent_before(tmp_path):
    llm = Budget(llm=Paid(tmp_path / "paid"), pool=worlds.pool(), calls=10)
    asyncio.run(llm(first_request()))
    with arena(llm, workers=3) as there, pytest.raises(BudgetExceededError, match="the budget of 10 calls is spent"):
        there.run(jobs(30, design=teams.single(AGENTS[:1])), phase="test")
    assert len(Paid(tmp_path / "paid").paid()) == 10


def first_request():
    seen = worlds.Scripted(lambda request: "Answer: 0")
    with LocalArena(pool=worlds.pool(), llm=seen, benchmark=Tiny()) as here:
        here.run(jobs(1, design=teams.single(AGENTS[:1])), phase="test")
    return seen.requests[0]


def test_a_worker_that_dies_is_replaced_and_what_was_recorded_is_not_paid_again(tmp_path):
    llm = Paid(tmp_path / "paid")
    benchmark = Deadly(tmp_path, times=2)
    with arena(Replay(path=tmp_path / "calls.sqlite", llm=llm), benchmark=benchmark, workers=2) as there:
        found = there.run(jobs(), phase="test")
    assert len(list(tmp_path.glob("death-*"))) == 2
    with LocalArena(pool=worlds.pool(), llm=Paid(tmp_path / "other"), benchmark=Tiny()) as here:
        calm = here.run(jobs(), phase="test")
    assert [(run.answer, outcome.score, outcome.usd) for run, outcome in found] == [
        (run.answer, outcome.score, outcome.usd) for run, outcome in calm
    ]
    answered = [line for line in llm.paid() if "Peru" not in line]  # failed calls are asked anew
    assert len(answered) == len(set(answered))


def test_a_run_that_kills_each_of_its_workers_ends_the_work_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "TRIES", 2)
    with (
        arena(Paid(tmp_path / "paid", seconds=0), benchmark=Deadly(tmp_path, times=99), workers=1) as there,
        pytest.raises(UserError, match="a run on task 'q3' was begun 2 times, and its worker died each time"),
    ):
        there.run(jobs(4)[3:], phase="test")


def test_a_call_that_failed_is_a_turn_that_failed(tmp_path):
    with arena(Paid(tmp_path / "paid"), workers=1) as there:
        ((run, _),) = there.run(jobs(3, design=teams.single(AGENTS[:1]))[2:], phase="test")
    assert [turn.error for turn in run.failures] == ["nobody knows"]


class Lines:
    def __init__(self):
        self.lines = []

    def append(self, run, outcome, *, phase, step=None):
        self.lines.append((run.task.id, phase, step))


def test_each_run_is_written_down_in_the_process_that_holds_the_run_folder(tmp_path):
    log = Lines()
    with arena(Paid(tmp_path / "paid"), log=log, workers=2) as there:
        there.run(jobs(4), phase="fit:train", step=7)
        there.run(jobs(1), phase="test")
    assert sorted(log.lines[:4]) == [(f"q{i}", "fit:train", 7) for i in range(4)]
    assert log.lines[4:] == [("q0", "test", None)]


@pytest.mark.parametrize("settings", [{"workers": 0}, {"workers": 1.5}, {"concurrent": 0}])
def test_what_is_no_number_of_workers_is_refused(settings, tmp_path):
    ((name, value),) = settings.items()
    with pytest.raises(ConfigError, match=rf"arena.{name} is {value}; expected 1, 2, 3"):
        arena(Paid(tmp_path / "paid"), **settings)


def test_a_client_that_cannot_be_sent_is_named(tmp_path):
    llm = Paid(tmp_path / "paid")
    llm.lock = threading.Lock()
    with arena(llm) as there, pytest.raises(ConfigError, match="arena=ray sends Paid to other processes, and it"):
        there.run(jobs(1), phase="test")


def test_a_node_that_dies_in_the_middle_changes_nothing_and_costs_nothing(nodes, tmp_path):
    cluster, (node, _) = nodes
    ended = []

    def on_run(run, outcome):
        ended.append(run)
        if len(ended) == 10:
            cluster.remove_node(node, allow_graceful=False)

    llm = Paid(tmp_path / "paid", seconds=0.1)
    with arena(Replay(path=tmp_path / "calls.sqlite", llm=llm), workers=4, concurrent=3) as there:
        found = there.run(jobs(40), phase="test", on_run=on_run)
    assert [run.task.id for run, _ in found] == [f"q{i}" for i in range(40)]
    answered = [line for line in llm.paid() if "Peru" not in line]
    assert len(answered) == len(set(answered))
    assert not node.live_processes()
