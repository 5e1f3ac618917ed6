"""Memory that a frame needs, estimated from shapes, against what is measured; and what is said of it."""

import pytest

import methods
from bench.measure import room
from bench.measure.memory import MIB, measure_memory
from bench.measure.scene import Scene
from bench.system.errors import ConfigError

ADVICE = "give size={edge}"


@pytest.fixture(scope="module")
def student():
    return methods.create("mobilevos_r18", width=0.25)


@pytest.mark.parametrize("name", ["mobilevos_r18", "mobilevos_mnv2", "stcn"])
@pytest.mark.parametrize("size", [(96, 160), (240, 320)])
def test_the_estimate_is_near_what_is_measured(name, size):
    method, scene = methods.create(name, width=0.25), Scene(*size, objects=2)
    assert room.estimated_bytes(method, scene) == pytest.approx(MIB * measure_memory(method, scene), rel=0.3)


def test_it_grows_with_the_square_of_the_pixels_where_all_are_compared_with_all(student):
    small, large = (room.estimated_bytes(student, Scene(540 * k, 960 * k)) for k in (2, 4))
    assert 10 < large / small < 16
    assert large > 10e9, "a 4K frame"


@pytest.mark.parametrize(("share", "outcome"), [(2.0, "fits"), (0.7, "warned"), (0.3, "refused")])
def test_what_would_fit_by_a_factor_of_two_is_only_warned_of(student, monkeypatch, recwarn, share, outcome):
    scene = Scene(1080, 1920)
    free = int(share * room.estimated_bytes(student, scene))
    monkeypatch.setattr(room, "free_memory", lambda device: free)
    text = ""
    try:
        room.check_room(student, scene, None, ADVICE)
    except ConfigError as error:
        text = str(error)
    assert (outcome == "refused", outcome == "warned") == (bool(text), bool(recwarn.list))
    text += "".join(str(warning.message) for warning in recwarn.list)
    if outcome != "fits":
        assert "frames of 1080x1920 with 1 object(s) take about" in text and "(estimated)" in text
        edge = int(text.rpartition("size=")[2])
        assert 64 <= edge < 1920
        assert room.estimated_bytes(student, Scene(edge * 1080 // 1920, edge)) <= free


def test_a_memory_that_grows_is_that_of_the_last_frame(monkeypatch):
    method, scene = methods.create("stcn", width=0.25), Scene(540, 960)
    need = room.estimated_bytes(method, scene)
    monkeypatch.setattr(room, "free_memory", lambda device: 2 * need)
    room.check_room(method, scene, 40, ADVICE)
    with pytest.raises(ConfigError, match="give size="):
        room.check_room(method, scene, 250, ADVICE)


def test_nothing_is_said_of_small_frames_and_of_methods_without_steps(student, monkeypatch):
    monkeypatch.setattr(room, "free_memory", lambda device: 1)
    room.check_room(student, Scene(480, 864), 100, ADVICE)
    room.check_room(methods.create("copy_first_mask"), Scene(2160, 3840), 100, ADVICE)
