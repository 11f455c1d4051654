from pathlib import Path
from time import perf_counter

import pytest

from gdesign.errors import DataError, MissingDataError
from gdesign.files import read_csv
from gdesign.tasks.data import data_dir
from gdesign.tasks.table import Recorded, load_scores, load_table

TINY = Path(__file__).parents[2] / "data" / "tiny"
QUESTIONS = (
    '{"qid": 1, "question": "a?", "answer": "x", "prompt_tokens": 3}\n{"qid": 2, "question": "b?", "answer": "y"}\n'
)
HEADER = "qid,model,correct,answer,output_tokens_cl100k\n"


def write(folder, questions=QUESTIONS, results=HEADER + "1,m,1,x,5\n"):
    (folder / "t.questions.jsonl").write_text(questions)
    (folder / "t.results.csv").write_text(results)
    return folder


def data_or_skip(relative):
    path = data_dir() / relative
    if not path.is_dir():
        pytest.skip(f"needs {relative} in the folder that GDESIGN_DATA names")
    return path


def test_a_table_says_what_each_model_answered():
    table = load_table(TINY, "sums")
    assert table.models == ("small", "medium", "large") == table.complete_models()
    assert len(table.questions) == 12
    assert table.outcome("s3", "small") == Recorded("3", 0.0, 27)
    assert table.outcome("s3", "large").correct == 1
    assert table.outcome("s9", "small").answer == ""


def test_a_table_is_read_once():
    assert load_table(TINY, "sums") is load_table(str(TINY), "sums")


def test_a_model_that_left_a_question_out_is_not_complete(tmp_path):
    table = load_table(write(tmp_path), "t")
    assert table.complete_models() == ()
    assert table.outcome("1", "m") == Recorded("x", 1.0, 5)
    with pytest.raises(DataError, match="did not answer question '2'"):
        table.outcome("2", "m")
    with pytest.raises(DataError, match="no question '3'"):
        table.outcome("3", "m")
    with pytest.raises(DataError, match="no model 'n'; it has m"):
        table.outcome("1", "n")


def test_questions_that_few_llms_left_out_can_be_left_out_themselves(tmp_path):
    table = load_table(write(tmp_path, results=HEADER + "1,m,1,x,5\n1,n,1,x,5\n2,n,1,y,5\n"), "t")
    assert table.complete_models(answered=0.5) == ("m", "n")
    assert table.complete_models(answered=0.6) == table.complete_models() == ("n",)
    assert [q.qid for q in table.answered_by(("m", "n"))] == ["1"]
    assert [q.qid for q in table.answered_by(("n",))] == ["1", "2"]


def test_a_table_of_scores_knows_no_answers(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('{"question": "a?", "scores": {"m": 0.5, "n": 1}}\n{"question": "b?", "scores": {"n": 0}}\n')
    table = load_scores(path)
    assert (table.name, table.models, table.complete_models()) == ("t", ("m", "n"), ("n",))
    assert [table.outcome(qid, "n").correct for qid in "12"] == [1, 0]
    assert table.outcome("1", "m").answer != table.outcome("1", "n").answer
    with pytest.raises(DataError, match="did not answer"):
        table.outcome("2", "m")


@pytest.mark.parametrize("scores", ["[1]", '{"m": "1"}', '{"m": 2}', '{"m": NaN}', "{}"])
def test_scores_that_are_none_are_named(tmp_path, scores):
    path = tmp_path / "t.jsonl"
    path.write_text(f'{{"question": "a?", "scores": {scores}}}\n')
    with pytest.raises(DataError, match="score"):
        load_scores(path)


def test_prompt_tokens_may_be_unknown_and_answers_may_be_called_pred(tmp_path):
    table = load_table(write(tmp_path, results=HEADER.replace("answer", "pred") + '1,m,1," x\r\n",5\n'), "t")
    assert [q.prompt_tokens for q in table.questions] == [3, None]
    assert table.outcome("1", "m").answer.strip() == "x"


@pytest.mark.parametrize(
    ("results", "says"),
    [
        ("qid,model,answer\n", "lacks correct, output_tokens_cl100k"),
        (HEADER, "holds no results"),
        (HEADER + "1,m,yes,x,5\n", ":2: .*expected qid"),
        (HEADER + "1,m,1,x\n", ":2: "),
        (HEADER + "1,m,2,x,5\n", r":2: .*correct in \[0, 1\]"),
        (HEADER + "1,m,nan,x,5\n", r":2: .*correct in \[0, 1\]"),
        (HEADER + "1,m,1,x,-5\n", ":2: .*negative"),
        (HEADER + "7,m,1,x,5\n", ":2: question '7' is not"),
        (HEADER + "1,m,1,x,5\n1,m,1,x,5\n", ":3: .*second time"),
    ],
)
def test_inconsistent_results_are_named(tmp_path, results, says):
    with pytest.raises(DataError, match=says):
        load_table(write(tmp_path, results=results), "t")


@pytest.mark.parametrize(
    ("questions", "says"),
    [
        ("", "no questions"),
        (QUESTIONS * 2, "'1' is there twice"),
        ('{"qid": 1, "question": "a?"}', ":1: .*lacks answer"),
        ('{"qid": 1, "question": "a?", "answer": "x", "prompt_tokens": -1}', ":1: prompt_tokens"),
        ('{"qid": 1, "question": "a?", "answer": "x", "options": "ab"}', ":1: options"),
    ],
)
def test_inconsistent_questions_are_named(tmp_path, questions, says):
    with pytest.raises(DataError, match=says):
        load_table(write(tmp_path, questions=questions), "t")


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(MissingDataError, match=r"t\.questions\.jsonl"):
        load_table(tmp_path, "t")


def test_the_largest_table_loads_fast():
    path = data_or_skip("routing/mmlu_pro")
    began = perf_counter()
    table = load_table(path)
    assert perf_counter() - began < 10  # half a second on a quiet machine
    assert len(table.questions) == 11_984
    assert len(table.complete_models()) == 26
    assert len(table.complete_models(answered=0.99)) == 28
    assert len(table.answered_by(table.complete_models(answered=0.99))) == 11_954
    assert table.outcome("70", "Llama-2-70b-hf") == Recorded("F", 0.0, 45)


@pytest.mark.parametrize(
    ("name", "disagreements", "score", "usd"), [("gsm", 122, 96.664, 0.3607), ("crux", 323, 85.625, 1.7345)]
)
def test_a_cascade_over_raw_answers_gives_the_known_numbers(name, disagreements, score, usd):
    folder = data_or_skip("routing/zeroeval")
    table = load_table(folder, name)
    price = {
        row["model"]: (float(row["usd_per_1M_input"]), float(row["usd_per_1M_output"]))
        for _, row in read_csv(folder.parent / "prices.csv")
    }
    models = ("gemini-1.5-flash", "gpt-4o-mini-2024-07-18", "gpt-4o-2024-08-06")
    n = len(table.questions)
    apart, right, cost = 0, 0.0, 0.0
    for q in table.questions:
        outcomes = [table.outcome(q.qid, m) for m in models]
        agree = outcomes[0].answer == outcomes[1].answer != ""
        asked = 2 if agree else 3
        apart += not agree
        right += outcomes[asked - 1 if not agree else 0].correct
        for model, outcome in zip(models[:asked], outcomes, strict=False):
            cost += q.prompt_tokens * price[model][0] + outcome.output_tokens * price[model][1]
    assert apart == disagreements
    assert 100 * right / n == pytest.approx(score, abs=1e-3)
    assert cost / n / 1e6 * 1000 == pytest.approx(usd, abs=1e-4)
