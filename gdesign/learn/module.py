"""The one LightningModule: draw designs, run them, weigh them, learn.

Shape letters: T tasks in a batch, K designs drawn for each, B = T * K.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import lightning as L
import torch
from torch import Tensor

from gdesign.design.base import Designer
from gdesign.design.choose import greedy
from gdesign.encode.problem import ProblemEncoder
from gdesign.errors import ConfigError
from gdesign.execute.arena import Result, rollout
from gdesign.execute.limits import Limits
from gdesign.execute.reward import utility
from gdesign.export.schema import design_from_json, design_to_json
from gdesign.learn.data import Item
from gdesign.learn.estimators import Estimator, Replay, Rollouts
from gdesign.llm.base import LLMClient
from gdesign.runs.log import RunsFile, read_runs
from gdesign.sandbox.outside import Sandbox
from gdesign.tasks.base import Benchmark
from gdesign.types import Design, Label, Outcome, Run, Task

Teacher = Callable[[Sequence[Task]], Sequence[Design]]


class DesignModule(L.LightningModule):
    """Learns a designer from the utility of the designs that it draws.

    Args:
        designer: What learns.
        problems: Encodes tasks; its space holds the pool.
        llm: Answers the agents.
        benchmark: Reads and grades answers.
        estimator: Rollouts to a loss.
        loop: Runs the agents. Its owner closes it, so that clients keep their connections.
        runs: Gets a line for every execution; None for nowhere.
        teacher: Gives the designs to imitate; then none is drawn and run in training.
        num_designs: K.
        lr: Learning rate of AdamW.
        weight_decay: AdamW's: each step takes off so much of the parameters, times the learning rate.
        final_lr: Its share at the last step, reached in a straight line.
        usd_weight: lambda, for USD per 1,000 questions.
        token_weight: lambda for tokens per question.
        second_weight: lambda for seconds of latency per question.
        entropy_weight: What entropy earns in the loss at the first step.
        final_entropy_weight: The same at the last step, reached in a straight line; None for the same throughout.
        penalty_weight: What the method's own regulariser costs in the loss.
        usd_weight_range: Lowest and highest lambda that each training task draws its own from, evenly by its
            logarithm, for designers that serve every price of cost; None for `usd_weight` always.
        num_replayed: How many tasks of earlier steps, with all their runs then, a critic goes over again in each
            step, at prices drawn anew. A resumed training reads them from `runs`.
        num_samples: How many distinct answers an identical request may get: each run's seed is drawn
            below it. 1 asks each thing once, which is exact on recorded answers and cheap on cached ones.
        num_validation_samples: How often each validation task is run, with seeds 0, 1, ...
        limits: How much one run may take, and each agent in it; None for no limit.
        tools: Where agents run the programs that they write; None for nowhere.
        seed: Draws designs and run seeds.
    """

    def __init__(
        self,
        *,
        designer: Designer,
        problems: ProblemEncoder,
        llm: LLMClient,
        benchmark: Benchmark,
        estimator: Estimator,
        loop: asyncio.Runner,
        runs: RunsFile | None = None,
        teacher: Teacher | None = None,
        num_designs: int,
        lr: float,
        weight_decay: float = 0.0,
        usd_weight: float = 0.0,
        token_weight: float = 0.0,
        second_weight: float = 0.0,
        entropy_weight: float = 0.0,
        final_entropy_weight: float | None = None,
        penalty_weight: float = 0.01,
        usd_weight_range: Sequence[float] | None = None,
        num_replayed: int = 0,
        final_lr: float = 1.0,
        num_samples: int = 1,
        num_validation_samples: int = 1,
        limits: Limits | None = None,
        tools: Sandbox | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        for name, value in (
            ("num_designs", num_designs),
            ("num_samples", num_samples),
            ("num_validation_samples", num_validation_samples),
        ):
            if value < 1:
                raise ConfigError(f"{name} must be 1 or more; got {value}")
        if usd_weight_range is not None and not 0 < usd_weight_range[0] <= usd_weight_range[1]:
            raise ConfigError(
                f"usd_weight_range is {list(usd_weight_range)}; expected two prices, 0 < lowest <= highest"
            )
        if num_replayed < 0:
            raise ConfigError(f"num_replayed must be 0 or more; got {num_replayed}")
        if not lr > 0:
            raise ConfigError(f"lr must be above 0; got {lr}")
        if not weight_decay >= 0:
            raise ConfigError(f"weight_decay must be 0 or more; got {weight_decay}")
        if not 0 < final_lr <= 1:
            raise ConfigError(f"final_lr must be in (0, 1]; got {final_lr}")
        self.designer = designer
        self.problems = problems
        self.llm = llm
        self.benchmark = benchmark
        self.estimator = estimator
        self.loop = loop
        self.runs = runs
        self.teacher = teacher
        self.num_designs = num_designs
        self.usd_weight = usd_weight
        self.token_weight = token_weight
        self.second_weight = second_weight
        self.entropy_weight = entropy_weight
        self.final_entropy_weight = entropy_weight if final_entropy_weight is None else final_entropy_weight
        self.penalty_weight = penalty_weight
        self.usd_weight_range = None if usd_weight_range is None else tuple(usd_weight_range)
        self.num_replayed = num_replayed
        self.lr = lr
        self.weight_decay = weight_decay
        self.final_lr = final_lr
        self.num_samples = num_samples
        self.num_validation_samples = num_validation_samples
        self.limits = limits
        self.tools = tools
        self.generator = torch.Generator().manual_seed(seed)
        self.num_runs = 0
        self.seconds = 0.0
        self._began = perf_counter()
        self._recent: list[tuple[float, float, float]] = []
        self._done: dict[tuple[int, str, str], list[Done]] = {}
        self._by_luck = False
        self._seen: dict[tuple[str, str], Item] = {}
        self._validated: list[tuple[float, float, float, float]] = []

    def training_step(self, batch: Sequence[Item], batch_idx: int) -> Tensor:
        """Return the loss of some tasks."""
        rollouts = self._imitate(batch) if self.teacher is not None else self._draw(batch)
        loss = (
            self.estimator(rollouts)
            - self._entropy_weight() * (rollouts.weight[:, None] * rollouts.entropy).mean()
            + self.penalty_weight * (rollouts.weight[:, None] * rollouts.penalty).mean()
        )
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if (self.global_step + 1) % every == 0:
            metrics = {"train/loss": loss.detach(), "train/entropy": rollouts.entropy.detach().mean()}
            if self._recent:
                means = [sum(column) / len(self._recent) for column in zip(*self._recent, strict=True)]
                self._recent.clear()
                self.log("utility", means[0], prog_bar=True, logger=False, batch_size=len(batch))
                self.log("score", means[1], prog_bar=True, logger=False, batch_size=len(batch))
                self.log("usd", means[2], prog_bar=True, logger=False, batch_size=len(batch))
                metrics |= {"train/utility": means[0], "train/score": means[1], "train/usd": means[2]}
            self.log_dict(metrics, batch_size=len(batch))
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Tell the designer that a step was taken."""
        self.designer.step_taken(self.global_step)

    def validation_step(self, batch: Sequence[Item], batch_idx: int) -> None:
        """Run the greedy designs of some tasks."""
        designs = greedy(self.designer, self.problems, [item.seen for item in batch], usd_weight=self.usd_weight)
        jobs = [
            (design, item.task, seed)
            for design, item in zip(designs, batch, strict=True)
            for seed in range(self.num_validation_samples)
        ]
        for run, outcome in self.execute(jobs, phase="fit:validation"):
            weight = run.task.weight
            self._validated.append(
                (weight, weight * self._utility(outcome), weight * outcome.score, weight * outcome.usd)
            )

    def on_validation_epoch_end(self) -> None:
        """Log what early stopping and the choice of a checkpoint look at."""
        weight, worth, score, usd = (sum(column) for column in zip(*self._validated, strict=True))
        self._validated.clear()
        self.log("val/utility", worth / weight, prog_bar=True)
        self.log_dict({"val/score": score / weight, "val/usd": 1000 * usd / weight, "runs": float(self.num_runs)})

    def configure_optimizers(self) -> Any:
        """Return AdamW over the designer's parameters, and how its learning rate falls."""
        optimizer = torch.optim.AdamW(self.designer.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        if self.final_lr == 1:
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)
        fall = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, self.final_lr, total_iters=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": fall, "interval": "step"}}

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Return the batch as it is: tasks are no tensors."""
        return batch

    def on_fit_start(self) -> None:
        """Start the clock."""
        self._began = perf_counter()

    def on_train_start(self) -> None:
        """Recall the runs of a training that is resumed; only now is the step known where it goes on."""
        if self.num_replayed:
            items = self.trainer.datamodule.train  # type: ignore[attr-defined]
            self._seen = {(item.task.benchmark, item.task.id): item for item in items}
            if self.runs is not None and self.global_step > 0:
                self._done = _recalled(self.runs.path, before=self.global_step)
                self._by_luck = any(run.by_luck for runs in self._done.values() for run in runs)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what a resumed training needs to draw the same designs and write the same metrics."""
        now = perf_counter()
        self.seconds += now - self._began
        self._began = now
        checkpoint["generator"] = self.generator.get_state()
        checkpoint["seconds"] = self.seconds
        checkpoint["num_runs"] = self.num_runs
        checkpoint["recent"] = [list(row) for row in self._recent]

    def on_load_checkpoint(self, checkpoint: Mapping[str, Any]) -> None:
        """Go on where the checkpoint was written."""
        self.generator.set_state(checkpoint["generator"])
        self.seconds = checkpoint["seconds"]
        self.num_runs = checkpoint["num_runs"]
        self._recent = [(worth, score, usd) for worth, score, usd in checkpoint["recent"]]

    def _draw(self, batch: Sequence[Item]) -> Rollouts:
        t, k = len(batch), self.num_designs
        prices = self._prices(t)
        problem = self.problems(
            [item.seen for item in batch for _ in range(k)], usd_weight=[p for p in prices for _ in range(k)]
        )
        draft = self.designer(problem, generator=self.generator)
        # The designs of one task share their seed, and so the luck of each agent: they differ by design alone.
        seeds = torch.randint(self.num_samples, (t,), generator=self.generator).repeat_interleave(k).tolist()
        tasks = [item.task for item in batch for _ in range(k)]
        replayed = self._replay()
        results = self.execute(list(zip(draft.designs, tasks, seeds, strict=True)), phase="fit:train")
        worth = [self._utility(outcome, usd_weight=prices[i // k]) for i, (_, outcome) in enumerate(results)]
        self._recent += [(u, o.score, 1000 * o.usd) for u, (_, o) in zip(worth, results, strict=True)]
        return Rollouts(
            log_prob=draft.log_prob.view(t, k),
            utility=torch.tensor(worth, device=draft.log_prob.device).view(t, k),
            entropy=draft.entropy.view(t, k),
            penalty=draft.penalty.view(t, k),
            weight=self._weights(batch),
            value=None if draft.value is None else draft.value.view(t, k),
            replayed=replayed,
        )

    def _replay(self) -> Replay | None:
        """Return what the critic expects of earlier runs, what they were worth, and which were of one task and step."""
        if not self.num_replayed or not self._done:
            return None
        # over a network luck decides which run ends first, and so the order in which they are kept
        keys = sorted(self._done) if self._by_luck else list(self._done)
        chosen = torch.randint(len(keys), (self.num_replayed,), generator=self.generator).tolist()
        runs = {i: self._done[keys[i]] for i in chosen}
        if self._by_luck:
            runs = {i: sorted(found, key=Done.content) for i, found in runs.items()}
        rows = [(place, keys[i][1:], done) for place, i in enumerate(chosen) for done in runs[i]]
        prices = self._prices(len(chosen))
        each = [prices[place] for place, _, _ in rows]
        problem = self.problems([self._seen[task].seen for _, task, _ in rows], usd_weight=each)
        score, usd = self.designer.expect(problem, [done.design for _, _, done in rows])
        price = torch.tensor(each, device=score.device)
        columns = [[d.score, 1000 * d.usd, d.tokens, d.seconds] for _, _, d in rows]
        got, paid, tokens, seconds = torch.tensor(columns, device=score.device).T
        place = torch.tensor([place for place, _, _ in rows], device=score.device)
        weight = torch.tensor([self._seen[task].task.weight for _, task, _ in rows], device=score.device)
        return Replay(
            expected=score - price * usd,
            utility=got - price * paid - self.token_weight * tokens - self.second_weight * seconds,
            task=place,
            weight=weight,
        )

    def _prices(self, num: int) -> list[float]:
        if self.usd_weight_range is None:
            return [self.usd_weight] * num
        low, high = self.usd_weight_range
        return [float(low * (high / low) ** u) for u in torch.rand(num, generator=self.generator).tolist()]

    def _imitate(self, batch: Sequence[Item]) -> Rollouts:
        assert self.teacher is not None
        problem = self.problems([item.seen for item in batch], usd_weight=self.usd_weight)
        draft = self.designer(problem, generator=self.generator)
        log_prob = self.designer.log_prob(problem, self.teacher([item.task for item in batch]))
        return Rollouts(
            log_prob=draft.log_prob[:, None],
            utility=torch.zeros(len(batch), 1, device=log_prob.device),
            entropy=draft.entropy[:, None],
            penalty=draft.penalty[:, None],
            weight=self._weights(batch),
            teacher_log_prob=log_prob,
        )

    def execute(self, jobs: Sequence[tuple[Design, Task, int]], *, phase: str) -> list[Result]:
        """Run designs on tasks with seeds, all at once, and write them down under `phase`."""
        step = self.global_step

        def record(run: Run, outcome: Outcome) -> None:
            self.num_runs += 1
            if self.num_replayed and phase == "fit:train":
                key = (self.global_step, run.task.benchmark, run.task.id)
                done = Done.of(run, outcome)
                self._done.setdefault(key, []).append(done)
                self._by_luck |= done.by_luck
            if self.runs is not None:
                self.runs.append(run, outcome, phase=phase, step=step)

        pool = self.problems.space.pool
        return self.loop.run(
            rollout(
                jobs,
                pool=pool,
                llm=self.llm,
                benchmark=self.benchmark,
                record=record,
                limits=self.limits,
                tools=self.tools,
            )
        )

    def _utility(self, outcome: Outcome, *, usd_weight: float | None = None) -> float:
        price = self.usd_weight if usd_weight is None else usd_weight
        return utility(outcome, usd_weight=price, token_weight=self.token_weight, second_weight=self.second_weight)

    def _weights(self, batch: Sequence[Item]) -> Tensor:
        return torch.tensor([item.task.weight for item in batch])

    def _entropy_weight(self) -> float:
        first, last = self.entropy_weight, self.final_entropy_weight
        if first == last:
            return first
        total = float(self.trainer.estimated_stepping_batches)
        return first + (last - first) * min(1.0, self.global_step / max(1.0, total - 1))


BY_LUCK = (str(Label.LIVE), str(Label.REPLAYED))
"""Labels of runs of which luck decided, at first, which ended first; others end in the same order each time."""


class Done(NamedTuple):
    """A run of training, as far as a critic can learn from it."""

    design: Design
    score: float
    usd: float
    tokens: int
    seconds: float
    seed: int
    by_luck: bool

    @classmethod
    def of(cls, run: Run, outcome: Outcome) -> "Done":
        """Return what is kept of a run."""
        tokens = outcome.prompt_tokens + outcome.completion_tokens
        by_luck = str(outcome.label) in BY_LUCK
        return cls(run.design, outcome.score, outcome.usd, tokens, outcome.seconds, run.seed, by_luck)

    def content(self) -> tuple[int, str]:
        """Return what tells it from the other runs of its task in its step."""
        return self.seed, json.dumps(design_to_json(self.design))


def _recalled(path: Path, *, before: int) -> dict[tuple[int, str, str], list[Done]]:
    """Return the training runs of a file before a step, each once: a step that was lost was gone through again."""
    done: dict[tuple[int, str, str], list[Done]] = {}
    known = set()
    for row in read_runs(path, phase="fit:train"):
        key = (row["step"], row["benchmark"], row["task"])
        name = (*key, row["seed"], json.dumps(row["design"], sort_keys=True))
        if row["step"] < before and name not in known:
            known.add(name)
            tokens = row["prompt_tokens"] + row["completion_tokens"]
            design, seconds, by_luck = design_from_json(row["design"]), row.get("latency", 0.0), row["label"] in BY_LUCK
            run = Done(design, row["score"], row["usd"], tokens, seconds, row["seed"], by_luck)
            done.setdefault(key, []).append(run)
    return done
