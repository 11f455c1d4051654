"""Answers that are programs."""

import ast
import builtins
import re
import symtable
import textwrap
import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from gdesign.tasks.answers.marked import without_thoughts

_FENCE = re.compile(
    r"^(?![ \t]*>(?!>>))(?P<before>[^`\n]*?)(?P<fence>`{3,}|(?<!\S)~{3,})[ \t]*(?P<info>[^`\n]*)$", re.MULTILINE
)
_BEGINS = re.compile(r"^(?P<indent>[ \t]*)(?:from \w|import \w|def \w|async def \w|class \w|@\w)", re.MULTILINE)
_TAGS = re.compile(
    r"^[*_# \t]*answer:[*_]*[ \t]*|</?(?:answer|code|python|program|solution)>|\[/?(?:answer|code|python)\]",
    re.IGNORECASE | re.MULTILINE,
)
_MAX_PARTS = 100
_MAX_SOURCE = 200_000

# What is said of a program that is not the answer, and what takes that back; of the last sentence before it alone.
_NOT_MEANT = re.compile(
    r"\b(?:wrong(?:ly)?|incorrect(?:ly)?|(?:not|\w+n['\u2019]t)\s+(?:be\s+)?(?:correct|right|work)|na[iï]ve|buggy|flawed"
    r"|faulty|(?:bad|broken)\s+(?:example|code|idea|version|practice|approach|solution)|common\s+mistake|mistaken"
    r"|(?:will|would|might)\s+fail|(?:do|should)\s+not|(?:don|shouldn)['\u2019]t|slower|inefficient|brute[- ]force"
    r"|worse|for\s+reference|anti-?pattern|alternative(?:ly)?|another\s+(?:way|approach|version|option)|comparison|original"
    r"|falsch\w*|faux|incorrect[oa]|неправильн\w*|неверн\w*)\b|错误|間違",
    re.IGNORECASE,
)
_MEANT = re.compile(
    r"(?<!not )(?<!not be )(?<!n['\u2019]t )(?<!n['\u2019]t be )\b(?:correct(?:ed|ly|s)?|fix(?:ed|es)?|final|improved?"
    r"|better|revised|updated|proper(?:ly)?|repaired|right|faster|instead|avoids?|use|above|earlier|previous(?:ly)?|was"
    r"|made|redo|again|now|should\s+be)\b",
    re.IGNORECASE,
)
_LABEL = re.compile(  # which nothing takes back
    r"\W*(?:before|bad|wrong|incorrect|old)\W*"
    r"|.*\b(?:buggy|wrong|incorrect|broken|faulty|original|old)\s+(?:code|version|program|function|solution|attempt)"
    r"\s+(?:was|is|were|looked\s+like)\W*",
    re.IGNORECASE,
)
_BACK = re.compile(r"[\W_]*(?:(?:but|however|so|unfortunately)\b,?\s*)?(?:this|that|it)\b", re.IGNORECASE)
_SENTENCE = re.compile(r"[.!?;。](?:\s+|$)|\n+")


def program(text: str, names: Collection[str] = ()) -> str | None:
    """Return the program in a reply without empty lines around it; None if there is none.

    Reads fenced blocks of any dress and tag (also one that never ends, and fences within a docstring), and what
    begins with an import or a definition and is Python, outside of them. Thoughts are left out.

    Of these, the last one that defines a name counts, for each of `names`; where there is none, the last one that does
    something. What is said to be wrong, an alternative or a comparison counts only where there is nothing else. Other
    blocks, such as imports and helpers, are joined to it where it uses what they define.

    Args:
        text: What was written.
        names: What the program has to define; to assign the name its own result (`f = f(3)`) is a use.
    """
    text = _SPACE.sub(_plain_space, without_thoughts(text).replace("\r\n", "\n").replace("\r", "\n"))
    fenced, rest = _fenced(text)
    blocks = sorted((*fenced, *_unfenced(rest)), key=lambda block: block.at)
    chosen = _chosen(blocks, names)
    return "\n\n\n".join(block.source for block in chosen) or None


def without_programs(text: str) -> str:
    """Return a reply without thoughts and without what may be a program: fenced blocks, definitions."""
    text = _fenced(without_thoughts(text).replace("\r\n", "\n").replace("\r", "\n"))[1]
    for block in _unfenced(text):
        text = text.replace(block.source, "")
    return text


_SPACE = re.compile(r"^[^'\"\n]+$|^[ \t\u00a0\u202f\u200b\ufeff]+", re.MULTILINE)
_PLAIN = {0xA0: " ", 0x202F: " ", 0x200B: None, 0xFEFF: None}


def _plain_space(match: re.Match[str]) -> str:
    """Return an indent, or a line without strings, with spaces that Python knows."""
    return match[0] if match[0].isascii() else match[0].translate(_PLAIN)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Block:
    """A part of a reply that may be a program: where it stands and its source.

    `rank` says how likely it is meant; `defined` what it defines, `bound` that and what it imports, and
    `needed` what it uses of others; `hollow` is of what it defines what has no body, as in a skeleton. One that does
    nothing, such as printed output, is none.
    """

    at: int
    source: str
    rank: int = 0
    meant: bool = True
    defined: frozenset[str] = frozenset()
    bound: frozenset[str] = frozenset()
    needed: frozenset[str] = frozenset()
    hollow: frozenset[str] = frozenset()


