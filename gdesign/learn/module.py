"""The one LightningModule: draw designs, run them, weigh them, learn.

Shape letters: T tasks in a batch, K designs drawn for each, B = T * K.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from time import perf_counter
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

from gdesign.design.base import Designer, Reviewed, refuse_below_one
from gdesign.design.choose import greedy
from gdesign.encode.problem import ProblemEncoder
from gdesign.errors import ConfigError
from gdesign.execute.arena import Arena, Result
from gdesign.execute.reward import Reward
from gdesign.learn.data import Item
from gdesign.learn.estimators import Estimator, Replayed, Rollouts
from gdesign.learn.replay import ReplayBuffer
from gdesign.learn.teachers import Teacher
from gdesign.types import Job, Outcome, Run

REVIEWED = 32
"""Tasks whose runs are looked at together in a review."""


class Means(nn.Module):
    """Means over runs: of utility, score and USD per 1,000 questions."""

    def __init__(self, *, persistent: bool) -> None:
        super().__init__()
        self.utility, self.score, self.usd = (MeanMetric(nan_strategy="error") for _ in range(3))
        for metric in self._metrics.values():
            metric.set_dtype(torch.float64)
            metric.persistent(persistent)

    @property
    def _metrics(self) -> dict[str, MeanMetric]:
        return {"utility": self.utility, "score": self.score, "usd": self.usd}

    def update(self, results: Sequence[Result], utilities: Sequence[float], *, weighted: bool) -> None:
        """Count some runs, each by its task's weight or all alike."""
        weight = torch.tensor([run.task.weight if weighted else 1.0 for run, _ in results], dtype=torch.float64)
        columns = (utilities, [o.score for _, o in results], [1000 * o.usd for _, o in results])
        for metric, column in zip(self._metrics.values(), columns, strict=True):
            metric.update(torch.tensor(column, dtype=torch.float64), weight)

    def read(self) -> dict[str, float]:
        """Return the means by name, and begin anew; nothing where no run was counted."""
        found = {name: float(metric.compute()) for name, metric in self._metrics.items() if metric.update_called}
        for metric in self._metrics.values():
            metric.reset()
        return found


