"""The `gdesign` command, and how every command talks to its user."""

import argparse
import json
import logging
import os
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdesign.errors import BudgetExceededError, ConfigError, DataError, GdesignError, UserError

# each command imports what it needs, so that --help and `gdesign data` need not wait for torch
if TYPE_CHECKING:
    from omegaconf import DictConfig

    from gdesign.encode.problem import ProblemEncoder
    from gdesign.llm.base import LLMClient
    from gdesign.llm.recording import Call
    from gdesign.tasks.base import Benchmark
    from gdesign.types import AgentPool, Design, Task


KEY_HELP = "environment variable with the endpoint's key (OPENAI_API_KEY at OpenAI, none on this machine)"


def say(text: str) -> None:
    """Write a line for the user; half a character, which LLMs may say, as its number."""
    sys.stdout.write(text.encode(errors="backslashreplace").decode() + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """Write a line about what went wrong."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


@contextmanager
def friendly(*, resume: str = "", wrapped_in: type[Exception] = GdesignError) -> Iterator[None]:
    """End the program with one clear line where the user can mend what went wrong.

    Args:
        resume: How to go on after Ctrl-C or a spent budget.
        wrapped_in: An exception of a library that may hide one of ours as its cause.

    Raises:
        SystemExit: 2 after a mistake, 3 where the budget is spent, 130 after Ctrl-C.
    """
    on = f" Everything so far is kept; {resume}." if resume else ""
    try:
        yield
    except KeyboardInterrupt:
        complain(f"\nStopped.{on}")
        raise SystemExit(130) from None
    except BudgetExceededError as error:
        complain(f"{error}.{on}")
        raise SystemExit(3) from None
    except (UserError, OSError, wrapped_in) as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, UserError | OSError):
            cause = cause.__cause__
        if isinstance(cause, OSError) and not isinstance(cause, UserError):
            if cause.filename is None:  # a pipe or a socket, of which no user can say which
                raise
            complain(f"error: {cause.filename}: {cause.strerror}; name another, or see that you may use it so")
        elif cause is None:
            raise
        else:
            complain(f"error: {cause}")
        raise SystemExit(2) from None


def agree(estimate: str, *, urls: Sequence[str], settled: bool) -> None:
    """Say what a live run will cost, about, and go on only if that is wanted.

    Args:
        estimate: What it will cost.
        urls: The endpoints that will be asked.
        settled: Whether the user agreed beforehand, or set a budget.

    Raises:
        ConfigError: It is not settled, and nobody is at a terminal to ask.
        SystemExit: 1 where the answer is no.
    """
    from gdesign.llm.openai import is_loopback

    say(f"This run asks {', '.join(urls)}.\n{estimate}")
    if settled or all(map(is_loopback, urls)):
        return
    if not sys.stdin.isatty():
        raise ConfigError(
            "nobody is here to agree to that; say yes=true, or set a budget, at which the run ends: +llm.budget.usd=5 "
            "+llm.max_tokens=1000 (or +llm.budget.tokens, +llm.budget.calls)"
        )
    say("Go on? [y/N]")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        complain("Nothing was asked.")
        raise SystemExit(1)


def quiet() -> None:
    """Keep Lightning to what a user needs to read."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for message in (
        r"The '.*dataloader' does not have many workers",
        r"Checkpoint directory .* exists and is not empty",
        r"The number of training batches .* is smaller than the logging interval",
        r"You have overridden `transfer_batch_to_device`",
        r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    ):
        warnings.filterwarnings("ignore", message=message)


def one_line(name: str, summary: Mapping[str, Any]) -> str:
    """Return the numbers of an `eval.json` that matter most."""
    low, high = summary["interval"]
    return (
        f"{name}: score {summary['score']:.4f} ({low:.4f}-{high:.4f}), USD {summary['usd']:.4f} per 1,000 questions, "
        f"utility {summary['utility']:.4f}, {summary['n']} questions, {summary['split']}, {summary['label']}"
        + (f", {faults} faults survived" if (faults := summary.get("faults")) else "")
    )


