# ruff: noqa: RUF001 (other scripts are meant)
import re

import pytest

from gdesign.tasks.answers.words import WORDS, spoken, whole


@pytest.mark.parametrize("code", WORDS)
def test_every_pattern_of_the_table_compiles(code):
    for field in WORDS[code]:
        re.compile(whole(field), re.IGNORECASE)


def test_only_whole_words_count_where_a_script_parts_words():
    assert re.search(whole("ans"), "plans and answers") is None
    assert re.search(whole("ans|answer"), "the answer") is not None
    assert re.search(whole("答え|は"), "この答えは") is not None


def test_languages_are_told_by_their_words():
    assert spoken("Die Antwort ist da", "answer") == [WORDS["de"]]
    assert WORDS["ru"] in spoken("ОТВЕТ: 4", "answer")
    assert spoken("4 + 5 = 9", "answer") == []
