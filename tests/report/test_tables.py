from pathlib import Path

import pytest
from omegaconf import OmegaConf

from gdesign.report import document
from gdesign.report.document import Report
from gdesign.report.folders import find_evaluations
from gdesign.report.tables import make_groups, make_rows, told
from tests.report.folders import write

GNN = Path(__file__).parents[2] / "gdesign/configs/gnn"


def markdown(rows):
    return document.markdown(Report(title="Runs", lead=told(rows)))


def rows(path):
    return make_rows(make_groups(find_evaluations([path])[0])[0])


def test_seeds_of_one_method_share_a_row_with_an_interval_over_seeds(tmp_path):
    write(tmp_path / "a", score=0.4)
    write(tmp_path / "b", seed=1, score=0.6)
    (row,) = rows(tmp_path)
    assert (row.seeds, row.score, row.unreadable) == ((0, 1), 0.5, 2)
    assert row.score_interval == pytest.approx((0.5 - 12.706 * 0.1, 0.5 + 12.706 * 0.1), abs=1e-3)


def test_one_seed_has_the_interval_over_questions(tmp_path):
    write(tmp_path / "a")
    (row,) = rows(tmp_path)
    assert (row.score_interval, row.utility_interval, row.usd_interval) == ((0.2, 0.8), (0.1, 0.7), None)


@pytest.mark.parametrize("changed", [{"label": "calibrated"}, {"split": "validation"}])
def test_other_labels_and_splits_never_share_an_average(tmp_path, changed):
    write(tmp_path / "a")
    write(tmp_path / "b", seed=1, **changed)
    assert len(rows(tmp_path)) == 2


def test_what_tells_two_runs_of_a_method_apart_is_in_their_names(tmp_path):
    write(tmp_path / "a", settings={"llm": "m", "num_agents": 1})
    write(tmp_path / "b", settings={"llm": "n", "num_agents": 1}, utility=0.1)
    assert [r.method for r in rows(tmp_path)] == ["single: m", "single: n"]


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


def test_what_most_runs_share_is_told_once_and_not_in_their_names(tmp_path):
    for name, k in (("a", 8), ("b", 8), ("c", 16)):
        write(tmp_path / name, config={"learner": {"num_designs": k, "lr": 0.1 if name == "b" else None}})
    groups, unsaid = make_groups(find_evaluations([tmp_path])[0])
    assert {g.method for g in groups} == {"single", "single (lr=0.1)", "single (num_designs=16)"}
    assert unsaid == {"single": {"learner.num_designs": 8}}


def test_graph_encoders_are_told_apart_by_what_the_command_line_calls_them(tmp_path):
    choices = {path.stem for path in GNN.glob("[!_]*.yaml")}
    for name in choices:
        conv = OmegaConf.to_container(OmegaConf.load(GNN / f"{name}.yaml"))["conv"]
        for seed in (0, 1):
            write(tmp_path / f"{name}-{seed}", seed=seed, config={"gnn": {"hidden_dim": 64, "conv": conv}})
    assert {r.method for r in rows(tmp_path)} == {f"single (gnn={name})" for name in choices}


def test_convolutions_of_one_class_are_told_apart_by_their_settings(tmp_path):
    for heads in (1, 4):
        conv = {"_target_": "torch_geometric.nn.GATConv", "_partial_": True, "heads": heads}
        write(tmp_path / str(heads), config={"gnn": {"conv": conv}})
    assert {r.method for r in rows(tmp_path)} == {"single (heads=1)", "single (heads=4)"}


def test_a_setting_that_an_earlier_version_did_not_write_tells_nothing_apart(tmp_path):
    write(tmp_path / "a", config={"problem": {"anchor": "pool"}})
    write(tmp_path / "b", seed=1, config={"problem": {"anchor": "pool", "anchor_reverse": False, "anchor_seed": 0}})
    assert {r.method for r in rows(tmp_path)} == {"single"}


def test_what_was_built_is_named_by_the_last_word_of_its_path(tmp_path):
    write(tmp_path / "a", config={"learner": {"estimator": {"_target_": "gdesign.learn.estimators.Reinforce"}}})
    write(tmp_path / "b", config={"learner": {"estimator": {"_target_": "gdesign.learn.estimators.imitation"}}})
    assert {r.method for r in rows(tmp_path)} == {"single (estimator=Reinforce)", "single (estimator=imitation)"}


def test_what_training_would_have_been_tells_nothing_apart_where_nothing_was_trained(tmp_path):
    for name in "ab":
        write(tmp_path / name, seed="ab".index(name), training_runs=0, config={"learner": {"lr": name}})
    assert [r.method for r in make_groups(find_evaluations([tmp_path])[0])[0]] == ["single"]


def test_a_folder_of_another_run_of_the_same_seed_tells_no_seeds_apart(tmp_path):
    for seed in (1, 2):
        write(tmp_path / f"x-{seed}", seed=seed, config={"start": f"runs/taught-{seed}"})
    assert [r.seeds for r in rows(tmp_path)] == [(1, 2)]


