"""Fake phones, attached to an adb server of each test's own, and what runs on them."""

import os
import random
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import fields

import pytest
from fake_phone import FakePhone, Faults
from native import own_abi, require, toy_steps

from bench.phone.adb import PhoneError, devices, find_adb
from bench.phone.bundle import make_bundle
from bench.phone.executorch import pack
from bench.phone.runtime import Bundle, Cargo

FAULTS = {field.name for field in fields(Faults)}
ADB_VARIABLES = ("ADB_SERVER_SOCKET", "ADB_VENDOR_KEYS", "ANDROID_SERIAL", "ANDROID_ADB_SERVER_ADDRESS")


@pytest.fixture(scope="session")
def cargo(tmp_path_factory) -> Cargo:
    """Two steps of a small network, exported for ExecuTorch once for all tests."""
    require("g++")
    return pack(toy_steps(), "toy", tmp_path_factory.mktemp("cargo"))


@pytest.fixture(scope="session")
def bundle(cargo, tmp_path_factory) -> Bundle:
    """Our runner for this machine."""
    return make_bundle(own_abi(), tmp_path_factory.mktemp("cache"))


@pytest.fixture
def adb_server(tmp_path, monkeypatch) -> str:
    """The genuine adb program, whose server, keys and logs are this test's own."""
    try:
        adb = find_adb()
    except PhoneError as error:
        if os.environ.get("VOS_BENCH_NEEDS_ADB") == "1":
            pytest.fail(f"VOS_BENCH_NEEDS_ADB=1: {error}")
        pytest.skip(str(error))
    home = tmp_path / "home"
    home.mkdir()
    for name in ADB_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(_free_port()))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TMPDIR", str(home))
    for transport in ("ADB_USB", "ADB_MDNS"):  # newer adb: phones that are really there stay out of it
        monkeypatch.setenv(transport, "0")
    yield adb
    subprocess.run([adb, "kill-server"], capture_output=True, timeout=10, check=False)


def _free_port() -> int:
    """Below those that the system gives to connections, so that none takes it before the server does."""
    while True:
        port = random.randint(20000, 32000)
        with socket.socket() as free, suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


@pytest.fixture
def fake_phone(adb_server, tmp_path):
    """Makes fake phones: `fake_phone(**faults)`, the faults being the fields of `Faults`.

    Further arguments are facts of the phone (`sandbox.build_sandbox`); `attach=False` leaves `adb connect` to
    the test. Each has .serial, .folder (what /data/local/tmp is) and .commands (what its shell was given).
    """
    phones: list[FakePhone] = []

    def make(attach: bool = True, **arguments) -> FakePhone:
        faults = Faults(**{key: arguments.pop(key) for key in FAULTS & set(arguments)})
        phone = FakePhone(tmp_path / f"phone{len(phones)}", faults, **arguments).start()
        phones.append(phone)
        if attach:
            _attach(adb_server, phone)
        return phone

    yield make
    for phone in phones:
        phone.stop()


def _attach(adb: str, phone: FakePhone) -> None:
    devices(adb)  # so that its server runs
    # not waited for: while a phone stays silent, `adb connect` does so for ten seconds
    subprocess.Popen([adb, "connect", phone.serial], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    wanted = (
        ("unauthorized",) if phone.faults.unauthorized else ("offline",) if phone.faults.offline else ("device",)
    )
    while devices(adb).get(phone.serial) not in wanted:
        assert time.monotonic() < deadline, f"{phone.serial}: {devices(adb)}"
        time.sleep(0.05)
