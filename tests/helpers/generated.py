"""How tests with generated cases run: the same cases every time, without a clock and files of their own."""

from hypothesis import HealthCheck, settings

OFTEN = settings(
    max_examples=500,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
