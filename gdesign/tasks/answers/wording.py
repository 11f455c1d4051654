"""What of an answer is the formula: words before it, units behind it and remarks beside it are left out."""

from collections.abc import Sequence

from gdesign.tasks.answers.notation import Token

_REMARK = frozenset("since because as where which when if for with namely but while so that by after hence".split())
_REASON = frozenset("since because as where which".split())
_IS = frozenset("is are equals equal be was were".split())
_FILLER = frozenset(
    "the there here exactly only precisely about approximately roughly answer final value total of a an we get have has"
    " it its thus therefore so hence all any either both at most least a i".split()
)
_TURNING = frozenset("not no never neither between from than except without".split())
_LINKS = frozenset((",", ";", "and", "or"))


def elements(tokens: Sequence[Token]) -> list[tuple[str, list[Token]]]:
    """Return the formulas or words that an answer lists, each with the link before it (`,`, `and`, `or`, or nothing).

    A remark in brackets, and what follows `since`, `where`, a full stop and the like, is left out. Of each part
    that holds a formula, words are left out: those up to `is` or a colon, those before it that say nothing, and
    those behind it.
    """
    kept = _without_remarks(list(tokens))
    parts: list[tuple[str, list[Token]]] = []
    link = ""
    for separator, part in _split(kept):
        link = separator if separator in ("and", "or") or not link else link
        if part:
            parts.append((link if parts else "", part))
            link = ""
    if not any(_is_math(t) for _, part in parts for t in part):
        return [("", _said([t for t in kept if t.kind == "word"]))]
    return [(link, undressed(part)) for link, part in parts]


def _is_math(token: Token) -> bool:
    return token.kind in ("number", "symbol", "function")


def _without_remarks(tokens: list[Token]) -> list[Token]:
    kept: list[Token] = []
    depth = 0
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token.text == "(" and depth == 0 and any(_is_math(t) for t in kept):
            end = _closing(tokens, at)
            told = end is not None and any(t.kind == "word" or "≈" in t.text for t in tokens[at:end])
            told |= _is_decimal([t for t in tokens[at + 1 : end] if t.text != "or"]) and (
                kept[-1].kind == "number" or kept[-1].text == "}" or tokens[at + 1].text == "or"
            )  # 3/56 (0.0536)
            if end is not None and told and kept[-1].kind != "function":
                base = [t for t in tokens[at + 1 : end] if t.kind in ("number", "word")]
                if len(base) == 2 and base[0].text == "base":  # 52 (base 8)
                    kept += [Token("op", "_"), *tokens[at + 2 : end]]
                at = end + 1
                continue
        depth += (token.kind == "open") - (token.kind == "close")
        cuts = _REMARK if any(_is_math(t) for t in kept) else _REASON
        if (
            depth <= 0
            and kept
            and (token.text in ("\x04", ".") or (token.kind == "word" and token.text.lower() in cuts))
        ):
            break
        if token.text == "base" and kept and kept[-1].kind == "number":
            token = Token("op", "_")
        kept.append(token)
        at += 1
    return kept


def _is_decimal(tokens: Sequence[Token]) -> bool:
    return len(tokens) == 1 and tokens[0].kind == "number" and "." in tokens[0].text


def _closing(tokens: Sequence[Token], start: int) -> int | None:
    depth = 0
    for at in range(start, len(tokens)):
        depth += (tokens[at].kind == "open") - (tokens[at].kind == "close")
        if depth == 0:
            return at
    return None


def _split(tokens: Sequence[Token]) -> list[tuple[str, list[Token]]]:
    """Split at links outside brackets; each part comes with the link before it."""
    parts: list[tuple[str, list[Token]]] = [("", [])]
    depth = environment = 0
    for token in tokens:
        depth += (token.kind == "open") - (token.kind == "close")
        environment += (token.text == "begin") - (token.text == "end")
        if token.kind == "op" and token.text in _LINKS and depth <= 0 and environment <= 0:
            parts.append((token.text, []))
        else:
            parts[-1][1].append(token)
    return parts


def _said(words: list[Token]) -> list[Token]:
    """Return what words say: those behind the last `is` that say something."""
    end = len(words)
    for at in range(len(words) - 1, -1, -1):
        if words[at].text.lower() in _IS:
            if any(t.text.lower() not in _FILLER for t in words[at + 1 : end]):
                return words[at + 1 : end]
            end = at
    return words[:end] or words


def undressed(part: list[Token]) -> list[Token]:
    """Return the formula in one part of an answer; the words, if it holds none."""
    if not any(_is_math(t) for t in part):
        return [t for t in part if t.kind == "word"]
    for at in range(len(part) - 1, -1, -1):  # what follows the last `is`, or a colon behind words
        told = part[at].kind == "word" and part[at].text.lower() in _IS
        told |= part[at].text == ":" and all(t.kind == "word" for t in part[:at])
        told |= part[at].text == "=" and any(t.kind == "word" for t in part[:at])
        if told and any(_is_math(t) for t in part[at + 1 :]):
            part = part[at + 1 :]
            break
    start = next(at for at, t in enumerate(part) if t.kind != "word")
    named = start and part[start - 1].text[0].isupper() and part[start - 1].text.lower() not in _FILLER
    if (named and part[start].kind == "number") or (
        start and part[start - 1].text.lower() in _TURNING
    ):  # March 5, not 5
        return part
    part = part[start:]
    depth = 0
    for at, token in enumerate(part):  # a unit, and what follows it
        depth += (token.kind == "open") - (token.kind == "close")
        if token.kind == "word" and depth == 0:
            another = at + 1 < len(part) and part[at + 1].kind == "number"  # 1 hour 30 minutes
            return part if another else part[:at]
    return part
