"""What an endpoint says where it does not answer: every server's form of an error, and what it means.

Servers that speak OpenAI's protocol agree on a reply and not on an error. It stands in `error`, in `detail`, in
`message`, in a list, in a choice, or under a status that HTTP calls a success. All are read here, into one `Refusal`.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

FILTERED = frozenset(
    {"content_filter", "content_policy_violation", "invalid_prompt", "data_inspection_failed", "datainspectionfailed",
     "responsibleaipolicyviolation", "1301"}
)  # fmt: skip
"""Codes by which a filter refuses a prompt: of Azure, OpenAI, Alibaba, Zhipu."""
NO_CREDIT = frozenset(
    {"insufficient_quota", "exceeded_current_quota_error", "billing_hard_limit_reached", "billing_not_active",
     "insufficient_balance", "insufficient_credits", "arrearage", "1113"}
)  # fmt: skip
"""Codes by which an account has nothing left: of OpenAI, Moonshot, Alibaba, Zhipu."""
UNSUPPORTED = frozenset({"unsupported_parameter", "unsupported_value"})
"""Codes by which OpenAI's models refuse a field, whatever the prompt is."""
STATUSES = {
    401: ("invalid_api_key", "authentication_error", "unauthorized", "unauthenticated", "invalid_authentication_error"),
    403: ("permission_denied", "permission_error", "forbidden", "permission_denied_error"),
    404: ("model_not_found", "not_found_error", "not_found", "notfounderror"),
    429: ("rate_limit_exceeded", "rate_limit_error", "rate_limited", "ratelimitreached", "too_many_requests",
          "resource_exhausted", "throttling_error", "throttling"),
    400: ("invalid_request_error", "invalid_argument", "bad_request", "badrequesterror", "context_length_exceeded"),
    500: ("server_error", "api_error", "internal_error", "internal_server_error", "internal"),
    503: ("overloaded_error", "unavailable", "service_unavailable", "engine_overloaded_error"),
}  # fmt: skip
"""Words for a status, where HTTP says 200 and the body holds no number."""

