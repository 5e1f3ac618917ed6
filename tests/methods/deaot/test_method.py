"""DeAOT equals the official implementation: key names, features, probabilities, groups of objects, memories."""

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from windows import window_to_map

import methods
from methods.checkpoint import load_weights
from methods.deaot.frames import aligned_size, fit_frames
from methods.distillation.hooks import attention_maps
from methods.masks import normalize

GOLDEN = {"deaot_t": "deaott", "deaot_l": "deaotl", "r50_deaot_l": "r50_deaotl"}
PARAMETERS = {"deaot_t": 7_238_188, "deaot_l": 13_167_342, "r50_deaot_l": 19_814_894}


def lively(name: str, **options):
    """A small network that depends on its memory: untrained ones start out hardly looking at it."""
    torch.manual_seed(0)
    method = methods.create(name, **{"width": 0.25, **options})
    for weight in method.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
    method.decoder.conv_out.weight.data *= 4
    return method.requires_grad_(False)


def video(frames: int = 8, height: int = 49, width: int = 81) -> torch.Tensor:
    return torch.rand(frames, 3, height, width, generator=torch.Generator().manual_seed(0))


# --- against the recordings ------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOLDEN)
def test_keys_shapes_and_parameter_count_are_the_official_ones(name, assert_official_keys):
    with torch.device("meta"):
        method = methods.create(name)
    assert_official_keys(method, GOLDEN[name])
    assert sum(p.numel() for p in method.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", GOLDEN)
def test_features_and_probabilities_equal_the_official_ones(name, shared, seeded, colours):
    arrays = np.load(shared / f"golden/models/{GOLDEN[name]}.npz")
    method = methods.create(name, long_term_gap=int(arrays["lt_gap"]))
    scale = {"patch_wise_id_bank": 4.0, "decoder.conv_out": 4.0}
    method.load_state_dict(seeded.name_seeded(method.state_dict(), scale))
    frames = seeded.frames((8, 3, 113, 113), 0)
    with torch.inference_mode():
        seen = method.encode_frame(frames[:1])
    for i, ours in enumerate((seen.f4[..., ::4, ::4], seen.f8[..., ::4, ::4], seen.f16, seen.top)):
        np.testing.assert_allclose(ours[:, ::16].numpy(), arrays[f"enc{i}"], atol=1e-4, err_msg=f"enc{i}")
    mask = torch.zeros(113, 113, dtype=torch.long)
    mask[8:50, 8:60], mask[60:100, 40:100] = 1, 2
    frames = colours(frames)
    method.start(frames[0], mask)
    ours = torch.stack([method.step(frame) for frame in frames[1:]]).numpy()
    np.testing.assert_allclose(ours[..., ::4, ::4], arrays["prob"], atol=1e-4)
    assert (ours.argmax(1) != arrays["mask"]).mean() < 1e-3
    assert method.memory_frames * 8 * 8 == arrays["lt_len"]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "optimizer": {}},
        lambda state: {"model": {f"module.{key}": value for key, value in state.items()}},
    ],
)
def test_official_checkpoints_load_in_every_wrapper(wrap, tmp_path):
    method, other = lively("deaot_t"), methods.create("deaot_t", width=0.25)
    torch.save(wrap(method.state_dict()), tmp_path / "deaot.pth")
    load_weights(other, tmp_path / "deaot.pth")
    assert all(torch.equal(v, method.state_dict()[k]) for k, v in other.state_dict().items())


def test_an_unexpected_key_is_named(tmp_path):
    method = methods.create("deaot_t", width=0.25)
    torch.save({**method.state_dict(), "LSTT.layers.1.norm1.bias": torch.zeros(64)}, tmp_path / "deaot.pth")
    with pytest.raises(methods.MethodError, match=r"1 unexpected \(LSTT\.layers\.1\.norm1\.bias\)"):
        load_weights(method, tmp_path / "deaot.pth")


@pytest.mark.parametrize("replaced", ["long_term", "self", "both"])
def test_an_official_checkpoint_starts_a_deformable_network(tmp_path, replaced):
    """Which at factor 1 answers as the vanilla one, until its points have learnt to move."""
    torch.save(lively("deaot_t").state_dict(), tmp_path / "deaot.pth")
    options = {"attention": "deformable", "attention_replaced": replaced, "attention_factor": 1}
    deformable = methods.create("deaot_t", width=0.25, **options)
    assert any(".offsets." in key for key in deformable.state_dict())
    load_weights(deformable, tmp_path / "deaot.pth")
    frames, mask = video(3), squares((1, 2))
    for method in (deformable, vanilla := lively("deaot_t")):
        method.start(frames[0], mask)
    torch.testing.assert_close(deformable.step(frames[1]), vanilla.step(frames[1]), atol=1e-5, rtol=0)


# --- sizes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "aligned"),
    [
        ((480, 854), (481, 849)),
        ((480, 864), (481, 865)),
        ((720, 1280), (577, 1041)),
        ((1280, 720), (1041, 577)),
        ((113, 209), (113, 209)),
        ((25, 41), (33, 33)),  # halves go to the even multiple, as NumPy rounds
        ((5, 30), (17, 33)),
    ],
)
def test_frames_are_seen_at_the_nearest_aligned_size(size, aligned):
    assert aligned_size(*size, max_long_edge=1040) == aligned


