"""`gdesign train`: train a designer and evaluate it."""

import gc
import sys
from collections.abc import Sequence
from pathlib import Path

import hydra
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig

from gdesign.cli.talk import agree, complain, friendly, one_line, quiet, say, take_overrides
from gdesign.execute.operators import tools_of
from gdesign.execute.reward import Reward
from gdesign.files import CONFIGS
from gdesign.learn.data import items
from gdesign.learn.evaluate import evaluate_into
from gdesign.learn.fit import fit, learns, refuse_all
from gdesign.learn.rivals import compare
from gdesign.report.page import reported, write_page
from gdesign.runs.checkpoint import BEST, assemble, restore
from gdesign.runs.estimate import epochs_left, estimate_training, time_calls, write_estimate
from gdesign.runs.folder import (
    as_typed,
    default_folder,
    open_folder,
    other_end,
    refuse_seen,
    write_command,
    write_splits,
)
from gdesign.runs.lock import only_writer
from gdesign.runs.log import RunsFile
from gdesign.runs.money import endpoints, limits_of, spent
from gdesign.runs.sources import refuse_mixed
from gdesign.runs.standing import refuse_other
from gdesign.runs.tracking import sweep_of, told
from gdesign.sandbox import STATEMENTS


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="train")
def main(config: DictConfig) -> None:
    """Train, evaluate, report."""
    quiet()
    hydra_config = HydraConfig.get()
    swept = hydra_config.overrides.task if hydra_config.mode == RunMode.MULTIRUN else []
    config.out = config.out or str(default_folder(config.names, config.seed, swept=swept))
    if swept and "group" in config.logger:
        config.logger.group = config.logger.group or sweep_of(sys.argv[1:])
    resume = f"{config.out}/report.md says what was spent; the same command goes on from the last validation"
    command = as_typed("train", swept=swept, out=config.out)
    with friendly(wrapped_in=InstantiationException, resume=resume), only_writer(Path(config.out), command=command):
        train(config, command=command)


def train(config: DictConfig, *, command: str) -> None:
    """Wire the parts named in the config; the run folder tells with which command."""
    torch.set_num_threads(config.threads)
    folder = Path(config.out)
    refuse_mixed(config)
    refuse_other(config.deploy)
    loggers = [instantiate(config.logger)] if config.logger else []
    problems, designer = assemble(config)
    refuse_all(designer, config.split)
    if config.start:
        restore(designer, Path(config.start) / BEST)
    benchmark, llm, limits = instantiate(config.task), instantiate(config.llm), limits_of(config)
    pool, reward = problems.space.pool, Reward(**config.reward)
    sandbox = tools_of(benchmark, pool)
    if sandbox is not None:
        complain(f"programs run in a sandbox: {STATEMENTS[sandbox.isolation]}")
    splits = {name: benchmark.load(name) for name in ("train", "validation", config.split) if name}
    if config.start and config.split:
        refuse_seen(Path(config.start), splits[config.split], split=config.split)
    data = instantiate(config.data, _partial_=True)(
        train=splits["train"], validation=splits["validation"], seed=config.seed
    )
    gc.collect()
    gc.freeze()  # going through all that torch has loaded, over and over, would double the time of running agents
    make_arena = instantiate(config.arena, _partial_=True)
    with (
        RunsFile(folder / "runs.jsonl") as log,
        make_arena(pool=pool, llm=llm, benchmark=benchmark, limits=limits, sandbox=sandbox, log=log) as arena,
    ):
        module = instantiate(config.learner, _partial_=True)(
            designer=designer, problems=problems, arena=arena, reward=reward, seed=config.seed
        )
        urls = endpoints(config.llm, pool)
        estimate = None
        if urls or learns(designer):
            estimate = estimate_training(
                designer,
                problems,
                train=splits["train"],
                validation=splits["validation"],
                test=splits[config.split] if config.split else [],
                config=config,
                num_epochs=epochs_left(folder, config, num_train=len(splits["train"])),
                timed=time_calls(llm, splits["train"], pool=pool, config=config) if urls else {},
            )
        if urls:
            agree(str(estimate), urls=urls, settled=config.yes or bool(config.llm.get("budget")))
        if (differs := other_end(folder, config)) is not None:
            complain(differs)
        open_folder(folder, config)
        if estimate is not None:
            write_estimate(folder, estimate)
        write_command(folder, command)
        write_splits(folder, splits)
        with told(loggers, config, folder):
            with reported(folder):
                fit(
                    module,
                    data,
                    folder=folder,
                    make_trainer=instantiate(config.trainer, _partial_=True),
                    patience=config.patience,
                    loggers=loggers,
                    resume=config.resume,
                )
                standing = compare(module, data, folder=folder, seed=config.seed)
                if config.split:
                    summary = evaluate_into(
                        folder,
                        designer,
                        items(splits[config.split], shuffle_questions=config.data.shuffle_questions, seed=config.seed),
                        problems=problems,
                        arena=arena,
                        split=config.split,
                        num_samples=config.num_test_samples,
                        reward=reward,
                        training=spent(folder),
                        standing=standing,
                        deploy=config.deploy,
                    )
                    say(one_line(config.out, summary))
                elif standing is not None:
                    say(f"{config.out}: {standing.line(deploy=config.deploy)}")
            say(f"report: {write_page(folder)}")


def run(arguments: Sequence[str] | None = None) -> None:
    """Read overrides as Hydra does, and run.

    Args:
        arguments: Of `gdesign train`; None where this process is `python train.py`.
    """
    take_overrides("train", arguments)
    main()
