"""`gdesign calls`: look after recorded calls."""

from argparse import Namespace
from collections import deque

from gdesign.agents.pool import named
from gdesign.cli.talk import say
from gdesign.errors import ConfigError
from gdesign.llm.calls import write_lines
from gdesign.llm.recording import Recording, calls_of
from gdesign.report.calls import chosen, show, stats


def run(options: Namespace) -> None:
    """Do what the action says."""
    if options.action == "stats":
        say(stats(calls_of(options.file), pool=None if options.pool is None else named(options.pool)))
        return
    if options.action == "merge":
        _merge(options)
        return
    terms = {"llm": options.llm, "reason": options.reason, "grep": options.grep}
    calls = (call for call in calls_of(options.file) if chosen(call, **terms))
    match options.action:
        case "show":
            if options.last < 0:
                raise ConfigError(f"--last is {options.last}; expected 0 or more")
            for call in deque(calls, maxlen=options.last):
                say(show(call))
        case "export":
            options.out.parent.mkdir(parents=True, exist_ok=True)
            say(f"{write_lines(calls, options.out)} calls written to {options.out}")
        case "drop":
            if set(terms.values()) == {None}:
                raise ConfigError(
                    "this would drop every call; say which by --llm, --reason or --grep, or remove the file"
                )
            say(f"{Recording(options.file).drop(list(calls))} calls dropped from {options.file}")


def _merge(options: Namespace) -> None:
    sources = [calls_of(file) for file in options.files]  # before anything is made
    recording = Recording(options.out, create=True)
    for file, source in zip(options.files, sources, strict=True):
        done = recording.merge(source)
        known = f"{done.num_known} known, {done.num_different} known with another reply, which stays"
        say(f"{file}: {done.num_added} calls added, {known}")