# --------------------------------------------------------------------------- the command


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the `gdesign` command.

    Args:
        arguments: What was typed after `gdesign`; None for the process's own.

    Raises:
        SystemExit: 0 with --help, 2 after a mistake.
    """
    options = parser().parse_args(arguments)
    try:
        with friendly():
            options.run(options)
    except BrokenPipeError:  # whoever read our output, `head` for instance, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line of `gdesign`."""
    parser = argparse.ArgumentParser(
        prog="gdesign",
        description="Ask trained designers, compare runs, look after data, serve a simulated world. "
        "Train with train.py, evaluate with eval.py.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    design = commands.add_parser("design", help="draw the best design for a question", description="Draw a design.")
    _add_designer(design)
    _add_format(design, default="text")
    design.add_argument("--mermaid", dest="format", action="store_const", const="mermaid", help="as --format mermaid")
    design.add_argument("--json", action="store_true", help="print it as a line of runs.jsonl holds it")
    design.set_defaults(run=_design)

    export = commands.add_parser(
        "export",
        help="write a saved design for another program",
        description="Write a design that `gdesign design --format json --out FILE` saved for another program.",
    )
    export.add_argument("design", type=Path, metavar="FILE", help="the design, JSON with a version")
    export.add_argument(
        "--pool", metavar="NAME|FILE", help="whose profiles to use: a built-in pool or a YAML file (the design's own)"
    )
    _add_format(export)
    export.set_defaults(run=_export)

    ask = commands.add_parser("ask", help="draw a design and let it answer", description="Draw a design and run it.")
    _add_designer(ask)
    ask.add_argument(
        "--llm", metavar="URL", help="an OpenAI-compatible endpoint (default: what the run was trained on)"
    )
    ask.add_argument("--api-key-env", metavar="NAME", help=KEY_HELP)
    ask.add_argument("--verbose", action="store_true", help="print what every agent said")
    ask.set_defaults(run=_ask)

    _add_serve(
        commands.add_parser(
            "serve",
            help="serve a trained designer as an OpenAI-compatible endpoint, with a page at /",
            description="Serve a trained designer as an OpenAI-compatible endpoint, with a page at /.",
        )
    )
    _add_simulate(
        commands.add_parser(
            "simulate",
            help="serve the simulated world as an OpenAI-compatible endpoint",
            description="Serve the simulated world as an OpenAI-compatible endpoint, with latency, limits and faults.",
        )
    )

    report = commands.add_parser(
        "report", help="compare run folders in a table and pictures", description="Compare run folders."
    )
    report.add_argument("folders", nargs="+", type=Path, help="run folders, or folders that hold some, such as runs/")
    report.add_argument("--out", type=Path, help="folder for report.md (default: the folder that holds all of them)")
    report.add_argument(
        "--baseline",
        metavar="NAME",
        help="what every method is tested against: a method as the table names it, a designer or a run folder",
    )
    report.set_defaults(run=_report)

    _add_calls(commands.add_parser("calls", help="look after recorded calls", description="Look after recorded calls."))

    sandbox = commands.add_parser(
        "sandbox",
        help="say what keeps programs in that models write",
        description="Say which sandbox is in force here.",
    )
    sandbox.set_defaults(run=_sandbox)

    data = commands.add_parser("data", help="list, verify or fetch data files", description="Look after data files.")
    actions = data.add_subparsers(required=True, metavar="ACTION")
    for name, run, text in (
        ("list", _data_list, "say which files there are, of what origin and licence, and which are here"),
        ("verify", _data_verify, "compare the checksums of the files that are here"),
    ):
        actions.add_parser(name, help=text, description=text).set_defaults(run=run)
    fetch = actions.add_parser("fetch", help="download a file from its origin and check it")
    fetch.add_argument("names", nargs="+", help="as `gdesign data list` names them")
    fetch.set_defaults(run=_data_fetch)
    return parser


def _add_designer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--checkpoint", required=True, type=Path, help="a run folder, such as runs/gdesigner-synthetic-0"
    )
    parser.add_argument("--trust", action="store_true", help="let its config.yaml build things from outside gdesign")
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
        help="the design held best at the lowest price of cost that keeps it within so much per 1,000 (joint)",
    )
    parser.add_argument("question", help="the question, in quotes")


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


