"""SAM and MobileSAM equal the official implementations: key names, sizes, attention, prompts, masks."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

import methods
from methods.checkpoint import load_weights
from methods.sam import image_encoder, tiny_vit
from methods.sam.layers import join_windows, split_windows
from methods.sam.network import Sam
from methods.sam.prompt_encoder import PromptEncoder

PARAMETERS = {"mobile_sam": 10_130_092, "sam_vit_b": 93_735_472, "sam_vit_h": 641_090_608}
SMALL = {"width": 0.1, "depth": 0.1, "image_size": 64, "decoder_channels": 64}


def small(encoder: str, **options) -> Sam:
    torch.manual_seed(0)
    return Sam(encoder, **{**SMALL, **options}).eval()


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# --- against the recordings ------------------------------------------------------------------------


@pytest.mark.parametrize("name", PARAMETERS)
def test_keys_shapes_and_parameter_count_are_the_official_ones(name, assert_official_keys):
    with torch.device("meta"):
        method = methods.create(name)
    assert_official_keys(method, name)
    assert sum(p.numel() for p in method.parameters()) == PARAMETERS[name]


def test_mobile_sam_equals_the_official_one(shared, seeded):
    """But for TinyViT's biases: officially they are cached by `eval()`, and what was recorded had called it
    before the weights were loaded, so that its attention had none. That they count is tested below."""
    arrays = np.load(shared / "golden/models/mobile_sam.npz")
    method = methods.create("mobile_sam")
    weights = seeded.name_seeded(method.state_dict())
    method.load_state_dict({k: v * 0 if "attention_biases" in k else v for k, v in weights.items()})
    points, labels = torch.tensor([[[300.0, 400.0]]]), torch.ones(1, 1, dtype=torch.long)
    boxes = torch.tensor([[100.0, 120.0, 500.0, 600.0]])
    with torch.inference_mode():
        embedding = method.encode_image(seeded.frames((1, 3, 1024, 1024), 0))
        tokens, _ = method.prompt_encoder(points, labels, boxes, None)
        low_res, scores = method.decode_masks(embedding, points, labels, boxes)
    for ours, name in (
        (embedding[:, ::8, ::8, ::8], "emb"),
        (tokens, "sparse"),
        (low_res[:, :, ::8, ::8], "low_res"),
        (scores, "iou"),
    ):
        np.testing.assert_allclose(ours.numpy(), arrays[name], atol=1e-4, err_msg=name)


def test_encoder_and_decoder_cost_what_the_official_ones_do():
    """77.5 and 3.6 GFLOP were counted in the official code, one multiply-add as 2."""
    with torch.device("meta"), torch.inference_mode():
        method = methods.create("mobile_sam")
        with FlopCounterMode(display=False) as encoder:
            embedding = method.encode_image(torch.empty(1, 3, 1024, 1024))
        with FlopCounterMode(display=False) as decoder:
            method.decode_masks(embedding, boxes=torch.empty(1, 4))
    assert encoder.get_total_flops() / 1e9 == pytest.approx(77.5, abs=0.05)
    assert decoder.get_total_flops() / 1e9 == pytest.approx(3.6, abs=0.05)


# --- attention in windows, against all pairs in float64 ------------------------------------------------


def dense_attention(qkv: torch.Tensor, biases, window: int) -> torch.Tensor:
    """q, k, v (3, heads, H, W, d) of a padded map -> (H, W, heads * d): each pixel looks at all of its window.

    biases: (q (heads, d), rows apart, columns apart) -> (heads,).
    """
    _, heads, height, width, d = qkv.shape
    out = torch.zeros(height, width, heads, d, dtype=torch.float64)
    pixels = [(y, x) for y in range(height) for x in range(width)]
    for y, x in pixels:
        mates = [p for p in pixels if (p[0] // window, p[1] // window) == (y // window, x // window)]
        q = qkv[0, :, y, x]
        logits = [(q * qkv[1, :, j, i]).sum(1) / d**0.5 + biases(q, y - j, x - i) for j, i in mates]
        weights = torch.stack(logits).softmax(0)
        out[y, x] = sum(w[:, None] * qkv[2, :, j, i] for w, (j, i) in zip(weights, mates, strict=True))
    return out.flatten(2)


def padded(x: torch.Tensor, window: int) -> torch.Tensor:
    return F.pad(x, (0, 0, 0, -x.shape[1] % window, 0, -x.shape[0] % window))


@pytest.mark.parametrize(("size", "window"), [((5, 7), 3), ((6, 3), 3), ((4, 4), 4)])
@torch.no_grad()
def test_the_vits_attention_equals_all_pairs_of_a_window(size, window):
    torch.manual_seed(0)
    layer = image_encoder.Attention(8, 2, window).double()
    for table in (layer.rel_pos_h, layer.rel_pos_w):
        table.copy_(noise(*table.shape))
    x = noise(*size, 8).double()
    ours = join_windows(layer(split_windows(x[None], window)), *size)[0]

    def biases(q, rows, columns):
        return q @ layer.rel_pos_h[rows + window - 1] + q @ layer.rel_pos_w[columns + window - 1]

    qkv = layer.qkv(padded(x, window)).unflatten(2, (3, 2, 4)).permute(2, 3, 0, 1, 4)
    expected = layer.proj(dense_attention(qkv, biases, window))[: size[0], : size[1]]
    torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize(("size", "window"), [((5, 7), 3), ((3, 3), 3)])
@torch.no_grad()
def test_tiny_vits_attention_equals_all_pairs_of_a_window(size, window):
    torch.manual_seed(0)
    layer = tiny_vit.Attention(8, 2, window).double()
    layer.attention_biases.copy_(noise(*layer.attention_biases.shape))
    x = noise(*size, 8).double()
    ours = join_windows(layer(split_windows(x[None], window)), *size)[0]

    def biases(q, rows, columns):
        return layer.attention_biases[:, abs(rows) * window + abs(columns)]

    # A head's queries, keys and values lie side by side, unlike the ViT's.
    qkv = layer.qkv(layer.norm(padded(x, window))).unflatten(2, (2, 3, 4)).permute(3, 2, 0, 1, 4)
    expected = layer.proj(dense_attention(qkv, biases, window))[: size[0], : size[1]]
    torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize(("name", "whole"), [("sam_vit_b", [2, 5, 8, 11]), ("sam_vit_h", [7, 15, 23, 31])])
def test_the_blocks_that_see_the_whole_image_are_the_official_ones(name, whole):
    with torch.device("meta"):
        blocks = methods.create(name).image_encoder.blocks
    assert [i for i, block in enumerate(blocks) if not block.window] == whole


# --- prompts -----------------------------------------------------------------------------------------


@pytest.fixture
def prompts() -> PromptEncoder:
    torch.manual_seed(0)
    return PromptEncoder(32, 128, 8).requires_grad_(False)


def encoded(prompts: PromptEncoder, x: float, y: float) -> torch.Tensor:
    """Fourier features of a place given in [0, 1]."""
    matrix = prompts.pe_layer.positional_encoding_gaussian_matrix.double()
    angles = 2 * torch.pi * ((2 * x - 1) * matrix[0] + (2 * y - 1) * matrix[1])
    return torch.cat([angles.sin(), angles.cos()]).float()


def test_a_point_is_its_place_and_its_label(prompts):
    points = torch.tensor([[[30.0, 97.0], [63.5, 63.5], [5.0, 6.0]]])
    tokens, prompt_map = prompts(points, torch.tensor([[1, 0, -1]]), None, None)
    place = encoded(prompts, 30.5 / 128, 97.5 / 128)
    torch.testing.assert_close(tokens[0, 0], place + prompts.point_embeddings[1].weight[0])
    middle = torch.tensor([0.0, 1.0]).repeat_interleave(16)  # sin 0 and cos 0
    torch.testing.assert_close(tokens[0, 1], middle + prompts.point_embeddings[0].weight[0])
    # The third is no point, and the network is used to one such token at the end when there is no box.
    assert torch.equal(tokens[0, 2:], prompts.not_a_point_embed.weight.expand(2, -1))
    assert torch.equal(prompt_map.flatten(), prompts.no_mask_embed.weight[0])


def test_a_box_is_its_corners(prompts):
    tokens, _ = prompts(None, None, torch.tensor([[10.0, 20.0, 100.0, 90.0]]), None)
    corners = [encoded(prompts, 10.5 / 128, 20.5 / 128), encoded(prompts, 100.5 / 128, 90.5 / 128)]
    for token, corner, kind in zip(tokens[0], corners, prompts.point_embeddings[2:], strict=True):
        torch.testing.assert_close(token, corner + kind.weight[0])


def test_the_image_has_the_places_of_its_pixels_centres(prompts):
    places = prompts.image_positions()
    assert places.shape == (1, 32, 8, 8)
    torch.testing.assert_close(places[0, :, 2, 5], encoded(prompts, 5.5 / 8, 2.5 / 8))


def test_a_mask_is_brought_to_the_embeddings_size(prompts):
    tokens, prompt_map = prompts(None, None, None, noise(3, 1, 32, 32))
    assert tokens.shape == (3, 0, 32)
    assert prompt_map.shape == (3, 32, 8, 8)


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ({}, "nothing is asked for"),
        ({"points": torch.zeros(1, 1, 2)}, "points and labels belong together"),
        ({"boxes": torch.zeros(2, 4), "mask_logits": torch.zeros(3, 1, 16, 16)}, "prompts of 2, 3 objects"),
    ],
)
def test_wrong_prompts_get_one_clear_message(asked, complaint):
    with pytest.raises(methods.MethodError, match=complaint):
        small("tiny_vit").decode_masks(torch.zeros(1, 64, 4, 4), **asked)


# --- small networks, training, checkpoints -----------------------------------------------------------


@pytest.mark.parametrize("multimask", [True, False])
@pytest.mark.parametrize("encoder", ["tiny_vit", "vit_b", "vit_h"])
def test_sizes_follow_the_input(encoder, multimask):
    model = small(encoder, image_size=96)
    with torch.inference_mode():
        embedding = model.encode_image(noise(2, 3, 96, 96))
        assert embedding.shape == (2, 64, 6, 6)
        boxes = torch.tensor([[10.0, 20.0, 60.0, 70.0], [0.0, 0.0, 30.0, 30.0]])
        low_res, scores = model.decode_masks(embedding, boxes=boxes, multimask=multimask)
        alone, _ = model.decode_masks(embedding[1:], boxes=boxes[1:], multimask=multimask)
    masks = 3 if multimask else 1
    assert low_res.shape == (2, masks, 24, 24)
    assert scores.shape == (2, masks)
    torch.testing.assert_close(low_res[1:], alone, atol=1e-5, rtol=1e-4)


def test_a_student_learns_a_teachers_embeddings_and_keeps_its_decoder():
    student, teacher = small("tiny_vit"), small("vit_b")
    student.mask_decoder.load_state_dict(teacher.mask_decoder.state_dict())
    images = noise(2, 3, 64, 64)
    student.train()
    F.mse_loss(student.encode_image(images), teacher.encode_image(images).detach()).backward()
    missing = {name for name, p in student.image_encoder.named_parameters() if p.grad is None}
    assert missing == {"norm_head.weight", "norm_head.bias", "head.weight", "head.bias"}


def test_an_official_checkpoint_is_a_bare_state_dict(tmp_path):
    method, other = (methods.create("mobile_sam", **SMALL) for _ in range(2))
    torch.save(method.state_dict(), tmp_path / "mobile_sam.pt")
    load_weights(other, tmp_path / "mobile_sam.pt")
    assert all(torch.equal(v, method.state_dict()[k]) for k, v in other.state_dict().items())


def test_biases_count_from_the_moment_they_are_loaded():
    model = small("tiny_vit")
    images = noise(1, 3, 64, 64)
    with torch.inference_mode():
        before = model.encode_image(images)
        state = model.state_dict()
        model.load_state_dict({k: noise(*v.shape) if "biases" in k else v for k, v in state.items()})
        assert not torch.allclose(model.encode_image(images), before)


@pytest.mark.parametrize("image_size", [64, 160])
def test_a_vits_positions_fit_another_input_size(image_size, tmp_path):
    source, method = (methods.create("sam_vit_b", **{**SMALL, "image_size": size}) for size in (128, image_size))
    state = source.state_dict()
    ramp = torch.linspace(-1, 1, 8)
    state["image_encoder.pos_embed"] = ramp.view(1, 1, 8, 1).expand(1, 8, 8, 64).contiguous()
    tables = [k for k in state if k.endswith(("rel_pos_h", "rel_pos_w"))]
    for key in tables:
        state[key] = torch.full_like(state[key], 3.0)
    torch.save(state, tmp_path / "sam_vit_b.pth")
    load_weights(method, tmp_path / "sam_vit_b.pth")
    loaded = method.state_dict()
    assert all(torch.equal(loaded[key], torch.full_like(loaded[key], 3.0)) for key in tables)
    grid = image_size // 16
    inner = slice(grid // 4, -(grid // 4))  # the border has nothing beyond it to interpolate with
    expected = ((torch.arange(grid) + 0.5) / grid * 8 - 4) * 2 / 7
    found = loaded["image_encoder.pos_embed"]
    torch.testing.assert_close(found[0, 0, inner, 0], expected[inner], atol=1e-5, rtol=0)
    torch.testing.assert_close(found, found[:, :1, :, :1].expand_as(found))


def test_a_checkpoint_of_another_width_is_refused_by_name(tmp_path):
    torch.save(methods.create("sam_vit_b", **{**SMALL, "width": 0.2}).state_dict(), tmp_path / "wide.pth")
    with pytest.raises(methods.MethodError, match="of another shape.*pos_embed"):
        load_weights(methods.create("sam_vit_b", **SMALL), tmp_path / "wide.pth")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"image_size": 100}, "image_size=100: give a multiple of 16"),
        ({"decoder_channels": 8}, "decoder_channels=8: give a multiple of 16"),
        ({"prompt_points": -1}, "prompt_points.*0 or more"),
        ({"search_points": 0}, "search_points: give 1 or more, or search_grid=0"),
    ],
)
def test_a_wrong_option_gets_one_clear_message(options, complaint):
    with pytest.raises(methods.MethodError, match=complaint):
        methods.create("mobile_sam", **{**SMALL, **options})