_BROKEN, _UNFENCED, _FOREIGN, _PYTHON = range(4)


def _chosen(blocks: Sequence[_Block], names: Collection[str]) -> list[_Block]:
    """Return the blocks that make the program, in their order."""
    whole = {name for block in blocks for name in block.defined - block.hollow}
    blocks = [block for block in blocks if not block.hollow or not block.defined <= block.hollow & whole]
    last = sorted(blocks, key=lambda block: (block.meant, block.at))
    main = {
        block
        for name in names
        for block in [b for b in last if name in b.defined and not (name in whole and name in b.hollow)][-1:]
    }
    main = main or set(sorted(blocks, key=lambda block: (block.rank, block.meant, block.at))[-1:])
    while helpers := {
        block for name in _lacking(main) for block in [b for b in last if name in b.bound and b.meant][-1:]
    }:
        main |= helpers
    return [block for block in blocks if block in main]


def _lacking(blocks: Collection[_Block]) -> set[str]:
    return {n for b in blocks for n in b.needed} - {n for b in blocks for n in b.bound}


def _block(source: str, *, at: int, before: str, tag: str | None = None) -> _Block | None:
    """Return a block with a tag, or one that stands outside of fences; None where it is no program."""
    source = textwrap.dedent(_without_prompts(source)).strip("\n").rstrip()
    python = not tag or "py" in tag
    tree = _parsed(source)
    if tree is None:
        return _Block(at=at, source=source, rank=_BROKEN) if python else None
    defined, bound, borrowed = _bindings(tree)
    read, assigned = _globals(source)
    needed = (read - assigned | read & borrowed) - set(vars(builtins))
    if all(map(_says_nothing, tree.body)):
        return _Block(at=at, source=source, rank=_BROKEN) if source and "py" in (tag or "") else None
    if not (python or bound or "print" in read):
        return None
    return _Block(
        at=at,
        source=source,
        rank=_UNFENCED if tag is None else _PYTHON if python else _FOREIGN,
        meant=_is_meant(before, source),
        defined=frozenset(defined),
        bound=frozenset(bound),
        needed=frozenset(needed),
        hollow=frozenset(n.name for n in tree.body if isinstance(n, _DEFINITION) and all(map(_is_hollow, n.body))),
    )


_DEFINITION = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _is_hollow(node: ast.stmt) -> bool:
    match node:
        case ast.Pass() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Raise(exc=ast.Name(id="NotImplementedError") | ast.Call(func=ast.Name(id="NotImplementedError"))):
            return True
        case _ if isinstance(node, _DEFINITION):
            return all(map(_is_hollow, node.body))
    return False


def _is_meant(before: str, source: str) -> bool:
    said = [s for s in _SENTENCE.split(before) if s.strip()][-1:]
    if before.rstrip().endswith((".", "!", "。")):  # `This fails for 3.` is said of what stands before it
        said = [s for s in said if not _BACK.match(s)]
    comment = source.partition("\n")[0]
    if comment.startswith("#") and len(comment.split()) < 6:
        said.append(comment)
    return not any(_LABEL.fullmatch(s) or (_NOT_MEANT.search(s) and not _MEANT.search(s)) for s in said)


def _without_prompts(source: str) -> str:
    """Return what was typed at Python's prompt, if that is what a block shows."""
    if not source.lstrip().startswith(">>> "):
        return source
    lines = [line.strip() for line in source.splitlines()]
    return "\n".join(line[4:] for line in lines if line[:4] in (">>> ", "... "))


def _says_nothing(node: ast.stmt) -> bool:
    """Return whether a statement is a lone word, value or annotation, as prose and printed output are."""
    if isinstance(node, ast.AnnAssign):
        return node.value is None
    return isinstance(node, ast.Expr) and not any(isinstance(n, ast.Call | ast.Await) for n in ast.walk(node))


# --------------------------------------------------------------------------- where blocks stand


def _fenced(text: str) -> tuple[list[_Block], str]:
    """Return the fenced blocks of a text, and the text with blanks in their place."""
    fences = list(_FENCE.finditer(text))[:_MAX_PARTS]
    blocks, rest = [], list(text)
    at = i = 0
    while i < len(fences):
        opening = fences[i]
        after = _end(text, fences, i)
        closing = fences[after] if after < len(fences) else None
        start, end = opening.end() + 1, len(text) if closing is None else closing.start("fence")
        source = text[start:end]
        if closing is None:
            source = _trimmed(textwrap.dedent(source)) or source
        elif after == i + 1 and _parsed(textwrap.dedent(source)) is None:
            source = _without_remarks(textwrap.dedent(source))
        tag = re.match(r"[\w+#-]*", opening["info"].strip(" \t{.").lower())
        block = _block(source, at=start, before=text[at : opening.start("fence")], tag=tag[0] if tag else "")
        if (block is None or block.rank == _BROKEN) and after > i + 1:
            i += 1  # fences within
            continue
        blocks += [] if block is None else [block]
        i, at = after, end
        if closing is not None and not closing["info"].strip():
            i, at = after + 1, closing.end()
        rest[opening.start("fence") : at] = ("\n" if c == "\n" else " " for c in text[opening.start("fence") : at])
    return blocks, "".join(rest)


