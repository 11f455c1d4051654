# ruff: noqa: RUF001 (other scripts and their punctuation are meant)
"""How answers are announced, by language: a table of words that `marked` and `choices` look for.

English, the ten languages of MGSM, and some more. Each has nouns for an answer, nouns for an option, what may stand
between such a noun and the answer (`says`), and what may describe the noun before or behind it (`dress`), all parts of
regular expressions. Words that also head a solution or a step of one (`Lösung`, `resultado`, `解答`) are left out.
"""

import re
from functools import lru_cache
from typing import Literal, NamedTuple


class Words(NamedTuple):
    """The words of one language; empty where it has none that is worth looking for."""

    answer: str
    option: str
    says: str
    dress: str


WORDS = {
    "en": Words(
        r"answer|ans",
        r"option|choice|letter",
        r"is|are|was|would be|should be|must be|will be|might be|equals|comes out (?:to be|to|as)",
        r"final|correct|right|best|most \w+|only|actual|overall|numeric(?:al)?|chosen|selected|option|choice|my|our",
    ),
    "bn": Words(r"উত্তর(?:টি|টা)?", r"বিকল্প", r"হল|হলো|হ'ল|হচ্ছে|হবে", r"সঠিক|চূড়ান্ত|চূড়ান্ত|শেষ"),
    "de": Words(
        r"antwort|endantwort|endergebnis|gesamtergebnis",
        r"option|antwortmöglichkeit|auswahl|wahl",
        r"ist|lautet|wäre|beträgt|sind",
        r"richtige|korrekte|endgültige|beste|letzte|die",
    ),
    "es": Words(
        r"respuesta",
        r"opción|alternativa",
        r"es|son|sería|debe ser",
        r"correcta|final|mejor|definitiva|la|tu|opción",
    ),
    "fr": Words(
        r"réponse",
        r"option|choix|proposition",
        r"est|sont|serait|doit être",
        r"correcte?|finale?|bonne|définitive|exacte|meilleure?|la",
    ),
    "ja": Words(r"答え|答案|正解|回答|(?<!問)答(?![え案])", r"選択肢", r"は|が", r"最終的?な?|正しい|最終"),
    "ru": Words(
        r"ответ",
        r"вариант|выбор",
        r"—|–|это|равен|будет|составляет|является",
        r"правильный|верный|окончательный|итоговый|ответа",
    ),
    "sw": Words(r"jibu", r"chaguo", r"ni|litakuwa|itakuwa", r"sahihi|la mwisho|la|mwisho|lako"),
    "te": Words(r"సమాధానం|జవాబు", r"ఎంపిక", r"అంటే", r"సరైన|తుది|చివరి"),
    "th": Words(r"คำตอบ", r"ตัวเลือก|ข้อ", r"คือ|เป็น|เท่ากับ", r"ที่ถูกต้อง|สุดท้าย|ข้อ|ตัวเลือก|ของคำถามนี้"),
    "zh": Words(
        r"答案|(?<![回解问問])答(?![案え题題])",
        r"选项|選項|选择|選擇",
        r"应该是|應該是|应为|應為|就是|即为|是|为|為|选|選",
        r"最终的?|最終的?|正确的?|正確的?|选项|選項|所以|因此|故",
    ),
    "ar": Words(r"الإجابة|الاجابة|الجواب", r"الخيار", r"هي|هو", r"الصحيحة|النهائية|النهائي|الصحيح"),
    "cs": Words(r"odpověď", r"možnost", r"je|zní", r"správná|konečná"),
    "el": Words(r"απάντηση", r"επιλογή", r"είναι", r"σωστή|τελική|η"),
    "fa": Words(r"پاسخ|جواب", r"گزینه", r"برابر است با", r"نهایی|صحیح|درست"),
    "he": Words(r"תשובה|התשובה", r"אפשרות", r"היא|הוא", r"הסופית|הנכונה"),
    "hi": Words(r"उत्तर|जवाब", r"विकल्प", r"होगा|है", r"सही|अंतिम"),
    "id": Words(r"jawaban(?:nya)?", r"opsi|pilihan", r"adalah|ialah", r"akhir|yang benar|benar|yang tepat"),
    "it": Words(r"risposta", r"opzione", r"è|sarebbe|sono", r"corretta|finale|esatta|giusta|la"),
    "ko": Words(r"정답|답|답변", r"선택지|보기", r"은|는", r"최종|올바른"),
    "nl": Words(r"antwoord|eindantwoord", r"optie|keuze", r"is|zou|luidt", r"juiste|het|goede|correcte"),
    "pl": Words(
        r"odpowiedź|odpowiedzią",
        r"opcja",
        r"to|jest|brzmi",
        r"prawidłowa|poprawna|ostateczna|końcowa|prawidłową|poprawną",
    ),
    "pt": Words(r"resposta", r"opção|alternativa", r"é|são|seria", r"correta|final|certa|a"),
    "sv": Words(r"svar|svaret", r"alternativ", r"är|er", r"rätt|slutligt|slutgiltigt"),
    "tr": Words(r"cevap|yanıt", r"seçenek|şık", r"olarak", r"doğru|nihai|son"),
    "uk": Words(r"відповідь", r"варіант", r"—|–|це|дорівнює|буде", r"правильна|остаточна|вірна"),
    "vi": Words(r"đáp án|câu trả lời|đáp số", r"phương án|lựa chọn", r"là", r"đúng|cuối cùng|chính xác"),
}
"""By the language's code."""


@lru_cache
def whole(alternatives: str) -> str:
    """Return a pattern of these words, which matches whole words alone where a script parts them."""
    words = sorted(_parts(alternatives), key=len, reverse=True)
    # Latin, Greek and Cyrillic words end where their letters do; others run on (Chinese, Thai) or inflect (Korean).
    return "|".join(rf"(?<!\w){word}(?!\w)" if word[0] < "\u0530" and word[0] != "(" else word for word in words)


def spoken(text: str, field: Literal["answer", "option"]) -> list[Words]:
    """Return the languages whose words for an answer, or an option, occur in a text: to look for all takes longer."""
    lower = text.lower()
    return [words for words, stems in _stems(field) if any(stem in lower for stem in stems)]


@lru_cache
def _stems(field: str) -> list[tuple[Words, tuple[str, ...]]]:
    """Return what every word of a language begins with: its letters before anything that only a pattern has."""
    found = []
    for words in WORDS.values():
        bare = [re.sub(r"^(?:\(\?[^()]*\))+", "", word) for word in _parts(getattr(words, field))]
        found.append((words, tuple(re.split(r"[\\(\[?]", word, maxsplit=1)[0].lower() for word in bare)))
    return found


def _parts(pattern: str) -> list[str]:
    parts, depth = [""], 0
    for char in pattern:
        depth += (char == "(") - (char == ")")
        if char == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return parts