def _add_serve(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--checkpoint", required=True, type=Path, help="a run folder, such as runs/gdesigner-synthetic-0")
    add("--trust", action="store_true", help="let its config.yaml build things from outside gdesign")
    add("--llm", metavar="URL", help="an OpenAI-compatible endpoint (default: what the run was trained on)")
    add("--api-key-env", metavar="NAME", help=KEY_HELP)
    add("--host", default="127.0.0.1", help="where to listen (127.0.0.1); others than this machine need --key-env")
    add("--port", type=int, default=8000, help="where to listen (8000); 0 for any that is free")
    add(
        "--key-env",
        action="append",
        default=[],
        metavar="NAME",
        help="environment variable with a key that clients may send; may be given several times, each with a budget",
    )
    add("--allow-host", action="append", default=[], metavar="HOST", help="another name that clients may call it by")
    add("--max-concurrent", type=int, metavar="N", help="designs and runs under way at a time; more get a 429 (64)")
    add("--max-body", type=int, metavar="BYTES", help="of a request; a larger one gets a 413 (1048576)")
    add("--deadline", type=float, metavar="S", help="without an answer by then a request gets a 504 (300)")
    add("--max-tokens", type=int, metavar="N", help="of one completion (the endpoint's own limit)")
    add("--max-usd-per-request", type=float, metavar="USD", help="what one run may spend (no limit)")
    add("--max-usd-per-key", type=float, metavar="USD", help="what each key may spend until the server ends (no limit)")
    add("--grace", type=int, default=30, metavar="S", help="how long answers under way may take after SIGTERM (30)")
    add("--log-text", action="store_true", help="log questions and answers, and the messages of errors, too")
    parser.set_defaults(run=_serve)


def _add_simulate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="where to listen (127.0.0.1); others than this machine's own need --key-env",
    )
    parser.add_argument("--port", type=int, default=9000, help="where to listen (9000); 0 for any that is free")
    parser.add_argument(
        "--pool",
        default="simulated",
        metavar="NAME|FILE",
        help="whose LLMs are the models and whose roles are known (simulated): a built-in pool or a YAML file",
    )
    parser.add_argument("--world", type=Path, metavar="FILE", help="settings of the world, YAML (the default world)")
    parser.add_argument("--latency", type=float, metavar="MS", help="mean milliseconds until an answer begins (0)")
    parser.add_argument("--jitter", type=float, metavar="MS", help="how far latency may lie from its mean (0)")
    parser.add_argument("--faults", type=float, metavar="SHARE", help="share of the requests that fail (0)")
    parser.add_argument(
        "--fault-kinds",
        metavar="KINDS",
        help="how they fail, with commas between: 429, 500, connection, timeout, malformed, no_choices (all of them)",
    )
    parser.add_argument("--retry-after", type=float, metavar="S", help="seconds that a 429 on demand names (1)")
    parser.add_argument("--requests-per-minute", type=int, metavar="N", help="more get a 429 (no limit)")
    parser.add_argument("--key-env", metavar="NAME", help="environment variable with the key that clients must send")
    parser.add_argument(
        "--any", action="store_true", help="answer messages without a generated question too, by repeating them"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="draws latencies and faults (0)")
    parser.set_defaults(run=_simulate)