def _end(text: str, fences: Sequence[re.Match[str]], opening: int) -> int:
    """Return the number of the fence that ends a block; one more than there are if none does.

    It is the first one before which the block is Python, so that a docstring may hold fences; where
    there is none, the first one. One with a tag begins the next block too.
    """
    kind = fences[opening]["fence"]
    ends = [
        i
        for i in range(opening + 1, len(fences))
        if fences[i]["fence"].startswith(kind) and not (fences[i]["info"].strip() and fences[i]["before"].strip())
    ]
    start = fences[opening].end() + 1
    for i in ends:
        if _parsed(textwrap.dedent(text[start : fences[i].start("fence")])) is not None:
            return i
    return next((i for i in ends if not fences[i]["info"].strip()), ends[0] if ends else len(fences))


def _unfenced(text: str) -> Iterator[_Block]:
    """Yield what begins with an import or a definition, as far as it is Python."""
    text = _TAGS.sub("\n", text)
    at = 0
    for _ in range(_MAX_PARTS):
        begins = _BEGINS.search(text, at)
        if begins is None:
            return
        indent = begins["indent"]
        lines = text[begins.start() :].split("\n")
        within = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith(indent)), len(lines))
        source = _trimmed("\n".join(line[len(indent) :] for line in lines[:within]))
        block = _block(source, at=begins.start(), before=text[at : begins.start()]) if source else None
        if block is not None:
            yield block
        at = begins.start() + sum(len(line) + 1 for line in lines[: source.count("\n") + 1])


def _without_remarks(source: str) -> str:
    """Return a source without the prose behind it; as it is where more than prose stands there."""
    kept = _trimmed(source)
    behind = source[len(kept) :].strip("\n").split("\n")
    return kept if kept and source.startswith(kept) and all(map(_REMARK.fullmatch, behind)) else source


_REMARK = re.compile(r"[ \t]*|[-*>]? ?[A-Z][\w'\u2019]*,?(?: [^=\n]*)? [a-z][^=\n]*[.:!?]")


def _trimmed(source: str) -> str:
    """Return the lines from the first on that are Python; words behind them are left out."""
    lines = source.split("\n")
    while lines:
        text = "\n".join(lines)
        try:
            tree = parsed(text)
        except SyntaxError as error:
            lines = lines[: min(len(lines), error.lineno or 1) - 1]
            continue
        except (ValueError, RecursionError, MemoryError):
            return ""
        while tree.body and _says_nothing(tree.body[-1]):
            del lines[tree.body.pop().lineno - 1 :]
        return "\n".join(lines).rstrip()
    return ""


# --------------------------------------------------------------------------- what a program defines and uses


def parsed(source: str) -> ast.Module:
    """Return the syntax tree of a program, whatever Python would warn of.

    Raises:
        SyntaxError: It is no Python.
        ValueError: It holds zero bytes.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source)


def _parsed(source: str) -> ast.Module | None:
    if len(source) > _MAX_SOURCE:
        return None
    try:
        return parsed(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def is_program(source: str) -> bool:
    """Return whether a text is Python."""
    return _parsed(source) is not None


def defines(source: str, name: str) -> bool:
    """Return whether a program defines a name at the outermost level."""
    tree = _parsed(source)
    return tree is not None and name in _bindings(tree)[0]


def _bindings(tree: ast.Module) -> tuple[set[str], set[str], set[str]]:
    """Return the names that a program defines, those and what it imports, and those that get a value of their own."""
    defined: set[str] = set()
    imported: set[str] = set()
    borrowed: set[str] = set()
    for node in _outermost(tree.body):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                defined.add(node.name)
            case ast.Import() | ast.ImportFrom():
                imported |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
            case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                own = _names(value)
                for name in {n for target in targets for n in _names(target)}:
                    (borrowed if name in own - defined - imported else defined).add(name)
    return defined, defined | imported, borrowed


def _names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _outermost(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that are executed at the outermost level, those under `if`, `try` and `with` included."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            for part in ("body", "orelse", "finalbody"):
                yield from _outermost(getattr(node, part, []))


def uses(source: str) -> set[str]:
    """Return the global names that a program reads and nowhere defines; none where it is no Python."""
    read, assigned = _globals(source)
    return read - assigned


def _globals(source: str) -> tuple[set[str], set[str]]:
    """Return the global names that a program reads, and those that it binds anywhere."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tables = [symtable.symtable(source, "program.py", "exec")]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set(), set()
    read, assigned = set(), set()
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for symbol in table.get_symbols():
            if symbol.is_global() or table.get_type() == "module":
                if symbol.is_referenced():
                    read.add(symbol.get_name())
                if symbol.is_assigned() or symbol.is_imported():
                    assigned.add(symbol.get_name())
    return read, assigned
