import zipfile

import pytest

from gdesign.errors import ConfigError, DataError
from gdesign.tasks.base import normalised
from gdesign.tasks.data import data_dir
from gdesign.tasks.mmlu import MMLU
from gdesign.types import Task

PLANETS = 'Which planet is largest?,Mars,Jupiter,Venus,"Earth, the blue one",B\n'
FILES = {
    "data/README.txt": "About the data.",
    "data/dev/abstract_algebra_dev.csv": '"What is 1 + 1,\nin Z_2?",0,1,2,3,A\n',
    "data/dev/astronomy_dev.csv": PLANETS,  # stands in the test too
    "data/val/astronomy_val.csv": "Which star is nearest?,Sun,Vega,Sirius,Rigel,A\n",
    "data/test/astronomy_test.csv": PLANETS + "Is the moon round?,yes,no,perhaps,nobody knows,A\n",
}


@pytest.fixture
def write(tmp_path, monkeypatch):
    def write(files):
        (tmp_path / "bench").mkdir(exist_ok=True)
        with zipfile.ZipFile(tmp_path / "bench/mmlu.zip", "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        monkeypatch.setenv("GDESIGN_DATA", str(tmp_path))

    return write


def test_dev_trains_val_validates_and_what_the_test_holds_too_is_left_out(write):
    write(FILES)
    assert [t.id for t in MMLU().load("train")] == ["mmlu/dev/abstract_algebra/0"]
    assert [t.id for t in MMLU().load("validation")] == ["mmlu/val/astronomy/0"]
    assert {t.id for t in MMLU().load("test")} == {"mmlu/test/astronomy/0", "mmlu/test/astronomy/1"}


def test_a_row_is_a_question_four_options_and_a_letter(write):
    write(FILES)
    assert MMLU().load("train") == [
        Task(
            id="mmlu/dev/abstract_algebra/0",
            question="What is 1 + 1,\nin Z_2?",
            answer="A",
            benchmark="mmlu",
            domain="abstract algebra",
            options=("0", "1", "2", "3"),
        )
    ]
    largest = next(t for t in MMLU().load("test") if t.id.endswith("/0"))
    assert largest.options == ("Mars", "Jupiter", "Venus", "Earth, the blue one")


@pytest.mark.parametrize(
    "text",
    [
        "Answer: B",
        "**Answer:** (B) Jupiter",
        "I weigh the planets one by one.\n\nAnswer: Jupiter",
        "It is a gas giant.\nThe correct answer is **B**.",
        r"\boxed{\text{B}}",
        "b) is smaller than people think, Mars even more so.\nAnswer: `B`.",
    ],
)
def test_the_letter_is_read_as_llms_write_it(write, text):
    write(FILES)
    largest = next(t for t in MMLU().load("test") if t.id.endswith("/0"))
    assert MMLU().grade(largest, MMLU().extract(largest, text)) == 1


def test_a_letter_beyond_the_options_is_unreadable(write):
    write(FILES)
    largest = next(t for t in MMLU().load("test") if t.id.endswith("/0"))
    assert MMLU().extract(largest, "Answer: E") is None
    assert MMLU().grade(largest, "A") == 0


@pytest.mark.parametrize("row", ["What?,1,2,3,A\n", "What?,1,2,3,4,E\n"])
def test_a_broken_row_is_named(write, row):
    write(FILES | {"data/val/astronomy_val.csv": "Fine?,1,2,3,4,A\n" + row})
    with pytest.raises(DataError, match=r"astronomy_val.csv, row 2"):
        MMLU().load("test")


def test_a_broken_archive_and_one_of_something_else_are_refused(write, tmp_path):
    write({"other.csv": "a,b"})
    with pytest.raises(DataError, match="holds no data/dev"):
        MMLU().load("test")
    (tmp_path / "bench/mmlu.zip").write_bytes(b"PK no zip")
    with pytest.raises(DataError, match="fetch it again"):
        MMLU().load("test")


def test_no_answers_are_recorded():
    with pytest.raises(ConfigError, match="mmlu_pro"):
        MMLU(recorded=True)


def test_the_real_data_have_57_subjects_and_the_published_counts():
    if not (data_dir() / "bench/mmlu.zip").is_file():
        pytest.skip("needs bench/mmlu.zip in the folder that GDESIGN_DATA names")
    splits = {split: MMLU().load(split) for split in ("train", "validation", "test")}
    # 5 of the 285 in dev and 38 of the 1,531 in val stand in the test too, one of dev in val
    assert {split: len(tasks) for split, tasks in splits.items()} == {"train": 279, "validation": 1493, "test": 14042}
    assert len({t.domain for t in splits["test"]}) == 57
    kept = {normalised(t.question) for t in splits["test"]}
    assert not kept & {normalised(t.question) for t in (*splits["train"], *splits["validation"])}
    assert len({t.domain for t in splits["test"][:200]}) > 40  # a limit samples all subjects
    assert all(t.question and len(t.options) == 4 and all(t.options) for t in splits["test"])
