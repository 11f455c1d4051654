"""`gdesign eval`: evaluate a designer, of a run folder or one that learned nothing."""

import gc
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
from gdesign.learn.fit import learns, refuse_all
from gdesign.report.page import reported, write_page
from gdesign.runs.checkpoint import BEST, assemble, restore, save
from gdesign.runs.config import read_config, refuse_unnamed_endpoints
from gdesign.runs.estimate import estimate_evaluation, time_calls
from gdesign.runs.folder import (
    as_typed,
    default_folder,
    evaluation_folder,
    open_folder,
    refuse_seen,
    with_overrides,
    write_command,
)
from gdesign.runs.lock import only_writer
from gdesign.runs.log import RunsFile
from gdesign.runs.money import NOTHING_SPENT, endpoints, limits_of, spent
from gdesign.runs.sources import refuse_mixed
from gdesign.runs.standing import read_standing, refuse_other, write_standing
from gdesign.sandbox import STATEMENTS


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="eval")
def main(config: DictConfig) -> None:
    """Evaluate and report."""
    quiet()
    hydra_config = HydraConfig.get()
    overrides = list(hydra_config.overrides.task)
    swept = overrides if hydra_config.mode == RunMode.MULTIRUN else []
    with friendly(wrapped_in=InstantiationException):
        if config.checkpoint:
            saved = read_config(config.checkpoint, trust=config.trust)
            config.out = config.out or str(evaluation_folder(Path(config.checkpoint), overrides))
            merged = with_overrides(saved, config, [*overrides, f"out={config.out}", "checkpoint", "split"])
            if not config.trust:
                typed = {override.lstrip("+").partition("=")[0] for override in overrides}
                named = [str(config.llm.get("base_url"))] if typed & {"llm", "llm.base_url"} else []
                refuse_unnamed_endpoints(
                    merged,
                    source=f"{config.checkpoint}/config.yaml",
                    named=named,
                    own_pool=bool(typed & {"pool", "pool.path"}),
                )
            merged.yes = config.yes  # who trained agreed to that, and to nothing else
            config = merged
        else:
            config.out = config.out or str(default_folder(config.names, config.seed, swept=swept))
        command = as_typed("eval", swept=swept, out=config.out)
        with only_writer(Path(config.out), command=command):
            evaluate(config, command=command)


def evaluate(config: DictConfig, *, command: str) -> None:
    """Wire the parts named in the config; the run folder tells with which command."""
    torch.set_num_threads(config.threads)
    folder = Path(config.out)
    refuse_mixed(config)
    problems, designer = assemble(config)
    training, standing, deploy = NOTHING_SPENT, None, config.get("deploy") or "learned"
    refuse_other(deploy)
    if config.checkpoint:
        restore(designer, Path(config.checkpoint) / BEST)
        training = spent(Path(config.checkpoint))
        standing = read_standing(Path(config.checkpoint) / BEST)
        standing = None if standing is None else standing.within(problems.space.pool)
        refuse_all(designer, config.split)
    benchmark, llm, limits = instantiate(config.task), instantiate(config.llm), limits_of(config)
    pool, reward = problems.space.pool, Reward(**config.reward)
    sandbox = tools_of(benchmark, pool)
    if sandbox is not None:
        complain(f"programs run in a sandbox: {STATEMENTS[sandbox.isolation]}")
    tasks = benchmark.load(config.split)
    if config.checkpoint and learns(designer):
        refuse_seen(Path(config.checkpoint), tasks, split=config.split)
    if urls := endpoints(config.llm, pool):
        rival = None if standing is None else standing.best(config.reward.usd_weight, "single")
        estimate = estimate_evaluation(
            designer,
            problems,
            tasks,
            config=config,
            rival=None if rival is None else rival.worth.design,
            timed=time_calls(llm, tasks, pool=pool, config=config),
        )
        agree(str(estimate), urls=urls, settled=config.yes or bool(config.llm.get("budget")))
    if folder != Path(config.checkpoint or ""):
        open_folder(folder, config)
        save(designer, folder / BEST)
        if standing is not None:
            write_standing(standing, folder / BEST)
    write_command(folder, command)
    gc.collect()
    gc.freeze()  # going through all that torch has loaded, over and over, would double the time of running agents
    make_arena = instantiate(config.arena, _partial_=True)
    with (
        RunsFile(folder / "runs.jsonl") as log,
        make_arena(pool=pool, llm=llm, benchmark=benchmark, limits=limits, sandbox=sandbox, log=log) as arena,
        reported(folder),
    ):
        summary = evaluate_into(
            folder,
            designer,
            items(tasks, shuffle_questions=config.data.shuffle_questions, seed=config.seed),
            problems=problems,
            arena=arena,
            split=config.split,
            num_samples=config.num_test_samples,
            reward=reward,
            training=training,
            standing=standing,
            deploy=deploy,
        )
    say(one_line(config.out, summary))
    say(f"report: {write_page(folder)}")


def run(arguments: Sequence[str] | None = None) -> None:
    """Read overrides as Hydra does, and run.

    Args:
        arguments: Of `gdesign eval`; None where this process is `python eval.py`.
    """
    take_overrides("eval", arguments)
    main()
