import pytest

from gdesign.errors import ConfigError, UserError
from gdesign.report import compare as module
from gdesign.report import student
from gdesign.report.folders import find_evaluations
from gdesign.report.tables import make_groups
from tests.report.folders import write


def groups(path):
    return {g.method: g for g in make_groups(find_evaluations([path])[0])[0]}


def compare(path, first, second, metrics=("score",)):
    found = groups(path)
    read = module.read_answers(list(found.values()))
    return module.compare(found[first], found[second], metrics=metrics, read=read)


def test_seeds_are_paired_where_each_has_its_own_questions(tmp_path):
    for seed, scores in enumerate(([1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0])):
        write(tmp_path / f"a-{seed}", designer="chain", seed=seed, scores=scores, first_question=10 * seed)
        write(tmp_path / f"b-{seed}", seed=seed, scores=[0, 0, 0, 0], first_question=10 * seed)
    (c,) = compare(tmp_path, "chain", "single")
    assert (c.difference, c.seeds, c.num_questions) == (0.5, (0, 1, 2), 12)
    assert c.seed_interval == pytest.approx((0.5 - 0.6210, 0.5 + 0.6210), abs=1e-4)
    assert c.seed_p == pytest.approx(0.0742, abs=1e-4)
    assert 0.1 < c.question_interval[0] < 0.5 < c.question_interval[1] < 0.9
    assert 2 / 2001 <= c.question_p < 0.01


def test_a_question_of_several_seeds_is_drawn_with_all_of_them(tmp_path):
    for seed in range(8):
        write(tmp_path / f"a-{seed}", designer="chain", seed=seed, scores=[1, 0, 1, 0])
        write(tmp_path / f"b-{seed}", seed=seed, scores=[0, 0, 0, 0])
    (c,) = compare(tmp_path, "chain", "single")
    assert c.question_interval == (0.0, 1.0)
    assert c.num_questions == 4


def test_seeds_that_all_differ_by_the_same_say_nothing_about_seeds(tmp_path):
    for seed in (0, 1):
        write(tmp_path / f"a-{seed}", designer="chain", seed=seed, scores=[1, 0])
        write(tmp_path / f"b-{seed}", seed=seed, scores=[0, 0])
    (c,) = compare(tmp_path, "chain", "single")
    assert (c.seed_interval, c.seed_p) == (None, None)


def test_a_baseline_that_was_run_once_is_paired_with_the_mean_over_seeds(tmp_path):
    write(tmp_path / "a-0", designer="chain", scores=[1, 1, 0, 0])
    write(tmp_path / "a-1", designer="chain", seed=1, scores=[1, 0, 0, 0])
    write(tmp_path / "b", scores=[0, 0, 0, 0])
    (c,) = compare(tmp_path, "chain", "single")
    assert (c.difference, c.seeds, c.seed_interval) == (0.375, (), None)


def test_utility_and_cost_are_compared_at_the_price_of_the_evaluation(tmp_path):
    write(tmp_path / "a", designer="chain", scores=[1, 1], token_weight=0.001)
    write(tmp_path / "b", scores=[0, 1], token_weight=0.001)
    worth, usd = compare(tmp_path, "chain", "single", metrics=("utility", "usd"))
    assert worth.difference == pytest.approx(0.5 - 0.001 * 50)
    assert usd.difference == 0.0


def test_a_method_differs_from_itself_by_nothing_and_the_same_runs_give_the_same_numbers(tmp_path):
    write(tmp_path / "a", designer="chain", scores=[1, 1, 0, 1])
    write(tmp_path / "b", scores=[0, 1, 0, 0])
    (same,) = compare(tmp_path, "chain", "chain")
    assert (same.question_interval, same.question_p) == ((0.0, 0.0), 1.0)
    (c,) = compare(tmp_path, "chain", "single")
    assert (c.difference, c.num_questions) == (0.5, 4)
    assert 0.0 <= c.question_interval[0] < 0.5 < c.question_interval[1] <= 1.0
    assert [c] == compare(tmp_path, "chain", "single")


def test_one_question_has_an_interval_of_no_width(tmp_path):
    write(tmp_path / "a", designer="chain", scores=[1])
    write(tmp_path / "b", scores=[0])
    (c,) = compare(tmp_path, "chain", "single")
    assert (c.difference, c.question_interval) == (1.0, (1.0, 1.0))


def test_runs_of_an_earlier_evaluation_with_more_samples_do_not_count(tmp_path):
    write(tmp_path / "a", designer="chain", scores=[1, 1, 0, 1], samples=3)
    write(tmp_path / "b", scores=[0, 1, 0, 0])
    (c,) = compare(tmp_path, "chain", "single")
    assert c.difference == 0.5


def test_runs_without_common_questions_are_refused(tmp_path):
    write(tmp_path / "a", designer="chain", scores=[1, 1])
    write(tmp_path / "b", scores=[0, 1], first_question=1)
    write(tmp_path / "c", designer="star", scores=[0, 1], seed=1, first_question=1)
    write(tmp_path / "d", designer="tree")
    with pytest.raises(UserError, match="at seed 0 they share 1 questions and differ in 2"):
        compare(tmp_path, "chain", "single")
    with pytest.raises(UserError, match="they share no seed"):
        compare(tmp_path, "chain", "star")
    with pytest.raises(UserError, match="does not hold the runs that were evaluated"):
        compare(tmp_path, "chain", "tree")


def test_a_baseline_is_a_method_a_designer_or_a_run_folder(tmp_path):
    write(tmp_path / "a", settings={"llm": "m"})
    write(tmp_path / "b", settings={"llm": "n"})
    write(tmp_path / "c", designer="chain")
    found = list(groups(tmp_path).values())
    assert module.find_baseline(found, "single: m") == "single: m"
    assert module.find_baseline(found, "chain") == "chain"
    assert module.find_baseline(found, str(tmp_path / "b")) == "single: n"
    with pytest.raises(ConfigError, match=r"names several methods here; choose one of .*single: m.*single: n"):
        module.find_baseline(found, "single")
    with pytest.raises(ConfigError, match=r'no method and no evaluated run folder here; choose one of .*"chain"'):
        module.find_baseline(found, "nobody")


def test_students_t_is_that_of_the_tables():
    assert student.interval([1.0, 2.0, 3.0]) == pytest.approx((2 - 2.4841, 2 + 2.4841), abs=1e-4)
    assert student.p_value([1.0, 2.0, 3.0]) == pytest.approx(0.0742, abs=1e-4)
    assert student.p_value([-1.0, 1.0]) == 1.0
