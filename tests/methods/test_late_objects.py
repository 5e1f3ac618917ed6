"""Objects that appear later in a video, against a slow version that remembers for every object apart."""

import math

import pytest
import torch

import methods
from methods.copy_first_mask import CopyFirstMask
from methods.masks import normalize

GIVEN = {0: (5, 9), 3: (2,), 4: (7, 30)}  # frame: ids
FRAMES = 8
EVERY_SECOND = {0, 2, 3, 4, 6}  # annotated frames are kept, and each starts the count anew


def video() -> torch.Tensor:
    return torch.rand(FRAMES, 3, 48, 64, generator=torch.Generator().manual_seed(0))


def mask(ids: tuple[int, ...]) -> torch.Tensor:
    """A square for each id, some of them where other frames have another id."""
    squares = torch.zeros(48, 64, dtype=torch.long)
    for i in ids:
        top, left = i % 4 * 8, i % 5 * 10
        squares[top : top + 16, left : left + 16] = i
    return squares


# --- the definitions, slowly -----------------------------------------------------------------------


def joint(objects: dict[int, torch.Tensor]) -> dict[int, torch.Tensor]:
    """Soft aggregation (STM, equation 4): odds over the sum of all odds; id 0 is the background."""
    background = math.prod(1 - p for p in objects.values())
    clamped = {i: p.double().clamp(1e-7, 1 - 1e-7) for i, p in {0: background, **objects}.items()}
    odds = {i: p / (1 - p) for i, p in clamped.items()}
    return {i: (value / sum(odds.values())).float() for i, value in odds.items()}


def read(method, query, remembered: list[tuple]) -> torch.Tensor:
    """One object's probability from its remembered (key, value) pairs."""
    keys = torch.cat([key.flatten(1) for key, _ in remembered], 1).double()
    values = torch.cat([value.flatten(1) for _, value in remembered], 1).double()
    distance = (query.key16[0].flatten(1).double()[:, :, None] - keys[:, None]).pow(2).sum(0)
    weights = (-distance / math.sqrt(len(keys))).softmax(1)
    found = (values @ weights.T).float().view(1, -1, *query.key16.shape[-2:])
    return method.decode(found, query)[0][0].sigmoid()


@torch.inference_mode()
def slow_run(method, in_memory) -> list[torch.Tensor]:
    """What STCN's inference for YouTube-VOS does; in_memory: an object's frames so far -> those that it reads."""
    frames, written, answers = normalize(video()), {}, []
    for t in range(FRAMES):
        frame = frames[t : t + 1]
        query = method.encode_query(frame)
        probabilities = joint(
            {i: read(method, query, [own[s] for s in in_memory(list(own))]) for i, own in written.items()}
        ) if written else {}  # fmt: skip
        if t in GIVEN:
            known = {i: probabilities[i] * (mask(GIVEN[t]) == 0) for i in written}
            probabilities = joint({**known, **{i: (mask(GIVEN[t]) == i).float() for i in GIVEN[t]}})
        ids = sorted(set(probabilities) - {0})
        for i in ids:
            others = sum(probabilities[k] for k in ids) - probabilities[i]
            value = method.encode_memory(frame, query.f16, probabilities[i][None], others[None])
            written.setdefault(i, {})[t] = query.key16[0], value[0]
        answers.append(torch.stack([probabilities[i] for i in [0, *ids]]))
    return answers[1:]


@pytest.mark.parametrize(
    ("name", "options", "in_memory"),
    [
        ("stcn", {"memory_every": 2, "top_k": None}, lambda own: [t for t in own if t in EVERY_SECOND]),
        (
            "stcn",
            {"memory_every": 2, "top_k": None, "include_last": True},
            lambda own: [t for t in own if t in EVERY_SECOND or t == own[-1]],
        ),
        ("mobilevos_r18", {}, lambda own: sorted({own[0], own[-1]})),
        ("mobilevos_r18", {"write_rule": "last"}, lambda own: own[-2:]),
        ("mobilevos_r18", {"queue_length": 1}, lambda own: own[:1]),
        (
            "mobilevos_r18",
            {"write_rule": "first+every", "memory_every": 2, "queue_length": 3},
            lambda own: [own[0], *[t for t in own[1:] if t in EVERY_SECOND][-2:]],
        ),
    ],
)
def test_every_object_reads_its_own_frames_only(name, options, in_memory):
    torch.manual_seed(0)
    method = methods.create(name, width=0.25, **options)
    method.decoder.pred.weight.data *= 10  # an untrained network hardly depends on its memory
    frames, answers = video(), []
    method.start(frames[0], mask(GIVEN[0]))
    for t in range(1, FRAMES):
        answers.append(method.add(frames[t], mask(GIVEN[t])) if t in GIVEN else method.step(frames[t]))
    assert method.object_ids == [2, 5, 7, 9, 30]
    for ours, expected in zip(answers, slow_run(method, in_memory), strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


def test_the_mask_of_a_new_object_wins_over_any_prediction():
    method = methods.create("mobilevos_mnv2", width=0.25)
    method.decoder.pred.bias.data += 100  # sees its objects everywhere
    frames = video()
    method.start(frames[0], mask((1,)))
    assert (method.step(frames[1]).argmax(0) == 1).all()
    labels = method.add(frames[2], mask((2,))).argmax(0)
    assert torch.equal(labels, torch.where(mask((2,)) == 2, 2, 1))


def test_memory_stays_bounded_however_often_objects_are_added():
    method = methods.create("mobilevos_mnv2", width=0.25)
    frame = video()[0]
    method.start(frame, mask((1,)))
    for new in range(2, 8):
        method.step(frame)
        method.add(frame, mask((new,)))
        assert method.memory_frames == 2
    keys = method._memory.read()[::2]
    assert [key.shape[-1] // (3 * 4) for key in keys] == [2] * 6 + [1]  # frames; the last object has but one


def test_a_filled_memory_holds_all_objects():
    method = methods.create("stcn", width=0.25)
    frames = video()
    method.start(frames[0], mask((5,)))
    method.add(frames[1], mask((2, 30)))
    method.fill_memory(4)
    assert method.memory_frames == 4
    assert method.step(frames[2]).shape == (4, 48, 64)


def test_a_copied_mask_is_covered_by_later_ones():
    method = CopyFirstMask()
    frames = video()
    method.start(frames[0], mask((5, 9)))
    method.add(frames[1], mask((2,)))
    expected = torch.where(mask((2,)) > 0, mask((2,)), mask((5, 9)))
    labels = torch.tensor([0, 2, 5, 9])[method.step(frames[2]).argmax(0)]
    assert torch.equal(labels, expected)
