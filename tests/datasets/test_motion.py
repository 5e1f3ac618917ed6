"""Paths of layers: their splines, how far they move, and the filter that smears along a way."""

import numpy as np
import pytest

from datasets.motion import CONTROLS, LATTICE, line_kernel, random_path, rest, spline_basis, upsample, velocity


def test_motion_accumulates():
    """Frame 2 lies further from frame 0 than frame 1 does, mostly in the same direction."""
    steps = [np.diff(random_path(3, 64, (31.5, 31.5), np.random.default_rng(k), 1.0), axis=0) for k in range(50)]
    first, second = (np.array([step[t].mean((0, 1)) for step in steps]) for t in (0, 1))
    assert (first * second).sum(1).mean() > 0.5 * (first**2).sum(1).mean()


def test_the_spline_is_the_closed_form_thin_plate_spline():
    """Solve [K P; P' 0] [w; a] = [v; 0] with K = r^2 log r (Bookstein 1989) and compare."""

    def grid(count):
        axis = np.linspace(0, 1, count)
        return np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)

    def kernel(a, b):
        r = np.linalg.norm(a[:, None] - b[None], axis=-1)
        return np.where(r > 0, r**2 * np.log(np.where(r > 0, r, 1)), 0)

    controls, points = grid(CONTROLS), grid(LATTICE)
    linear = np.column_stack([np.ones(len(controls)), controls])
    system = np.block([[kernel(controls, controls), linear], [linear.T, np.zeros((3, 3))]])
    values = np.random.default_rng(0).normal(size=(len(controls), 2))
    weights = np.linalg.solve(system, np.vstack([values, np.zeros((3, 2))]))
    expected = (
        kernel(points, controls) @ weights[:-3] + np.column_stack([np.ones(len(points)), points]) @ weights[-3:]
    )
    np.testing.assert_allclose(spline_basis() @ values, expected, atol=1e-9)


def test_upsampling_the_lattice_at_rest_gives_pixel_coordinates():
    ys, xs = np.mgrid[:50, :50]
    np.testing.assert_allclose(upsample(rest(50)[:, :, 0], 50), xs, atol=1e-4)
    np.testing.assert_allclose(upsample(rest(50)[:, :, 1], 50), ys, atol=1e-4)


def test_the_velocity_is_that_of_what_is_seen():
    """A layer seen at twice its size that looks 3 pixels further left each time moves 6 to the right."""
    ways = np.array([[0, 0], [3, -1], [6, -2]], float)
    path = np.stack([rest(64) / 2 - way for way in ways])
    for t in range(3):
        np.testing.assert_allclose(velocity(path, t, 64), (6, -2), atol=1e-9)


@pytest.mark.parametrize("way", [(5.0, 0.0), (0.0, -7.3), (3.0, 4.0)])
def test_the_filter_spreads_a_point_evenly_along_the_way(way):
    """Its moments are those of a uniform distribution over the segment: mean 0, covariance w w' / 12."""
    kernel = line_kernel(np.array(way))
    reach = len(kernel) // 2
    ys, xs = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    assert kernel.sum() == pytest.approx(1)
    assert (kernel * xs).sum() == pytest.approx(0, abs=1e-5)
    assert (kernel * ys).sum() == pytest.approx(0, abs=1e-5)
    assert (kernel * xs * xs).sum() == pytest.approx(way[0] ** 2 / 12, abs=0.6)
    assert (kernel * ys * ys).sum() == pytest.approx(way[1] ** 2 / 12, abs=0.6)
    assert (kernel * xs * ys).sum() == pytest.approx(way[0] * way[1] / 12, abs=0.6)


def test_limbs_bend_within_their_box():
    """How much neighbouring points move apart, inside a small box in the middle."""

    def bending(limbs):
        inside = slice(6, 11)
        paths = [random_path(4, 64, (32, 32), np.random.default_rng(k), 1.0, limbs) for k in range(30)]
        moved = np.stack([path[3] - path[0] for path in paths])[:, inside, inside]
        return np.abs(np.diff(moved, n=2, axis=1)).mean()

    assert bending((22.0, 22.0, 20.0, 20.0)) > 1.5 * bending(None)
