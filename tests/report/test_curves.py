from gdesign.report.curves import learning, read_curve
from gdesign.report.folders import find_evaluations
from gdesign.report.tables import make_groups
from tests.report.folders import write

METRICS = "step,epoch,runs,train/loss,val/utility\n9,0,,0.5,\n19,0,60.0,,0.25\n39,1,118.0,,0.5\n"


def test_a_curve_has_the_steps_and_runs_of_each_validation(tmp_path):
    (tmp_path / "metrics.csv").write_text(METRICS)
    curve = read_curve(tmp_path / "metrics.csv")
    assert (curve.steps, curve.runs, curve.utility) == ((20, 40), (60.0, 118.0), (0.25, 0.5))


def test_a_validation_that_a_kill_cut_short_is_left_out(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("step,runs,val/utility,val/score,val/usd\n9,5,0.25,0.5,1.0\n19,9,0.5,0.")
    assert read_curve(path).steps == (10,)


def test_metrics_of_earlier_versions_have_steps_only(tmp_path):
    (tmp_path / "metrics.csv").write_text("step,val/utility\n19,0.25\n")
    curve = read_curve(tmp_path / "metrics.csv")
    assert (curve.steps, curve.runs) == ((20,), ())


def test_seeds_are_the_curves_of_one_method_and_what_was_not_trained_has_none(tmp_path):
    for seed in (0, 1):
        write(tmp_path / f"a-{seed}", designer="swarm", seed=seed)
        (tmp_path / f"a-{seed}/metrics.csv").write_text(METRICS)
    write(tmp_path / "b", training_runs=0)
    (found,) = learning(make_groups(find_evaluations([tmp_path])[0])[0])
    assert (found.method, len(found.curves), found.label) == ("swarm", 2, "exact")
