"""Texts and problems as tensors."""

import gdesign.encode.quick  # noqa: F401 (before anything else imports PyTorch Geometric)
