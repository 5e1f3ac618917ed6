"""What the tests against recordings of the official implementations share."""

import sys

import pytest
import torch

from methods.masks import IMAGENET_MEAN, IMAGENET_STD


@pytest.fixture(scope="session")
def seeded(shared):
    """The module that made the weights and frames of the recordings."""
    sys.path.insert(0, str(shared / "golden"))
    try:
        import name_seeded
    finally:
        sys.path.pop(0)
    return name_seeded


@pytest.fixture(scope="session")
def colours():
    """Normalised frames -> the RGB frames whose normalisation gives them."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return lambda normalised: normalised * std + mean


@pytest.fixture(scope="session")
def assert_official_keys(shared):
    """Compares a method's keys and shapes with the list of this name."""

    def check(method: torch.nn.Module, listed: str) -> None:
        lines = (shared / f"golden/keys/{listed}.txt").read_text().splitlines()
        official = (line.split("\t") for line in lines if not line.startswith("#"))
        expected = {key: shape for key, shape, _ in official}
        assert {key: str(list(value.shape)) for key, value in method.state_dict().items()} == expected

    return check
