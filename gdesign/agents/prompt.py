"""The prompt an agent gets: one pure function."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Formatter
from typing import Any

import yaml

from gdesign.errors import MissingDataError, PoolError, UnsupportedRequestError
from gdesign.files import text_of
from gdesign.types import Agent, AgentPool, Message, Task

PROMPTS: Mapping[str, Any] = yaml.safe_load((files("gdesign.agents") / "prompts.yaml").read_bytes())
"""The words of prompts, where a pool brings none of its own; prompts.yaml says what they are."""

OPERATORS: Mapping[str, str] = PROMPTS["operators"]
"""What each operator adds to the system prompt."""

SEVERAL_CALLS = ("program", "test", "self_refine", "reflect")
"""The operators that go on after the first reply; see `gdesign.execute.operators`."""

OWN_FORM = ("program", "test")
"""The operators whose words say what form the reply has, so that nothing else is asked of it."""

PLACES = ("system", "user")
"""Where the form of the answer may be asked for: at the end of the system message, or of the user message."""

ATTACKS: Mapping[str, str] = PROMPTS["attacks"]
"""What each attack puts at the end of the system prompt of an agent that was turned."""

MAX_QUOTED = 16_000
"""The most characters of one message that its hearers get, and of its own that an agent gets again (some 4,000 tokens).

Of a longer one they get the beginning and the end, and in between a line that says how much was left out.
"""

BYTES_PER_TOKEN = 3
"""What a token is taken for where a context is limited: fewer than most models make of English."""
FOR_PROMPT = 3 / 4
"""The share of a limited context that prompts may fill; the rest is for the reply."""


def prompt(
    agent: Agent, task: Task, *, pool: AgentPool, heard: Sequence[tuple[str, str]] = (), previous: str | None = None
) -> tuple[Message, Message]:
    """Return the chat for one turn of an agent.

    What others said is data: every line of it is quoted, so no text can break out of its quote, and what is
    too long is cut (`MAX_QUOTED`). Nothing outside the quotes depends on it. Where the agent's LLM has a limited
    context, quotes are cut further, the longest first, until the rest of it holds the reply.

    Args:
        agent: Who speaks.
        task: The question.
        pool: Knows the role's profile, the LLM's context and the words of prompts.
        heard: Role name and text of each agent it hears, in agent order.
        previous: Its own reply of the round before.

    Returns:
        A system message (role, operator, form of the answer, attack) and a user message (question, choices,
        what was heard, its own earlier reply); the form may end the user message instead.

    Raises:
        UnsupportedRequestError: No prompt tells how the agent works, since that was recorded elsewhere.
    """
    role = pool.role(agent.role)
    refuse_unprompted(agent.operator)
    words = words_of(pool)
    titles, form = words["titles"], form_of(agent.operator, task, words)
    system = [role.profile, words["operators"][agent.operator]]
    if form and words["place"] == "system":
        system.append(form)
    user = [titles["question"]] if titles["question"] else []
    user.append(task.question)
    if task.options:
        user += ["", *(f"({chr(65 + i)}) {option}" for i, option in enumerate(task.options))]
    if heard:
        system.append(words["quotes"])
    if role.attack:
        system.append(words["attacks"][role.attack])
    end = ["", form] if form and words["place"] == "user" else []
    texts = [text for _, text in heard] + ([] if previous is None else [previous])
    quotes = [quoted(text) for text in texts]
    context = pool.llm(agent.llm).context
    if context is not None and quotes:
        speakers = [f"\n\n{speaker}:\n" for speaker, _ in heard]
        frame = [*system, *user, *end, titles["heard"], titles["previous"], *speakers]
        quotes = _fitted(texts, quotes, room=_room(context) - _size("\n".join(frame)) - 20)
    if heard:
        user += ["", titles["heard"]]
        for (speaker, _), quote in zip(heard, quotes, strict=False):
            user += ["", f"{speaker}:", quote]
    if previous is not None:
        user += ["", titles["previous"], "", quotes[-1]]
    return Message("system", "\n".join(system)), Message("user", "\n".join([*user, *end]))


def words_of(pool: AgentPool) -> Mapping[str, Any]:
    """Return the words of the prompts of a pool."""
    return PROMPTS if pool.prompts is None else pool.prompts


def form_of(operator: str, task: Task, words: Mapping[str, Any]) -> str:
    """Return what is asked of the form of an answer; empty where the operator or the question says it."""
    if operator in OWN_FORM or (task.wants_program and "```python" in task.question):
        return ""
    form: str = words["forms"]["program" if task.wants_program else "words"]
    return form


def read_prompts(path: str | Path) -> Mapping[str, Any]:
    """Return the words of prompts in a YAML file of the form of prompts.yaml; what it leaves out is the package's own.

    Raises:
        MissingDataError: There is no such file.
        DataError: It is in an encoding that cannot be told.
        PoolError: It is not YAML, or an entry is unknown or no text; the message names the file and the entry.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingDataError(f"there is no file of prompts {path}; gdesign/agents/prompts.yaml shows what one holds")
    try:
        data = yaml.safe_load(text_of(path))
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date that is none, brackets by the thousand
        raise PoolError(f"{path} is not YAML: {error}; mend the line it names") from None
    words = _replaced(PROMPTS, {} if data is None else data, str(path))
    if words["place"] not in PLACES:
        raise PoolError(f"{path}: place is {words['place']!r}; expected {' or '.join(PLACES)}")
    for name, own in PROMPTS["turns"].items():
        fields = [field for _, field, _, _ in Formatter().parse(own) if field]
        try:
            if fields:  # else braces are braces
                words["turns"][name].format(**dict.fromkeys(fields, ""))
        except (LookupError, ValueError, AttributeError):
            raise PoolError(
                f"{path}: turns: {name} has braces that name nothing; there are "
                f"{' and '.join(f'{{{field}}}' for field in fields)}, and {{{{ and }}}} for others"
            ) from None
    return words


