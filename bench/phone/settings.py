"""Which phone, reached how: the keys `phone.<name>` of job=measure and job=phone.doctor."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PhoneSettings:
    """None for `serial`: the only phone there is; for `adb`: the one that is installed."""

    serial: str | None = None  # or host:port
    adb: str | None = None
    runtime: str = "executorch"  # or litert
    benchmark_model: str | None = None  # litert's program on the phone
    folder: str = "/data/local/tmp/vos-bench"  # of the phone, for everything that is copied to it
