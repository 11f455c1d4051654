"""What a config says of endpoints: kinds of values, addresses, and whose key goes where."""

import os
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from gdesign.errors import ConfigError

BASE_URL = "https://api.openai.com/v1"
API_KEY_ENV = "OPENAI_API_KEY"
OPENAI_HOST = "api.openai.com"
"""Who gets the key in API_KEY_ENV without being asked to."""

TIMEOUT, MAX_CONCURRENT = 120.0, 64
"""Seconds that one try may take, and calls in flight, of an endpoint elsewhere."""
OWN_TIMEOUT, OWN_MAX_CONCURRENT = 600.0, 4
"""The same of one on this machine, which mostly answers few calls at a time, and slowly."""

KINDS: Mapping[str, Any] = {"a number": int | float, "a whole number": int, "a text": str, "a mapping": Mapping}
"""Kinds of values that a command line may give; with ` or null` behind it, each may also be None."""


def expect(kind: str, **values: Any) -> None:
    """Raise ConfigError for options of another kind than this: a key of `KINDS`, or one with ` or null`."""
    allowed = KINDS[kind.removesuffix(" or null")]
    for name, value in values.items():
        if value is None and kind.endswith(" or null"):
            continue
        if isinstance(value, bool) or not isinstance(value, allowed):
            raise ConfigError(f"{name} is {value!r}; expected {kind}")


def plain(value: Any) -> Any:
    """Return a value from a config as plain dicts and lists, which JSON takes."""
    if isinstance(value, Mapping):
        return {str(name): plain(v) for name, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(v) for v in value]
    return value


def whole_url(base_url: str) -> str:
    """Return a base_url without slashes at its end; an empty one stays empty.

    Raises:
        ConfigError: Nobody can ask there, or it may carry a secret.
    """
    expect("a text", base_url=base_url)
    url = base_url.rstrip("/")
    if found := [sign for sign in "@?#" if sign in url]:  # what follows or precedes it is not repeated
        raise ConfigError(
            f"base_url has a {found[0]!r} in it, as if it carried a user name, a password, a query or a fragment; put "
            "the endpoint's key into an environment variable and name that by api_key_env, and leave the rest out"
        )
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        whole = False
    if url and not whole:
        raise ConfigError(f"base_url is {base_url!r}; expected something like {BASE_URL}")
    return url


def variable_of(base_url: str) -> str | None:
    """Return the variable whose key an endpoint gets that names none; None for no key."""
    parts = urlsplit(base_url)
    return API_KEY_ENV if (parts.scheme, parts.hostname) == ("https", OPENAI_HOST) else None


def is_loopback(base_url: str) -> bool:
    """Return whether an endpoint is on this machine."""
    host = urlsplit(base_url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def terms_of(base_url: str) -> dict[str, float | int]:
    """Return the `timeout` and `max_concurrent` of an endpoint that nobody gave any."""
    here = is_loopback(base_url)
    return {
        "timeout": OWN_TIMEOUT if here else TIMEOUT,
        "max_concurrent": OWN_MAX_CONCURRENT if here else MAX_CONCURRENT,
    }


def key_for(base_url: str, variable: str | None, *, whose: str) -> str:
    """Return the key for an endpoint; empty for none.

    The variable is empty where no key is wanted, None where nobody names one; `whose` is what messages call the LLM.

    Raises:
        ConfigError: It is not there and wanted, or no header can carry it.
    """
    expect("a text or null", api_key_env=variable)
    key = os.environ.get(variable or "", "").strip()
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ConfigError(
            f"the environment variable {variable} holds characters that no key has (a line break, a space, a "
            "typographic quote or the like); set it to the key alone"
        )
    if key or variable == "" or is_loopback(base_url):
        return key
    asked = f"{base_url} is asked" + (f" for {whose}" if whose else "")
    if variable is None:
        raise ConfigError(
            f"{asked}, and nothing names the variable that holds its key ({API_KEY_ENV} goes to https://{OPENAI_HOST} "
            "alone); name it by api_key_env (--api-key-env), or give an empty name where no key is wanted"
        )
    raise ConfigError(
        f"{asked}, and its key is not there: set the environment variable {variable}, or name another one by "
        "api_key_env (an empty one where no key is wanted)"
    )
