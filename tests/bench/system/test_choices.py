"""Settings: what their fields allow, and how a wrong value is told."""

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from generated import OFTEN
from hypothesis import given
from hypothesis import strategies as st

from bench.plan import keys
from bench.plan.compose import load_config, plain
from bench.system.choices import Range, check, choice, group, number, settings_of
from bench.system.errors import ConfigError


@dataclass
class Inner:
    share: float = number(0.5, least=0, below=1)


@dataclass
class Example:
    inner: Inner = group("give inner.<key>=...")
    count: int = number(3, least=1, most=9)
    ratio: float | None = number(None, above=0)
    word: str = choice("one", "two")
    some: Literal["auto"] | int = number("auto", least=1)
    sizes: list[int] = number([4], least=1, fewest=1)
    seeds: int | list[int] = number(1, least=1, each=Range(least=0))
    on: bool = True
    path: str | None = None
    free: dict[str, Any] = field(default_factory=dict)


KNOWN = settings_of(Example)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("count", 0, "count=0: give a whole number of at least 1 and at most 9"),
        ("count", 2.0, "count=2.0: give a whole number"),
        ("count", True, "count=True: give a whole number"),
        ("count", 10**30, "count=1000"),
        ("ratio", 0, "ratio=0: give a number above 0 or null"),
        ("ratio", float("nan"), "ratio=nan: give a number above 0"),
        ("ratio", float("inf"), "ratio=inf: give a finite number"),
        ("word", "three", "unknown word 'three'; known: one, two"),
        ("some", 0, "some=0: give auto or a whole number of at least 1"),
        ("some", "many", "some=many: give auto or"),
        ("sizes", [], r"sizes=\[\]: give a list \[...\] of at least 1, each a whole number"),
        ("sizes", [1, 0], r"sizes=\[1, 0\]: give a list"),
        ("seeds", 0, "seeds=0: give a whole number of at least 1 or a list"),
        ("on", 1, "on=1: give true or false"),
        ("path", 5, "path=5: give text or null"),
        ("free", [], r"free=\[\]: give keys"),
        ("free.x", float("-inf"), "free.x=-inf: give a finite number"),
        ("inner", 5, "inner=5: give inner.<key>=..."),
        ("inner.share", 1, "inner.share=1: give a share of at least 0 and below 1"),
        ("unheard.of", [[2**63]], "unheard.of=.*: give a finite number"),
    ],
)
def test_a_value_that_is_not_allowed_is_told_with_its_key(key, value, told):
    with pytest.raises(ConfigError, match=f"^{told}"):
        check(KNOWN, {key: value})


def test_what_is_allowed_passes():
    good = {"count": 9, "ratio": None, "word": "two", "some": "auto", "sizes": [7], "seeds": [0, 5], "on": False}
    check(KNOWN, good | {"path": "x", "free": {"a": None}, "free.a": "nan", "inner": {}, "inner.share": 0})


def test_a_long_value_is_cut():
    with pytest.raises(ConfigError) as told:
        check(KNOWN, {"count": "9" * 10_000})
    assert len(str(told.value)) < 200


HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@OFTEN
@given(job=st.sampled_from(["", *keys.JOBS]), value=HOSTILE, data=st.data())
def test_any_value_of_any_key_passes_or_is_told_with_the_key(job, value, data):
    known = keys.settings(job)
    key = data.draw(st.sampled_from(sorted(known)))
    try:
        check(known, {key: value})
    except ConfigError as error:
        assert key in str(error) and len(str(error)) < 500
    else:
        assert known[key].allows(value)


@pytest.mark.parametrize("job", ["ablate", *keys.JOBS])
def test_every_key_of_a_configuration_has_a_type(job):
    """But those of a method, of a search's space and of the rows of an ablation, which are any."""
    config = plain(load_config([f"job={job}", *(["launcher=slurm"] if job == "ablate" else [])]))
    free = {"arguments", "family"}

    def nodes(node: dict, prefix: str = ""):
        for key, value in node.items():
            yield f"{prefix}{key}"
            if isinstance(value, dict) and f"{prefix}{key}" in known and known[f"{prefix}{key}"].instead:
                yield from nodes(value, f"{prefix}{key}.")

    known = keys.settings(job)
    assert {key for key in nodes(config) if key not in known} <= free
