"""A scheduler's request to stop: training saves what it has learnt first; anything else can stop at once."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS_BETWEEN_SIGNALS = 0.2  # to the processes of one job
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


def stop_if_asked(anyone: Callable[[bool], bool] = bool) -> None:
    """Raises Stopped: to be called where a training can be stopped. `anyone`: whether one of several was asked."""
    if anyone(_State.asked):
        raise Stopped


@contextmanager
def saving_first(save: Callable[[], None]) -> Iterator[None]:
    """Inside, a request to stop waits for `stop_if_asked`; then `save()` is called.

    A scheduler signals all processes of a job, also helpers, whose end may be an error here, perhaps in the middle
    of a step: nothing is saved then, and it is a stop too.
    """
    _State.patient = True
    try:
        yield
    except Stopped:
        save()
        raise
    except Exception:
        time.sleep(SECONDS_BETWEEN_SIGNALS)
        stop_if_asked()
        raise
    finally:
        _State.patient = False
    stop_if_asked()
