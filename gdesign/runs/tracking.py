"""What loggers are told besides metrics: the config, the evaluation, tables and pictures."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, WandbLogger
from omegaconf import DictConfig, OmegaConf

from gdesign.errors import ConfigError, installing
from gdesign.runs.folder import flat
from gdesign.runs.log import read_runs

MOST_OF_A_NAME = 128
"""Characters that W&B takes."""
TABLE = ("question", "agents", "answer", "score", "USD per 1,000", "calls")


class Wandb(WandbLogger):
    """A run of W&B for a run folder, which ends with the training.

    Args:
        project: Where W&B keeps it.
        folder: The run folder; the run is called as it is.
        group: What the runs of a sweep have in common; None for a run that stands alone.
        offline: Keep it in the folder, for `wandb sync` to send.

    Raises:
        ConfigError: The package wandb is not installed.
    """

    def __init__(self, *, project: str, folder: str, group: str | None, offline: bool) -> None:
        try:
            import wandb
        except ModuleNotFoundError:
            raise ConfigError(f"logger=wandb needs the package wandb; {installing('wandb')}") from None
        if wandb.run is not None:  # of a training that was killed by an exception in this process, or of a notebook
            wandb.finish()
        super().__init__(name=_short(Path(folder).name), project=project, save_dir=folder, offline=offline, group=group)

    def publish(self, folder: Path) -> None:
        """Add what the evaluation of a run folder came to, question by question, and the pictures of its report."""
        import wandb

        if (folder / "eval.json").is_file():
            summary = json.loads((folder / "eval.json").read_text(encoding="utf-8"))
            split = summary["split"]
            said = flat({key: value for key, value in summary.items() if key != "comparison"})
            self.experiment.summary.update({f"{split}/{key}": value for key, value in said.items()})
            self.log_table(f"{split}/questions", list(TABLE), [_cells(row) for row in _last(folder, split)])
            rows = [[name or "(none)", *found.values()] for name, found in summary["domains"].items()]
            if rows:
                head = ["domain", *next(iter(summary["domains"].values()))]
                self.log_table(f"{split}/domains", head, rows)
        for path in sorted(folder.glob("*.png")):
            self.experiment.log({f"report/{path.stem}": wandb.Image(str(path))})


@contextmanager
def told(loggers: Sequence[Logger], config: DictConfig, folder: Path) -> Iterator[None]:
    """Tell loggers the config first and last what the run folder holds, and end what they began."""
    done = False
    try:
        settings = OmegaConf.to_container(config, resolve=True)
        assert isinstance(settings, dict)
        for logger in loggers:
            logger.log_hyperparams({str(key): value for key, value in settings.items()})
        yield
        for logger in loggers:
            if isinstance(logger, Wandb):
                logger.publish(folder)
        done = True
    finally:
        for logger in loggers:
            if isinstance(logger, Wandb):
                logger.experiment.finish(exit_code=0 if done else 1)


def sweep_of(arguments: Sequence[str]) -> str | None:
    """Return what a sweep is called: the overrides as typed, what varies first; None outside a sweep."""
    if not {"-m", "--multirun"} & {*arguments}:
        return None
    words = [word for word in arguments if "=" in word and not word.startswith(("-", "out=", "logger", "hydra."))]
    varied_first = sorted(words, key=lambda word: "," not in word)
    return _short(" ".join(varied_first))


def _short(name: str) -> str:
    """Return a name without its middle where it is too long: it begins with the designer and ends with the seed."""
    half = MOST_OF_A_NAME // 2
    return name if len(name) <= MOST_OF_A_NAME else f"{name[: half - 2]}...{name[1 - half :]}"


def _last(folder: Path, split: str) -> list[dict[str, Any]]:
    rows = {(row["benchmark"], row["task"], row["seed"]): row for row in read_runs(folder / "runs.jsonl", phase=split)}
    return list(rows.values())


def _cells(row: Mapping[str, Any]) -> list[Any]:
    agents = ", ".join(
        "/".join(filter(None, (a["role"], a["llm"], a.get("operator")))) for a in row["design"]["agents"]
    )
    return [row.get("question", row["task"]), agents, row["answer"], row["score"], 1000 * row["usd"], row["calls"]]
