"""Our J and F against vos-benchmark's, on the same 480p masks, timed in one run: in memory, and from PNG files."""

import time
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from scipy import ndimage
from scoring import save_davis, save_masks

from bench.score.accuracy import frame_scores, summarize
from bench.score.folder import choose_protocol, find_tasks, score_all
from datasets.davis import open_davis

SIZE, FRAMES = (480, 854), 4
LEAST = {"in memory": 3.0, "from files": 4.0}
COPIES = 12, 24  # of those frames in a sequence, of this sequence in the set: a small DAVIS


@pytest.fixture
def one_thread():
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(before)


def masks(objects: int) -> list[np.ndarray]:
    """Smooth blobs that cover about a third of each frame."""
    rng = np.random.default_rng(objects)
    fields = ndimage.zoom(rng.normal(size=(FRAMES, objects + 1, 12, 16)), (1, 1, 40, 854 / 16), order=1)
    fields[:, 0] += 0.7
    return list(fields[:, :, : SIZE[0], : SIZE[1]].argmax(axis=1).astype(np.uint8))


def moved(truths: list[np.ndarray]) -> list[np.ndarray]:
    return [np.roll(mask, (3, 5), axis=(0, 1)) for mask in truths]


@pytest.mark.benchmark_ratio
@pytest.mark.parametrize("objects", [1, 2, 4])
def test_ours_is_three_times_faster_than_vos_benchmark(objects, one_thread, capsys):
    evaluator = pytest.importorskip(
        "vos_benchmark.evaluator", reason="vos-benchmark is not installed: bench/requirements-official.txt"
    )
    truths, ids = masks(objects), tuple(range(1, objects + 1))
    predictions = moved(truths)

    def ours() -> np.ndarray:
        pairs = zip(predictions, truths, strict=True)
        return np.array([frame_scores(*pair, ids) for pair in pairs]).mean(axis=0)

    def theirs() -> np.ndarray:
        judge = evaluator.Evaluator()
        for prediction, truth in zip(predictions, truths, strict=True):
            judge.feed_frame(prediction, truth)
        return np.array([[part[i] / 100 for i in ids] for part in judge.conclude()])

    np.testing.assert_allclose(ours(), theirs(), rtol=0, atol=1e-9)
    assert ratio(ours, theirs, FRAMES, f"in memory, {objects} object(s)", 3, capsys) >= LEAST["in memory"]


@pytest.mark.benchmark_ratio
@pytest.mark.slow
@pytest.mark.parametrize("objects", [1, 2])
def test_from_files_with_two_processes_ours_is_four_times_faster(objects, tmp_path, capsys):
    """Both start their processes, find and read the PNGs, and sum up; neither counts the imports of its parent."""
    benchmark = pytest.importorskip(
        "vos_benchmark.benchmark", reason="vos-benchmark is not installed: bench/requirements-official.txt"
    )
    in_sequence, sequences = COPIES
    truth = {"s00": masks(objects) * in_sequence}
    save_davis(tmp_path / "DAVIS", truth)
    annotations = tmp_path / "DAVIS/Annotations/480p"
    predictions = save_masks(tmp_path / "masks", {"s00": moved(truth["s00"])})
    names = [f"s{number:02d}" for number in range(sequences)]
    for folder in (annotations, predictions, tmp_path / "DAVIS/JPEGImages/480p"):
        for name in names[1:]:
            (folder / name).symlink_to(folder / "s00")
    (tmp_path / "DAVIS/ImageSets/2017/val.txt").write_text("\n".join(names))

    def ours() -> np.ndarray:
        protocol = choose_protocol("ours", {})
        tasks = find_tasks(open_davis(tmp_path / "DAVIS", 2017), predictions, protocol)
        found = summarize([one.scores for one in score_all(tasks, protocol, 2, "ours")])
        return np.array([found["j_mean"], found["f_mean"]])

    def theirs() -> np.ndarray:
        found = benchmark.benchmark([str(annotations)], [str(predictions)], num_processes=2, verbose=False)
        return np.array([found[1][0], found[2][0]]) / 100

    np.testing.assert_allclose(ours(), theirs(), rtol=0, atol=1e-9)
    frames = sequences * (len(truth["s00"]) - 2)
    assert ratio(ours, theirs, frames, f"from files, {objects} object(s)", 2, capsys) >= LEAST["from files"]


def ratio(ours: Callable, theirs: Callable, frames: int, what: str, repeats: int, capsys) -> float:
    """How many times longer theirs takes. In turns and by the quickest run: other work disturbs these least."""
    times = [[seconds(work) for work in (ours, theirs)] for _ in range(repeats)]
    mine, other = 1000 * np.min(times, axis=0) / frames
    with capsys.disabled():
        print(f"\n480p {what}: ours {mine:.2f} ms, vos-benchmark {other:.2f} ms a frame, ratio {other / mine:.1f}")
    return other / mine


def seconds(work: Callable) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
