"""What is chosen, soups and searches alike, is chosen by this: J&F on training data that no training saw."""

import torch

from bench.plan.cells import Training
from bench.plan.data import open_training
from bench.score.accuracy import score_sequence, summarize
from bench.score.evaluate import to_tensor
from methods.masks import most_likely

SCORED_CLIPS = 24
SCORED_FRAMES = 8


def held_out_score(method, training: Training, device: str) -> float:
    """J&F (0..1) of a network on clips of the part that `training` holds out of its data."""
    clips = open_training(
        training.data, training.schedule, seed=0, held_out=True, length=SCORED_FRAMES
    ).source
    scores = []
    for number in range(SCORED_CLIPS):
        frames, masks = clips.clip(number, clips.natural_skip)
        ids = sorted({*masks[0].flat} - {0})
        method.start(to_tensor(frames[0], device), torch.from_numpy(masks[0]).long().to(device))
        labels = [most_likely(method.step(to_tensor(frame, device))).cpu().numpy() for frame in frames[1:]]
        scores.append(score_sequence(str(number), [masks[0], *labels], masks, ids))
    return summarize(scores).jf_mean
