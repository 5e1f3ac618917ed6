"""Promptable video models of Hugging Face's transformers behind the adapter: SAM 2 and EdgeTAM.

Ravi et al., SAM 2, arXiv 2408.00714; Zhou et al., EdgeTAM, arXiv 2501.07256. The models' own processors want
torchvision; what they do to frames and masks is done here instead: see `_run` and `_give`.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.errors import MethodError
from methods.follower import Follower
from methods.interface import one_hot_objects
from methods.masks import normalize
from methods.sam.frames import resize


class PromptedVideo(Follower, nn.Module):
    """A streaming video model that is told its objects by masks, each of which it then follows by itself.

    kind: how the names of its classes in transformers begin. folder: of a pretrained model, as `save_pretrained`
    writes it; None: random weights of the published size. Raises MethodError for a folder that does not hold
    such a model, or not all of its weights.
    """

    def __init__(self, kind: str, folder: str | None = None) -> None:
        super().__init__()
        import transformers

        self._session_class = getattr(transformers, f"{kind}InferenceSession")
        model = getattr(transformers, f"{kind}Model")
        found = model(getattr(transformers, f"{kind}Config")()) if folder is None else _load(model, folder)
        self.model: Any = found.eval()
        self._forget()

    def _forget(self) -> None:
        self._sessions: list = []  # one for the objects that a frame gives: objects do not know of each other
        self._index = -1  # of the latest frame

    def _give(self, frame: Tensor, mask: Tensor, ids: list[int]) -> Tensor:
        added = one_hot_objects(mask, ids)
        known = self._follow(frame) if self._sessions else torch.ones_like(added[:1])
        self._index = max(self._index, 0)
        places = ("inference_device", "inference_state_device", "video_storage_device")
        height, width = frame.shape[1:]
        session = self._session_class(
            video_height=height,
            video_width=width,
            dtype=next(self.parameters()).dtype,
            **dict.fromkeys(places, frame.device),
        )
        if self._sessions:
            session.cache = self._sessions[0].cache  # a frame's features, which are computed once
        for object_id, plane in zip(ids, added, strict=True):  # resized as Sam2VideoProcessor does
            prompt = (resize(plane[None, None], (self.model.config.image_size,) * 2) >= 0.5).float()
            session.add_mask_inputs(session.obj_id_to_idx(object_id), self._index, prompt)
        session.obj_with_new_inputs = list(ids)
        self._sessions.append(session)
        self._run(session, frame)
        return torch.cat([known * (1 - added.sum(0)), added])

    def _follow(self, frame: Tensor) -> Tensor:
        """As `Follower`; the highest logit wins, the background where all are below 0: so SAM 2's own evaluation
        decides where objects overlap (`non_overlap_masks`).
        """
        self._index += 1
        logits = torch.cat([self._run(session, frame) for session in self._sessions])
        return torch.cat([torch.zeros_like(logits[:1]), logits]).softmax(0)

    def _run(self, session, frame: Tensor) -> Tensor:
        """Logits (N, H, W) of a session's objects in a frame, which is squeezed as Sam2VideoVideoProcessor does."""
        pixels = normalize(resize(frame[None], (self.model.config.image_size,) * 2))[0]
        masks = self.model(session, frame=pixels.to(session.dtype), frame_idx=self._index).pred_masks
        self._trim(session)
        return F.interpolate(masks.float(), frame.shape[1:], mode="bilinear", align_corners=False)[:, 0]

    def _trim(self, session) -> None:
        """Drop what no later frame reads, which a session would keep for the whole video."""
        config = self.model.config
        oldest = self._index - max(config.num_maskmem, config.max_object_pointers_in_encoder)
        session.processed_frames.clear()
        for index, outputs in session.output_dict_per_obj.items():
            session.frames_tracked_per_obj[index].pop(oldest, None)
            session.mask_inputs_per_obj[index].clear()
            outputs["non_cond_frame_outputs"].pop(oldest, None)
            for kept in outputs.values():
                for part in ("high_res_masks", "pred_masks"):
                    kept.get(self._index, {}).pop(part, None)


def _load(model: Any, folder: str) -> nn.Module:
    """The pretrained model, in fp32, from the folder alone."""
    try:
        found, told = model.from_pretrained(
            folder, local_files_only=True, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise MethodError(f"{folder} holds no {model.__name__}: {str(error).strip().splitlines()[0]}") from None
    absent = sorted(told["missing_keys"])
    if absent:
        raise MethodError(
            f"{folder} does not fit {model.__name__}: {len(absent)} missing ({', '.join(absent[:3])}, ...)"
        )
    return found
