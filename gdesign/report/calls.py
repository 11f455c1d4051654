"""What a recording holds, in words and in a table."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gdesign.llm.recording import Call
from gdesign.types import AgentPool

COLUMNS = ("LLM", "calls", "prompt tokens", "completion tokens", "counted here", "seconds", "faults", "ended by")


@dataclass(slots=True)
class _Sum:
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    counted: int = 0
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, call: Call) -> None:
        reply = call.reply
        self.calls += reply.num_calls
        self.prompt_tokens += reply.usage.prompt_tokens
        self.completion_tokens += reply.usage.completion_tokens
        self.counted += reply.usage.counted
        self.seconds += reply.seconds
        self.faults.update(reply.faults)
        self.reasons[reply.finish_reason] += 1


def stats(calls: Iterable[Call], *, pool: AgentPool | None = None) -> str:
    """Return a table with a row for each LLM, and from when to when they were asked.

    Args:
        calls: What to sum up; gone through once.
        pool: Knows the prices; None for no USD.

    Raises:
        PoolError: The pool lacks an LLM.
    """
    sums: dict[str, _Sum] = {}
    first, last = "", ""
    for call in calls:
        sums.setdefault(call.request.llm, _Sum()).add(call)
        first, last = min(first or call.time, call.time), max(last, call.time)
    if not sums:
        return "no calls"
    rows = [[*COLUMNS, *(["USD"] if pool is not None else [])]]
    for name, found in sorted(sums.items()):
        row = [
            name,
            f"{found.calls:,}",
            f"{found.prompt_tokens:,}",
            f"{found.completion_tokens:,}",
            f"{found.counted:,}",
            f"{found.seconds:,.1f}",
            _counts(found.faults) or "none",
            _counts(found.reasons),
        ]
        if pool is not None:
            usd = pool.llm(name).usd(prompt_tokens=found.prompt_tokens, completion_tokens=found.completion_tokens)
            row.append(f"{usd:,.4f}")
        rows.append(row)
    return f"{_table(rows)}\n\nfrom {first} to {last}"


def show(call: Call) -> str:
    """Return what was asked and answered, with all that is known of it."""
    request, reply = call.request, call.reply
    asked = f"temperature {request.temperature:g}, max_tokens {request.max_tokens}, sample {request.sample}"
    tokens = f"{reply.usage.prompt_tokens} + {reply.usage.completion_tokens} tokens"
    about = [tokens, f"{reply.seconds:.2f} s", reply.finish_reason, str(reply.label), *reply.faults]
    parts = [f"== {request.llm}, {asked}, {call.time}"]
    parts += [f"[{m.role}]\n{m.content}" for m in request.messages]
    parts.append(f"[reply: {', '.join(about)}]\n{reply.text}")
    # a terminal shows no lone surrogates
    return "\n".join(parts).encode(errors="backslashreplace").decode() + "\n"


def chosen(call: Call, *, llm: str | None = None, reason: str | None = None, grep: str | None = None) -> bool:
    """Return whether a call is of an LLM, ended by a reason and holds a text, in whichever case."""
    if (llm is not None and call.request.llm != llm) or (reason is not None and call.reply.finish_reason != reason):
        return False
    texts = (*(m.content for m in call.request.messages), call.reply.text)
    return grep is None or any(grep.casefold() in text.casefold() for text in texts)


def _counts(found: Counter[str]) -> str:
    return ", ".join(f"{word} {num:,}" for word, num in found.most_common())


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    # numbers to the right, words to the left
    left = {0, COLUMNS.index("faults"), COLUMNS.index("ended by")}
    lines = (
        "  ".join(
            cell.ljust(w) if i in left else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)
