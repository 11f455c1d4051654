"""Training the last layers of a text encoder along with the designer, by low-rank adapters.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022, arXiv 2106.09685. Departure: every linear
map of the adapted layers has an adapter, where the paper takes the queries and values of all layers.

Shape letters: T texts, D text features.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear

from gdesign.encode.text import CachedEncoder, TextEncoder
from gdesign.errors import ConfigError


@runtime_checkable
class Layered(TextEncoder, Protocol):
    """A text encoder that is a model of layers.

    Attributes:
        module: The model.
    """

    module: nn.Module

    def embed(self, texts: Sequence[str]) -> Float[Tensor, "T D"]:
        """Encode texts; unlike a call of the encoder itself, it carries gradients."""


class Adapters(nn.Module):
    """What is added to each linear map x -> W x of a model's last layers: scale * U V x, of low rank, 0 at first.

    The model itself stays as it was and adds nothing but while the adapters are at work; its weights are no parameters
    of theirs, so a checkpoint holds U and V alone.

    Args:
        num_layers: How many layers, from the last.
        rank: Rows of V.
        scale: Small, since one optimizer serves the designer too: a step of U counts that much less.

    Raises:
        ConfigError: The model has fewer layers, or rank or scale is not above 0.
    """

    def __init__(self, model: nn.Module, *, num_layers: int, rank: int, scale: float) -> None:
        super().__init__()
        layers = max((m for m in model.modules() if isinstance(m, nn.ModuleList)), key=len, default=nn.ModuleList())
        if not 1 <= num_layers <= len(layers):
            raise ConfigError(f"text.num_layers is {num_layers}; the text encoder has {len(layers)} layers")
        if not (rank >= 1 and scale > 0):
            raise ConfigError(f"text.rank and text.scale must be above 0; got {rank} and {scale:g}")
        self.down, self.up = nn.ParameterList(), nn.ParameterList()
        self._scale = scale
        self._work = False
        for module in layers[-num_layers:].modules():
            if isinstance(module, nn.Linear):
                self.down.append(torch.randn(rank, module.in_features) / module.in_features**0.5)
                self.up.append(torch.zeros(module.out_features, rank))
                module.register_forward_hook(partial(self._add, len(self.up) - 1))

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Let the model have the additions as long as this lasts."""
        self._work = True
        try:
            yield
        finally:
            self._work = False

    def _add(self, i: int, module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> Tensor | None:
        if not self._work:
            return None
        (x,) = args
        return out + self._scale * linear(linear(x, self.down[i].to(x)), self.up[i].to(x))


class Adaptable(CachedEncoder):
    """A text encoder whose last layers can be trained along with the designer.

    As long as they are not, it remembers embeddings as any `CachedEncoder` does. Where they are, questions are encoded
    anew at every step and nothing of them is remembered, in memory or on disk; profiles of agents are encoded once, by
    the model as it came, and stay so. Whoever trains needs `adapters` among the parameters.

    Args:
        path: The file; None keeps embeddings in memory only.
        size: How many are remembered in memory, the last ones; None for all.
        trainable: Whether the last layers are trained.
        num_layers: How many layers, from the last.
        rank: See `Adapters`.
        scale: See `Adapters`.

    Raises:
        ConfigError: The encoder has no layers, or fewer.
    """

    def __init__(
        self,
        *,
        encoder: TextEncoder,
        path: str | Path | None = None,
        size: int | None = None,
        trainable: bool = False,
        num_layers: int = 2,
        rank: int = 8,
        scale: float = 0.1,
    ) -> None:
        super().__init__(encoder=encoder, path=path, size=size)
        self.adapters: Adapters | None = None
        if trainable:
            if not isinstance(encoder, Layered):
                raise ConfigError(f"{type(encoder).__name__} has no layers to train; use text=minilm or text=sentences")
            self._layered = encoder
            encoder.module.requires_grad_(False)
            self.adapters = Adapters(encoder.module, num_layers=num_layers, rank=rank, scale=scale)

    def frozen(self, texts: Sequence[str]) -> Float[Tensor, "T D"]:
        """Encode texts by the model as it came, and remember that."""
        return super().__call__(texts)

    def __call__(self, texts: Sequence[str]) -> Float[Tensor, "T D"]:
        """Encode texts; where layers are trained, gradients reach the adapters."""
        if self.adapters is None:
            return self.frozen(texts)
        with self.adapters.at_work():
            return self._layered.embed(texts)
