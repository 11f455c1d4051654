from pathlib import Path
from time import perf_counter

import pytest

from gdesign.errors import DataError, MissingDataError
from gdesign.files import read_csv
from gdesign.tasks.data import data_dir
from gdesign.tasks.outcomes import Recorded, Way
from gdesign.tasks.table import load_scores, load_table, tasks_of

TINY = Path(__file__).parents[2] / "data" / "tiny"
QUESTIONS = (
    '{"qid": 1, "question": "a?", "answer": "x", "prompt_tokens": 3}\n{"qid": 2, "question": "b?", "answer": "y"}\n'
)
HEADER = "qid,model,correct,answer,output_tokens_cl100k\n"


def write(folder, questions=QUESTIONS, results=HEADER + "1,m,1,x,5\n"):
    (folder / "t.questions.jsonl").write_text(questions, encoding="utf-8")
    (folder / "t.results.csv").write_text(results, encoding="utf-8", newline="")
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


WAYS = """qid,model,operator,sample,correct,answer,prompt_tokens,output_tokens_cl100k,calls,usd
1,m,cot,1,1,x,30,5,1,
1,m,cot,2,0,z,31,6,1,
1,m,debate,1,1,x,300,50,4,0.25
1,m,,,0,y,,7,,
2,m,debate,1,0,,,1,2,0
"""


def test_a_model_may_answer_in_several_ways_and_several_times(tmp_path):
    table = load_table(write(tmp_path, results=WAYS), "t")
    assert table.models == ("m",)
    assert tuple(table.columns) == (Way("m", "cot"), Way("m", "debate"), Way("m", "answer"))
    assert table.outcome("1", "m", "cot") == Recorded("x", 1.0, 5, 30, 1, None)
    assert table.outcome("1", "m", "cot", 1) == Recorded("z", 0.0, 6, 31, 1, None)
    assert table.outcome("1", "m", "debate") == Recorded("x", 1.0, 50, 300, 4, 0.25)
    assert table.outcome("1", "m") == Recorded("y", 0.0, 7, None, 1, None)
    assert table.outcome("2", "m", "debate") == Recorded("", 0.0, 1, None, 2, 0.0)
    assert table.complete_ways() == (Way("m", "debate"),)
    assert table.complete_models() == ()
    assert [q.qid for q in table.answered_by(("m",))] == ["1"]
    with pytest.raises(DataError, match="no operator 'vote' of 'm'; it has cot, debate, answer"):
        table.outcome("1", "m", "vote")
    with pytest.raises(DataError, match="did not answer question '1' 3 times"):
        table.outcome("1", "m", "cot", 2)


def test_the_column_model_may_name_ways_of_working_of_one_llm(tmp_path):
    table = load_table(write(tmp_path, results=HEADER + "1,cot,1,x,5\n1,debate,0,y,9\n"), "t", ways_of="big")
    assert tuple(table.columns) == (Way("big", "cot"), Way("big", "debate"))
    assert table.outcome("1", "big", "debate") == Recorded("y", 0.0, 9)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("1,m,cot,1,1,x,30,5,1,-1", "usd is '-1'"),
        ("1,m,cot,1,1,x,30,5,1,inf", "usd is 'inf'"),
        ("1,m,cot,1,1,x,many,5,1,", "prompt_tokens is 'many'; expected a whole number"),
        ("1,m,cot,1,1,x,30,5,1.5,", "calls is '1.5'"),
        ("1,m,cot,one,1,x,30,5,1,", "sample is 'one'"),
        ("1,m,cot,1,1,x,30,,1,", "output_tokens_cl100k is ''"),
        ("1,,cot,1,1,x,30,5,1,", "model is empty"),
        ("1,m,cot,1,,x,30,5,1,", "correct is ''"),
        ("1,m,cot,1,WAHR,x,30,5,1,", "correct is 'WAHR'; .*true or false"),
    ],
)
def test_numbers_that_are_none_are_named_with_their_line(tmp_path, row, says):
    with pytest.raises(DataError, match=f":3: {says}"):
        load_table(write(tmp_path, results=WAYS.splitlines()[0] + "\n\n" + row + "\n"), "t")


