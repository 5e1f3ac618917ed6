"""Resizing by known weights is torch's own."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from methods.deaot.frames import Bicubic, Nearest

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("size", "to"), [((48, 86), (49, 97)), ((72, 128), (49, 97)), ((5, 30), (17, 33)), ((3, 2), (17, 17))]
)
def test_it_is_torchs_interpolation(size, to):
    generator = torch.Generator().manual_seed(0)
    maps, labels = torch.randn(2, 3, *size, generator=generator), torch.arange(size[0] * size[1]).view(size)
    expected = F.interpolate(maps, size=to, mode="bicubic", align_corners=False)
    bicubic = Bicubic(size, to, CPU)
    torch.testing.assert_close(bicubic.gathered(maps), expected, atol=2e-6, rtol=0)
    assert bicubic(maps).equal(expected)
    nearest = F.interpolate(labels[None, None].float(), size=to, mode="nearest")[0, 0]
    assert Nearest(size, to, CPU)(labels).equal(nearest.long())


def test_frames_that_fit_stay_as_they_are():
    maps = torch.rand(1, 3, 17, 33)
    assert Bicubic((17, 33), (17, 33), CPU)(maps) is maps


def test_an_exported_graph_gathers():
    class Fit(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fit = Bicubic((20, 30), (17, 33), CPU)

        def forward(self, maps):
            return self.fit(maps)

    maps = torch.rand(1, 3, 20, 30, generator=torch.Generator().manual_seed(0))
    exported = torch.export.export(Fit(), (maps,), strict=False)
    names = " ".join(str(node.target) for node in exported.graph.nodes)
    assert "index_select" in names and "bicubic" not in names
    torch.testing.assert_close(exported.module()(maps), Fit()(maps), atol=2e-6, rtol=0)
