"""launcher=slurm: trainings and evaluations as jobs of a cluster; this process submits, waits and collects."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from omegaconf import DictConfig

from bench.measure.full_size import wanted_fields
from bench.plan.cells import Cell, Training, content_hash
from bench.plan.data import open_judged
from bench.plan.launcher import read_settings
from bench.record import Record
from bench.run.cluster import Cluster, Lost, Task
from bench.run.judge import Setup, blank, failed, here, judge, stored
from bench.run.networks import train_all, train_job
from bench.run.pool import Failures, run_jobs
from bench.run.scheduler import Scheduler
from bench.system.databases import without_passwords
from bench.system.environment import git_commit, pick_device, versions


@dataclass(frozen=True)
class Judging:
    """A cell to be judged, and with what settings."""

    cell: Cell
    config: DictConfig

    @property
    def key(self) -> str:
        return content_hash([self.cell.key, self.config.measure, bool(self.config.ablation.get("growth"))])


class Slurm:
    """Groups of trainings, then cells: each a job. Those of a stage are one array.

    Which device there is, every job finds out for itself: the machine that submits needs none.
    """

    def __init__(self, config: DictConfig, runs: Path) -> None:
        facts = {"device": "", "versions": versions(), "git_commit": git_commit()}
        self.setup = Setup(config, runs, config.device, facts)
        self.settings = read_settings(config)

    def finish(self, cells: list[Cell]) -> Iterator[tuple[int, Record]]:
        """The record of each cell, with its number.

        Cells that nothing is trained for are judged beside the first trainings: they read all of the data, so
        that damaged files are told before hours are spent.
        """
        setup, settings = self.setup, self.settings
        numbered = dict(enumerate(cells))
        known = {number: record for number, cell in numbered.items() if (record := self._known(cell))}
        yield from known.items()
        plain = {n: cell for n, cell in numbered.items() if n not in known and not cell.network.trainings}
        rest = {n: cell for n, cell in numbered.items() if n not in known and cell.network.trainings}
        trainings = [training for cell in cells for training in cell.network.trainings]
        with Cluster(Scheduler(settings), setup.runs / "jobs", settings.retries, settings.cpus) as cluster:
            tasks = self._judge(plain, cluster)
            failures = train_all(trainings, setup.runs, setup.device, elsewhere=partial(self._train, cluster))
            without = {n: record for n, cell in rest.items() if (record := failed(cell, setup, failures))}
            yield from without.items()
            tasks |= self._judge({n: cell for n, cell in rest.items() if n not in without}, cluster)
            for task in cluster.wait(list(tasks.values())):
                for number in [number for number, other in tasks.items() if other is task]:
                    yield number, self._record(cells[number], task)

    def _judge(self, cells: dict[int, Cell], cluster: Cluster) -> dict[int, Task]:
        jobs = [[Judging(cell, without_passwords(self.setup.config))] for cell in cells.values()]
        return dict(zip(cells, cluster.add(judge_here, jobs, (self.setup.runs,), _judged), strict=True))

    def _train(self, cluster: Cluster, jobs: list[list[Training]]) -> Failures:
        """The failures of all, each with the log that tells more."""
        failures: Failures = {}
        tasks = cluster.add(train_here, jobs, (self.setup.runs, self.setup.device), _trained)
        for task in cluster.wait(tasks):
            keys = [training.key for training in task.work.items]
            lost = isinstance(task.outcome, Lost)
            found = dict.fromkeys(keys, str(task.outcome)) if lost else task.outcome
            failures |= {key: f"{why}; log: {task.job.log}" for key, why in found.items() if key in keys}
        return failures

    def _known(self, cell: Cell) -> Record | None:
        """The record of a cell that is finished, with all that is wanted of its costs."""
        record = None if cell.cost_only else stored(cell, self.setup.runs)
        if record is None or not self.setup.config.measure:
            return record
        growth = bool(self.setup.config.ablation.get("growth"))
        wanted = wanted_fields(cell.network, growth, cell.prompted)
        return record if all(getattr(record, field) not in (None, "") for field in wanted) else None

    def _record(self, cell: Cell, task: Task) -> Record:
        same = blank(cell, self.setup)
        if isinstance(task.outcome, Lost):
            return replace(same, status=f"failed: {task.outcome}; log: {task.job.log}")
        record = replace(task.outcome, label=same.label, varied=same.varied)
        if record.status != "ok":
            return replace(record, status=f"{record.status}; log: {task.job.log}")
        # Of two rows with the same cell, the second finds the MLflow run of the first.
        return record if cell.cost_only else stored(cell, self.setup.runs) or record


def train_here(trainings: list[Training], runs: Path, device: str) -> Failures:
    """Inside a job: train a group; {key: why it failed}."""
    return run_jobs(train_job, [trainings], (runs, pick_device(device)), 1)


def judge_here(judgings: list[Judging], runs: Path) -> Record:
    """Inside a job: the record of one cell."""
    (judging,) = judgings
    return judge(judging.cell, here(judging.config, runs), open_judged(judging.cell.dataset))


def _trained(trainings: list[Training]) -> str:
    names = dict.fromkeys(f"{training.method} seed {training.seed}" for training in trainings)
    return f"train {', '.join(names)}" + (f" ({len(trainings)} networks)" if len(trainings) > 1 else "")


def _judged(judgings: list[Judging]) -> str:
    (judging,) = judgings
    return f"judge {judging.cell.label} seed {judging.cell.seed}"
