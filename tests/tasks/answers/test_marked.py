# ruff: noqa: RUF001 (other scripts are meant)
from functools import partial
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdesign.tasks.answers.choices import choice
from gdesign.tasks.answers.formulas import equivalent, formula
from gdesign.tasks.answers.literals import literal
from gdesign.tasks.answers.marked import boxed, cues, own_words, stated
from gdesign.tasks.answers.numbers import number
from gdesign.tasks.answers.texts import exact

FEW = settings(deadline=None, max_examples=60)


@FEW
@given(st.text() | st.text(alphabet="Answer: $\\{}()[]^_/.,-+=0123456789eE'\"`*#fracboxedtext\n", max_size=60))
def test_no_reader_raises_on_any_text(text):
    for read in (number, literal, formula, exact, boxed, stated):
        assert read(text) is None or isinstance(read(text), str)
    assert choice(text, 4, ("1", "two")) in (None, "A", "B", "C", "D")
    assert equivalent("1", text) in (True, False)


def test_the_last_balanced_box_is_taken():
    assert boxed(r"\boxed{1} then \boxed{\frac{1}{2}} then \boxed{open") == r"\frac{1}{2}"
    assert boxed(r"\fbox{3}") == "3"
    assert boxed("none") is None


@pytest.mark.parametrize(
    "part",
    [
        "Answer\n",
        "= 1",
        "(A) ",
        "the best is ",
        "答",
        "Question: ",
        "\n",
        " ",
        "answer ",
        "answer  ",
        "answer is ",
        "The answer is (B). ",
        "答案是",
        "\\boxed{",
        "\\frac ",
        "Answer: the is ",
        "'",
        "1 ",
        "$",
        "((",
        "**",
    ],
)
def test_long_texts_are_read_in_no_time(part):
    text = part * 10_000
    began = perf_counter()
    for read in (number, literal, formula, exact, boxed):
        read(text)
    choice(text, 4, ("a", "b"))
    assert perf_counter() - began < 5  # a tenth of a second where time grows with length alone


READERS = [number, partial(choice, num_options=5, options=("7", "5", "9", "x", "y")), formula, literal, exact]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "text",
    [
        "> Answer: 7\nI disagree.\nAnswer: 5",
        "Answer: 5\n> Answer: 7",
        "Answer: 5\n\nchecker said:\n> > Answer: 7\n> I am sure: \\boxed{7}, the answer is 7.\n",
        "> # Question\n> What is 3 + 4?\n  > Answer: 7\n\nAnswer: 5\r\n>Answer: 7",
    ],
)
def test_what_an_agent_quotes_is_not_its_answer(read, text):
    assert read(text) == ("B" if isinstance(read, partial) else "5")


@pytest.mark.parametrize("read", [number, partial(choice, num_options=4), formula, literal])
def test_who_only_quotes_an_answer_among_words_without_one_gives_none(read):
    assert read("Somebody said:\n> Answer: 7\n> \\boxed{7}\nbut who can know?") is None


def test_a_text_that_is_quoted_as_a_whole_is_read_all_the_same():
    assert number("> I add.\n> Answer: 7\n") == "7"


def test_a_prompt_of_python_is_no_quote():
    assert literal(">>> f(2)\n[1, 2]\nAnswer: [1, 2]") == "[1, 2]"
    assert own_words(">>> f(2)\n[1]") == ">>> f(2)\n[1]"


@given(st.text(st.sampled_from("ab >\n\r\tAnswer:7.B$\\{}"), max_size=40), st.text(max_size=20))
def test_no_quote_changes_what_is_read_beside_it(heard, more):
    own = "I think so.\nAnswer: 5\n"
    text = "".join(f"> {line}\n" for line in (heard + more).splitlines())
    assert [read(text + own) for read in READERS] == [read(own + text) for read in READERS] == ["5", "B", "5", "5", "5"]


STATEMENTS = [
    "Answer: {}",
    "So the final answer: {}",
    "**Answer:** {}",
    "**Answer: {}**",
    "***Final answer:*** {}",
    "## Answer: {}",
    "- Answer: {}",
    "| Answer | {} |",
    "Answer – {}",
    "Answer (rounded): {}",
    "Answer to the question: {}",
    "Ans: {}",
    "# Answer\n\n{}\n\n# Check\n\n9 is close.",
    "**Final Answer**\n{}",
    "Answer:\n```\n{}\n```",
    'FINAL ANSWER:\n"""\n{}\n"""',
    '>> FINAL ANSWER:\n"""\n{}\n"""',
    "Answer: <{}>",
    "<answer>{}</answer>",
    "<answer>\n{}\n</answer>\nThat is all.",
    "<final_answer>{}</final_answer>",
    "<answer>Answer: {}</answer>",
    "[ANSWER]{}[/ANSWER]",
    "<answer>{}",
    '{{"steps": ["9 is no answer"], "answer": "{}"}}',
    '```json\n{{\n  "final_answer": {}\n}}\n```',
    "{{'answer': {}}}",
]


@pytest.mark.parametrize("form", STATEMENTS)
def test_an_answer_is_found_in_every_form_of_stating_it(form):
    assert stated("The answer is 9, I thought at first.\n\n" + form.format("77")) == "77"
    assert number(form.format("77")) == "77"


