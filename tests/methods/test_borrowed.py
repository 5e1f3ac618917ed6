"""A network with another method's encoder, which learns to stand in for its own."""

import pytest
import torch

import methods
from methods.borrowed import imitation_loss, rest_of, take_over
from methods.memory import Query


def create(name: str, **options):
    torch.manual_seed(0)
    return methods.create(name, **options)


TEACHERS = {"stcn": {"width": 0.125}, "mobilevos_r18": {"width": 0.25}, "mobilevos_mnv2": {"width": 0.25}}
STUDENTS = ("mobilevos_r18_no_aspp", "mobilevos_mnv2", "stcn")


@pytest.mark.parametrize("teacher", TEACHERS)
@pytest.mark.parametrize("student", STUDENTS)
def test_any_encoder_of_the_family_serves_any_network_of_it(teacher, student):
    options = TEACHERS[teacher]
    own = create(teacher, **options)
    method = create(teacher, **options, encoder=student, encoder_width=0.125)
    frame, mask = torch.rand(3, 32, 48), torch.zeros(32, 48, dtype=torch.long)
    mask[4:20, 8:30] = 3
    method.start(frame, mask)
    assert method.step(frame).shape == (2, 32, 48)
    frames = torch.rand(2, 3, 32, 48)
    with torch.inference_mode():
        for name in Query._fields:
            found, expected = (getattr(m.encode_query(frames), name) for m in (method, own))
            assert found.shape == expected.shape


@pytest.mark.parametrize("name", TEACHERS)
def test_all_but_the_encoder_is_taken_over(name):
    teacher = create(name, **TEACHERS[name])
    torch.manual_seed(1)
    student = methods.create(name, **TEACHERS[name], encoder="mobilevos_mnv2", encoder_width=0.125)
    take_over(student, teacher)
    for part, module in rest_of(student).items():
        for key, value in module.state_dict().items():
            assert torch.equal(value, rest_of(teacher)[part].state_dict()[key]), f"{part}.{key}"
    assert sum(p.numel() for p in student.parameters()) < sum(p.numel() for p in teacher.parameters())


def test_a_perfect_imitation_costs_nothing_and_scale_does_not_matter():
    generator = torch.Generator().manual_seed(0)
    query = Query(*(torch.randn(2, 4, 3, 3, generator=generator) for _ in range(5)))
    other = Query(*(torch.randn(2, 4, 3, 3, generator=generator) for _ in range(5)))
    assert imitation_loss(query, query) == 0
    scaled = [Query(*(7 * x for x in q)) for q in (query, other)]
    torch.testing.assert_close(imitation_loss(*scaled), imitation_loss(query, other))
    mean = Query(*(x.mean().expand_as(x) for x in query))
    assert imitation_loss(mean, query) == pytest.approx(1, abs=0.05)  # who says the mean knows nothing


def test_imagenet_weights_go_to_the_borrowed_backbone(tmp_path):
    from methods.backbones.imagenet import initialize_backbones

    lender = create("mobilevos_mnv2")
    torch.save(lender.query_encoder.state_dict(), tmp_path / "mobilenet_v2.pth")
    method = create("stcn", width=0.125, encoder="mobilevos_mnv2")
    report = initialize_backbones(method, {"mobilenet_v2": tmp_path / "mobilenet_v2.pth"})
    assert report == {"mobilenet_v2": "imagenet:mobilenet_v2.pth"}
    key, value = next(iter(lender.query_encoder.state_dict().items()))
    assert torch.equal(method.key_encoder.encoder.state_dict()[key], value)


def test_an_encoder_that_is_of_another_family_is_refused():
    with pytest.raises(methods.MethodError, match="deaot_t.*encoder"):
        methods.create("stcn", width=0.125, encoder="deaot_t", encoder_width=0.25)
