"""Designers: conditional distributions over designs."""

import gdesign.encode  # noqa: F401 (as that says, before anything else imports PyTorch Geometric)
