"""What of a reply is thought, and what is said."""

import re

_NAMES = (
    r"(?:seed:|ant|inner_?)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflect(?:ion)?|analysis|scratch_?pad|monologue)"
)
_CHANNEL = r"(?:<\|start\|>\s*assistant\s*)?<\|channel\|>\s*"
_TAG = re.compile(
    rf"""
    (?<!["'])(?:(?<!`)|(?<=```))(?:   # a tag behind a quotation mark is only mentioned; not behind a fence
        (?P<opens>
            <(?P<name>{_NAMES})(?:\s[^<>\n]*)?>           # DeepSeek, Qwen and most others; Seed, EXAONE, Claude
          | \[THINK\] | ◁think▷                           # Magistral, Kimi
          | <\|(?:begin_of_thought|START_THINKING|inner_prefix)\|>      # Sky-T1, Command A, Apertus
          | <unused94>(?:thought\b)? | <\|channel>thought\b             # Gemma
          | (?P<channel>{_CHANNEL}(?:analysis|commentary)[^\n<]*(?:<\|constrain\|>[^\n<]*)?<\|message\|>)   # gpt-oss
          | (?P<bare>\A\s*analysis(?=(?-i:[A-Z"'0-9])))   # the same, its marks left out by a server
          | \A\s*here\ is\ my\ thought\ process:(?=.*^here\ is\ my\ response:)         # Granite
        )
      | (?P<closes>
            </(?P<end>{_NAMES})>
          | \[/THINK\] | ◁/think▷
          | <\|(?:end_of_thought|END_THINKING|inner_suffix)\|>
          | <unused95> | <channel\|> | ^here\ is\ my\ response:
          | (?P<final>
                {_CHANNEL}final[^\n<]*(?:<\|constrain\|>[^\n<]*)?<\|message\|> | (?-i:assistantfinal)
              | <\|(?:begin_of_solution|START_RESPONSE)\|>
            )
        )(?!["'`](?:[\s),;.\]}}]|\Z))
      | (?P<ends><\|(?:end|call)\|>)
    )
    """,
    re.VERBOSE | re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
_END_OF_TURN = re.compile(
    r"\s*(?:<[|\uff5c](?:im_end|im_start|eot_id|eom_id|end_of_text|endoftext|end▁of▁sentence|return|end|end_of_solution"
    r"|END_RESPONSE)[|\uff5c]>|<end_of_turn>|</s>\s*\Z)"
)
_HINT = re.compile(r"[<\[◁]|\A\s*(?:analysis|here is)", re.IGNORECASE)


def without_thoughts(text: str) -> str:
    """Return what a reply says, without what its model only thought, and without a turn that it made up behind its own.

    Thoughts stand in tags (`<think>`, `<reasoning>`, `[THINK]`, ...) or channels (gpt-oss). What is behind a
    thought that never ends is thought, and so is what is before an end that no beginning belongs to, since some
    servers leave the beginning out. So a reply that was cut while its model was thinking says nothing.

    A tag that is quoted (`"<think>"`), and one within a line that never ends, is only mentioned.
    """
    if not _HINT.search(text):
        return text
    kept: list[str] = []
    begin = 0  # of what is neither kept nor thought yet
    inside: re.Match[str] | None = None
    for tag in _TAG.finditer(text):
        if inside is None and tag["opens"]:
            kept.append(text[begin : tag.start()])
            inside = tag
        elif inside is not None and _belongs(tag, inside):
            inside, begin = None, tag.end()
        elif tag["closes"] and (inside is None or tag["final"]):
            stray = inside is None and begin and not text[tag.end() :].strip()
            kept = [*kept, text[begin : tag.start()]] if stray else []
            inside, begin = None, tag.end()
    if inside is None:
        kept.append(text[begin:])
    elif text[: inside.start()].rpartition("\n")[2].strip():
        kept.append(text[inside.start() :])
    said = "".join(kept)
    end = _END_OF_TURN.search(said)
    if end is not None and said[: end.start()].strip():
        said = said[: end.start()]
    return said if said == text else said.strip()


def _belongs(end: re.Match[str], beginning: re.Match[str]) -> bool:
    if beginning["channel"] or beginning["bare"]:
        return bool(end["ends"] or end["final"])
    if end["closes"] is None or end["final"]:
        return False
    first, second = (name and name.lower().removesuffix("ing") for name in (beginning["name"], end["end"]))
    return first == second
