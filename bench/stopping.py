"""A scheduler's request to stop: training saves what it has learnt first; anything else can stop at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EXIT_CODE = 128 + signal.SIGTERM  # 143, as a shell tells of a process that ended by it


class Stopped(KeyboardInterrupt):
    """This process was asked to stop, as by Ctrl-C."""


class _State:
    asked = False
    patient = False  # a training is at work, which looks by itself


@contextmanager
def listening(*signals: int) -> Iterator[None]:
    """These signals (none: SIGTERM) ask this process to stop; only its main thread can listen."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, ask) for number in signals or (signal.SIGTERM,)}
    try:
        yield
    finally:
        _State.asked = False
        for number, handler in before.items():
            signal.signal(number, handler)


def ask(*_) -> None:
    """Ask this process to stop; a signal handler. Raises Stopped unless a training is at work."""
    again, _State.asked = _State.asked, True
    if not _State.patient and not again:  # a second signal must not disturb what the first one set going
        raise Stopped


def stop_if_asked() -> None:
    """Raises Stopped: to be called where a training can be stopped."""
    if _State.asked:
        raise Stopped


@contextmanager
def saving_first(save: Callable[[], None]) -> Iterator[None]:
    """Inside, a request to stop waits for `stop_if_asked`; then `save()` is called."""
    _State.patient = True
    try:
        yield
    except (Stopped, RuntimeError) as error:
        # A scheduler signals all processes of a job, also those that load data, which end at once.
        if not isinstance(error, Stopped) and not (_State.asked and "DataLoader worker" in str(error)):
            raise
        save()
        raise Stopped from None
    finally:
        _State.patient = False
    stop_if_asked()
