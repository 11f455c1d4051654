"""How every command talks to its user."""

import logging
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NoReturn

import yaml
from omegaconf import MissingMandatoryValue

from gdesign.errors import (
    BudgetExceededError,
    ConfigError,
    CreditError,
    GdesignError,
    UserError,
    installing,
    missing_extra,
)
from gdesign.files import CONFIGS
from gdesign.runs.comparison import said

RENAMED = {
    "encoder": "text",
    "designer.hidden_dim": "gnn.hidden_dim",
    "designer.num_encoder_layers": "gnn.num_layers",
    "learner.weight_decay": "learner.optimizer.weight_decay",
    "learner.num_replayed": "learner.replay.num_tasks",
    "designer=joint_recorded": "designer=evidence",
}
"""Overrides of earlier versions, and what says the same today."""


def take_overrides(name: str, arguments: Sequence[str] | None) -> None:
    """Put the arguments of `gdesign train` or `eval` where Hydra looks for them, and refuse what is mistyped."""
    if arguments is not None:
        sys.argv[:] = [f"gdesign {name}", *arguments]
    refuse_mistyped(name, sys.argv[1:])


def refuse_mistyped(name: str, overrides: Sequence[str]) -> None:
    """End the program where an override has another name today, or names a choice or a setting that there is not.

    Args:
        name: `train` or `eval`.
        overrides: The command line; nothing is known of choices where it brings configs of its own.

    Raises:
        SystemExit: 2.
    """
    own_configs = any(word.startswith(("--config", "-c", "hydra.searchpath")) for word in overrides)
    for override in overrides:
        typed = override.lstrip("+~")
        for old, new in RENAMED.items():
            if typed == old or typed.startswith(f"{old}=") or typed.startswith(f"{old}."):
                _refuse(override, f"{old} is {new} now; write {new}{typed.removeprefix(old)}")
        if typed.startswith("hydra/launcher="):
            _refuse_missing_launcher(override)
        if own_configs or override.startswith(("-", "~")) or "=" not in typed:
            continue
        key, _, values = typed.partition("=")
        if (CONFIGS / key).is_dir() and not key.startswith("hydra/"):  # Hydra and its plugins bring more of those
            found = (path.relative_to(CONFIGS / key).with_suffix("").as_posix() for path in (CONFIGS / key).rglob("*"))
            choices = sorted(choice for choice in found if not choice.startswith("_"))
            for value in values.split(",") if re.fullmatch(r"[\w/,-]+", values) else ():
                if value not in (*choices, "null"):
                    _refuse(override, f"there is no {key}={value}; {_close(value, choices)}")
        elif override == typed and (first := key.split(".")[0].partition("@")[0]).isidentifier() and first != "hydra":
            settings = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))
            names = {*settings, *(path.name for path in CONFIGS.iterdir() if path.is_dir())} - {"defaults"}
            if first not in names:
                _refuse(override, f"there is no setting {first}; {_close(first, sorted(names))}")


def _refuse_missing_launcher(override: str) -> None:
    name = override.partition("=")[2]
    if not (config := CONFIGS / f"hydra/launcher/{name}.yaml").is_file():
        return
    plugin = yaml.safe_load(config.read_text(encoding="utf-8"))["_target_"].split(".")[1]
    try:
        import_module(f"hydra_plugins.{plugin}")
    except ModuleNotFoundError:
        # its pins cannot be met beside joblib's; see docs/decisions/0016-past-one-machine.md
        own = "install the extra ray, and pip install --no-deps hydra-ray-launcher"
        _refuse(override, f"this needs the package {plugin}; {own if name == 'ray' else installing('sweep')}")


def _refuse(override: str, why: str) -> NoReturn:
    complain(f"error: {override}: {why}")
    raise SystemExit(2)


def _close(word: str, words: Sequence[str]) -> str:
    if near := get_close_matches(word, words, n=4):
        return f"did you mean {' or '.join(near)}?"
    return f"there are {', '.join(words)}"


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
        SystemExit: 2 after a mistake or where an account has no credit, 3 where the budget is spent, 130 after Ctrl-C.
    """
    on = f" Everything so far is kept; {resume}." if resume else ""
    try:
        yield
    except KeyboardInterrupt:
        complain(f"\nStopped.{on}")
        raise SystemExit(130) from None
    except BudgetExceededError as error:
        if isinstance(error, CreditError):
            complain(f"error: {error}.{on}")
            raise SystemExit(2) from None
        complain(f"{error}.{on}")
        raise SystemExit(3) from None
    except MissingMandatoryValue as error:
        complain(f"error: {error.full_key} has no value; give it one on the command line: {error.full_key}=...")
        raise SystemExit(2) from None
    except (UserError, OSError, ImportError, wrapped_in) as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, UserError | OSError):
            if isinstance(cause, ImportError) and (missing := missing_extra(cause)) is not None:
                complain(f"error: {missing}")
                raise SystemExit(2) from None
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
    from gdesign.llm.options import is_loopback

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
        + (f", {failures} calls failed" if (failures := summary.get("failures")) else "")
        + (f", {faults} faults survived" if (faults := summary.get("faults")) else "")
        + (f"; {said(comparison)}" if (comparison := summary.get("comparison")) else "")
    )
