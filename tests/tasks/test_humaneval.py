import importlib.util
from pathlib import Path

import pytest

from gdesign.errors import ConfigError
from gdesign.tasks.data import data_dir
from gdesign.tasks.humaneval import HumanEval
from gdesign.tasks.mbpp import MBPP

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "sandbox.py"


@pytest.fixture(params=[HumanEval, MBPP])
def benchmark(request):
    if not (data_dir() / "bench").is_dir():
        pytest.skip("needs the folder that GDESIGN_DATA names, with bench/")
    return request.param()


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPT.parent)  # as where it is started
    spec = importlib.util.spec_from_file_location("sandbox_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SOME = {"humaneval": (0, 32, 38, 75), "mbpp": (1, 126, 367, 533, 596, 601, 927)}


def test_some_references_pass_and_a_mutation_of_each_fails(benchmark, script):
    ids = {f"{benchmark.name}/{i}" for i in SOME[benchmark.name]}
    tasks = [t for t in benchmark.load("all") if t.id in ids]
    assert len(tasks) == len(ids)
    assert script.survey(benchmark, tasks) == ([], [])


@pytest.mark.slow
def test_every_reference_passes_and_a_mutation_of_each_fails(benchmark, script):
    tasks = benchmark.load("all")
    assert len(tasks) == {"humaneval": 164, "mbpp": 974}[benchmark.name]
    assert script.survey(benchmark, tasks) == ([], [])


def test_a_question_asks_for_a_program_and_does_not_show_the_answer(benchmark):
    for task in benchmark.load("all")[:30]:
        assert "```python" in task.question
        assert task.answer.strip().splitlines()[-1].strip() not in task.question.splitlines()


def test_recorded_answers_are_refused(benchmark):
    with pytest.raises(ConfigError, match="no recorded answers"):
        type(benchmark)(recorded=True)


@pytest.fixture
def humaneval():
    if not (data_dir() / "bench").is_dir():
        pytest.skip("needs the folder that GDESIGN_DATA names, with bench/")
    return HumanEval()


def test_a_program_may_leave_out_what_the_question_begins_with(humaneval):
    task = next(t for t in humaneval.load("all") if t.id == "humaneval/38")  # its tests use a helper of the question
    whole = task.answer
    start = whole.index("def decode_cyclic")
    body = whole[whole.rindex('"""') + 3 :]
    for answer in (whole, whole[start:], body.strip("\n")):
        assert humaneval.grade(task, humaneval.extract(task, f"```python\n{answer}\n```")) == 1


def test_a_body_alone_needs_no_fence(humaneval):
    task = next(t for t in humaneval.load("all") if t.id == "humaneval/2")
    assert humaneval.grade(task, humaneval.extract(task, "    return number % 1.0\n")) == 1
    assert humaneval.grade(task, humaneval.extract(task, "    whole = int(number)\n    return whole\n")) == 0
    assert humaneval.extract(task, "    return the rest of a division") is None


@pytest.mark.parametrize(
    "reply",
    [
        "<think>\n```python\ndef f(x):\n    pass\n</think>\n~~~py\nimport math\n~~~\nand\n~~~py\n{whole}\n~~~",
        "```python\nimport math\n```\nThen:\n\n{whole}\n\nIt takes the rest. Thus\n```\n{name}(1)\n```",
        "```python\n{whole}\n```\nThis is wrong for negative ones:\n```python\n{name} = lambda *a: None\n```",
    ],
)
def test_a_program_is_read_alike_in_both(benchmark, reply):
    ids = {"humaneval": "humaneval/2", "mbpp": "mbpp/96"}
    task = next(t for t in benchmark.load("all") if t.id == ids[benchmark.name])
    name = {"humaneval": "truncate_number", "mbpp": "divisor"}[benchmark.name]
    whole = {
        "humaneval": "def truncate_number(number):\n    return number - math.floor(number)",
        "mbpp": "def divisor(n):\n    return sum(math.fmod(n, i) == 0 for i in range(1, n + 1))",
    }[benchmark.name]
    whole = whole if "import math" in reply else f"import math\n\n{whole}"
    assert benchmark.grade(task, benchmark.extract(task, reply.format(whole=whole, name=name))) == 1


def test_a_quarter_of_humaneval_is_the_lock_box_and_the_parts_cover_it(humaneval):
    loaded = {split: humaneval.load(split) for split in ("train", "validation", "test", "lockbox", "all")}
    assert sum(map(len, loaded.values())) == 2 * 164
    assert len(loaded["lockbox"]) / 164 == pytest.approx(0.25, abs=0.1)


def test_mbpp_has_upstreams_split():
    if not (data_dir() / "bench").is_dir():
        pytest.skip("needs the folder that GDESIGN_DATA names, with bench/")
    sizes = {split: len(MBPP().load(split)) for split in ("train", "validation", "test", "all")}
    assert sizes == {"train": 374, "validation": 90, "test": 500, "all": 974}
    first, last = MBPP().load("test")[0], MBPP().load("test")[-1]
    assert (first.id, last.id) == ("mbpp/11", "mbpp/510")
    assert first.question.count("assert ") == 3
    with pytest.raises(ConfigError, match="no lock-box"):
        MBPP().load("lockbox")
