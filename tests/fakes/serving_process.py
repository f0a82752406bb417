"""`fhir-gateway serve` as a process of its own on a free loopback port."""

import os
import select
import subprocess
import sys
from pathlib import Path

SRC = Path(__file__).parents[2] / "src"
PATIENCE = 300
"""Seconds after which what hangs is given up."""
_RUN = (
    f"import sys; sys.path.insert(0, {str(SRC)!r}); from fhir_gateway.cli.app import run; sys.exit(run(sys.argv[1:]))"
)
_READY = "listening on "


def run_command(home, *words):
    """Run a command of the gateway in a working folder; return its stdout and assert that it went well."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *map(str, words)],
        cwd=home,
        env=_environment(home),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class ServingProcess:
    """Started with start(); `url` is where it listens, `log` what it writes to stderr."""

    def __init__(self, home):
        self.home = home
        self.log = home / "serve.log"
        self.url = ""
        self._process = None

    def start(self):
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _RUN, "serve", "--port", "0"],
                cwd=self.home,
                env=_environment(self.home),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE)
        line = self._process.stdout.readline() if ready else ""
        assert line.startswith(_READY), self.log.read_text()
        self.url = line.removeprefix(_READY).strip()
        return self

    def kill(self):
        """End it as a power cut would."""
        self._process.kill()
        self._end()

    def stop(self):
        """End it with SIGTERM; return its exit code."""
        if self._process.poll() is None:
            self._process.terminate()
        return self._end()

    def _end(self):
        code = self._process.wait(timeout=PATIENCE)
        self._process.stdout.close()
        return code


def _environment(home):
    return {"FHIR_GATEWAY_HOME": str(home), "PATH": os.environ["PATH"], "PYTHONWARNINGS": "default"}