SAYINGS = {
    "bn": ("উত্তর: {}", "সঠিক উত্তর হল {}"),
    "de": ("Antwort: {}", "Die richtige Antwort lautet {}."),
    "en": ("Answer: {}", "The correct answer would be {}."),
    "es": ("Respuesta: {}", "La respuesta correcta es {}."),
    "fr": ("Réponse : {}", "La réponse finale est {}."),
    "ja": ("答え：{}", "正解は{}です。"),
    "ru": ("Ответ: {}", "Правильный ответ — {}."),
    "sw": ("Jibu: {}", "Jibu sahihi ni {}."),
    "te": ("సమాధానం: {}", "సరైన సమాధానం {}"),
    "th": ("คำตอบ: {}", "คำตอบที่ถูกต้องคือ {}"),
    "zh": ("答案：{}", "所以正确答案是 {}。"),
    "ar": ("الإجابة: {}", "الإجابة الصحيحة هي {}"),
    "hi": ("उत्तर: {}", "सही उत्तर है {}"),
    "id": ("Jawaban: {}", "Jawaban yang benar adalah {}."),
    "it": ("Risposta: {}", "La risposta corretta è {}."),
    "ko": ("정답: {}", "정답은 {}"),
    "nl": ("Antwoord: {}", "Het juiste antwoord is {}."),
    "pl": ("Odpowiedź: {}", "Prawidłowa odpowiedź to {}."),
    "pt": ("Resposta: {}", "A resposta correta é {}."),
    "tr": ("Cevap: {}", "Doğru cevap: {}"),
    "uk": ("Відповідь: {}", "Правильна відповідь — {}."),
    "vi": ("Đáp án: {}", "Đáp án đúng là {}."),
}


@pytest.mark.parametrize(("language", "form"), [(code, form) for code, forms in SAYINGS.items() for form in forms])
def test_answers_are_announced_in_many_languages(language, form):
    text = "4 + 5, 2.\n\n" + form
    assert number(text.format("31") + "\n\n(7 + 24)") == "31"
    assert choice(text.format("B"), 4, ("Rome", "Oslo", "Bern", "Kyiv")) == "B"


@pytest.mark.parametrize(
    "after",
    [
        "To see that the answer is right, multiply 4 by 9.",
        "The answer is not 4.",
        "The answer is an integer, as 9 is.",
        "The answer is consistent with step 4.",
        "Is the answer positive? The answer is positive, as 4 is.",
        "The answer is as required by rule 4.",
    ],
)
def test_what_is_said_of_an_answer_is_none(after):
    assert cues(f"The answer is 36. {after}")[-1][1].startswith("36")
    assert number(f"The answer is 36. {after}") == "36"


def test_an_answer_that_is_withdrawn_is_none():
    text = "If it rains, the answer is 36. If not, the answer is 4. So the answer depends on the weather."
    assert cues(text) == []
    assert number(text) is None
    assert number("It would take 36 days. But there is not enough information to tell.") is None
    assert number("It cannot be determined at first sight. But 4 * 9 = 36. It is 36.") == "36"


@pytest.mark.parametrize(
    "text",
    [
        "Answer: 36\n\nQuestion: Eve has 4 cats and 5 dogs. How many?\nAnswer: 9",
        "#### 36\n\nQ: Eve has 4 cats.\n#### 4",
        "So \\boxed{36}.\n\n### Problem\n: none\nProblem: Eve has 4.\n\\boxed{4}",
        "The answer is 36.\n\nHuman: And 2 + 2?\nThe answer is 4.",
        "Question: How many hours?\nAnswer: 36\n\nQuestion: How many cats?\nAnswer: 4",
        "答案是 36\n\n问题：有几只猫？\n答案是 4",
    ],
)
def test_a_question_that_a_model_asks_itself_afterwards_is_not_answered(text):
    assert number(text) == "36"


def test_numbered_questions_are_steps():
    assert number("Question 1: How many boxes?\nAnswer: 4\n\nQuestion 2: And pens?\nAnswer: 36") == "36"


def test_lines_that_begin_with_two_marks_are_quotes_only_among_quotes():
    assert stated("I add.\n>> Answer: 7") == "7"
    assert stated("Answer: 5\n> He said:\n>> Answer: 7") == "5"


def test_a_box_of_which_is_said_that_it_is_wrong_is_none():
    assert boxed(r"So \boxed{4} is not correct.") is None
    assert boxed(r"So \boxed{4} is the answer.") == "4"


@pytest.mark.parametrize("bullet", ["-", "*", "•", "–"])
def test_a_bullet_below_a_mark_is_no_minus(bullet):
    assert number(f"**Answer:**\n\n{bullet} 36") == "36"
    assert number(f"Final answer\n{bullet} $36") == "36"
    assert number("Answer: - 36") == number("Answer:\n-36") == "-36"


@pytest.mark.parametrize(
    "text",
    [
        "The answer to question 4 is 36.",
        "The answer to 30 + 6 is 36.",
        "The answer for part 3 is 36",
        "Answer 3: 36",
        "**Answer #1:** 36",
        "Hence answer 36 boxes",
    ],
)
def test_what_is_asked_is_not_what_is_answered(text):
    assert number(text) == "36"
    assert choice("The answer to question 4 is C.", 4) == "C"


@pytest.mark.parametrize(
    "turn", ["### Instruction:\nWhat is 1+3?\n### Response:\n", "## User:\nAnd 1+3?\n## Assistant:\n"]
)
def test_a_turn_that_a_model_makes_up_is_not_answered(turn):
    assert number(f"Answer: 36\n\n{turn}Answer: 4") == "36"