def test_what_is_not_known_may_be_empty_or_written_as_scripts_do(tmp_path):
    rows = "1,m,cot,1,1.0,x,NaN,5.0,null,nan\n1,m,cot,,1,x,30,5,1,0.5\n"
    table = load_table(write(tmp_path, results=WAYS.splitlines()[0] + "\n" + rows), "t")
    assert table.outcome("1", "m", "cot", 1) == Recorded("x", 1.0, 5, None, 1, None)


def test_truth_values_and_a_spreadsheets_decimal_commas_are_read(tmp_path):
    results = "qid;model;correct;answer;output_tokens_cl100k;usd\r\n1;m;TRUE;x, y;5;0,125\r\n2;m;0,5;z;6;\r\n;;;;;\r\n"
    table = load_table(write(tmp_path, results="\ufeff" + results), "t")
    assert table.outcome("1", "m") == Recorded("x, y", 1.0, 5, None, 1, 0.125)
    assert table.outcome("2", "m").correct == 0.5


@pytest.mark.parametrize("tokens", ["2.000", "31,000", "1.250", "1.000.000"])
@pytest.mark.parametrize("mark", ";\t")
def test_tokens_that_may_be_thousands_are_refused(tmp_path, tokens, mark):
    results = mark.join(("qid", "model", "correct", "answer", "output_tokens_cl100k")) + "\n1;m;1;x;".replace(";", mark)
    with pytest.raises(DataError, match=r":2: .* is '.*'; expected a whole number of digits alone"):
        load_table(write(tmp_path, results=results + tokens + "\n"), "t")


@pytest.mark.parametrize(("tokens", "number"), [("1234,000", 1234), ("27.0", 27), ("0,000", 0), ("5,00", 5)])
def test_whole_numbers_that_a_spreadsheet_writes_with_a_mark_are_read(tmp_path, tokens, number):
    results = f"qid;model;correct;answer;output_tokens_cl100k\n1;m;1;x;{tokens}\n"
    assert load_table(write(tmp_path, results=results), "t").outcome("1", "m").output_tokens == number


def test_a_value_that_holds_the_delimiter_shifts_no_columns(tmp_path):
    with pytest.raises(DataError, match=r":2: .*6 values.*quotes"):
        load_table(write(tmp_path, results=HEADER + "1,m,1,1,000,5\n"), "t")


def test_questions_of_a_group_are_told_to_tasks(tmp_path):
    questions = '{"qid": 1, "question": "a?", "answer": "x", "group": "g"}\n{"qid": 2, "question": "b?", "answer": "y"}'
    table = load_table(write(tmp_path, questions=questions), "t")
    assert [t.group for t in tasks_of(table.questions, benchmark="t")] == ["g", ""]


def test_null_and_nan_are_no_text(tmp_path):
    unknown = '{"qid": 1, "question": "a?", "answer": "x", "prompt_tokens": NaN, "category": null, "options": NaN}'
    (question,) = load_table(write(tmp_path, questions=unknown), "t").questions
    assert (question.prompt_tokens, question.category, question.options, question.group) == (None, "", (), "")
    tokens = '{"qid": 1, "question": "a?", "answer": "x", "prompt_tokens": 3.0}'
    (tmp_path / "whole").mkdir()
    assert load_table(write(tmp_path / "whole", questions=tokens), "t").questions[0].prompt_tokens == 3


def test_a_score_that_is_null_is_an_answer_that_was_not_given(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text(
        '{"question": "a?", "scores": {"m": null, "n": 1}}\n{"question": "b?", "scores": {"m": 1, "n": 0}}\n'
    )
    assert load_scores(path).complete_models() == ("n",)


@pytest.mark.parametrize(
    ("results", "says"),
    [
        ("qid,model,answer\n", "lacks correct, output_tokens_cl100k"),
        (HEADER, "holds no results"),
        (HEADER + "1,m,yes,x,5\n", ":2: correct is 'yes'.*true or false"),
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
        ('{"qid": 1, "question": "a?", "answer": null}', ":1: answer is null"),
        ('{"qid": 1, "question": "a?", "answer": NaN}', ":1: answer is NaN"),
        ('{"qid": null, "question": "a?", "answer": "x"}', ":1: qid is null"),
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