def test_resizing_is_that_of_opencv():
    frame = video(1, 60, 100)
    expected = cv2.resize(frame[0].permute(1, 2, 0).numpy(), (97, 65), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_allclose(fit_frames(frame)[0].permute(1, 2, 0), expected, atol=1e-5)


# --- objects, groups and memories, against the official steps done slowly -----------------------------


def squares(ids: tuple[int, ...], height: int = 49, width: int = 81) -> torch.Tensor:
    mask = torch.zeros(height, width, dtype=torch.long)
    for i in ids:
        top, left = i % 4 * 11, i % 7 * 11
        mask[top : top + 10, left : left + 10] = i
    return mask


@torch.inference_mode()
def official_run(method, frames, given: dict[int, tuple[int, ...]], gap: int) -> list[torch.Tensor]:
    """Engines of 10 objects each with a count of frames, all 11 slots, label maps: as AOTInferEngine works."""
    engines, ids, answers, size = [], [], [], frames.shape[2:]
    for t, frame in enumerate(frames):
        features, label = method.encode_frame(normalize(frame)[None]), torch.zeros(size)
        if engines:
            logits = []
            for engine in engines:
                engine["step"] += 1
                joined = tuple(
                    type(m[0])(torch.cat([x.key for x in m], 2), torch.cat([x.value for x in m], 2))
                    for m in zip(*engine["long"], strict=True)
                )
                embedding, engine["own"] = method.LSTT.propagate(features.top, joined, engine["short"])
                raw = method.decode(embedding, features)[0].clone()
                raw[:, engine["objects"] + 1 :] = -1e10
                logits.append(F.interpolate(raw, size=size, mode="bilinear", align_corners=True)[0])
            if len(engines) > 1:
                each = [raw.softmax(0) for raw in logits]
                background = torch.stack([p[0] for p in each]).prod(0)[None]
                logits = [torch.logit(torch.cat([background, *(p[1:] for p in each)]).clamp(1e-5, 1 - 1e-5))]
            answers.append(logits[0].softmax(0)[: len(ids) + 1])
            label = answers[-1].argmax(0).float()
        if t in given:
            new = squares(given[t])
            ids += given[t]
            label = torch.where(new > 0, sum((new == i) * (n + 1.0) for n, i in enumerate(ids)), label)
            answers[-1:] = []
            while len(engines) * 10 < len(ids):
                engines.append({"step": 0, "last": 0, "long": []})
        for n, engine in enumerate(engines):
            own = torch.where((label > 10 * n) & (label <= 10 * n + 10), label - 10 * n, 0)
            embedding = method.embed_mask((own[None, None] == torch.arange(11).view(1, -1, 1, 1)).float())
            if t in given:
                engine["objects"] = min(10, len(ids) - 10 * n)
                engine["short"] = method.LSTT.reference(features.top, embedding)
            else:
                engine["short"] = method.memory_write(engine["own"], embedding)
            if t in given or engine["step"] - engine["last"] >= gap:
                engine["long"].append(engine["short"])
                engine["last"] = engine["step"]
    return answers


def run(method, frames, given: dict[int, tuple[int, ...]]) -> list[torch.Tensor]:
    """The same through the adapter, what `add` returns left out."""
    method.start(frames[0], squares(given[0]))
    answers = []
    for t, frame in enumerate(frames[1:], 1):
        if t in given:
            method.add(frame, squares(given[t]))
        else:
            answers.append(method.step(frame))
    return answers


@pytest.mark.parametrize("name", ["deaot_t", "deaot_s"])
@pytest.mark.parametrize(
    ("given", "gap"),
    [
        ({0: (1, 2)}, 2),
        ({0: (1,), 3: (4, 6)}, 3),
        ({0: tuple(range(1, 13))}, 9999),
        ({0: tuple(range(1, 10)), 2: (10, 11, 12), 5: tuple(range(13, 23))}, 2),
    ],
)
def test_it_goes_on_as_the_official_engines_do(name, given, gap):
    method, frames = lively(name, long_term_gap=gap), video()
    expected = official_run(method, frames, given, gap)
    ours = run(method, frames, given)
    assert len(ours) == len(expected)
    for mine, theirs in zip(ours, expected, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=0)
        torch.testing.assert_close(mine.sum(0), torch.ones(49, 81))


def test_fewer_planes_embed_as_eleven():
    method, masks = lively("deaot_t"), video(1, 33, 33).round()
    filled = torch.cat([masks, torch.zeros(1, 8, 33, 33)], 1)
    torch.testing.assert_close(method.embed_mask(masks), method.embed_mask(filled))


# --- looking inside ----------------------------------------------------------------------------------


def test_every_attention_map_can_be_hooked():
    method, frames = lively("deaot_l", long_term_gap=1), video(3)
    names = {
        kind: [f"LSTT.layers.{i}.{kind}_attn.{weights}" for i in range(3)]
        for kind, weights in (
            ("long_term", "attention.weights"),
            ("short_term", "weights"),
            ("self", "attention.weights"),
        )
    }
    assert method.attention_modules == names["long_term"]
    method.start(frames[0], squares((1, 2)))
    method.step(frames[1])
    with attention_maps(method, [name for each in names.values() for name in each]) as found:
        method.step(frames[2])
    pixels = 4 * 6
    for kind, frames_read in (("long_term", 2), ("short_term", 1), ("self", 1)):
        for name in names[kind]:
            (weights,) = found[name]
            if kind == "short_term":
                weights = window_to_map(weights, (4, 6))
            assert weights.shape == (1, pixels, frames_read * pixels)
            torch.testing.assert_close(weights.sum(2), torch.ones(1, pixels))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"attention": "linear"}, "unknown attention 'linear'"),
        ({"attention": "deformable", "attention_replaced": "all"}, "known: long_term, self, both"),
        ({"long_term_gap": 0}, "long_term_gap.*1 or more"),
    ],
)
def test_a_wrong_option_gets_one_clear_message(options, complaint):
    with pytest.raises(methods.MethodError, match=complaint):
        methods.create("deaot_t", width=0.25, **options)