def test_evaluations_of_one_checkpoint_at_several_lambdas_are_rows_of_one_method(tmp_path):
    write(tmp_path / "a", config={"reward": {"usd_weight": 0.03}}, usd_weight=0.03)
    evaluated = {"checkpoint": str(tmp_path / "a"), "reward": {"usd_weight": 0.1}}
    write(tmp_path / "a/usd_weight=0.1", config=evaluated, usd_weight=0.1)
    assert [(r.method, r.usd_weight) for r in rows(tmp_path)] == [("single", 0.03), ("single", 0.1)]


def test_a_checkpoint_that_learned_another_task_is_told_apart(tmp_path):
    write(tmp_path / "a", task="crux")
    write(tmp_path / "a/task=gsm8k", config={"checkpoint": str(tmp_path / "a")})
    write(tmp_path / "b")
    assert {r.method for r in rows(tmp_path) if r.task == "gsm8k"} == {"single", "single (trained with task=crux)"}


def test_the_table_has_a_label_for_each_row(tmp_path):
    write(tmp_path / "a")
    write(tmp_path / "b", designer="chain", label="calibrated")
    text = markdown(rows(tmp_path))
    assert "| single | 0.4000 (0.1000 to 0.7000) | 0.5000 (0.2000 to 0.8000) | 1.0 | exact |" in text
    assert "Of every row: task gsm8k, split test, lambda 0.03, seeds 1 (0), questions 4." in text
    assert "support no claim" in text


def test_the_table_says_what_training_cost_and_what_of_it_was_paid(tmp_path):
    training = {"runs": 5, "usd": 2.0, "paid_usd": 0.5}
    write(tmp_path / "a", label="replayed", training=training)
    write(tmp_path / "b", designer="chain", label="simulated", training=training | {"paid_usd": 0.0})
    text = markdown(rows(tmp_path))
    assert "| 5 | 2.0 (paid 0.50) |" in text
    assert "| 5 | 2.0 |" in text
    assert "paid is what was not in a recording" in text


def test_columns_that_say_nothing_are_left_out(tmp_path):
    write(tmp_path / "a", paid_usd=0.0, latency=None, faults=0, counted=0)
    assert not [word for word in ("paid", "latency", "survived", "counted") if word in markdown(rows(tmp_path))]
    latency = {"mean": 1.5, "p50": 1.0, "p95": 4.0}
    write(tmp_path / "b", designer="chain", label="live", paid_usd=1.0, latency=latency, faults=7, counted=2)
    text = markdown(rows(tmp_path))
    assert "| paid per 1,000 | latency s (95 % below) | faults survived | tokens counted here |" in text
    assert "| 1.0 | 1.50 (4.00) | 7 | 2 |" in text
    assert "| 0 |  | 0 | 0 |" in text


def test_evaluations_at_different_prices_of_latency_share_no_row(tmp_path):
    write(tmp_path / "a")
    write(tmp_path / "b", second_weight=0.0, seed=1)
    write(tmp_path / "c", second_weight=0.1, seed=2)
    assert sorted(len(r.seeds) for r in rows(tmp_path)) == [1, 2]


def compared(difference, *, deployed="learned"):
    single = {"difference": difference, "interval": [difference - 0.1, difference + 0.1]}
    return {"deployed": deployed, "evaluated": {"single": single}}


def test_a_row_says_how_a_learned_designer_stands_beside_the_best_single_agent(tmp_path):
    write(tmp_path / "a", comparison=compared(0.1))
    write(tmp_path / "b", seed=1, comparison=compared(0.3, deployed="single"))
    (row,) = rows(tmp_path)
    assert row.single == (pytest.approx(0.2), pytest.approx((0.2 - 12.706 * 0.1, 0.2 + 12.706 * 0.1), abs=1e-3))
    text = markdown([row])
    assert "learned - best single agent" in text
    assert "| 1 of 2 |" in text
    assert "score, USD and utility are its own" in text


def test_what_was_expected_stands_beside_what_was_found_where_it_was_told(tmp_path):
    write(tmp_path / "a", expected={"score": 0.8, "usd": 1.0})
    write(tmp_path / "b", seed=1, expected={"score": 0.6, "usd": 2.0})
    (row,) = rows(tmp_path)
    assert row.expected == pytest.approx((0.7, 1.5))
    assert "| 0.700, 1.5 |" in markdown([row])
    write(tmp_path / "c", seed=2)
    (row,) = rows(tmp_path)
    assert row.expected is None
    assert "expected" not in markdown([row])


def test_a_table_of_runs_that_were_not_compared_has_no_such_columns(tmp_path):
    write(tmp_path / "a")
    assert "best single agent" not in markdown(rows(tmp_path))


def test_what_is_deployed_tells_trainings_apart(tmp_path):
    write(tmp_path / "a", config={"deploy": "better"})
    write(tmp_path / "b", config={"deploy": "learned"})
    write(tmp_path / "c", seed=1)  # as an earlier version wrote it
    found = {r.method: r.seeds for r in rows(tmp_path)}
    assert found == {"single (deploy=better)": (0,), "single (deploy=learned)": (0, 1)}
