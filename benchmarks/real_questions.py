"""Write the questions of task=real: eight kinds that small language models get right now and then.

    python benchmarks/real_questions.py --out gdesign/tasks/real_answers/real.questions.jsonl

Answers are computed, or stand beside what they belong to; the same seed gives the same file.
"""

import argparse
import itertools
import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from random import Random

NAMES = "Ana Ben Chen Dora Emil Fatima Goran Hana Ivan Jun Kofi Lena Milo Nadia Omar Petra".split()
THINGS = "apples pencils stamps marbles books tickets cups shells coins postcards".split()
WORDS = (
    "garden planet silver window bridge candle forest market pepper rocket saddle temple violin winter yellow basket "
    "copper dragon engine falcon guitar hammer island jacket kettle ladder mirror needle orange pillow"
).split()
CAPITALS = {
    "Peru": "Lima", "Kenya": "Nairobi", "Norway": "Oslo", "Japan": "Tokyo", "Egypt": "Cairo", "Chile": "Santiago",
    "Canada": "Ottawa", "Australia": "Canberra", "Turkey": "Ankara", "Portugal": "Lisbon", "Greece": "Athens",
    "Hungary": "Budapest", "Poland": "Warsaw", "Austria": "Vienna", "Finland": "Helsinki", "Sweden": "Stockholm",
    "Denmark": "Copenhagen", "Ireland": "Dublin", "Iceland": "Reykjavik", "Cuba": "Havana", "Ecuador": "Quito",
    "Colombia": "Bogota", "Venezuela": "Caracas", "Uruguay": "Montevideo", "Paraguay": "Asuncion", "Ghana": "Accra",
    "Nigeria": "Abuja", "Senegal": "Dakar", "Ethiopia": "Addis Ababa", "Uganda": "Kampala", "Rwanda": "Kigali",
    "Zambia": "Lusaka", "Namibia": "Windhoek", "Morocco": "Rabat", "Algeria": "Algiers", "Tunisia": "Tunis",
    "Jordan": "Amman", "Lebanon": "Beirut", "Iraq": "Baghdad", "Iran": "Tehran", "Pakistan": "Islamabad",
    "Nepal": "Kathmandu", "Bangladesh": "Dhaka", "Thailand": "Bangkok", "Vietnam": "Hanoi", "Indonesia": "Jakarta",
    "Malaysia": "Kuala Lumpur", "Philippines": "Manila", "South Korea": "Seoul", "Mongolia": "Ulaanbaatar",
    "Kazakhstan": "Astana", "Georgia": "Tbilisi", "Armenia": "Yerevan", "Azerbaijan": "Baku", "Ukraine": "Kyiv",
    "Belarus": "Minsk", "Latvia": "Riga", "Lithuania": "Vilnius", "Estonia": "Tallinn", "Croatia": "Zagreb",
    "Serbia": "Belgrade", "Bulgaria": "Sofia", "Romania": "Bucharest", "Albania": "Tirana", "Slovenia": "Ljubljana",
    "Slovakia": "Bratislava", "Switzerland": "Bern", "Belgium": "Brussels", "New Zealand": "Wellington", "Fiji": "Suva",
    "Jamaica": "Kingston", "Bolivia": "Sucre", "Oman": "Muscat", "Qatar": "Doha", "Madagascar": "Antananarivo",
}  # fmt: skip
PLACES = "hotel restaurant film book concert flight course play museum camera phone meal tour game song".split()
GOOD = (
    "I would go back to this {} tomorrow.", "Nothing about the {} let us down.", "This {} was worth every cent.",
    "I did not expect to like the {}, and I loved it.", "You will not find a better {} for miles.",
)  # fmt: skip
BAD = (
    "I would not wish this {} on anybody.", "The {} was not nearly as good as they say.",
    "I wanted to like the {}, but I could not.", "Save your money and leave the {} alone.",
    "Everything that could go wrong with the {} did.",
)  # fmt: skip


def sums(luck: Random, i: int) -> tuple[str, str]:
    """Whole numbers, two to four of them."""
    a, b, c, d = (luck.randint(3, (20, 90, 400)[i % 3]) for _ in range(4))
    text = (f"{a} + {b} * {c}", f"{a} * {b} - {c}", f"({a} + {b}) * {c}", f"{a} - {b} + {c} * {d}")[i % 4]
    return f"Compute {text}.", str(eval(text))


def stories(luck: Random, i: int) -> tuple[str, str]:
    """One to three steps of arithmetic in words."""
    who, other = luck.sample(NAMES, 2)
    thing, a, b, c = luck.choice(THINGS), luck.randint(5, 40), luck.randint(2, 9), luck.randint(2, 9)
    match i % 3:
        case 0:
            return f"{who} has {a} {thing} and buys {b} packs of {c}. How many {thing} does {who} have now?", str(
                a + b * c
            )
        case 1:
            lost, a = min(b, c), a + 10
            text = f"{who} takes {a} of them, gives {b} away and loses {lost}. How many does {who} have left?"
            return f"{who} and {other} share {a * b} {thing}. {text}", str(a - b - lost)
    boxes = f"{who} fills {a} boxes, {other} fills {b} more."
    return f"A box holds {c} {thing}. {boxes} How many {thing} are in all the boxes?", str(c * (a + a + b))


