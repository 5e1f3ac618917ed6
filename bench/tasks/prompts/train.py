"""What networks of images learn from: a stream of images, a teacher with its stored embeddings, held-out images."""

from dataclasses import dataclass
from pathlib import Path

from bench.plan.cells import Network, Training, content_hash, placeless
from bench.plan.questions import Questions
from bench.system.errors import ConfigError
from bench.tasks.prompts.embeddings import Embeddings, store_embeddings
from bench.tasks.prompts.exam import Exam
from bench.tasks.prompts.images import ImageStream
from bench.tasks.prompts.learner import teach
from bench.train.group import Lessons, loaded
from datasets.opening import open_images
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


def open_stream(trainings: list[Training], networks: list[Sam]) -> ImageStream:
    """The images and prompts of trainings that share a stream; networks: theirs, and their teacher.

    Raises ConfigError where they see images at different sizes, and for labels that are wanted but not there.
    """
    sides = {network.image_size for network in networks}
    if len(sides) > 1:
        raise ConfigError(
            f"image_size is {' and '.join(map(str, sorted(sides)))}: a teacher and its students see one size"
        )
    first, images = trainings[0], open_images(trainings[0].data)
    labelled = all(image.mask for image in images)
    for training in trainings:
        if training.recipe.labels == "truth" and not labelled:
            raise ConfigError(
                f"training '{first.data['name']}' has no masks to train {training.method} on: give "
                f"teacher.weights, or images with masks (training=static, say)"
            )
    return ImageStream(images, sides.pop(), first.schedule.steps, first.schedule.batch, first.seed)


def with_embeddings(
    network: Sam, described: Network, training: Training, stream: ImageStream, runs: Path, device: str
) -> Teacher:
    """The teacher of a training, its embeddings in `runs/embeddings`."""
    key, schedule = content_hash([described.key, placeless(training.data)]), training.schedule
    storing = (runs / "embeddings", schedule.embeddings, schedule.embeddings_gb)
    return Teacher(network, store_embeddings(network, key, stream, *storing, device))


def held_out_exam(training: Training, side: int, teacher: Sam | None, device: str) -> Exam | None:
    """Questions about images that no training sees; None where none are held out."""
    images = open_images(training.data, held_out=True)
    return Exam(images, side, HELD_OUT, teacher, device, kinds=("point",)) if images else None


IMAGES = Lessons(loaded, teach)
