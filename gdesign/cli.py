"""The `gdesign` command."""
