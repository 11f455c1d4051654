import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdesign.llm.simulated.transition import (
    GPT4_HUMANEVAL,
    GPT35_MMLU,
    OPTIMISTIC,
    PESSIMISTIC,
    SLM_GSM,
    SLM_MMLU,
    Opinion,
    Transition,
)
from gdesign.tasks.data import data_dir

FITS = {
    "mmlu": (GPT35_MMLU, "dylan_mmlu_all", "gpt-3.5-turbo-0301"),
    "slm gsm": (SLM_GSM, "slm_gsm", "ALL_SLM"),
    "slm mmlu": (SLM_MMLU, "slm_mmlu", "ALL_SLM"),
    "humaneval": (GPT4_HUMANEVAL, "dylan_humaneval", "gpt_4_0613"),
}
TRUTH = "7"


def opinion(answer):
    return Opinion(answer=answer, right=answer == TRUTH)


opinions = st.sampled_from([TRUTH, "1", "2", "3", None]).map(opinion)
uniform = st.floats(0, 1, exclude_max=True)
draws = st.tuples(uniform, uniform)
fits = st.sampled_from([fit for fit, _, _ in FITS.values()])


@pytest.fixture(scope="module")
def calibration():
    path = data_dir() / "multiagent" / "calibration.json"
    if not path.exists():
        pytest.skip("multiagent/calibration.json is not in the data folder")
    return json.loads(path.read_text())


def disagreements(calibration, dataset, model):
    """The cells that the logistic decides: not all right, not all wrong."""
    cells = [t for t in calibration["tables"] if (t["dataset"], t["model"]) == (dataset, model)]
    return [t for t in cells if 0 < t["own_ok"] + t["others_ok"] < 1 + t["n_others"]]


def error(fit: Transition, cells):
    """Mean absolute and mean signed error, weighted by the number of observations."""
    n = sum(t["n"] for t in cells)
    off = [
        (t["n"], fit.probability_right(bool(t["own_ok"]), t["others_ok"] / t["n_others"]) - t["p_new_ok"])
        for t in cells
    ]
    return sum(w * abs(e) for w, e in off) / n, sum(w * e for w, e in off) / n


@pytest.mark.parametrize(("fit", "dataset", "model"), FITS.values(), ids=FITS)
def test_each_fit_is_that_of_its_source_and_meets_its_tables(calibration, fit, dataset, model):
    logistic = next(x for x in calibration["logistic"] if (x["dataset"], x["model"]) == (dataset, model))
    assert (fit.intercept, fit.own_right, fit.fraction_right) == (
        logistic["intercept"],
        logistic["own_correct"],
        logistic["frac_others_correct"],
    )
    absolute, signed = error(fit, disagreements(calibration, dataset, model))
    assert absolute < 0.10
    assert abs(signed) < 0.03


@pytest.mark.parametrize(("fit", "dataset", "model"), list(FITS.values())[:3], ids=list(FITS)[:3])
def test_each_fits_conformity_is_that_of_its_source(calibration, fit, dataset, model):
    cases = {
        "maj_right_self_wrong": fit.wrong_hears_right,
        "maj_wrong_self_right": fit.right_hears_wrong,
        "both_wrong": fit.wrong_hears_wrong,
    }
    for row in calibration["conformity"]:
        if (row["dataset"], row["model"]) == (dataset, model):
            shares = cases.pop(row["case"])
            assert (shares.switch, shares.keep, shares.third) == (
                row["p_switch_to_majority"],
                row["p_keep_own"],
                row["p_third"],
            )
    assert not cases


def test_a_source_kept_out_is_predicted_by_the_others(calibration, record_property):
    cells = disagreements(calibration, "dylan_humaneval", "gpt_4_0613")
    found = {fit.source: error(fit, cells) for fit in (GPT35_MMLU, SLM_GSM, SLM_MMLU)}
    for source, (absolute, signed) in found.items():
        record_property(source, f"absolute {absolute:.3f}, signed {signed:+.3f}")
    assert found[GPT35_MMLU.source][0] < 0.12
    assert found[PESSIMISTIC.source][1] < 0 < found[OPTIMISTIC.source][1]


def test_optimistic_and_pessimistic_are_the_extremes_of_the_sources():
    def after_a_pair_disagrees(fit):
        return (fit.probability_right(True, 0.0) + fit.probability_right(False, 1.0)) / 2

    levels = [after_a_pair_disagrees(fit) for fit in (GPT35_MMLU, SLM_GSM, SLM_MMLU)]
    assert after_a_pair_disagrees(OPTIMISTIC) == max(levels) == pytest.approx(0.67, abs=0.005)
    assert after_a_pair_disagrees(PESSIMISTIC) == min(levels) == pytest.approx(0.51, abs=0.005)
    assert after_a_pair_disagrees(OPTIMISTIC.neutral()) == pytest.approx(0.5)


@given(fits, opinions, st.lists(opinions, max_size=5), draws)
def test_nobody_is_right_who_has_not_seen_a_right_answer(fit, own, heard, u):
    after = fit.next(own=own, heard=heard, u=u)
    if after is not None:
        assert after in [own, *heard]
        assert after.right == (after.answer == TRUTH)


@given(fits, st.sampled_from([TRUTH, "1"]), st.integers(0, 5), draws)
def test_where_all_agree_the_answer_is_kept(fit, answer, num_heard, u):
    assert fit.next(own=opinion(answer), heard=[opinion(answer)] * num_heard, u=u) == opinion(answer)


def test_right_in_different_words_is_agreement():
    own = Opinion(answer="1/2", right=True)
    assert GPT35_MMLU.next(own=own, heard=[Opinion(answer="0.5", right=True)], u=(0.999, 0.5)) == own


def test_the_first_draw_decides_whether_it_is_right():
    p = GPT35_MMLU.probability_right(False, 0.5)
    heard = [opinion(TRUTH), opinion("2")]
    assert GPT35_MMLU.next(own=opinion("1"), heard=heard, u=(p - 1e-9, 0.0)) == opinion(TRUTH)
    assert GPT35_MMLU.next(own=opinion("1"), heard=heard, u=(p, 0.0)) == opinion("1")


def test_a_wrong_agent_keeps_conforms_or_says_a_third_thing_by_the_shares():
    heard = [opinion("2"), opinion("2"), opinion("3")]
    shares = GPT35_MMLU.wrong_hears_wrong
    said = [GPT35_MMLU.next(own=opinion("1"), heard=heard, u=(0.5, i / 1000)) for i in range(1000)]
    assert said.count(opinion("1")) / 1000 == pytest.approx(shares.keep, abs=0.002)
    assert said.count(opinion("2")) / 1000 == pytest.approx(shares.switch, abs=0.002)
    assert said.count(None) / 1000 == pytest.approx(shares.third, abs=0.002)


def test_an_unreadable_own_answer_counts_as_wrong_and_is_not_kept():
    own = Opinion(answer=None, right=True)
    said = [SLM_GSM.next(own=own, heard=[opinion("2")], u=(0.0, i / 100)) for i in range(100)]
    assert set(said) == {opinion("2"), None}


def test_a_right_answer_heard_is_never_what_a_wrong_agent_switches_to():
    heard = [opinion(TRUTH), opinion(TRUTH), opinion("2")]
    said = {GPT35_MMLU.next(own=opinion("1"), heard=heard, u=(0.9999, i / 100)) for i in range(100)}
    assert said == {opinion("1"), None}