def strings(luck: Random, i: int) -> tuple[str, str]:
    """Letters of words and orders of words."""
    word = luck.choice(WORDS)
    match i % 4:
        case 0:
            return f'Write the word "{word}" backwards.', word[::-1]
        case 1:
            text = " ".join(luck.sample(WORDS, 3))
            letter = luck.choice(sorted(set(text) - {" "}))
            return f'How many times does the letter "{letter}" occur in "{text}"?', str(text.count(letter))
        case 2:
            n = luck.randint(2, 5)
            return f'What is letter number {n} of the word "{word}"?', word[n - 1]
    some = luck.sample(WORDS, 4)
    return f"Which of these words comes first in the alphabet: {', '.join(some)}?", min(some)


def dates(luck: Random, i: int) -> tuple[str, str]:
    """Days, weeks and weekdays."""
    day = date(2021, 1, 1) + timedelta(days=luck.randint(0, 1800))
    n = luck.randint(3, (9, 30, 90)[i % 3])
    later = day + timedelta(days=n)
    said = f"{day.strftime('%B')} {day.day}, {day.year}"
    match i % 3:
        case 0:
            return f"{said} is a {day.strftime('%A')}. What day of the week is it {n} days later?", later.strftime("%A")
        case 1:
            until = f"{later.strftime('%B')} {later.day}, {later.year}"
            return f"How many days are there from {said} to {until}?", str(n)
    return f"What is the date {n} days after {said}? Write it as YYYY-MM-DD.", later.isoformat()


def tables(luck: Random, i: int) -> tuple[str, str]:
    """A small table to look things up in, to add and to compare."""
    names, (x, y) = luck.sample(NAMES, 5), luck.sample(THINGS, 2)
    rows = {name: (luck.randint(1, 60), luck.randint(1, 60)) for name in names}
    text = "\n".join(
        [f"| name | {x} | {y} |", "|---|---|---|", *(f"| {n} | {a} | {b} |" for n, (a, b) in rows.items())]
    )
    match i % 3:
        case 0:
            return f"{text}\n\nHow many {x} and {y} does {names[0]} have together?", str(sum(rows[names[0]]))
        case 1:
            return f"{text}\n\nHow many {y} are there in all?", str(sum(b for _, b in rows.values()))
    best = max(rows, key=lambda n: rows[n][0])
    others = [n for n in rows if rows[n][0] == rows[best][0]]
    if len(others) > 1:
        return tables(luck, i)
    return f"{text}\n\nWho has the most {x}?", best


def logic(luck: Random, i: int) -> tuple[str, str]:
    """Who comes first, last or next, given who is before whom."""
    num = 3 + i % 3
    order = luck.sample(NAMES, num)
    hints = [f"{a} finished before {b}." for a, b in itertools.pairwise(order)]
    luck.shuffle(hints)
    k = luck.randrange(3)
    what, answer = (("first", order[0]), ("last", order[-1]), ("second", order[1]))[k]
    return f"{' '.join(hints)} Who finished {what}?", answer


def sentiment(luck: Random, i: int) -> tuple[str, str]:
    """One sentence, praise or not."""
    good = bool(i % 2)
    text = (GOOD if good else BAD)[(i // 2) % 5].format(PLACES[(i // 10) % len(PLACES)])
    return f'Is this positive or negative: "{text}"', "positive" if good else "negative"


def capitals(luck: Random, i: int) -> tuple[str, str]:
    """Capitals of countries, and countries of capitals."""
    country = list(CAPITALS)[i]
    if i % 3:
        return f"What is the capital of {country}?", CAPITALS[country]
    return f"Of which country is {CAPITALS[country]} the capital?", country


KINDS: tuple[Callable[[Random, int], tuple[str, str]], ...] = (
    sums, stories, strings, dates, tables, logic, sentiment, capitals,
)  # fmt: skip


def questions(seed: int, num: int) -> list[dict[str, str]]:
    """Return `num` questions of each kind, one of each after the other."""
    found: list[dict[str, str]] = []
    seen: set[str] = set()
    lucks = {make: Random(f"{seed}{make.__name__}") for make in KINDS}
    for i in range(num):
        for make in KINDS:
            kind = make.__name__
            question, answer = make(lucks[make], i)
            while question in seen:
                question, answer = make(lucks[make], i)
            seen.add(question)
            found.append({"qid": f"{kind}-{i}", "question": question, "answer": answer, "category": kind})
    return found


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=0, help="of the questions (0)")
    parser.add_argument("--num", type=int, default=75, help="questions of each kind (75)")
    parser.add_argument("--out", type=Path, required=True, help="the file")
    args = parser.parse_args()
    rows = questions(args.seed, args.num)
    args.out.write_text("".join(json.dumps(row) + "\n" for row in rows))
    print(f"{len(rows)} questions written to {args.out}")


if __name__ == "__main__":
    main()
