"""Pools of agents, read from YAML: the package's own, a user's file, or a list of priced LLMs."""

import os
import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from gdesign.agents.prompt import ATTACKS, OPERATORS, read_prompts
from gdesign.errors import MissingDataError, PoolError
from gdesign.files import read_sheet, text_of
from gdesign.types import LLM, AgentPool, Candidate, Role

SOLVER = Role(name="solver", profile="You solve the task that you are given.")
"""The neutral role: it adds nothing to the question."""

FAMILIES: dict[str, str] = yaml.safe_load((files("gdesign.agents") / "families.yaml").read_bytes())
"""Family of an LLM by the beginning of its name, in lower case."""

SIZE = re.compile(r"(\d+(?:x\d+)?(?:\.\d+)?)b\b", re.IGNORECASE)
SMALL, LARGE = ("mini", "haiku", "flash"), ("large", "opus", "pro")


def load(path: str | Path, *, attacks: Mapping[str, str] | None = None, prompts: str | Path | None = None) -> AgentPool:
    """Read a pool from a YAML file; the file's stem is its name.

    `attacks` turns agents, as `attacked` does; `prompts` is a file with the words of prompts, as in `read_prompts`.

    The file holds `roles: [{name, profile, domain?, attack?}]`, `llms: [{name, usd_per_1M_input,
    usd_per_1M_output, usd_per_1M_cached_input?, profile?, base_url?, api_key_env?, context?}]` and may hold
    `operators: [name]`, `anchor: [[role, role]]`, `candidates: [{role, llm, operator?}]` and `prompts: path`, which
    begins at the folder of the file. Operators are those of the candidates where these are given alone.

    Raises:
        MissingDataError: There is no such file.
        DataError: It is in an encoding that cannot be told.
        PoolError: An entry is unknown, missing, doubled or of the wrong kind, or an LLM lacks a
            price; the message names the file and the entry.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingDataError(f"there is no pool file {path}; give the path of a YAML file with roles and llms")
    return _dressed(_parse(text_of(path), name=path.stem, source=str(path), folder=path.parent), attacks, prompts)


def builtin(name: str, *, attacks: Mapping[str, str] | None = None, prompts: str | Path | None = None) -> AgentPool:
    """Return a pool that ships with the package, such as `mathematics`, `code` or `knowledge`.

    `attacks` turns agents, as `attacked` does; `prompts` is a file with the words of prompts, as in `read_prompts`.

    Raises:
        PoolError: There is no such pool, role or attack; the message lists those there are.
    """
    folder = files("gdesign.agents") / "pools"
    names = sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml"))
    if name not in names:
        raise PoolError(
            f"there is no built-in pool {name!r}; there are {', '.join(names)} (a file of your own: `load`)"
        )
    text = (folder / f"{name}.yaml").read_text(encoding="utf-8")
    return _dressed(_parse(text, name=name, source=f"built-in pool {name}", folder=Path()), attacks, prompts)


def _dressed(pool: AgentPool, attacks: Mapping[str, str] | None, prompts: str | Path | None) -> AgentPool:
    pool = attacked(pool, attacks or {})
    return pool if prompts is None else replace(pool, prompts=read_prompts(prompts))


def named(name: str) -> AgentPool:
    """Return the pool in the YAML file of that name, or the built-in one."""
    return load(name) if name.endswith((".yaml", ".yml")) or os.sep in name else builtin(name)


def attacked(pool: AgentPool, attacks: Mapping[str, str]) -> AgentPool:
    """Return the pool with the agents of some roles turned against their team.

    Name, profile and LLM of a turned agent stay, so nothing that a designer reads tells it apart; what it is
    told at the end of its system prompt is in `gdesign.agents.prompt.ATTACKS`.

    Args:
        pool: Any pool.
        attacks: Name of an attack (`liar`, `injector`, `babbler`) by name of the role.

    Raises:
        PoolError: There is no such role or attack.
    """
    for name, attack in attacks.items():
        pool.role(name)
        _check_attack(attack, f"pool {pool.name!r}: the attack on {name!r}")
    roles = tuple(replace(r, attack=attacks[r.name]) if r.name in attacks else r for r in pool.roles)
    return replace(pool, roles=roles)


def read_prices(path: str | Path) -> dict[str, tuple[float, float]]:
    """Return USD per million prompt and completion tokens by LLM name.

    The file is CSV with the columns model, usd_per_1M_input, usd_per_1M_output.

    Raises:
        MissingDataError: There is no such file.
        DataError: A column is missing, or the file is not CSV.
        PoolError: A price is no number, or an LLM stands there twice.
    """
    columns = ("model", "usd_per_1M_input", "usd_per_1M_output")
    sheet = read_sheet(Path(path), needs=columns)
    at = [sheet.header.index(name) for name in columns]
    prices: dict[str, tuple[float, float]] = {}
    for line, row in sheet.rows:
        model, *texts = (row[i].strip() for i in at)
        if model in prices:
            raise PoolError(f"{path}:{line}: {model!r} has two prices; keep one")
        try:
            usd_in, usd_out = map(sheet.number, texts)
        except ValueError:
            raise PoolError(
                f"{path}:{line}: the prices of {model!r} are {texts[0]!r} and {texts[1]!r}; give numbers, in USD per "
                "million tokens"
            ) from None
        prices[model] = usd_in, usd_out
    return prices


def priced(name: str, models: Iterable[str], prices: Mapping[str, tuple[float, float]]) -> AgentPool:
    """Return a pool with one neutral role and the LLMs given, profiled by name, family, size and price.

    No profile holds a score. Prices are USD per million prompt and completion tokens.

    Raises:
        PoolError: An LLM has no price.
    """
    llms = []
    for model in models:
        if model not in prices:
            raise PoolError(f"LLM {model!r} of pool {name!r} has no price; add it to the price list or leave it out")
        usd_in, usd_out = prices[model]
        llms.append(
            LLM(
                name=model, profile=describe(model, usd_in, usd_out), usd_per_1M_input=usd_in, usd_per_1M_output=usd_out
            )
        )
    return AgentPool(name=name, roles=(SOLVER,), llms=tuple(llms))


def describe(model: str, usd_per_1M_input: float, usd_per_1M_output: float) -> str:
    """Return what encoders read of an LLM: its name, family, size where the name tells it, and price."""
    parts = [model]
    low = model.lower()
    prefixes = [p for p in FAMILIES if low.startswith(p)]
    if prefixes:
        parts.append(f"family {FAMILIES[max(prefixes, key=len)]}")
    if size := SIZE.search(model):
        parts.append(f"{size[1]} billion parameters")
    else:
        words = re.split(r"[^a-z]+", low)
        if any(w in SMALL for w in words):
            parts.append("a small model of its family")
        elif any(w in LARGE for w in words):
            parts.append("a large model of its family")
    parts.append(f"{usd_per_1M_input:g} USD per million prompt tokens, {usd_per_1M_output:g} per million written")
    return "; ".join(parts) + "."


# --------------------------------------------------------------------------- YAML


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice, of which YAML keeps only the last without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                continue  # nothing that can be a key, as SafeLoader says
            key = key_node.value
            if key in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key!r} is given twice", problem_mark=key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+"), list("-+0123456789")
)  # 1e-3 is a number in YAML 1.2, and a text in the 1.1 that PyYAML reads


def _parse(text: str, *, name: str, source: str, folder: Path) -> AgentPool:
    try:
        data = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise PoolError(f"{source} is not YAML: {error}; mend the line it names") from None
    except (ValueError, RecursionError) as error:  # a date that is none, brackets by the thousand
        raise PoolError(f"{source} is not YAML with the text of a pool: {error}") from None
    lists = {"operators": list, "anchor": list, "candidates": list}
    top = _entry(data, source, {"roles": list, "llms": list}, {**lists, "prompts": str})
    candidates = _candidates(top.get("candidates"), f"{source}: candidates")
    used = list(dict.fromkeys(c.operator for c in candidates)) or ["answer"]
    named = "operators" in top
    given = (top["operators"], f"{source}: operators") if named else (used, f"{source}: operators of candidates")
    try:
        return AgentPool(
            name=name,
            roles=tuple(_role(x, f"{source}: roles[{i}]") for i, x in enumerate(top["roles"])),
            llms=tuple(_llm(x, f"{source}: llms[{i}]") for i, x in enumerate(top["llms"])),
            operators=_operators(*given),
            anchor=_anchor(top.get("anchor", []), f"{source}: anchor"),
            candidates=candidates,
            prompts=read_prompts(folder / top["prompts"]) if "prompts" in top else None,
        )
    except PoolError as error:
        raise error if str(error).startswith(source) else PoolError(f"{source}: {error}") from None


def _entry(data: object, where: str, required: Mapping[str, Any], optional: Mapping[str, Any]) -> dict[str, Any]:
    kinds = {**required, **optional}
    if not isinstance(data, dict):
        raise PoolError(f"{where} is {_shown(data)}; expected a mapping with the keys {', '.join(kinds)}")
    if isinstance(data.get("name"), str):
        where = f"{where} ({data['name']})"
    if unknown := [k for k in data if k not in kinds]:
        raise PoolError(f"{where} has the unknown key {unknown[0]!r}; expected {', '.join(kinds)}")
    if missing := [k for k in required if data.get(k) is None]:
        raise PoolError(f"{where} lacks {missing[0]}; add it")
    for key, value in data.items():
        if not isinstance(value, kinds[key]) or isinstance(value, bool):
            expected = {str: "a text", list: "a list", int: "a whole number"}.get(kinds[key], "a number")
            raise PoolError(f"{where}: {key} is {_shown(value)}; expected {expected}")
        if key == "name" and not value.strip():
            raise PoolError(f"{where}: name is empty; give one")
        if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            raise PoolError(f"{where}: {key} holds half a character (a lone surrogate), {_shown(value)}; leave it out")
    return data


def _role(data: object, where: str) -> Role:
    role = Role(**_entry(data, where, {"name": str, "profile": str}, {"domain": str, "attack": str}))
    if role.attack:
        _check_attack(role.attack, f"{where} ({role.name}): attack")
    return role


def _check_attack(attack: str, where: str) -> None:
    if attack not in ATTACKS:
        raise PoolError(f"{where} is {_shown(attack)}; expected one of {', '.join(ATTACKS)}")


def _llm(data: object, where: str) -> LLM:
    if isinstance(data, dict):
        for key in ("usd_per_1M_input", "usd_per_1M_output"):
            if data.get(key) is None:
                name = data.get("name", "?")
                raise PoolError(
                    f"{where} ({name}) has no price {key}; give it in USD per million tokens (0 if it costs nothing)"
                )
    prices = {"usd_per_1M_input": int | float, "usd_per_1M_output": int | float}
    texts = {"profile": str, "base_url": str, "api_key_env": str}
    others = {"usd_per_1M_cached_input": int | float, "context": int, **texts}
    return LLM(**_entry(data, where, {"name": str, **prices}, others))


def _operators(data: list[object], where: str) -> tuple[str, ...]:
    for i, name in enumerate(data):
        if not isinstance(name, str) or name not in OPERATORS:
            raise PoolError(
                f"{where}[{i}] is {_shown(name)}; expected one of {', '.join(OPERATORS)} (ways of working that were "
                "recorded come with their outcome table: pool=recorded)"
            )
    if not data:
        raise PoolError(f"{where} is empty; name at least one of {', '.join(OPERATORS)}, or leave the key out")
    return _distinct(map(str, data), where)


def _anchor(data: list[Any], where: str) -> tuple[tuple[str, str], ...]:
    for i, pair in enumerate(data):
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(x, str) for x in pair)):
            raise PoolError(f"{where}[{i}] is {_shown(pair)}; expected two names of roles, [speaker, hearer]")
    return _distinct(((pair[0], pair[1]) for pair in data), where)


def _candidates(data: list[object] | None, where: str) -> tuple[Candidate, ...]:
    if data is None:
        return ()
    if not data:
        raise PoolError(f"{where} is empty; name at least one, or leave the key out to offer every combination")
    entries = (_entry(x, f"{where}[{i}]", {"role": str, "llm": str}, {"operator": str}) for i, x in enumerate(data))
    return _distinct((Candidate(**entry) for entry in entries), where)


def _distinct(entries: Iterable[Any], where: str) -> tuple[Any, ...]:
    seen: dict[Hashable, None] = {}
    for entry in entries:
        if entry in seen:
            raise PoolError(f"{where} names {_shown(entry)} twice; keep one")
        seen[entry] = None
    return tuple(seen)


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(str, value)) + "]"
    return (
        "empty"
        if value is None
        else ascii(value)[:80]
        if isinstance(value, str) and not value.isprintable()
        else repr(value)[:80]
    )
