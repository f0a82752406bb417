"""Starts and ends other people's FHIR servers, each a process of its own on a free loopback port."""

import os
import select
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
HAPI = HERE / "hapi"
MEDPLUM = HERE / "medplum"
REQUIRED = "FHIR_GATEWAY_REQUIRE_REAL_SERVERS"

START_SECONDS = 600
STOP_SECONDS = 300
_READY = "listening on "

# Small heap, one collector thread and the quick compiler: HAPI answers after half the time that the defaults take.
_JAVA = ("java", "-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", "lib/classes:lib/*")
# Thousands of resources are worth the compiler that takes its time.
_JAVA_AT_WORK = tuple(option for option in _JAVA if option != "-XX:TieredStopAtLevel=1")
# Node 20 has the WebSocket that Medplum's core names only behind this flag; later ones take the flag and ignore it.
_NODE = ("node", "--experimental-websocket")


@dataclass(frozen=True, slots=True)
class Software:
    """A server program: how it is started, from which folder, and what install.sh must have built for it."""

    name: str
    folder: Path
    command: tuple[str, ...]
    built: tuple[Path, ...]

    def missing(self) -> str:
        """Return why it cannot be started here, "" when it can."""
        if shutil.which(self.command[0]) is None:
            return f"{self.name}: {self.command[0]} is not on the PATH"
        if not all(path.exists() for path in self.built):
            return f"{self.name} is not built: run tests/real_server/install.sh"
        return ""


_HAPI_BUILT = (HAPI / "lib/classes/realserver/HapiServer.class", HAPI / "lib/hapi-fhir-jpaserver-base-8.8.0.jar")
_MEDPLUM_BUILT = (MEDPLUM / "node_modules/@medplum/fhir-router/package.json",)

HAPI_PLAIN = Software("HAPI FHIR", HAPI, (*_JAVA, "realserver.HapiServer"), _HAPI_BUILT)
HAPI_VALIDATING = Software("HAPI FHIR (validating)", HAPI, (*HAPI_PLAIN.command, "--validate"), _HAPI_BUILT)
MEDPLUM_ROUTER = Software("Medplum", MEDPLUM, (*_NODE, "server.mjs"), _MEDPLUM_BUILT)
HAPI_VALIDATOR = Software("HAPI FHIR's validator", HAPI, (*_JAVA_AT_WORK, "realserver.HapiValidator"), _HAPI_BUILT)
MEDPLUM_VALIDATOR = Software("Medplum's validator", MEDPLUM, (*_NODE, "validate.mjs"), _MEDPLUM_BUILT)


def hapi_on_disk(folder: Path) -> Software:
    """Return HAPI FHIR with its database in this folder: what it acknowledged is still there after a kill."""
    return Software("HAPI FHIR on disk", HAPI, (*HAPI_PLAIN.command, "--data", str(folder)), _HAPI_BUILT)


class ServerDidNotStartError(Exception):
    """The process ended or stayed silent instead of saying that it listens; its last words are the message."""


@dataclass(slots=True)
class RunningServer:
    """A server process and where it listens; its standard error goes to `log`."""

    software: Software
    log: Path
    base_url: str = ""
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        """The process, for those who want to measure or signal it."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it was started and neither ended by itself nor by `stop()` or `kill()`."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process and return when it listens; a second start takes the port of the first.

        Raises ServerDidNotStartError.
        """
        port = self.base_url.rpartition(":")[2].partition("/")[0] or "0"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.software.command, "--port", port],
                cwd=self.software.folder,
                stdin=subprocess.PIPE,  # its end is the server's sign to end: it cannot outlive this process
                stdout=subprocess.PIPE,
                stderr=log,
            )
        try:
            self.base_url = self._read_address(time.monotonic() + START_SECONDS)
        except BaseException:
            self.kill()
            raise

    def _read_address(self, deadline: float) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        said = b""
        while not said.endswith(b"\n"):
            readable, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            piece = os.read(self._process.stdout.fileno(), 4096) if readable else b""
            if not piece:
                ended = "ended" if readable else f"said nothing for {START_SECONDS} s"
                raise ServerDidNotStartError(f"{self.software.name} {ended}:\n{self._last_words()}")
            said += piece
        last_line = said.decode().splitlines()[-1]
        if not last_line.startswith(_READY):
            raise ServerDidNotStartError(f"{self.software.name} said {last_line!r}")
        return last_line.removeprefix(_READY)

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]

    def stop(self) -> None:
        """End the process as an operator would (SIGTERM); kill it when it does not heed that."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        finally:
            self._let_go()

    def kill(self) -> None:
        """End the process at once (SIGKILL), as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._let_go()

    def _let_go(self) -> None:
        assert self._process is not None
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process = None


def run_validator(software: Software, files: Sequence[Path], *, timeout: float = 1200) -> str:
    """Return a validator's verdicts on these NDJSON files, one JSON object a line (see the validators' sources)."""
    done = subprocess.run(
        [*software.command, *(str(file.resolve()) for file in files)],
        cwd=software.folder,
        check=True,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return done.stdout
