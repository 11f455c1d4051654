import json
from pathlib import Path

import pytest
import yaml

from gdesign.errors import MissingDataError, UserError
from gdesign.report.tables import find_evaluations, make_rows, markdown, paired_interval

SUMMARY = {
    "score": 0.5,
    "usd": 1.0,
    "utility": 0.4,
    "n": 4,
    "label": "exact",
    "split": "test",
    "interval": [0.2, 0.8],
    "unreadable": 1,
    "failures": 0,
    "num_samples": 1,
}


def write(folder, *, designer="single", seed=0, settings=None, scores=None, samples=1, config=None, **changed):
    folder.mkdir(parents=True)
    names = {"designer": designer, "task": "gsm8k", "pool": "recorded", "llm": "recorded"}
    config = {"names": names, "seed": seed, "designer": settings or {}, "out": str(folder), **(config or {})}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    if changed.get("score", 0) is not None:
        (folder / "eval.json").write_text(json.dumps(SUMMARY | changed))
    with (folder / "runs.jsonl").open("w") as file:
        for i, score in enumerate(scores or []):
            row = {"phase": "test", "benchmark": "b", "task": str(i), "score": score, "usd": 0.001}
            row |= {"prompt_tokens": 100 * score, "completion_tokens": 10}
            for sample in range(samples):
                file.write(json.dumps(row | {"seed": sample, "score": score if sample == 0 else 0}) + "\n")


def rows(path):
    return make_rows(find_evaluations([path])[0])


def test_seeds_of_one_method_share_a_row(tmp_path):
    write(tmp_path / "a", score=0.4)
    write(tmp_path / "b", seed=1, score=0.6)
    (row,) = rows(tmp_path)
    assert (row.seeds, row.score, row.interval, row.unreadable) == ((0, 1), 0.5, None, 2)
    assert row.score_spread == pytest.approx(0.1414, abs=1e-4)


@pytest.mark.parametrize("changed", [{"label": "calibrated"}, {"split": "validation"}])
def test_other_labels_and_splits_never_share_an_average(tmp_path, changed):
    write(tmp_path / "a")
    write(tmp_path / "b", seed=1, **changed)
    assert len(rows(tmp_path)) == 2


def test_what_tells_two_runs_of_a_method_apart_is_in_their_names(tmp_path):
    write(tmp_path / "a", settings={"llm": "m", "num_agents": 1})
    write(tmp_path / "b", settings={"llm": "n", "num_agents": 1}, utility=0.1)
    assert [r.method for r in rows(tmp_path)] == ["single (llm=m)", "single (llm=n)"]


def test_two_evaluations_of_one_seed_are_no_two_seeds(tmp_path):
    write(tmp_path / "a")
    write(tmp_path / "a/limit=2", n=2)
    write(tmp_path / "b", seed=1)
    found = rows(tmp_path)
    assert sorted((r.method, r.seeds) for r in found) == [("single", (0, 1)), ("single (limit=2)", (0,))]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"task": {"limit": 2}}, "limit=2"),
        ({"num_test_samples": 5}, "num_test_samples=5"),
        ({"trainer": {"max_epochs": 1}}, "max_epochs=1"),
    ],
)
def test_what_an_evaluation_differs_in_beside_its_seed_is_in_its_name(tmp_path, changed, told):
    write(tmp_path / "a")
    write(tmp_path / "b", seed=1, config=changed)
    assert {r.method for r in rows(tmp_path)} == {"single", f"single ({told})"}


def test_the_table_has_a_label_for_each_row_and_names_what_was_not_evaluated(tmp_path):
    write(tmp_path / "a")
    write(tmp_path / "b", designer="chain", label="calibrated")
    write(tmp_path / "c", score=None)
    done, incomplete = find_evaluations([tmp_path])
    text = markdown(make_rows(done), incomplete)
    assert "| single | gsm8k | test | exact | 0 | 4 | 0.5000 | 0.2000 to 0.8000 |" in text
    assert "support no claim" in text
    assert f"Not evaluated: `{tmp_path / 'c'}`" in text


def test_a_folder_without_runs_is_named(tmp_path):
    with pytest.raises(MissingDataError, match="holds no run folder"):
        find_evaluations([tmp_path])


def test_pairs_are_compared_question_by_question(tmp_path):
    write(tmp_path / "a", scores=[1, 1, 0, 1])
    write(tmp_path / "b", scores=[0, 1, 0, 0])
    pair = paired_interval(tmp_path / "a", tmp_path / "b")
    assert (pair.difference, pair.n) == (0.5, 4)
    assert 0.0 <= pair.interval[0] < 0.5 < pair.interval[1] <= 1.0
    assert paired_interval(tmp_path / "a", tmp_path / "a").interval == (0.0, 0.0)
    assert pair == paired_interval(tmp_path / "a", tmp_path / "b")


def test_different_questions_are_no_pairs(tmp_path):
    write(tmp_path / "a", scores=[1, 1, 0])
    write(tmp_path / "b", scores=[0, 1])
    with pytest.raises(UserError, match="share 2 questions of the split test and differ in 1"):
        paired_interval(tmp_path / "a", tmp_path / "b")


def test_runs_of_an_earlier_evaluation_with_more_samples_do_not_count(tmp_path):
    write(tmp_path / "a", scores=[1, 1, 0, 1], samples=3)
    write(tmp_path / "b", scores=[0, 1, 0, 0])
    assert paired_interval(tmp_path / "a", tmp_path / "b").difference == 0.5


def test_pairs_are_compared_by_utility_with_both_costs(tmp_path):
    write(tmp_path / "a", scores=[1, 1, 0, 1])
    write(tmp_path / "b", scores=[0, 1, 0, 0])
    pair = paired_interval(tmp_path / "a", tmp_path / "b", metric="utility", usd_weight=0.1, token_weight=0.001)
    assert pair.difference == pytest.approx(0.5 - 0.001 * 50)


def test_a_run_that_was_not_evaluated_on_the_split_is_no_pair(tmp_path):
    write(tmp_path / "a", scores=[1, 1])
    with pytest.raises(UserError, match="was evaluated on the split test, not validation"):
        paired_interval(tmp_path / "a", tmp_path / "a", split="validation")


def test_a_folder_that_is_found_twice_is_listed_once(tmp_path, monkeypatch):
    write(tmp_path / "runs/a")
    write(tmp_path / "runs/b", score=None)
    monkeypatch.chdir(tmp_path)
    done, incomplete = find_evaluations([Path("runs"), Path("runs/a"), tmp_path / "runs", Path("runs/b")])
    assert [e.folder for e in done] == [Path("runs/a")]
    assert incomplete == [Path("runs/b")]
