"""Run many trainings in worker processes; what the benchmark scripts share."""

import argparse
import contextlib
import logging
import multiprocessing
import os
import shlex
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache
from pathlib import Path
from statistics import mean, stdev
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CHOICES = ("designer", "task", "pool", "llm")


@lru_cache
def compose(overrides: tuple[str, ...], name: str = "train") -> Any:
    """Return the config of training, or of `eval`, with some overrides; not to be changed."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from omegaconf import open_dict

    with initialize_config_dir(str(ROOT / "gdesign/configs"), version_base="1.3"):
        config = hydra_compose(name, list(overrides), return_hydra_config=True)
        choices = config.hydra.runtime.choices
        config.names = {key: choices[key] for key in CHOICES}
        with open_dict(config):
            del config.hydra
        return config


def without_repeats(num_columns: int) -> str:
    """Return the row of self-consistency in a table of answers that were recorded once, as Markdown."""
    why = "missing: each LLM was recorded once, so there is no second sample to vote with"
    return f"| self-consistency of the best LLM | {why} |" + " |" * (num_columns - 2)


def train(overrides: tuple[str, ...], seed: int, folder: Path) -> None:
    """Train and evaluate silently, unless the folder holds an evaluation already."""
    if (folder / "eval.json").is_file():
        return
    from gdesign.cli import train as script

    config = compose((*overrides, "trainer.enable_progress_bar=false")).copy()
    config.seed, config.out = seed, str(folder)
    with _silently():
        script.train(config, command=shlex.join(["python", "train.py", *overrides, f"seed={seed}", f"out={folder}"]))


def evaluate(checkpoint: Path, overrides: tuple[str, ...], folder: Path) -> None:
    """Evaluate a trained run folder under other settings, as eval.py does, unless the folder holds that already."""
    if (folder / "eval.json").is_file():
        return
    (folder / "runs.jsonl").unlink(missing_ok=True)  # of an evaluation that was stopped
    from gdesign.cli import eval as script
    from gdesign.runs.config import read_config
    from gdesign.runs.folder import with_overrides

    said = (*overrides, f"checkpoint={checkpoint}", f"out={folder}")
    config = with_overrides(read_config(checkpoint), compose(said, "eval"), [*said, "split"])
    with _silently():
        script.evaluate(config, command=shlex.join(["python", "eval.py", *said]))


@contextlib.contextmanager
def _silently() -> Iterator[None]:
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        yield


def _in_worker(job: Callable[[], None]) -> None:
    """Run a job with one thread: the workers share the cores."""
    import lightning.pytorch  # noqa: F401 (its import sets the level of its logger)
    import torch

    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    os.environ["TQDM_DISABLE"] = "1"
    sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
    from hydra.errors import InstantiationException

    try:
        job()
    except InstantiationException as error:  # causes do not come along to the parent process
        raise error.__cause__ or error from None


def begin(main: Callable[[], object]) -> None:
    """Run a script; a mistake or a data file that is not there ends it in one line."""
    from hydra.errors import InstantiationException

    from gdesign.cli.talk import friendly

    with friendly(wrapped_in=InstantiationException):
        main()


def run_all(jobs: Sequence[Callable[[], None]], *, workers: int, folder: Path) -> None:
    """Run all jobs in worker processes, with a progress bar; on Ctrl-C stop at once and say how to go on."""
    from tqdm import tqdm

    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as executor:
        futures = [executor.submit(_in_worker, job) for job in jobs]
        try:
            for future in tqdm(as_completed(futures), total=len(futures), unit="run", desc="train and evaluate"):
                future.result()
        except BaseException as error:
            executor.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            if isinstance(error, KeyboardInterrupt):
                sys.exit(f"\nStopped. What is finished stays in {folder}; the same command goes on from there.")
            raise


def options(doc: str | None, *, out: str, seeds: int = 5, workers: int | None = None) -> argparse.ArgumentParser:
    """Return a parser with what every script takes that trains for several seeds; without `workers` one a core."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0] if doc else None)
    num = workers or os.cpu_count() or 1
    parser.add_argument("--seeds", type=int, default=seeds, help=f"how many seeds ({seeds})")
    parser.add_argument("--workers", type=int, default=num, help=f"processes ({workers or 'one a core'})")
    parser.add_argument("--out", type=Path, default=Path(out), help=f"where run folders go ({out})")
    parser.add_argument("--write", type=Path, help="write what is printed to this file too")
    return parser


def publish(text: str, path: Path | None) -> None:
    """Print a page, and write it to a file if there is to be one."""
    if path is not None:
        path.write_text(text)
    print(text)


def command() -> str:
    """Return what was typed, less where files go and how many processes there were, which change no result."""
    words, typed = [], iter(sys.argv[1:])
    for word in typed:
        if word in ("--out", "--workers", "--write", "--full"):
            next(typed)
        else:
            words.append(word)
    return shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *words])


def plus_minus(values: Sequence[float]) -> str:
    """Return mean and standard deviation."""
    spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
    return f"{mean(values):.3f}{spread}"
