"""The `gdesign` command: its command line, and how it ends."""

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

from gdesign import __version__
from gdesign.cli.talk import friendly

_Actions: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

KEY_HELP = "environment variable with the endpoint's key (OPENAI_API_KEY at OpenAI, none on this machine)"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the `gdesign` command.

    Raises:
        SystemExit: 0 with --help, 2 after a mistake.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        with friendly():
            if words[:1] in (["train"], ["eval"]):  # Hydra reads what follows
                _module(words[0]).run(words[1:])
            else:
                options = parser().parse_args(words)
                _module(options.command).run(options)
    except BrokenPipeError:  # whoever read our output, `head` for instance, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _module(command: str) -> ModuleType:
    """Import a command only when it is run, so that --help and `gdesign data` need not wait for torch."""
    gc.disable()  # a tenth of the time would go into looking for garbage among what is imported
    try:
        return import_module(f"gdesign.cli.{command}")
    finally:
        gc.enable()


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line of `gdesign`."""
    parser = argparse.ArgumentParser(
        prog="gdesign",
        description="Train designers, ask them, compare runs, look after data, serve a simulated world.",
    )
    parser.add_argument("--version", action="version", version=f"gdesign {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    for name, text in (
        ("train", "train a designer and evaluate it, with Hydra's overrides: gdesign train designer=joint seed=0"),
        ("eval", "evaluate a designer, likewise: gdesign eval checkpoint=runs/a split=test"),
    ):
        _add(commands, name, text).add_argument("overrides", nargs="*", metavar="KEY=VALUE")

    design = _add(commands, "design", "draw the best design for a question")
    _add_designer(design)
    _add_question(design)
    _add_format(design, default="text")
    design.add_argument("--mermaid", dest="format", action="store_const", const="mermaid", help="as --format mermaid")
    design.add_argument(
        "--depth", type=int, default=3, help="waves to look ahead where the designer goes on deciding (3)"
    )
    design.add_argument("--json", action="store_true", help="print it as a line of runs.jsonl holds it")

    export = _add(commands, "export", "write a design that `gdesign design` saved as JSON for another program")
    export.add_argument("design", type=Path, metavar="FILE", help="the design, JSON with a version")
    export.add_argument(
        "--pool", metavar="NAME|FILE", help="whose profiles to use: a built-in pool or a YAML file (the design's own)"
    )
    _add_format(export)
    export.add_argument(
        "--programs", action="store_true", help="for langgraph: right answers are programs, as of HumanEval"
    )

    ask = _add(commands, "ask", "draw a design and let it answer")
    _add_designer(ask)
    _add_question(ask)
    _add_endpoint(ask)
    ask.add_argument("--verbose", action="store_true", help="print what every agent said")

    serve = _add(commands, "serve", "serve a trained designer as an OpenAI-compatible endpoint, with a page at /")
    _add_serve(serve)
    _add_simulate(_add(commands, "simulate", "serve the simulated world as an OpenAI-compatible endpoint, with faults"))

    local = _add(commands, "local", "serve models from files on this machine, or find those that run, and make a pool")
    local.add_argument("files", nargs="*", type=Path, metavar="GGUF", help="files to serve; none: look who runs")
    local.add_argument("--port", type=int, default=0, help="of the first, others follow (any that are free)")
    local.add_argument(
        "--threads", type=int, default=max(1, (os.cpu_count() or 2) // 2), help="of each (half the cores)"
    )
    local.add_argument("--context", type=int, default=4096, help="tokens that each takes, prompt and reply (4096)")
    local.add_argument("--usd-per-hour", type=float, default=0.1, help="what an hour of this machine costs (0.1)")
    local.add_argument("--out", type=Path, metavar="FILE", help="where the pool goes (standard output)")

    report = _add(commands, "report", "compare run folders in a table and pictures")
    report.add_argument("folders", nargs="+", type=Path, help="run folders, or folders that hold some, such as runs/")
    report.add_argument("--out", type=Path, help="folder for report.md (default: the folder that holds all of them)")
    report.add_argument(
        "--baseline",
        metavar="NAME",
        help="what every method is tested against: a method as the table names it, a designer or a run folder",
    )

    pool = _add(commands, "pool", "list the agents of a pool, by the names that designer.agents takes, with prices")
    pool.add_argument("pool", metavar="NAME|FILE", help="a built-in pool or a YAML file")

    _add_calls(_add(commands, "calls", "look after recorded calls"))
    _add(commands, "sandbox", "say which sandbox keeps programs in that models write")

    actions = _add_actions(_add(commands, "data", "list, verify or fetch data files"))
    _add(actions, "list", "say which files there are, of what origin and licence, and which are here")
    _add(actions, "verify", "compare the checksums of the files that are here")
    fetch = _add(actions, "fetch", "download a file from its origin and check it")
    fetch.add_argument("names", nargs="+", help="as `gdesign data list` names them")
    return parser


def _add(actions: _Actions, name: str, text: str) -> argparse.ArgumentParser:
    return actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")


def _add_actions(parser: argparse.ArgumentParser) -> _Actions:
    return parser.add_subparsers(dest="action", required=True, metavar="ACTION")


def _add_designer(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--checkpoint", required=True, type=Path, help="a run folder, such as runs/gdesigner-synthetic-0")
    add("--trust", action="store_true", help="let its config.yaml build things from outside gdesign")


def _add_question(parser: argparse.ArgumentParser) -> None:
    price = parser.add_mutually_exclusive_group()
    price.add_argument(
        "--lambda",
        dest="usd_weight",
        type=float,
        metavar="L",
        help="price of cost: utility per USD per 1,000 questions (default: the one of training)",
    )
    price.add_argument(
        "--max-usd",
        type=float,
        metavar="USD",
        help="the design held best at the lowest price of cost that keeps it within so much per 1,000 (joint, critic, "
        "evidence)",
    )
    parser.add_argument("question", help="the question, in quotes")


def _add_endpoint(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--llm", metavar="URL", help="an OpenAI-compatible endpoint (default: what the run was trained on)")
    add("--api-key-env", metavar="NAME", help=KEY_HELP)


def _add_format(parser: argparse.ArgumentParser, *, default: str | None = None) -> None:
    parser.add_argument(
        "--format",
        choices=("text", "mermaid", "dot", "graphml", "json", "langgraph"),
        default=default,
        required=default is None,
        help="words, a Mermaid flowchart, a DOT graph, GraphML, JSON, or a Python file that runs it by LangGraph"
        + (f" ({default})" if default else ""),
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write it there instead of printing it")


def _add_listening(parser: argparse.ArgumentParser, *, port: int) -> None:
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="where to listen (127.0.0.1); others than this machine need --key-env")
    add("--port", type=int, default=port, help=f"where to listen ({port}); 0 for any that is free")


def _add_serve(parser: argparse.ArgumentParser) -> None:
    _add_designer(parser)
    _add_endpoint(parser)
    _add_listening(parser, port=8000)
    add = parser.add_argument
    add(
        "--key-env",
        action="append",
        default=[],
        metavar="NAME",
        help="environment variable with a key that clients may send; may be given several times, each with a budget",
    )
    add("--allow-host", action="append", default=[], metavar="HOST", help="another name that clients may call it by")
    add(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="a site whose pages may ask it, such as https://app.example; '*' for all, which needs --key-env",
    )
    add("--max-concurrent", type=int, metavar="N", help="designs and runs under way at a time; more get a 429 (64)")
    add("--max-body", type=int, metavar="BYTES", help="of a request; a larger one gets a 413 (1048576)")
    add("--deadline", type=float, metavar="S", help="without an answer by then a request gets a 504 (300)")
    add("--max-tokens", type=int, metavar="N", help="of one completion (the endpoint's own limit)")
    add("--max-usd-per-request", type=float, metavar="USD", help="what one run may spend (no limit)")
    add("--max-usd-per-key", type=float, metavar="USD", help="what each key may spend until the server ends (no limit)")
    add("--max-waves", type=int, metavar="N", help="how often a policy may ask for one answer (no limit)")
    add("--max-agents", type=int, metavar="N", help="how many agents a policy may ask for one answer (no limit)")
    add("--grace", type=int, default=30, metavar="S", help="how long answers under way may take after SIGTERM (30)")
    add("--log-text", action="store_true", help="log questions and answers, and the messages of errors, too")


def _add_simulate(parser: argparse.ArgumentParser) -> None:
    _add_listening(parser, port=9000)
    add = parser.add_argument
    add(
        "--pool",
        default="simulated",
        metavar="NAME|FILE",
        help="whose LLMs are the models and whose roles are known (simulated): a built-in pool or a YAML file",
    )
    add("--world", type=Path, metavar="FILE", help="settings of the world, YAML (the default world)")
    add("--latency", type=float, metavar="MS", help="mean milliseconds until an answer begins (0)")
    add("--jitter", type=float, metavar="MS", help="how far latency may lie from its mean (0)")
    add("--faults", type=float, metavar="SHARE", help="share of the requests that fail (0)")
    add(
        "--fault-kinds",
        metavar="KINDS",
        help="how they fail, with commas between: 429, 500, connection, timeout, malformed, no_choices (all of them)",
    )
    add("--retry-after", type=float, metavar="S", help="seconds that a 429 on demand names (1)")
    add("--requests-per-minute", type=int, metavar="N", help="more get a 429 (no limit)")
    add("--key-env", metavar="NAME", help="environment variable with the key that clients must send")
    add("--any", action="store_true", help="answer what it knows nothing of too, by what is made up")
    add("--seed", type=int, metavar="N", help="draws latencies and faults (0)")


def _add_calls(parser: argparse.ArgumentParser) -> None:
    actions = _add_actions(parser)

    def add_filters(parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add("--llm", metavar="NAME", help="only those of this LLM")
        add("--reason", metavar="WORD", help="only those that ended by it: stop, length, malformed, ...")
        add("--grep", metavar="TEXT", help="only those whose messages or reply hold it")

    file = "a recording, such as runs/calls.sqlite, or an export of one (.jsonl, .jsonl.gz)"
    stats = _add(actions, "stats", "count calls, tokens, faults and how replies ended, by LLM")
    stats.add_argument("file", type=Path, help=file)
    stats.add_argument("--pool", metavar="NAME|FILE", help="whose prices to add up: a built-in pool or a YAML file")
    show = _add(actions, "show", "print what was asked and answered")
    show.add_argument("file", type=Path, help=file)
    add_filters(show)
    show.add_argument("--last", type=int, default=10, metavar="N", help="how many of them, from the end (10)")
    export = _add(actions, "export", "write calls as JSON Lines, without the endpoints they came from")
    export.add_argument("file", type=Path, help=file)
    export.add_argument("out", type=Path, help="the file to write; packed if its name ends in .gz")
    add_filters(export)
    merge = _add(actions, "merge", "add the calls of other files to a recording; what it holds stays")
    merge.add_argument("out", type=Path, help="the recording; made if it is not there")
    merge.add_argument("files", nargs="+", type=Path, help="recordings or exports of some")
    drop = _add(actions, "drop", "delete calls, so that they are asked again")
    drop.add_argument("file", type=Path, help="a recording")
    add_filters(drop)
