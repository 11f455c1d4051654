"""The `gdesign` command, a file a command."""
