"""Constructor options that a user gives are told by name where they cannot be."""

import pytest

import methods


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("mobilevos_r18", {"width": 0}, "options.width=0: give a number above 0"),
        ("mobilevos_r18", {"width": "wide"}, "options.width=wide: give a number above 0"),
        ("mobilevos_r18", {"width": float("nan")}, "options.width=nan: give a number above 0"),
        ("mobilevos_r18", {"queue_length": 2.5}, "options.queue_length=2.5: give a whole number above 0 or null"),
        ("mobilevos_r18", {"memory_drop": -0.1}, "options.memory_drop=-0.1: give a number of 0 or more"),
        ("stcn", {"include_last": 1}, "options.include_last=1: give true or false"),
        ("deaot_t", {"attention": 5}, "options.attention=5: give text"),
        ("sam_vit_b", {"image_size": 0}, "options.image_size=0: give a whole number above 0"),
    ],
)
def test_an_option_of_another_type_or_sign_is_named(name, options, told):
    with pytest.raises(methods.MethodError, match=f"^{told}"):
        methods.create(name, **options)


def test_whole_numbers_and_null_are_numbers_where_these_are_wanted():
    assert methods.create("mobilevos_mnv2", width=1, queue_length=None) is not None
