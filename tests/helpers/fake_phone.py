"""A phone in software: speaks the ADB transport over loopback TCP, so that the genuine adb client can use it.

Commands really run, with this machine's sh; /data/local/tmp and /sys are folders of a sandbox, and getprop,
dumpsys and the like are scripts there (`sandbox.py`). Not advertised, so that clients fall back: stat_v2,
sendrecv_v2, delayed_ack, TLS. Protocol: AOSP, packages/modules/adb, protocol.txt and SYNC.TXT.
"""

import asyncio
import os
import signal
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from sandbox import build_sandbox, environment

HEADER = struct.Struct("<4s4I4s")  # command, two arguments, length, sum of the bytes, inverted command
VERSION, MAX_DATA = 0x01000000, 64 * 1024
TOKEN, SIGNATURE = 1, 2  # of AUTH
STDOUT, STDERR, EXIT = 1, 2, 3  # of the shell protocol
DATA = "/data/local/tmp"


@dataclass(frozen=True)
class Faults:
    """What is wrong with a phone. `hang` and `drop`: a service (a command, or "SEND path") with that text in it."""

    unauthorized: bool = False  # never accepts the computer's key
    offline: bool = False  # answers nothing
    legacy: bool = False  # a shell without exit codes, and with one output
    refuses: str | None = None  # what every writing answers, e.g. "No space left on device"
    hang: str | None = None  # never answers this
    drop: str | None = None  # cuts the link when this first answers ...
    drop_at: int = 1  # ... for the so-many-th time


class Cut(Exception):
    """The link is gone."""


