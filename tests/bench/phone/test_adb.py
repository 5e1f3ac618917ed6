"""The genuine adb client against a fake phone: what works, and what the user reads when it does not."""

import subprocess
import sys
import threading
import time

import pytest

from bench.phone.adb import EXITS, Answer, LinkLost, PhoneError, adb_version, connect, devices, find_adb

FOLDER = "/data/local/tmp/vos-bench"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a file.bin"
    path.write_bytes(bytes(range(256)) * 4000)  # 1 MB, many packets
    return path


# the program


def test_the_program_of_the_path_or_of_the_wheel(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.syspath_prepend(tmp_path)
    wheel, system = tmp_path / "adbutils/binaries/adb", tmp_path / "bin/adb"
    for program in (wheel, system):
        program.parent.mkdir(parents=True)
        program.write_text("#!/bin/sh\necho Version 1.2.3-test\n")
        program.chmod(0o755)
    (tmp_path / "adbutils/__init__.py").write_text("raise SystemExit('is not to be imported')")
    assert find_adb() == str(system)
    system.unlink()
    assert find_adb() == str(wheel)
    assert find_adb(str(wheel)) == str(wheel)
    assert adb_version(str(wheel)) == "1.2.3-test"


def test_no_program(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "adbutils", None)
    with pytest.raises(PhoneError, match=r"install it .*pip install adbutils.*phone.adb=/path"):
        find_adb()
    with pytest.raises(PhoneError, match=r"phone.adb=/no/adb: there is no such program"):
        find_adb("/no/adb")
    broken = tmp_path / "adb"
    broken.write_bytes(b"\x7fELF of another machine")
    broken.chmod(0o755)
    with pytest.raises(PhoneError, match="cannot run .*adb: Exec format error"):
        connect()


# finding the phone


def test_no_phone(adb_server):
    with pytest.raises(PhoneError, match="no phone is attached: enable USB debugging"):
        connect()


def test_an_unauthorized_phone(fake_phone):
    fake_phone(unauthorized=True)
    with pytest.raises(PhoneError, match="unlock it and accept the prompt"):
        connect()


def test_an_offline_phone(fake_phone):
    fake_phone(offline=True)
    with pytest.raises(PhoneError, match="is offline: replug it, or run `adb reconnect`"):
        connect()


def test_of_several_phones_one_is_named(fake_phone, monkeypatch):
    one, two = fake_phone(), fake_phone()
    with pytest.raises(PhoneError, match="several phones are attached: .*pick one with phone.serial=") as error:
        connect()
    assert f"{one.serial} (device)" in str(error.value) and f"{two.serial} (device)" in str(error.value)
    connect(two.serial).shell("touch here")
    assert (two.root / "here").exists() and not (one.root / "here").exists()
    monkeypatch.setenv("ANDROID_SERIAL", one.serial)
    assert connect().serial == one.serial
    with pytest.raises(PhoneError, match=f"phone.serial=R5CT: no such phone is attached .*{one.serial}"):
        connect("R5CT")


def test_a_phone_of_the_network_is_connected(fake_phone):
    made = fake_phone(attach=False)
    assert connect(made.serial).shell("echo here").stdout == "here\n"
    assert connect().serial == made.serial
    made.unplug()
    with pytest.raises(PhoneError, match=r"phone.serial=127.0.0.1:1: .*Connection refused"):
        connect("127.0.0.1:1")


def test_a_phone_of_the_network_comes_back_after_a_lost_link(fake_phone, adb_server):
    made = fake_phone(drop="runner")
    with pytest.raises(LinkLost):
        connect(made.serial).shell("echo runner")
    deadline = time.monotonic() + 20
    while (state := devices(adb_server).get(made.serial)) not in (None, "offline"):
        assert time.monotonic() < deadline, state
        time.sleep(0.05)
    with pytest.raises(PhoneError, match=f"{made.serial}.* (refused|offline)"):
        connect(made.serial)
    made.plug_in()
    assert connect(made.serial).shell("echo here").stdout == "here\n"


# commands


@pytest.mark.parametrize("legacy", [False, True])
def test_a_command_has_outputs_and_an_exit_code(fake_phone, legacy):
    made = fake_phone(legacy=legacy)
    phone = connect()
    assert phone.shell("echo one; echo two") == Answer("one\ntwo\n", "", 0)
    assert phone.shell("printf 'no newline'; exit 7", check=False) == Answer("no newline", "", 7)
    said = phone.shell("echo out; echo err >&2", check=False)
    assert (said.stdout, said.stderr) == (("out\nerr\n", "") if legacy else ("out\n", "err\n"))
    assert phone.shell("true # a comment").stdout == ""
    assert len(phone.shell("seq 20000").stdout) == len("".join(f"{i}\n" for i in range(1, 20001)))
    assert phone.prop("ro.product.model") == "SM-S901B" and phone.prop("ro.none") == ""
    assert "seq 20000" in made.commands[-3]


def test_a_failed_command_shows_its_code_and_last_lines(fake_phone):
    fake_phone()
    with pytest.raises(PhoneError, match=r"exit code 9") as error:
        connect().shell("seq 1 50; echo wrong >&2; exit 9")
    _, *lines = str(error.value).splitlines()
    assert lines == [str(i) for i in range(32, 51)] + ["wrong"]


@pytest.mark.parametrize(
    "code, command, words",
    [
        (126, "/data/local/tmp", "cannot start the program.*ABI"),
        (127, "/data/local/tmp/no_loader", "cannot start the program.*loader"),
        (134, "sh -c 'kill -ABRT $$'", "aborted"),
        (135, "sh -c 'kill -BUS $$'", "bus error"),
        (137, "sh -c 'kill -KILL $$'", "killed.*memory"),
        (139, "sh -c 'kill -SEGV $$'", "segmentation fault"),
        (124, "timeout -k 1 0.1 sleep 5", "time limit"),
    ],
)
def test_exit_codes_are_explained(fake_phone, code, command, words):
    fake_phone()
    phone = connect()
    assert phone.shell(command, check=False).code == code
    with pytest.raises(PhoneError, match=f"{words}.*exit code {code}"):
        phone.shell(command)


def test_a_killed_shell_is_not_a_lost_link(fake_phone):
    fake_phone()
    assert connect().shell("kill -KILL $$", check=False).code == 137


def test_an_unknown_exit_code():
    assert EXITS[3] == "it failed"


# files


def test_files_go_there_and_back(fake_phone, file, tmp_path):
    made = fake_phone()
    phone, tool = connect(), tmp_path / "tool"
    tool.write_text("#!/bin/sh\necho made of $1\n")
    tool.chmod(0o755)
    phone.push([file, tool], f"{FOLDER}/a b")
    assert (made.folder / "vos-bench/a b" / file.name).read_bytes() == file.read_bytes()
    assert phone.shell(f"'{FOLDER}/a b/tool' tin").stdout == "made of tin\n"
    phone.pull(f"{FOLDER}/a b/{file.name}", tmp_path / "new/back.bin")
    assert (tmp_path / "new/back.bin").read_bytes() == file.read_bytes()
    with pytest.raises(PhoneError, match=f"cannot copy {FOLDER}/none from .*does not exist"):
        phone.pull(f"{FOLDER}/none", tmp_path / "none")


def test_files_that_do_not_fit_are_not_sent(fake_phone, file):
    made = fake_phone(free_mb=0.5)
    phone = connect()
    assert phone.free_mb("/data/local/tmp/not/there/yet") == pytest.approx(0.5, abs=0.01)
    with pytest.raises(PhoneError, match=f"{FOLDER} .*need 2 MB, have 0 MB; .*phone.folder="):
        phone.push([file], FOLDER)
    assert not list((made.folder / "vos-bench").iterdir())


@pytest.mark.parametrize("reason", ["No space left on device", "Read-only file system", "Permission denied"])
@pytest.mark.parametrize("folder_is_there", [False, True])
def test_a_folder_that_takes_no_files(fake_phone, file, reason, folder_is_there):
    made = fake_phone(refuses=reason)
    if folder_is_there:
        (made.folder / "vos-bench").mkdir()
    with pytest.raises(PhoneError, match=f"{FOLDER} .*{reason[1:]}; give another folder with phone.folder="):
        connect().push([file], FOLDER)


def test_folders_and_raw_output_too(fake_phone, adb_server, tmp_path):
    made = fake_phone()
    (made.folder / "some").mkdir()
    for name in ("a", "b"):
        (made.folder / "some" / name).write_text(name)
    connect().pull("/data/local/tmp/some", tmp_path / "all")
    assert sorted(file.read_text() for file in (tmp_path / "all").iterdir()) == ["a", "b"]
    command = [adb_server, "-s", made.serial, "exec-out", "printf 'a\\r\\n'; echo no >&2"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"a\r\n"


# a link that breaks


def test_a_phone_that_hangs(fake_phone):
    fake_phone(hang="sleepy")
    with pytest.raises(LinkLost, match=r"no answer within 0.5 s.*check the cable"):
        connect().shell("sleepy", timeout=0.5)


def test_the_link_breaks_in_the_third_command(fake_phone):
    fake_phone(drop="runner", drop_at=3)
    phone = connect()
    assert [phone.shell(f"echo runner {i}").stdout for i in (1, 2)] == ["runner 1\n", "runner 2\n"]
    with pytest.raises(LinkLost, match="the link to .* was lost during `echo runner 3`"):
        phone.shell("echo runner 3", check=False)
    with pytest.raises(LinkLost):
        phone.shell("true")


def test_the_cable_is_pulled_during_a_command(fake_phone):
    made = fake_phone()
    phone = connect()
    timer = threading.Timer(0.3, made.unplug)
    timer.start()
    start = time.monotonic()
    with pytest.raises(LinkLost, match="was lost during `sleep 30`"):
        phone.shell("sleep 30")
    assert time.monotonic() - start < 10
    timer.join()


@pytest.mark.parametrize("moment", ["mkdir", "df -k", "SEND"])
def test_the_link_breaks_while_files_are_sent(fake_phone, file, moment):
    fake_phone(drop=moment)
    with pytest.raises(LinkLost):
        connect().push([file], FOLDER)


@pytest.mark.parametrize("moment", ["STAT", "RECV"])
def test_the_link_breaks_while_a_file_is_fetched(fake_phone, tmp_path, moment):
    made = fake_phone(drop=moment)
    (made.folder / "x").write_text("x")
    with pytest.raises(LinkLost):
        connect().pull("/data/local/tmp/x", tmp_path / "x")
