"""What a recording holds, in words and in a table."""

from collections import Counter
from collections.abc import Iterable

from gdesign.llm.calls import Call
from gdesign.types import AgentPool

SUMMED = ("calls", "prompt tokens", "of them cached", "completion tokens", "counted here", "seconds")


def stats(calls: Iterable[Call], *, pool: AgentPool | None = None) -> str:
    """Return a table with a row for each LLM, with USD by a pool's prices, and from when to when they were asked.

    Raises:
        PoolError: The pool lacks an LLM.
    """
    found: dict[str, tuple[dict[str, float], Counter[str], Counter[str]]] = {}
    first, last = "", ""
    for call in calls:
        reply, usage = call.reply, call.reply.usage
        sums, faults, reasons = found.setdefault(call.request.llm, (dict.fromkeys(SUMMED, 0), Counter(), Counter()))
        prompts = usage.prompt_tokens, usage.cached_tokens
        taken = (reply.num_calls, *prompts, usage.completion_tokens, usage.counted, reply.seconds)
        for name, amount in zip(SUMMED, taken, strict=True):
            sums[name] += amount
        faults.update(reply.faults)
        reasons[reply.finish_reason] += 1
        first, last = min(first or call.time, call.time), max(last, call.time)
    if not found:
        return "no calls"
    rows = [["LLM", *SUMMED, "faults", "ended by", *(["USD"] if pool is not None else [])]]
    for llm, (sums, faults, reasons) in sorted(found.items()):
        numbers = [f"{sums[name]:,.1f}" if name == "seconds" else f"{sums[name]:,}" for name in SUMMED]
        row = [llm, *numbers, _counts(faults) or "none", _counts(reasons)]
        if pool is not None:
            _, sent, cached, said, *_ = map(int, sums.values())
            usd = pool.llm(llm).usd(prompt_tokens=sent, completion_tokens=said, cached_tokens=cached)
            row.append(f"{usd:,.4f}")
        rows.append(row)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    words = (0, 1 + len(SUMMED), 2 + len(SUMMED))  # to the left, and numbers to the right
    lines = (
        "  ".join(f"{cell:{'<' if i in words else '>'}{widths[i]}}" for i, cell in enumerate(row)).rstrip()
        for row in rows
    )
    return "\n".join([*lines, "", f"from {first} to {last}"])


def show(call: Call) -> str:
    """Return what was asked and answered, with all that is known of it."""
    request, reply = call.request, call.reply
    asked = f"temperature {request.temperature:g}, max_tokens {request.max_tokens}, sample {request.sample}"
    cached = f" ({reply.usage.cached_tokens} cached)" if reply.usage.cached_tokens else ""
    tokens = f"{reply.usage.prompt_tokens}{cached} + {reply.usage.completion_tokens} tokens"
    by = [f"by {reply.model}"] if reply.model else []
    about = [tokens, f"{reply.seconds:.2f} s", reply.finish_reason, str(reply.label), *by, *reply.faults]
    parts = [f"== {request.llm}, {asked}, {call.time}"]
    parts += [f"[{m.role}]\n{m.content}" for m in request.messages]
    if reply.reasoning:
        parts.append(f"[thoughts]\n{reply.reasoning}")
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
