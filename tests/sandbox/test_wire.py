from collections import OrderedDict, deque
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from gdesign.sandbox.inside.wire import Gone, Peer


@pytest.fixture
def peer():
    return Peer(0, 1, obliging=False)


class Loud(str):
    pass


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        -(10**40),
        0.1,
        "\ud800\0",
        b"\xff",
        bytearray(b"a"),
        1 - 2j,
        [1, [2]],
        (),
        {1: "a", (2,): None},
        {1, 2},
        frozenset({"a"}),
        deque([1, 2], 3),
        range(1, 9, 2),
        Decimal("1.10"),
        Fraction(1, 3),
        date(2020, 2, 29),
        timedelta(days=-1, microseconds=5),
        int,
    ],
    ids=repr,
)
def test_a_plain_value_comes_back_as_it_was(peer, value):
    again = peer.unpack(peer.pack(value))
    assert (type(again), again) == (type(value), value)
    assert repr(again) == repr(value)


@pytest.mark.parametrize(("value", "plain"), [(Loud("a"), "a"), (OrderedDict(b=1), {"b": 1})])
def test_a_value_of_a_derived_class_comes_back_as_a_plain_one(peer, value, plain):
    again = peer.unpack(peer.pack(value))
    assert (type(again), again) == (type(plain), plain)


def text_of_library(peer, *parts):
    return b"k" + peer.pack(list(parts))[1:]


@pytest.mark.parametrize(
    "parts",
    [
        ("decimal", "Decimal", "no number"),
        ("fractions", "Fraction", "1/0"),
        ("datetime", "timedelta", 5),
        ("datetime", "timedelta", f"{10**12} 0 0"),
        ("os", "system", "true"),
        ("decimal",),
    ],
)
def test_a_text_that_is_no_value_of_its_class_is_no_message(peer, parts):
    with pytest.raises(Gone):
        peer.unpack(text_of_library(peer, *parts))


def test_bytes_that_hold_no_value_are_no_message(peer):
    whole = peer.pack([1, "a", {2: 3.0}])
    nonsense = [whole[:n] for n in range(len(whole))] + [
        whole + b"n",
        b"?\0\0\0\0",
        b"l" + b"\xff" * 4,
        b"o\0\0\0\x017",
    ]
    for data in [*nonsense, b"u\0\0\0\1l\0\0\0\0", b"l\0\0\0\1" * 5000, b"y\0\0\0\4eval"]:
        with pytest.raises(Gone):
            peer.unpack(data)
