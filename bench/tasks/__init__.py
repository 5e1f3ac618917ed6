"""The kinds of tasks, by the name that cells and trainings have of them."""

from bench.tasks.prompts.task import Prompts
from bench.tasks.task import Task
from bench.tasks.videos import Videos

TASKS: dict[str, Task] = {"videos": Videos(), "prompts": Prompts()}
