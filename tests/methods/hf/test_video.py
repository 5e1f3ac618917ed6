"""Video models of transformers behind the adapter, with tiny random weights."""

import os
from types import SimpleNamespace

import pytest
import torch

os.environ.setdefault("HF_HUB_OFFLINE", "1")
transformers = pytest.importorskip("transformers")

import methods  # noqa: E402
from methods.conformance import PROMISES, first_mask, video  # noqa: E402
from methods.hf.video import _pixels, _prompt  # noqa: E402

KINDS = {"hf_sam2_video": "Sam2Video", "hf_edgetam_video": "EdgeTamVideo"}
SIZE = 64


def config(kind: str):
    """Of the published structure, but narrow; EdgeTAM gets SAM 2's backbone, as its own needs timm."""
    backbone = transformers.Sam2HieraDetConfig(
        image_size=[SIZE, SIZE],
        hidden_size=8,
        embed_dim_per_stage=[8, 16, 32, 64],
        blocks_per_stage=[1, 1, 2, 1],
        window_size_per_stage=[4, 2, 4, 2],
        global_attention_blocks=[3],
        window_positional_embedding_background_size=[2, 2],
    )
    vision = transformers.Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[SIZE // stride] * 2 for stride in (4, 8, 16)],
        fpn_hidden_size=128,
    )
    own = {"memory_attention_feed_forward_hidden_size": 32}
    if kind == "EdgeTamVideo":
        own = {
            "memory_attention_mlp_hidden_size": 32,
            "memory_attention_rope_k_sizes": [4, 4],
            "perceiver_resampler_num_latents": 16,
            "perceiver_resampler_num_latents_2d": 16,
            "perceiver_resampler_mlp_intermediate_size": 32,
        }
    widths = ("memory_attention_hidden_size", "memory_encoder_hidden_size", "mask_downsampler_embed_dim")
    return getattr(transformers, f"{kind}Config")(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": 128, "image_size": SIZE, "mask_input_channels": 4},
        mask_decoder_config={"hidden_size": 128, "mlp_dim": 32, "num_attention_heads": 2},
        image_size=SIZE,
        memory_attention_num_layers=1,
        memory_attention_rope_feat_sizes=[SIZE // 16] * 2,
        memory_fuser_embed_dim=128,
        memory_fuser_intermediate_dim=16,
        **dict.fromkeys(widths, 128),
        **own,
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, str]:
    """A pretrained model of each kind. Its masks depend on the video: untrained ones are nearly flat."""
    found = {}
    for name, kind in KINDS.items():
        torch.manual_seed(0)
        model = getattr(transformers, f"{kind}Model")(config(kind))
        with torch.no_grad():
            for part in model.mask_decoder.output_hypernetworks_mlps.parameters():
                part.mul_(16)
            model.mask_decoder.pred_obj_score_head.proj_out.bias.add_(10)  # no object is thought to be gone
        found[name] = str(tmp_path_factory.mktemp(name))
        model.save_pretrained(found[name])
    return found


@pytest.fixture(params=KINDS)
def method(request, folders):
    return methods.create(request.param, folder=folders[request.param])


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.name)
def test_a_promise_is_kept(method, promise):
    promise.check(method, "cpu")


def test_a_mask_becomes_the_prompt_that_transformers_makes_of_it():
    session = transformers.Sam2VideoInferenceSession(dtype=torch.float32)
    mask = video(1)[0, 0] > 0.4
    processor = SimpleNamespace(target_size=SIZE)  # what its other parts need is torchvision
    theirs = transformers.Sam2VideoProcessor.process_new_mask_for_video_frame
    theirs(processor, session, 0, [1], mask)
    assert torch.equal(_prompt(mask, SIZE), session.mask_inputs_per_obj[0][0])


@pytest.mark.parametrize("name", KINDS)
def test_the_masks_are_those_of_transformers_own_loop_over_a_video(name, folders):
    """`propagate_in_video_iterator` has the whole video and forgets nothing; here one frame comes after another."""
    kind, frames, mask = KINDS[name], video(24), first_mask((9, 4))
    method = methods.create(name, folder=folders[name])
    session = getattr(transformers, f"{kind}InferenceSession")(
        torch.stack([_pixels(frame, SIZE) for frame in frames]), 50, 70, dtype=torch.float32
    )
    for object_id in (4, 9):
        session.add_mask_inputs(session.obj_id_to_idx(object_id), 0, _prompt(mask == object_id, SIZE))
    session.obj_with_new_inputs = [4, 9]
    theirs = [
        torch.nn.functional.interpolate(found.pred_masks, (50, 70), mode="bilinear")[:, 0]
        for found in method.model.propagate_in_video_iterator(session, start_frame_idx=0)
    ]
    method.start(frames[0], mask)
    assert method.object_ids == [4, 9]
    for frame, logits in zip(frames[1:], theirs[1:], strict=True):
        found = method.step(frame)
        wanted = torch.cat([torch.zeros_like(logits[:1]), logits]).softmax(0)
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
    assert 0.01 < logits.std() < 100


def test_a_late_object_is_followed_and_the_others_go_on(method):
    frames = video(4)
    method.start(frames[0], first_mask((3,)))
    without = [method.step(frame) for frame in frames[1:]]
    method.start(frames[0], first_mask((3,)))
    method.step(frames[1])
    method.add(frames[2], first_mask((1, 8)))
    assert method.object_ids == [1, 3, 8]
    found = method.step(frames[3])
    ratio = (found[2] / found[0]).log()  # of object 3: as it was without the others
    torch.testing.assert_close(ratio, (without[2][1] / without[2][0]).log(), atol=1e-3, rtol=1e-3)


def test_what_fits_no_model_is_named(folders, tmp_path):
    with pytest.raises(methods.MethodError, match=f"{tmp_path} holds no Sam2VideoModel"):
        methods.create("hf_sam2_video", folder=str(tmp_path))
    with pytest.raises(methods.MethodError, match="does not fit EdgeTamVideoModel: .* missing|holds no EdgeTam"):
        methods.create("hf_edgetam_video", folder=folders["hf_sam2_video"])


def test_it_is_pretrained_elsewhere():
    assert not methods.is_trainable("hf_sam2_video") and methods.entry("hf_sam2_video").needs_weights
    assert "hf_sam2_video" not in methods.available() and "hf_sam2_video" in methods.optional()