def _replaced(words: Mapping[str, Any], by: object, where: str) -> dict[str, Any]:
    if not isinstance(by, dict):
        raise PoolError(f"{where} is {str(by)[:80]!r}; expected a mapping with any of {', '.join(words)}")
    new = dict(words)
    for key, value in by.items():
        if key not in words:
            raise PoolError(f"{where} has the unknown key {key!r}; expected {', '.join(words)}")
        if isinstance(words[key], dict):
            new[key] = _replaced(words[key], value, f"{where}: {key}")
        elif isinstance(value, str):
            new[key] = value
        else:
            raise PoolError(f"{where}: {key} is {str(value)[:80]!r}; expected a text")
    return new


def refuse_unprompted(operator: str) -> None:
    """Raise UnsupportedRequestError where no LLM can be told to work by an operator."""
    if operator not in OPERATORS:
        raise UnsupportedRequestError(
            f"the operator {operator!r} is a way of working that was recorded elsewhere, and no prompt tells an LLM of "
            f"it; answer from the recording (llm=recorded), or let agents work by {', '.join(OPERATORS)}"
        )


def quoted(text: str, most: int = MAX_QUOTED) -> str:
    r"""Return a text with `> ` before each line, whatever ends its lines; cut where it exceeds `most` characters.

    What no UTF-8 request could carry (half a surrogate pair, as a reply that was cut may hold) is a `?`.
    """
    text = cut(text, most)
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    return "> " + "\n> ".join(text.splitlines())


def cut(text: str, most: int) -> str:
    """Return the beginning and the end of a text that is longer than `most` characters, and what was left out."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n[{len(text) - 2 * half:,} characters are left out here]\n{text[len(text) - half :]}"


# --------------------------------------------------------------------------- limited contexts


def fitted(talk: Sequence[Message], *, context: int | None) -> tuple[Message, ...]:
    """Return a chat that fits into a context of so many tokens: what the agent said before is cut, the longest first.

    The first two messages and the last one stay as they are.
    """
    first, said, last = talk[:2], talk[2:-1], talk[-1:]
    if context is None or not said:
        return tuple(talk)
    texts = [message.content for message in said]
    kept = _fitted(texts, texts, room=_room(context) - sum(_size(m.content) for m in (*first, *last)), quotes=False)
    return (*first, *(Message(m.role, text) for m, text in zip(said, kept, strict=True)), *last)


def _room(context: int) -> int:
    return int(context * FOR_PROMPT * BYTES_PER_TOKEN)


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


_MARK = 60  # bytes that say what was left out


def _fitted(texts: Sequence[str], shown: Sequence[str], *, room: int, quotes: bool = True) -> list[str]:
    """Return texts as they are shown, the longest cut until all of them take no more than so many bytes together."""
    sizes = [_size(text) for text in shown]
    if sum(sizes) <= room:
        return list(shown)
    share, left = 0, max(0, room)
    for i, size in enumerate(sorted(sizes)):
        share = left // (len(sizes) - i)
        if size > share:
            break
        left -= size
    fit = []
    for text, as_shown, size in zip(texts, shown, sizes, strict=True):
        if size <= share:
            fit.append(as_shown)
            continue
        most = max(0, share - _MARK) * min(len(text), MAX_QUOTED) // size
        fit.append(quoted(text, most) if quotes else cut(text, most))
    return fit