class DesignModule(L.LightningModule):
    """Learns a designer from the utility of the designs that it draws.

    Args:
        estimator: Rollouts to a loss.
        optimizer: Makes one, given parameters and `lr`.
        lr: Learning rate at the first step.
        final_lr: Its share at the last step, reached in a straight line.
        replay: Runs of earlier steps that a critic goes over again, at prices drawn anew; None for none.
        teacher: Gives the designs to imitate; then none is drawn and run in training.
        num_designs: K.
        entropy_weight: What the entropy of a decision earns in the loss at the first step. Where all designs drawn for
            a question are the same they are run once and teach nothing by comparison; entropy keeps others coming.
        final_entropy_weight: The same at the last step, reached in a straight line; None for the same throughout.
        penalty_weight: What the method's own regulariser costs in the loss.
        usd_weight_range: Lowest and highest lambda that each training task draws its own from, evenly by its
            logarithm, for designers that serve every price of cost; None for the reward's always.
        num_samples: How many distinct answers an identical request may get: each run's seed is drawn
            below it. 1 asks each thing once, which is exact on recorded answers and cheap on cached ones.
        num_validation_samples: How often each validation task is run, with seeds 0, 1, ...
        seed: Draws designs and run seeds.
    """

    def __init__(
        self,
        *,
        designer: Designer,
        problems: ProblemEncoder,
        arena: Arena,
        estimator: Estimator,
        optimizer: Callable[..., torch.optim.Optimizer],
        lr: float,
        final_lr: float = 1.0,
        reward: Reward = Reward(),
        replay: ReplayBuffer | None = None,
        teacher: Teacher | None = None,
        num_designs: int,
        entropy_weight: float = 0.0,
        final_entropy_weight: float | None = None,
        penalty_weight: float = 0.01,
        usd_weight_range: Sequence[float] | None = None,
        num_samples: int = 1,
        num_validation_samples: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        refuse_below_one(
            num_designs=num_designs, num_samples=num_samples, num_validation_samples=num_validation_samples
        )
        if usd_weight_range is not None and not 0 < usd_weight_range[0] <= usd_weight_range[1]:
            raise ConfigError(
                f"usd_weight_range is {list(usd_weight_range)}; expected two prices, 0 < lowest <= highest"
            )
        if not lr > 0:
            raise ConfigError(f"lr must be above 0; got {lr}")
        if not 0 < final_lr <= 1:
            raise ConfigError(f"final_lr must be in (0, 1]; got {final_lr}")
        self.designer = designer
        self.problems = problems
        self.arena = arena
        self.estimator = estimator
        self.optimizer = optimizer
        self.lr = lr
        self.final_lr = final_lr
        self.reward = reward
        self.replay = replay
        self.teacher = teacher
        self.num_designs = num_designs
        self.entropy_weight = entropy_weight
        self.final_entropy_weight = entropy_weight if final_entropy_weight is None else final_entropy_weight
        self.penalty_weight = penalty_weight
        self.usd_weight_range = None if usd_weight_range is None else tuple(usd_weight_range)
        self.num_samples = num_samples
        self.num_validation_samples = num_validation_samples
        self.generator = torch.Generator().manual_seed(seed)
        self.num_runs = 0
        self.unanswered: list[Result] | None = []  # the last runs, as long as no call was answered at all
        self.seconds = 0.0
        self._began = perf_counter()
        self._drawn = Means(persistent=True)  # since the last row of metrics, wherever a training was stopped
        self._validated = Means(persistent=False)
        self._seen: dict[tuple[str, str], Item] = {}

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
            metrics: dict[str, Any] = {"train/loss": loss.detach(), "train/entropy": rollouts.entropy.detach().mean()}
            for name, mean in self._drawn.read().items():
                self.log(name, mean, prog_bar=True, logger=False, batch_size=len(batch))
                metrics[f"train/{name}"] = mean
            self.log_dict(metrics, batch_size=len(batch))
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Tell the designer that a step was taken."""
        self.designer.step_taken(self.global_step)

    def on_validation_epoch_start(self) -> None:
        """Let the designer look once more at all runs that there have been."""
        if self.replay is not None:
            self.designer.review(self._reviewed(self.replay))

    def validation_step(self, batch: Sequence[Item], batch_idx: int) -> None:
        """Run the greedy designs of some tasks."""
        designs = greedy(self.designer, self.problems, [item.seen for item in batch], usd_weight=self.reward.usd_weight)
        jobs = [
            Job(design, item.task, seed)
            for design, item in zip(designs, batch, strict=True)
            for seed in range(self.num_validation_samples)
        ]
        results = self.execute(jobs, phase="fit:validation")
        self._validated.update(results, [self.reward.utility(outcome) for _, outcome in results], weighted=True)

    def on_validation_epoch_end(self) -> None:
        """Log what early stopping and the choice of a checkpoint look at."""
        means = self._validated.read()
        self.log("val/utility", means["utility"], prog_bar=True)
        self.log_dict({"val/score": means["score"], "val/usd": means["usd"], "runs": float(self.num_runs)})

    def configure_optimizers(self) -> Any:
        """Return the optimizer of the designer's parameters, and how its learning rate falls."""
        try:
            optimizer = self.optimizer(self.designer.parameters(), lr=self.lr)
        except (ValueError, TypeError) as error:  # torch's words for a setting that cannot be, or is none
            raise ConfigError(f"learner.optimizer: {error}") from error
        if self.final_lr == 1:
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)
        # of the step alone, so that a training which goes on to a later end falls along the line to that end
        fall = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: 1.0 + (self.final_lr - 1.0) * min(1.0, step / steps)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": fall, "interval": "step"}}

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Return the batch as it is: tasks are no tensors."""
        return batch

    def on_fit_start(self) -> None:
        """Start the clock."""
        self._began = perf_counter()

    def on_train_start(self) -> None:
        """Learn what the designer reads of a task, for runs that are gone over again."""
        if self.replay is not None:
            items = self.trainer.datamodule.train  # type: ignore[attr-defined]
            self._seen = {(item.task.benchmark, item.task.id): item for item in items}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what a resumed training needs to draw the same designs and write the same metrics."""
        now = perf_counter()
        self.seconds += now - self._began
        self._began = now
        checkpoint["generator"] = self.generator.get_state()
        checkpoint["seconds"] = self.seconds
        checkpoint["num_runs"] = self.num_runs
        checkpoint["replay"] = None if self.replay is None else self.replay.state_dict()

    def on_load_checkpoint(self, checkpoint: Mapping[str, Any]) -> None:
        """Go on where the checkpoint was written."""
        self.generator.set_state(checkpoint["generator"])
        self.seconds = checkpoint["seconds"]
        self.num_runs = checkpoint["num_runs"]
        if self.replay is not None:
            self.replay.load_state_dict(checkpoint["replay"])

    def _draw(self, batch: Sequence[Item]) -> Rollouts:
        t, k = len(batch), self.num_designs
        prices = self._prices(t)
        problem = self.problems([item.seen for item in batch], usd_weight=prices)
        draft = self.designer(problem, num_designs=k, generator=self.generator)
        # The designs of one task share their seed, and so the luck of each agent: they differ by design alone.
        seeds = torch.randint(self.num_samples, (t,), generator=self.generator).repeat_interleave(k).tolist()
        tasks = [item.task for item in batch for _ in range(k)]
        replayed = self._replay()
        results = self.execute(list(map(Job, draft.designs, tasks, seeds)), phase="fit:train")
        rewards = [self.reward.at(price) for price in prices for _ in range(k)]
        worth = [reward.utility(outcome) for reward, (_, outcome) in zip(rewards, results, strict=True)]
        self._drawn.update(results, worth, weighted=False)
        return Rollouts(
            log_prob=draft.log_prob.view(t, k),
            utility=torch.tensor(worth, device=draft.log_prob.device).view(t, k),
            entropy=draft.entropy.view(t, k),
            penalty=draft.penalty.view(t, k),
            weight=self._weights(batch),
            value=None if draft.value is None else draft.value.view(t, k),
            replayed=replayed,
        )

    def _replay(self) -> Replayed | None:
        """Return what the critic expects of earlier runs, what they were worth, and which were of one task and step."""
        chosen = [] if self.replay is None else self.replay.draw(self.generator)
        if not chosen:
            return None
        items = [self._seen[key[1:]] for key, _ in chosen]
        runs = [done for _, found in chosen for done in found]
        task = torch.tensor([place for place, (_, found) in enumerate(chosen) for _ in found])
        prices = self._prices(len(chosen))
        problem = self.problems([item.seen for item in items], usd_weight=prices)
        score, usd = self.designer.expect(problem, [done.design for done in runs], of=task)
        task = task.to(score.device)
        price = torch.tensor(prices, device=score.device)[task]
        at = [self.reward.at(prices[place]) for place in task.tolist()]
        weights = torch.tensor([[r.token_weight, r.second_weight] for r in at], device=score.device).T
        columns = [[d.score, 1000 * d.usd, d.tokens, d.seconds] for d in runs]
        got, paid, tokens, seconds = torch.tensor(columns, device=score.device).T
        cost = price * paid + weights[0] * tokens + weights[1] * seconds
        return Replayed(
            expected=score - price * usd,
            utility=got - cost,
            task=task,
            weight=self._weights(items).to(score.device)[task],
        )

    def _reviewed(self, replay: ReplayBuffer) -> Iterator[Reviewed]:
        tasks = replay.by_task()
        for start in range(0, len(tasks), REVIEWED):
            some = tasks[start : start + REVIEWED]
            problem = self.problems([self._seen[task].seen for task, _ in some], usd_weight=self.reward.usd_weight)
            runs = [done for _, found in some for done in found]
            yield Reviewed(
                problem=problem,
                designs=[done.design for done in runs],
                of=torch.tensor(
                    [place for place, (_, found) in enumerate(some) for _ in found], device=problem.x.device
                ),
                score=torch.tensor([done.score for done in runs], device=problem.x.device),
            )

    def _prices(self, num: int) -> list[float]:
        if self.usd_weight_range is None:
            return [self.reward.usd_weight] * num
        low, high = self.usd_weight_range
        return [float(low * (high / low) ** u) for u in torch.rand(num, generator=self.generator).tolist()]

    def _imitate(self, batch: Sequence[Item]) -> Rollouts:
        assert self.teacher is not None
        problem = self.problems([item.seen for item in batch], usd_weight=self.reward.usd_weight)
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

    def execute(self, jobs: Sequence[Job], *, phase: str, tell: Callable[[], object] = lambda: None) -> list[Result]:
        """Run designs on tasks with seeds, and keep in mind what a critic goes over again.

        Args:
            tell: Is called at the end of each run.
        """
        step = self.global_step

        def on_run(run: Run, outcome: Outcome) -> None:
            self.num_runs += 1
            tell()

        results = self.arena.run(jobs, phase=phase, step=step, on_run=on_run)
        if self.replay is not None and phase == "fit:train":
            # in the order of the jobs: which run ends first is luck, over a network or several processes
            for run, outcome in dict(zip(jobs, results, strict=True)).values():
                self.replay.add(run, outcome, step=step)
        if self.unanswered is not None:
            heard = any(outcome.label is not None for _, outcome in results)
            self.unanswered = None if heard else results
        return results

    def _weights(self, batch: Sequence[Item]) -> Tensor:
        return torch.tensor([item.task.weight for item in batch])

    def _entropy_weight(self) -> float:
        first, last = self.entropy_weight, self.final_entropy_weight
        if first == last:
            return first
        total = float(self.trainer.estimated_stepping_batches)
        return first + (last - first) * min(1.0, self.global_step / max(1.0, total - 1))
