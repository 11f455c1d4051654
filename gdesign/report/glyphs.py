"""Names in any script in pictures: drawn in a font that has their characters, else spelled out."""

import unicodedata
from functools import lru_cache

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.text import Text

_NO_FONTS_OF_NAMES = ("Last Resort", "STIXSize", "STIXNon", "cm")


def drawable(figure: Figure) -> None:
    r"""Let every text of a figure be drawn.

    A character that the font of the figure lacks is drawn in an installed font that has it; where none has,
    it becomes its escape (`\u6a21`), so that two names stay two.
    """
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and not text.get_text().isascii()]
    own = get_font(findfont(FontProperties()))
    lacking = {c for text in texts for c in text.get_text() if not c.isascii() and not own.get_char_index(ord(c))}
    if not lacking:
        return
    fonts = _fonts("".join(sorted(lacking)))
    spelled = {ord(c): _spelled(c) for c in lacking if c not in fonts}
    for text in texts:
        others = dict.fromkeys(fonts[c] for c in text.get_text() if c in fonts)
        text.set_fontfamily([*text.get_fontfamily(), *others])
        text.set_text(text.get_text().translate(spelled))


@lru_cache
def _fonts(characters: str) -> dict[str, str]:
    """Return the name of an installed font for each of the characters that one has."""
    found: dict[str, str] = {}
    for font in fontManager.ttflist:
        left = [c for c in characters if c not in found]
        if not left or font.style != "normal" or font.name.startswith(_NO_FONTS_OF_NAMES):
            continue
        try:
            face = get_font(font.fname)
        except (OSError, RuntimeError):  # a font that is gone or broken
            continue
        found.update((c, font.name) for c in left if face.get_char_index(ord(c)))
    return found


def _spelled(character: str) -> str:
    if unicodedata.category(character) in ("Cf", "Mn"):  # nothing to see, such as what makes an emoji colourful
        return ""
    return character.encode("unicode_escape").decode()