_NO_CREDIT = re.compile(
    r"insufficient (account )?(balance|credits?|quota|funds)|(credit )?balance is too low|(no|any|out of) credits\b"
    r"|used all available credits|monthly spending limit|requires? more credits|exceeded your current quota"
    r"|suspended due to|in arrears|good standing|余额不足|欠费",
    re.IGNORECASE,
)
_KEY = re.compile(
    r"api[ _-]?key\b.{0,30}\b(invalid|not valid|not found|expired|missing|required|revoked)"
    r"|(invalid|incorrect|wrong|expired|missing|no|valid) (api[ _-]?key|auth|(access|bearer) token|credentials)\b"
    r"|unauthori[sz]ed|unauthenticated|authentication (failed|required|error)",
    re.IGNORECASE,
)
_MODEL = re.compile(
    r"\bmodel\b.{0,80}\b(not exist|not found|does not exist|n[o']t loaded|unknown)"
    r"|(invalid|unknown|no|no such) models?\b(?! (is |are )?overloaded)|not a valid model|no models? loaded"
    r"|unexpected endpoint|unknown (endpoint|path|route)|no route|page not found",
    re.IGNORECASE,
)
_SYSTEM = re.compile(
    r"\b(system|developer)\W{0,3}(role|message|prompt|instruction|field)s?\b.{0,40}\b(not|n't|unsupported|disabled)"
    r"|(\bnot|n't|unsupported|invalid|unexpected)\b.{0,40}\b(system|developer)\W{0,3}(role|message|prompt|instr|field)"
    r"|\brole\b.{0,60}\b(not|n't|unsupported|invalid)\b.{0,20}\bsystem\b|(invalid|unexpected|unknown) role\W{0,4}system"
    r"|(?<!system message, conversation )roles must alternate|messages\[0\]\.role"
    r"|only (user|assistant)( and|,| or|/).{0,20}roles?\b",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(
    r"too (long|large|big|many tokens)|exceed|at most \d|maximum (context |allowed )?length", re.IGNORECASE
)
_SUCCESS = re.compile(r"0+|200|ok|success(ful(ly)?)?|succeeded|none|no error|normal|\s*", re.IGNORECASE)
_COMPLAINT = re.compile(
    r"support|unknown|unrecogni[sz]ed|unexpected|forbidden|permitted|allowed|not (a )?valid|invalid|deprecated"
    r"|cannot find|must be|should be|may only|too (large|small|high|low)|at (most|least)|accept|cannot be|maximum"
    r"|not implemented|removed|not available",
    re.IGNORECASE,
)
_LENGTH = re.compile(
    r"context|too long|input (length|tokens)|prompt (tokens|length|is)|reduce the length", re.IGNORECASE
)
_DURATION = re.compile(
    r"(\d+(?:\.\d+)?)\s*(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?)?(?![a-z])"
)
_UNITS = {"m": 60.0, "s": 1.0, "h": 3600.0, "d": 86400.0}
_TRY_AGAIN = re.compile(
    r"(?:(?:try|retry)(?: again| your request)?|wait|resets?)(?: in| after| for)?:? (?:about )?(?:pt(?=\d))?"
    r"((?:\d+(?:\.\d+)?\s*[a-z]+\s*)+)"
)
_OWN = ("model", "messages")
"""Fields that no option leaves out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An error that an endpoint tells.

    Attributes:
        status: HTTP's, or that of the body where it says a more exact one; 0 where HTTP says 200 and the body no other.
        words: Its codes and types, in lower case.
        message: What a person reads.
        fields: Names of fields of the request that it holds for wrong.
        partial: Whether part of a reply came with it, so that it may have been billed.
        flagged: Whether a filter flagged the prompt.
        wait: Seconds that it asks to wait; None if it does not say.
    """

    status: int
    words: frozenset[str] = frozenset()
    message: str = ""
    fields: tuple[str, ...] = ()
    partial: bool = False
    flagged: bool = False
    wait: float | None = None

    @property
    def filtered(self) -> bool:
        """Whether a filter refused this prompt."""
        return self.flagged or (self.status in (0, 400) and bool(self.words & FILTERED))

    @property
    def no_credit(self) -> bool:
        """Whether the account has nothing left; a limit that passes within a told time is none of that."""
        if self.status == 402 or self.words & NO_CREDIT:
            return True
        return self.status in (0, 400, 403, 412, 429) and self.wait is None and bool(_NO_CREDIT.search(self.message))

    @property
    def wrong_key(self) -> bool:
        """Whether it is about the key, whatever its status says."""
        return "api_key_invalid" in self.words or bool(_KEY.search(self.message))

    @property
    def wrong_model(self) -> bool:
        """Whether there is no such model, or no chat completions at this address, whatever its status says."""
        return "invalid_model" in self.words or bool(_MODEL.search(self.message))

    @property
    def wrong_role(self) -> bool:
        """Whether the model knows no system prompt."""
        if any(name.startswith("messages[0].role") for name in self.fields):
            return True
        return bool(_SYSTEM.search(self.message)) and not _TOO_LONG.search(self.message)

    def field_among(self, sent: Collection[str]) -> str | None:
        """Return the field, of those that were sent, that the model does not take; None where that is not the matter.

        A prompt that is too long, which a limit on tokens may be named in, is another thing.
        """
        able = [name for name in sent if name not in _OWN]
        if _LENGTH.search(self.message) and not self.words & UNSUPPORTED:
            return None
        for name in self.fields:
            head = re.split(r"[.\[]", name)[0]
            if head in able or (self.words & UNSUPPORTED and head not in _OWN):
                return head
        if not _COMPLAINT.search(self.message):
            return None
        return next((name for name in able if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", self.message)), None)


def refusal_of(status: int, headers: Mapping[str, str], body: Any) -> Refusal | None:
    """Return the error that a response tells; None where its status is 200 and it is none.

    Args:
        status: HTTP's.
        headers: By names in lower case.
        body: What its JSON holds; a text where it is no JSON.
    """
    outer = body[0] if isinstance(body, list) and body else body
    if not isinstance(outer, Mapping):
        if status == 200:
            return None
        return Refusal(status=status, message=str(outer or ""), wait=_wait(headers, {}, str(outer or "")))
    inner = _inner(outer)
    if status == 200 and not inner and outer.get("choices"):
        return None
    levels = [level for level in (inner, outer) if isinstance(level, Mapping)]
    message = inner if isinstance(inner, str) else next(filter(None, map(_message, levels)), "")
    numbers = [number for level in levels for number in _numbers(level)]
    words = frozenset(word for level in levels for word in _words(level))
    if status == 200:
        by_word = (known for known, names in STATUSES.items() if words & set(names))
        status = next(iter(numbers), next(by_word, 0))
    elif numbers and (status == 400 or status >= 500):
        status = numbers[0]
    metadata = next((m for level in levels if isinstance(m := level.get("metadata"), Mapping)), {})
    if (raw := metadata.get("raw")) and str(raw) not in message:
        message = f"{message}: {raw}" if message else str(raw)
    return Refusal(
        status=status,
        words=words,
        message=message,
        fields=tuple(dict.fromkeys(name for level in levels for name in _fields(level))),
        partial=bool(outer.get("choices")),
        flagged="flagged_input" in metadata,
        wait=_wait(headers, metadata, message, *levels),
    )


def _inner(outer: Mapping[str, Any]) -> Any:
    """Return the error within a body: a mapping, a text, or nothing."""
    if (error := outer.get("error")) and not _is_none(error):
        return error
    choices = outer.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], Mapping) and (error := choices[0].get("error")):
        return None if _is_none(error) else error
    base = outer.get("base_resp")  # MiniMax's
    return base if isinstance(base, Mapping) and base.get("status_code") else None


def _is_none(error: Any) -> bool:
    """Return whether an error says that there is none: no code but that of success, and no words but its."""
    if not isinstance(error, Mapping) or error.get("type"):
        return False
    said = (error.get("code"), error.get("status"), _message(error) or None)
    return all(word is None or word is False or _SUCCESS.fullmatch(str(word).strip()) for word in said)


def _message(level: Mapping[str, Any]) -> str:
    for name in ("message", "detail", "status_msg", "msg", "error_description", "errors"):
        if text := _text(level.get(name)):
            return text
    return ""


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        where = value.get("loc")
        place = ".".join(map(str, where)) + ": " if isinstance(where, list) else ""
        return place + _message(value)
    return "; ".join(filter(None, map(_text, value))) if isinstance(value, list) else ""


def _numbers(level: Mapping[str, Any]) -> Iterator[int]:
    for name in ("code", "status", "status_code", "statusCode", "http_status"):
        value = level.get(name)
        if re.fullmatch(r"[45]\d\d", str(value)) and not isinstance(value, bool):
            yield int(str(value))


def _words(level: Mapping[str, Any]) -> Iterator[str]:
    for name in ("code", "type", "status", "error_type", "reason"):
        if isinstance(value := level.get(name), str | int):
            yield str(value).lower().replace(" ", "_")
    for name in ("innererror", "details", "metadata"):
        for part in _mappings(level.get(name)):
            yield from _words(part)


def _fields(level: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(param := level.get("param"), str):
        yield param
    for name in ("detail", "message", "errors"):
        for part in _mappings(level.get(name)):
            if isinstance(where := part.get("loc"), list):
                yield ".".join(str(step) for step in where if step != "body")
            yield from _fields(part)


def _mappings(value: Any) -> Iterable[Mapping[str, Any]]:
    return [part for part in (value if isinstance(value, list) else [value]) if isinstance(part, Mapping)]


# --------------------------------------------------------------------------- how long to wait


def _wait(
    headers: Mapping[str, str], metadata: Mapping[str, Any], message: str, *levels: Mapping[str, Any]
) -> float | None:
    """Return the seconds that an error asks to wait: by its headers, else its body, else when its limits are reset."""
    if (wait := retry_after(headers)) is not None:
        return wait
    for level in levels:
        for name in ("retry_after", "retry_after_seconds", "resets_in_seconds", "retryDelay"):
            if (wait := _seconds(level.get(name))) is not None:
                return wait
        for part in _mappings(level.get("details")):
            if (wait := _seconds(part.get("retryDelay"))) is not None:
                return wait
    if (found := _TRY_AGAIN.search(message.lower())) and (wait := _seconds(found[1])) is not None:
        return wait
    within = metadata.get("headers")  # those of who stands behind a gateway
    behind = {str(k).lower(): str(v) for k, v in within.items()} if isinstance(within, Mapping) else {}
    return next((wait for wait in (retry_after(behind), _reset(headers), _reset(behind)) if wait is not None), None)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a response asks to wait; None if it does not say so readably."""
    if "retry-after-ms" in headers and (wait := _seconds(headers["retry-after-ms"], unit=0.001)) is not None:
        return wait
    value = headers.get("retry-after", "")
    if (wait := _seconds(value)) is not None:
        return wait
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time())
    except (ValueError, OverflowError):
        return None


def _reset(headers: Mapping[str, str]) -> float | None:
    """Return when the limits that are spent are reset, or the first of them where it is not said which are."""
    waits: dict[bool, list[float]] = {True: [], False: []}
    for name, value in headers.items():
        if "ratelimit-reset" in name and (wait := _seconds(value)) is not None:
            waits[headers.get(name.replace("-reset", "-remaining")) == "0"].append(wait)
    return max(waits[True]) if waits[True] else min(waits[False], default=None)


def _seconds(value: Any, *, unit: float = 1.0) -> float | None:
    """Return the seconds of a number, `6m0s`, `20 seconds` or `579ms`, or until a moment (in s or ms)."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        text = str(value).strip().lower() if isinstance(value, str) else ""
        text = re.sub(r"^pt(?=\d)", "", text)  # ISO 8601's PT20S
        found = _DURATION.findall(text)
        if not found or not re.match(r"\d", text):
            return None
        if re.sub(r"(and|[\s,.])+", "", _DURATION.sub("", text)):
            return None  # more than a duration: a date begins with a number, too
        return sum(
            float(n) * (0.001 if u[:2] in ("ms", "mi") and u[:3] != "min" else _UNITS.get(u[:1], 1.0)) for n, u in found
        )
    if isinstance(value, bool) or number != number:
        return None
    if number > 1e9:  # no wait, but a moment
        return max(0.0, (number / 1000 if number > 1e11 else number) - time())
    return max(0.0, number * unit)
