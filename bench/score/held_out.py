"""What is chosen, soups and searches alike, is chosen by this: J&F on training data that no training saw."""

from bench.plan.cells import Training
from bench.plan.data import open_training
from bench.score.accuracy import score_frames, summarize
from bench.score.inference import NotFinite, follow

SCORED_CLIPS = 24
SCORED_FRAMES = 8


def held_out_score(method, training: Training, device: str) -> float:
    """J&F (0..1) of a network on clips of what `training` holds out of its data; 0 where it answers NaN."""
    clips = open_training(training.data, training.schedule, seed=0, held_out=True, length=SCORED_FRAMES).source
    scores = []
    for number in range(SCORED_CLIPS):
        # Of the last frame no step is taken: DAVIS evaluates neither the first nor the last.
        frames, masks = (whole[:-1] for whole in clips.clip(number))
        ids = sorted({*masks[0].flat} - {0})
        given = zip(frames, [masks[0], *[None] * (len(frames) - 1)], strict=True)
        predictions = (mask for mask, _ in follow(method, given, device))
        judged = zip(range(len(masks)), predictions, masks, strict=True)
        try:
            scores.append(score_frames(str(number), judged, ids))
        except NotFinite:  # its training diverged: it is not chosen, and others go on
            return 0.0
    return summarize(scores)["jf_mean"]