def _add_calls(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    def action(name: str, run: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        added = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        added.set_defaults(run=run)
        return added

    def add_filters(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--llm", metavar="NAME", help="only those of this LLM")
        parser.add_argument(
            "--reason", metavar="WORD", help="only those that ended by it: stop, length, malformed, ..."
        )
        parser.add_argument("--grep", metavar="TEXT", help="only those whose messages or reply hold it")

    file = "a recording, such as runs/calls.sqlite, or an export of one (.jsonl, .jsonl.gz)"
    stats = action("stats", _calls_stats, "count calls, tokens, faults and how replies ended, by LLM")
    stats.add_argument("file", type=Path, help=file)
    stats.add_argument("--pool", metavar="NAME|FILE", help="whose prices to add up: a built-in pool or a YAML file")
    show = action("show", _calls_show, "print what was asked and answered")
    show.add_argument("file", type=Path, help=file)
    add_filters(show)
    show.add_argument("--last", type=int, default=10, metavar="N", help="how many of them, from the end (10)")
    export = action("export", _calls_export, "write calls as JSON Lines, without the endpoints they came from")
    export.add_argument("file", type=Path, help=file)
    export.add_argument("out", type=Path, help="the file to write; packed if its name ends in .gz")
    add_filters(export)
    merge = action("merge", _calls_merge, "add the calls of other files to a recording; what it holds stays")
    merge.add_argument("out", type=Path, help="the recording; made if it is not there")
    merge.add_argument("files", nargs="+", type=Path, help="recordings or exports of some")
    drop = action("drop", _calls_drop, "delete calls, so that they are asked again")
    drop.add_argument("file", type=Path, help="a recording")
    add_filters(drop)


def _drawn(options: argparse.Namespace) -> "tuple[Design, Task, ProblemEncoder, DictConfig]":
    from hydra.errors import InstantiationException

    from gdesign.design.choose import greedy, within
    from gdesign.runs.checkpoint import load, read_config
    from gdesign.types import Task

    quiet()
    config = read_config(options.checkpoint, trust=options.trust)
    with friendly(wrapped_in=InstantiationException):
        problems, designer = load(options.checkpoint, trust=options.trust)
    task = Task(id="question", question=options.question, answer="", benchmark=config.names.task)
    if options.max_usd is not None:
        return within(designer, problems, task, max_usd=options.max_usd)[0], task, problems, config
    price = config.reward.usd_weight if options.usd_weight is None else options.usd_weight
    (design,) = greedy(designer, problems, [task], usd_weight=price)
    return design, task, problems, config


def _design(options: argparse.Namespace) -> None:
    from gdesign.export.schema import design_to_json

    design, _, problems, _ = _drawn(options)
    pool = problems.space.pool
    _put(
        json.dumps(design_to_json(design, brief=True)) if options.json else _formatted(design, pool, options.format),
        options.out,
    )


def _export(options: argparse.Namespace) -> None:
    from gdesign.export.schema import read_design

    design, pool = read_design(options.design)
    if options.pool is not None:
        pool = _pool(options.pool)
    if pool is not None:
        for agent in design.agents:
            pool.check(agent)
    elif options.format == "langgraph":
        raise ConfigError(f"{options.design} holds no profiles of its roles; name the pool that does by --pool")
    _put(_formatted(design, pool, options.format), options.out)


def _formatted(design: "Design", pool: "AgentPool | None", format: str) -> str:
    """Return a design in one of the formats of `_add_format`."""
    match format:
        case "mermaid":
            from gdesign.export.mermaid import mermaid

            return mermaid(design)
        case "dot":
            from gdesign.export.dot import dot

            return dot(design)
        case "graphml":
            from gdesign.export.graphml import graphml

            return graphml(design)
        case "json":
            from gdesign.export.schema import design_to_json

            return json.dumps(design_to_json(design, pool=pool), indent=2)
        case "langgraph":
            from gdesign.export.python import to_python

            assert pool is not None
            return to_python(design, pool=pool).rstrip("\n")
    from gdesign.report.text import describe

    return describe(design)


def _put(text: str, out: Path | None) -> None:
    """Print a text, or write it to a file and say so."""
    if out is None:
        say(text)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")  # as `say` does
    say(f"written to {out}")


def _pool(name: str) -> "AgentPool":
    """Return the built-in pool of that name, or the one in that YAML file."""
    from gdesign.agents.pool import builtin, load

    return load(name) if name.endswith((".yaml", ".yml")) or os.sep in name else builtin(name)


def _ask(options: argparse.Namespace) -> None:
    import asyncio

    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    from gdesign.execute.operators import tools_of
    from gdesign.execute.reward import account
    from gdesign.execute.run import run
    from gdesign.report.text import describe
    from gdesign.runs.checkpoint import refuse_unnamed_endpoints

    if options.api_key_env and not options.llm:
        raise ConfigError(f"--api-key-env {options.api_key_env} is for an endpoint; name it by --llm URL")
    design, task, problems, config = _drawn(options)
    if options.llm:
        from gdesign.llm.openai import OpenAIClient

        llm: LLMClient = OpenAIClient(base_url=options.llm, api_key_env=options.api_key_env)
        if "recorded" in config.task:
            config.task.recorded = False  # what the endpoint says was not recorded
    else:
        if not options.trust:
            refuse_unnamed_endpoints(config, source=f"{options.checkpoint}/config.yaml")
        with friendly(wrapped_in=InstantiationException):
            llm = instantiate(config.llm)
    with friendly(wrapped_in=InstantiationException):
        benchmark: Benchmark = instantiate(config.task)
    pool = problems.space.pool
    tools = tools_of(benchmark, pool)
    done = asyncio.run(run(design, task, pool=pool, llm=llm, extract=benchmark.extract, tools=tools))
    outcome = account(done, grade=lambda task, answer: 0.0, pool=pool)
    if options.verbose:
        say(describe(design) + "\n")
        for turn in done.turns:
            agent = design.agents[turn.agent]
            words = "(silent)" if turn.silent else turn.error if turn.reply is None else turn.reply.text
            say(f"[{turn.agent + 1}. {agent.role} ({agent.llm}), round {turn.round}]\n{words}\n")
    for turn in done.failures:
        complain(f"agent {turn.agent + 1} failed: {turn.error}")
    say(done.answer if done.answer is not None else "no readable answer")
    tokens = outcome.prompt_tokens + outcome.completion_tokens
    complain(f"{outcome.calls} calls, {tokens} tokens, {outcome.usd:.6f} USD, {done.seconds:.2f} s, {outcome.label}")


def _serve(options: argparse.Namespace) -> None:
    from hydra.errors import InstantiationException

    from gdesign.api import load

    try:
        from gdesign.serve.app import Serving
        from gdesign.serve.guard import LOOPBACK, JsonLines
        from gdesign.serve.server import Server, bind, is_loopback, serve, url_of
        from gdesign.serve.settings import Settings
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"gdesign serve needs the package {error.name}; install the extra: pip install 'gdesign[serve]'"
        ) from None

    if options.api_key_env and not options.llm:
        raise ConfigError(f"--api-key-env {options.api_key_env} is for an endpoint; name it by --llm URL")
    keys = {name: os.environ.get(name, "") for name in options.key_env}
    if empty := [name for name, key in keys.items() if not key]:
        raise ConfigError(f"the environment variable {empty[0]} holds no key; set it, or leave --key-env out")
    given = ("max_concurrent", "max_body", "deadline", "max_tokens", "max_usd_per_request", "max_usd_per_key")
    chosen = {name: value for name in given if (value := getattr(options, name)) is not None}
    settings = Settings(**chosen, log_text=options.log_text)
    with bind(options.host, options.port) as sock:
        if not keys and not is_loopback(sock):
            raise ConfigError(
                f"{options.host} can be reached from other machines, and answers cost money; name an environment "
                "variable with a key by --key-env, or listen on 127.0.0.1"
            )
        llm: LLMClient | None = None
        if options.llm:
            from gdesign.llm.openai import OpenAIClient

            llm = OpenAIClient(
                base_url=options.llm,
                api_key_env=options.api_key_env,
                timeout=settings.deadline,
                max_retries=2,  # who waits for an answer is told of a fault rather than left waiting
                backoff=0.25,
                max_wait=5.0,
                max_concurrent=512,
            )
        with friendly(wrapped_in=InstantiationException):
            model = load(options.checkpoint, llm=llm, trust=options.trust)
            model.executor()
        model.design("What is asked first should not wait longest.")
        handler = logging.StreamHandler()
        handler.setFormatter(JsonLines())
        log = logging.getLogger("gdesign.serve")
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
        app = Serving(
            model,
            folder=options.checkpoint,
            settings=settings,
            keys=keys,
            hosts={*LOOPBACK, sock.getsockname()[0], *options.allow_host} if not keys or options.allow_host else None,
            simulated=llm is None and model.config.names.llm == "simulated",
        )
        say(f"listening on {url_of(sock)}/v1")
        serve(Server(app, on_stop=app.stop, grace=options.grace), sock)


def _simulate(options: argparse.Namespace) -> None:
    from gdesign.llm.simulated import world

    try:
        from gdesign.serve.server import Server, bind, is_loopback, serve, url_of
        from gdesign.serve.simulate import Simulation
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"gdesign simulate needs the package {error.name}; install the extra: pip install 'gdesign[serve]'"
        ) from None

    key = os.environ.get(options.key_env) if options.key_env else None
    if options.key_env and not key:
        raise ConfigError(f"the environment variable {options.key_env} holds no key; set it, or leave --key-env out")
    given = {
        "latency": None if options.latency is None else options.latency / 1000,
        "jitter": None if options.jitter is None else options.jitter / 1000,
        "faults": options.faults,
        "fault_kinds": options.fault_kinds.split(",") if options.fault_kinds else None,
        "retry_after": options.retry_after,
        "requests_per_minute": options.requests_per_minute,
        "seed": options.seed,
    }
    app = Simulation(
        pool=_pool(options.pool),
        world=world.load(options.world) if options.world else None,
        key=key,
        any_message=options.any,
        **{name: value for name, value in given.items() if value is not None},
    )
    with bind(options.host, options.port) as sock:
        if key is None and not is_loopback(sock):
            raise ConfigError(
                f"{options.host} can be reached from other machines; name an environment variable with a key by "
                "--key-env, or listen on 127.0.0.1"
            )
        say(f"listening on {url_of(sock)}/v1")
        serve(Server(app, on_stop=app.stop), sock)
    say(app.summary())


def _report(options: argparse.Namespace) -> None:
    from gdesign.report.page import write_overview

    out = options.out or Path(os.path.commonpath([folder.resolve() for folder in options.folders]))
    path = write_overview(options.folders, out, baseline=options.baseline)
    say(path.read_text(encoding="utf-8"))
    say(f"written to {path}")


def _calls_stats(options: argparse.Namespace) -> None:
    from gdesign.llm.recording import calls_of
    from gdesign.report.calls import stats

    say(stats(calls_of(options.file), pool=None if options.pool is None else _pool(options.pool)))


def _calls_chosen(options: argparse.Namespace) -> "Iterator[Call]":
    from gdesign.llm.recording import calls_of
    from gdesign.report.calls import chosen

    terms = {"llm": options.llm, "reason": options.reason, "grep": options.grep}
    return (call for call in calls_of(options.file) if chosen(call, **terms))


def _calls_show(options: argparse.Namespace) -> None:
    from gdesign.report.calls import show

    if options.last < 0:
        raise ConfigError(f"--last is {options.last}; expected 0 or more")
    for call in deque(_calls_chosen(options), maxlen=options.last):
        say(show(call))


def _calls_export(options: argparse.Namespace) -> None:
    from gdesign.llm.recording import write_lines

    options.out.parent.mkdir(parents=True, exist_ok=True)
    say(f"{write_lines(_calls_chosen(options), options.out)} calls written to {options.out}")


def _calls_merge(options: argparse.Namespace) -> None:
    from gdesign.llm.recording import Recording, calls_of

    sources = [calls_of(file) for file in options.files]  # before anything is made
    recording = Recording(options.out, create=True)
    for file, source in zip(options.files, sources, strict=True):
        done = recording.merge(source)
        known = f"{done.num_known} known, {done.num_different} known with another reply, which stays"
        say(f"{file}: {done.num_added} calls added, {known}")


def _calls_drop(options: argparse.Namespace) -> None:
    from gdesign.llm.recording import Recording

    if options.llm is options.reason is options.grep is None:
        raise ConfigError("this would drop every call; say which by --llm, --reason or --grep, or remove the file")
    say(f"{Recording(options.file).drop(list(_calls_chosen(options)))} calls dropped from {options.file}")


def _sandbox(options: argparse.Namespace) -> None:
    from statistics import median

    from gdesign.sandbox.outside import STATEMENTS, Sandbox

    sandbox = Sandbox()
    say(f"in force: {STATEMENTS[sandbox.isolation]}")
    for name, value in sandbox.limits.items():
        say(f"{name:16} {value:>14,}")
    seconds = median(sandbox.run("pass").seconds for _ in range(10))
    say(f"an empty program takes {1000 * seconds:.0f} ms")


def _data_list(options: argparse.Namespace) -> None:
    from gdesign.tasks.data import data_dir, verify

    say(f"data folder: {data_dir()} (set GDESIGN_DATA to use another)")
    for found in verify():
        file = found.file
        origin = file.origin if file.url else f"derived from {file.origin}, cannot be fetched"
        say(f"{found.state:8} {file.path:46} {file.licence:12} {origin}")


def _data_verify(options: argparse.Namespace) -> None:
    from gdesign.tasks.data import verify

    states = list(verify())
    for found in states:
        if found.state != "missing":
            say(f"{found.state:8} {found.file.path}")
    changed = [found.file.path for found in states if found.state == "changed"]
    if changed:
        raise DataError(f"{', '.join(changed)}: not the file that gdesign knows; fetch it again")
    say(f"{sum(found.state == 'ok' for found in states)} files are as they should be")


def _data_fetch(options: argparse.Namespace) -> None:
    from gdesign.tasks.data import fetch

    for name in options.names:
        say(f"fetched {fetch(name)}")
