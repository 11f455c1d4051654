import json

from gdesign.report.tally import read_tally
from tests.report.test_document import ROW
from tests.report.test_page import write


def test_a_later_line_of_the_same_run_counts(tmp_path):
    folder = write(tmp_path / "a")
    later = [ROW, ROW | {"score": 0.5}, ROW | {"seed": 1}]
    (folder / "runs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in later))
    (found,) = read_tally(folder, split="test").latest.values()
    assert found["score"] == 0.5
    assert read_tally(folder, split="test", num_samples=2).benchmarks()["gsm8k"]["runs"] == 2
