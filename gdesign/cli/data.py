"""`gdesign data`: list, verify or fetch data files."""

from argparse import Namespace

from gdesign.cli.talk import say
from gdesign.errors import DataError
from gdesign.tasks.data import data_dir, fetch, verify


def run(options: Namespace) -> None:
    """Do what the action says."""
    match options.action:
        case "list":
            say(f"data folder: {data_dir()} (set GDESIGN_DATA to use another)")
            for found in verify():
                file = found.file
                origin = file.origin if file.url else f"derived from {file.origin}, cannot be fetched"
                say(f"{found.state:8} {file.path:46} {file.licence:12} {origin}")
        case "verify":
            _verify()
        case "fetch":
            for name in options.names:
                say(f"fetched {fetch(name)}")


def _verify() -> None:
    states = list(verify())
    for found in states:
        if found.state != "missing":
            say(f"{found.state:8} {found.file.path}")
    changed = [found.file.path for found in states if found.state == "changed"]
    if changed:
        raise DataError(f"{', '.join(changed)}: not the file that gdesign knows; fetch it again")
    say(f"{sum(found.state == 'ok' for found in states)} files are as they should be")
