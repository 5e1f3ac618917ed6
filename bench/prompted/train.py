"""What networks of images learn from: a stream of images, a teacher with its stored embeddings, held-out images."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from bench.cells import Network, Training
from bench.data import open_training_images
from bench.errors import ConfigError
from bench.prompted.embeddings import Embeddings, store_embeddings
from bench.prompted.exam import Exam
from bench.prompted.images import ImageStream
from bench.prompted.learner import teach
from bench.prompted.settings import Questions
from bench.recipe import Schedule
from bench.train.group import Lessons
from methods.sam.network import Sam

HELD_OUT = Questions(images=24)  # looked at along a training


@dataclass(frozen=True)
class Teacher:
    """A network, and what it makes of every image of the stream."""

    network: Sam
    embeddings: Embeddings

    @property
    def embedding_channels(self) -> int:
        return self.network.embedding_channels


def open_stream(training: Training, side: int) -> ImageStream:
    """The training's images and prompts, for a network whose input has this side."""
    schedule = training.schedule
    images = open_training_images(training.data)
    if training.recipe.labels == "truth" and not all(image.mask for image in images):
        raise ConfigError(
            f"training '{training.data['name']}' has no masks to train {training.method} on: give teacher.weights, "
            f"or images with masks (training=static, say)"
        )
    return ImageStream(images, side, schedule.steps, schedule.batch, training.seed)


def with_embeddings(
    network: Sam, described: Network, training: Training, stream: ImageStream, runs: Path, device: str
) -> Teacher:
    """The teacher of a training, its embeddings in `runs/embeddings`."""
    precision, limit = training.recipe.decoupled.stored, training.schedule.embeddings_gb
    folder = runs / "embeddings"
    return Teacher(
        network, store_embeddings(network, described.key, stream, folder, precision, limit, device)
    )


def held_out_exam(training: Training, side: int, teacher: Sam | None, device: str) -> Exam | None:
    """Questions about images that no training sees; None where none are held out."""
    images = open_training_images(training.data, held_out=True)
    return Exam(images, side, HELD_OUT, teacher, device, kinds=("point",)) if images else None


def batches(stream: ImageStream, schedule: Schedule, start: int, device: str) -> Iterator[dict[str, Tensor]]:
    for batch in stream.loader(start, schedule.workers):
        yield {name: value.to(device, non_blocking=True) for name, value in batch.items()}


IMAGES = Lessons(batches, teach)
