"""The command `gdesign calls`."""

import pytest

from gdesign.cli.main import main
from gdesign.llm.recording import Recording
from gdesign.types import Label, Message, Reply, Request, Usage


@pytest.fixture
def path(tmp_path):
    """Six calls of two LLMs; one ended too early, one survived two faults."""
    recording = Recording(tmp_path / "calls.sqlite", create=True)
    for i in range(6):
        recording.put(
            Request(llm="gpt-4o" if i < 4 else "small", messages=(Message("user", f"Question {i}?"),)),
            Reply(
                text=f"Answer {i} \ud800",
                usage=Usage(prompt_tokens=1000, completion_tokens=500),
                label=Label.LIVE,
                finish_reason="malformed" if i == 2 else "stop",
                faults=("429", "429") if i == 3 else (),
                seconds=0.5,
            ),
            time=f"2025-01-0{i + 1}T00:00:00.000+00:00",
        )
    recording.close()
    return tmp_path / "calls.sqlite"


def calls(*arguments):
    main(["calls", *map(str, arguments)])


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as exit_:
        calls(*arguments)
    assert exit_.value.code == 2
    return capsys.readouterr().err


def test_calls_are_counted_by_llm(path, tmp_path, capsys):
    calls("stats", path)
    out = capsys.readouterr().out
    assert out.splitlines()[1].split() == "gpt-4o 4 4,000 0 2,000 0 2.0 429 2 stop 3, malformed 1".split()
    assert "from 2025-01-01T00:00:00.000+00:00 to 2025-01-06" in out
    assert "USD" not in out


def test_calls_are_priced_by_a_pool(path, tmp_path, capsys):
    pool = tmp_path / "p.yaml"
    llms = "".join(
        f"  - {{name: {n}, usd_per_1M_input: {p}, usd_per_1M_output: {p}}}\n" for n, p in (("gpt-4o", 10), ("small", 1))
    )
    pool.write_text(f"roles: [{{name: r, profile: R.}}]\nllms:\n{llms}")
    calls("stats", path, "--pool", pool)
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[-1] for row in rows[:3]] == ["USD", "0.0600", "0.0030"]
    assert "has no LLM 'gpt-4o'" in refused(capsys, "stats", path, "--pool", "simulated")


def test_calls_are_shown_from_the_end(path, capsys):
    calls("show", path, "--last", 2)
    out = capsys.readouterr().out
    assert "Question 3?" not in out
    assert "[user]\nQuestion 4?" in out
    assert "Answer 5 \\ud800" in out
    calls("show", path, "--llm", "gpt-4o", "--grep", "QUESTION 1")
    assert capsys.readouterr().out.count("== gpt-4o, temperature 0") == 1


def test_an_export_merged_anew_is_the_same_recording(path, tmp_path, capsys):
    calls("export", path, tmp_path / "calls.jsonl.gz")
    calls("merge", tmp_path / "again.sqlite", tmp_path / "calls.jsonl.gz", path)
    out = capsys.readouterr().out
    assert "6 calls written" in out
    assert "calls.jsonl.gz: 6 calls added, 0 known" in out
    assert "calls.sqlite: 0 calls added, 6 known, 0 known with another reply" in out
    assert list(Recording(tmp_path / "again.sqlite")) == list(Recording(path))
    assert not list(tmp_path.glob("*-wal"))


def test_a_merge_of_what_is_not_there_makes_nothing(path, tmp_path, capsys):
    said = refused(capsys, "merge", tmp_path / "new" / "all.sqlite", path, tmp_path / "nothere.sqlite")
    assert "nothere.sqlite is not there" in said
    assert not (tmp_path / "new").exists()


def test_dropped_calls_are_asked_again(path, capsys):
    calls("drop", path, "--reason", "malformed")
    assert "1 calls dropped" in capsys.readouterr().out
    assert len(Recording(path)) == 5
    assert "would drop every call" in refused(capsys, "drop", path)


@pytest.mark.parametrize("name", ["none.sqlite", "none.jsonl"])
@pytest.mark.parametrize("action", ["stats", "show"])
def test_a_file_that_is_not_there_is_named(name, action, tmp_path, capsys):
    assert f"{name} is not there" in refused(capsys, action, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_number_of_calls_that_cannot_be_is_refused(path, capsys):
    assert "--last is -1; expected 0 or more" in refused(capsys, "show", path, "--last", -1)


def test_an_export_makes_its_folder_or_says_that_it_cannot(path, tmp_path, capsys):
    calls("export", path, tmp_path / "new/calls.jsonl")
    assert (tmp_path / "new/calls.jsonl").is_file()
    assert "calls.sqlite: File exists" in refused(capsys, "export", path, path / "calls.jsonl")


def test_every_command_takes_a_pool_by_the_same_rule(path, capsys):
    for name, words in (("nothere.yaml", "there is no pool file nothere.yaml"), ("nothere", "no built-in pool")):
        for command in (["calls", "stats", str(path)], ["simulate"]):
            with pytest.raises(SystemExit) as exit_:
                main([*command, "--pool", name])
            assert exit_.value.code == 2
            assert words in capsys.readouterr().err
