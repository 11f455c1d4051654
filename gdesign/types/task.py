"""What is asked."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One question, the benchmark it belongs to, and what a right answer looks like.

    Attributes:
        id: Unique within its benchmark, and what recorded answers are looked up by.
        question: The text that agents see.
        answer: The reference answer. Only graders read it; no field that a designer reads holds it.
        domain: `mathematics`, `code`, `knowledge` or a finer category; may be empty.
        options: The choices of a multiple-choice question, in order; empty otherwise.
        group: What questions share that no split may part, such as one problem in several languages; empty where the
            question stands for itself.
        wants_program: Whether a right answer is a program; else agents are asked for words or a number.
        weight: What the task counts in means and in training; 1 unless a mixture says otherwise.
    """

    id: str
    question: str
    answer: str
    benchmark: str
    domain: str = ""
    options: tuple[str, ...] = ()
    group: str = ""
    wants_program: bool = False
    weight: float = 1.0