class Link:
    """One connection of an adb server: packets in and out."""

    def __init__(self, phone: "FakePhone", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.phone, self.reader, self.writer = phone, reader, writer
        self.streams: dict[int, Stream] = {}
        self.ids = count(1)

    def send(self, command: bytes, first: int, second: int, data: bytes = b"") -> None:
        inverted = bytes(b ^ 0xFF for b in command)
        self.writer.write(HEADER.pack(command, first, second, len(data), sum(data), inverted) + data)

    async def serve(self) -> None:
        try:
            while True:
                head = await self.reader.readexactly(HEADER.size)
                command, first, second, length, *_ = HEADER.unpack(head)
                data = await self.reader.readexactly(length)
                if not self.phone.faults.offline:
                    self.receive(command, first, second, data)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            for stream in self.streams.values():
                stream.task.cancel()
            self.writer.close()

    def receive(self, command: bytes, first: int, second: int, data: bytes) -> None:
        if command == b"CNXN":
            self.send(b"AUTH", TOKEN, 0, os.urandom(20))
        elif command == b"AUTH" and first == SIGNATURE:
            if self.phone.faults.unauthorized:
                self.send(b"AUTH", TOKEN, 0, os.urandom(20))
            else:
                self.send(b"CNXN", VERSION, MAX_DATA, self.phone.banner)
        elif command == b"OPEN":
            stream = self.streams[number] = Stream(self, number := next(self.ids), first)
            stream.task = asyncio.create_task(stream.run(data.rstrip(b"\0").decode()))
        elif (stream := self.streams.get(second)) is None:
            if command == b"WRTE":
                self.send(b"CLSE", 0, first)
        elif command == b"OKAY":
            stream.acknowledged.set()
        elif command == b"WRTE":
            stream.incoming.feed_data(data)
            self.send(b"OKAY", second, first)
        elif command == b"CLSE":
            stream.task.cancel()


class Stream:
    """One service that the computer has opened; one packet in flight."""

    def __init__(self, link: Link, ours: int, theirs: int) -> None:
        self.link, self.ours, self.theirs = link, ours, theirs
        self.incoming = asyncio.StreamReader()
        self.acknowledged, self.lock = asyncio.Event(), asyncio.Lock()
        self.doomed = False
        self.task: asyncio.Task | None = None

    async def run(self, service: str) -> None:
        phone = self.link.phone
        name, _, argument = service.partition(":")
        kind, *options = name.split(",")
        try:
            await self.suffer(argument)
            self.link.send(b"OKAY", self.ours, self.theirs)
            if kind == "sync":
                await Sync(self).serve()
            elif kind in ("shell", "exec"):
                phone.commands.append(argument)
                await run_command(self, argument, protocol="v2" in options, separate=kind == "exec")
        except Cut:
            phone.cut()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.link.send(b"CLSE", self.ours, self.theirs)
            self.link.streams.pop(self.ours, None)

    async def suffer(self, text: str) -> None:
        """What the faults have in store for this service."""
        phone, faults = self.link.phone, self.link.phone.faults
        if faults.hang and faults.hang in text:
            await asyncio.Event().wait()
        if faults.drop and faults.drop in text:
            phone.drops += 1
            self.doomed = phone.drops == faults.drop_at

    async def write(self, data: bytes) -> None:
        async with self.lock:
            for start in range(0, len(data), MAX_DATA):
                if self.doomed:
                    raise Cut
                self.acknowledged.clear()
                self.link.send(b"WRTE", self.ours, self.theirs, data[start : start + MAX_DATA])
                await self.acknowledged.wait()


async def run_command(stream: Stream, command: str, protocol: bool, separate: bool) -> None:
    """`shell:`, `shell,v2:` (outputs apart, then the exit code) and `exec:` with this machine's sh."""
    phone = stream.link.phone
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", phone.inside(command), cwd=phone.root, env=environment(phone.root), start_new_session=True,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE if protocol else asyncio.subprocess.DEVNULL if separate
        else asyncio.subprocess.STDOUT,
    )  # fmt: skip

    async def forward(source: asyncio.StreamReader | None, number: int) -> None:
        while source and (data := await source.read(MAX_DATA // 2)):
            data = data.replace(str(phone.root).encode(), b"")
            if not (protocol or separate):  # a terminal, before Android 7
                data = data.replace(b"\n", b"\r\n")
            await stream.write(struct.pack("<BI", number, len(data)) + data if protocol else data)

    pumps = [
        asyncio.create_task(forward(source, number))
        for source, number in ((process.stdout, STDOUT), (process.stderr, STDERR))
    ]
    try:
        await asyncio.gather(*pumps)
        code = await process.wait()
        if protocol:
            await stream.write(struct.pack("<BIB", EXIT, 1, code if code >= 0 else 128 - code))
    finally:
        for pump in pumps:
            pump.cancel()
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        await asyncio.gather(*pumps, return_exceptions=True)
        await process.communicate()  # to its end, so that nothing of it is left


class Sync:
    """`sync:` version 1: STAT, LIST, SEND, RECV, QUIT."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.phone = stream, stream.link.phone

    async def head(self) -> tuple[bytes, int]:
        return struct.unpack("<4sI", await self.stream.incoming.readexactly(8))

    async def serve(self) -> None:
        while True:
            command, length = await self.head()
            if command == b"QUIT":
                return
            path = (await self.stream.incoming.readexactly(length)).decode()
            await self.stream.suffer(f"{command.decode()} {path}")
            try:
                answer = await getattr(self, command.decode().lower())(path)
            except OSError as error:
                text = f"couldn't create file: {error.strerror}".encode()
                answer = struct.pack("<4sI", b"FAIL", len(text)) + text
            await self.stream.write(answer)

    async def stat(self, path: str) -> bytes:
        return struct.pack("<4s3I", b"STAT", *self.facts(Path(self.phone.inside(path))))

    async def list(self, path: str) -> bytes:
        rows = b""
        for child in sorted(Path(self.phone.inside(path)).iterdir()):
            name = child.name.encode()
            rows += struct.pack("<4s4I", b"DENT", *self.facts(child), len(name)) + name
        return rows + b"DONE" + bytes(16)

    async def send(self, request: str) -> bytes:
        path, _, mode = request.rpartition(",")
        content = bytearray()
        while (part := await self.head())[0] == b"DATA":
            content += await self.stream.incoming.readexactly(part[1])
        if self.phone.faults.refuses:
            raise OSError(0, self.phone.faults.refuses)
        file = Path(self.phone.inside(path))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(int(mode) & 0o777)
        return b"OKAY" + bytes(4)

    async def recv(self, path: str) -> bytes:
        content, packets = Path(self.phone.inside(path)).read_bytes(), b""
        for start in range(0, len(content), MAX_DATA):
            part = content[start : start + MAX_DATA]
            packets += struct.pack("<4sI", b"DATA", len(part)) + part
        return packets + b"DONE" + bytes(4)

    @staticmethod
    def facts(path: Path) -> tuple[int, int, int]:
        try:
            found = path.stat()
        except FileNotFoundError:
            return 0, 0, 0
        return found.st_mode, found.st_size, int(found.st_mtime)


class FakePhone:
    """Listens on a free port of 127.0.0.1 from `start` to `stop`, in a thread of its own.

    serial: host:port. folder: what /data/local/tmp is. commands: those that its shell was given, in order.
    """

    def __init__(self, root: Path, faults: Faults = Faults(), **facts) -> None:
        self.root, self.faults, self.folder = root, faults, Path(f"{root}{DATA}")
        build_sandbox(root, refuses=faults.refuses, **facts)
        features = "cmd,fixed_push_mkdir" + ("" if faults.legacy else ",shell_v2")
        self.banner = f"device::ro.product.name=fake;ro.product.model=Fake;features={features}".encode()
        self.commands: list[str] = []
        self.drops, self.port, self.serial = 0, 0, ""
        self.links: set[Link] = set()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def start(self) -> "FakePhone":
        self.thread.start()
        self.plug_in()
        self.serial = f"127.0.0.1:{self.port}"
        return self

    def plug_in(self) -> None:
        """Listen, again on the same port after `unplug`."""
        asyncio.run_coroutine_threadsafe(self._listen(), self.loop).result(10)

    def unplug(self) -> None:
        """Cut the link now; adb's attempts to reconnect fail."""
        self._in_loop(self.cut)

    def stop(self) -> None:
        self._in_loop(self.cut)
        asyncio.run_coroutine_threadsafe(self._end(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    def inside(self, text: str) -> str:
        """Paths of the phone as those of the sandbox."""
        for path in (DATA, "/sys/"):
            text = text.replace(path, f"{self.root}{path}")
        return text

    def cut(self) -> None:
        self.server.close()
        for link in self.links:
            link.writer.transport.abort()

    async def _listen(self) -> None:
        self.server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(self, reader, writer)
        self.links.add(link)
        await link.serve()
        self.links.discard(link)

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _in_loop(self, function) -> None:
        async def call() -> None:
            function()

        asyncio.run_coroutine_threadsafe(call(), self.loop).result(10)
