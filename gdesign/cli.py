"""The `gdesign` command, and how every command talks to its user."""

import logging
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gdesign.errors import BudgetExceededError, GdesignError, UserError


def say(text: str) -> None:
    """Write a line for the user."""
    sys.stdout.write(text + "\n")
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
    except (UserError, wrapped_in) as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, UserError):
            cause = cause.__cause__
        if cause is None:
            raise
        complain(f"error: {cause}")
        raise SystemExit(2) from None


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
    )
