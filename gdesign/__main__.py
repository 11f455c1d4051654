"""The `gdesign` command as `python -m gdesign`."""

from gdesign.cli.main import main

if __name__ == "__main__":
    main()
