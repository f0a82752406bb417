"""Prints the peak memory of `fhir-gateway convert` and `load` for one-dose-per-row files of many rows.

    python benchmarks/memory.py [--convert 500000 1000000] [--load 30000 100000] [--seed 7]

With a report. The peak is the kernel's VmHWM of the command's own process; the server that is loaded has another. Whether memory
is flat is shown by several sizes (then twice the rows need no more), and by the highest resident memory in each tenth of a
command's time. `convert` reads CSV and NDJSON, `load` CSV.
"""

import argparse
import csv
import os
import socket
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import orjson

from fhir_gateway.synth.generate import generate
from fhir_gateway.synth.population import Region
from fhir_gateway.synth.rates import Rates

_COMMAND = str(Path(sys.executable).with_name("fhir-gateway"))
_ROWS_A_PERSON = 5
_FINISHED = {0, 3}
_SECONDS_BETWEEN_LOOKS = 0.05


@dataclass(frozen=True, slots=True)
class Measured:
    """What a command took: `peak` and the highest in each tenth of its time are MiB, `cpu` is in seconds of its own."""

    rows: int
    seconds: float
    cpu: float
    peak: float
    tenths: tuple[float, ...]


def main() -> None:
    """Write the files, convert and load them and print the peaks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--convert", type=int, nargs="*", default=[500_000, 1_000_000], metavar="ROWS")
    parser.add_argument("--load", type=int, nargs="*", default=[30_000, 100_000], metavar="ROWS")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    most = max([*arguments.convert, *arguments.load], default=0)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        generate(work, Region(arguments.seed, max(50, most // _ROWS_A_PERSON), "A", Rates()))
        sheet = work / "puskesmas.csv"
        lines = work / "puskesmas.ndjson"
        print(f"{'':17}{'rows':>10}{'seconds':>9}{'CPU s':>9}{'peak MiB':>10}  resident MiB in each tenth")
        for rows in arguments.load:
            _show("load", sheet, load(sheet, rows, work))
        if arguments.convert:
            _write_ndjson(sheet, lines)
        for file in (sheet, lines):
            for rows in arguments.convert:
                _show("convert", file, convert(file, rows, work))


def _write_ndjson(sheet: Path, lines: Path) -> None:
    with sheet.open(encoding="utf-8-sig", newline="") as rows, lines.open("wb") as out:
        for row in csv.DictReader(rows, delimiter=";"):
            row.pop(None, None)  # type: ignore[call-overload]  # cells of a broken row
            out.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))


def _show(command: str, file: Path, of: Measured) -> None:
    tenths = " ".join(f"{resident:.0f}" for resident in of.tenths)
    print(f"{command:8}{file.suffix:9}{of.rows:10,}{of.seconds:9.1f}{of.cpu:9.1f}{of.peak:10.1f}  {tenths}", flush=True)


def convert(file: Path, rows: int, work: Path) -> Measured:
    """Convert the file's first rows and return what that took."""
    return _measured(["convert", str(file), "--out", str(work / "out.ndjson")], rows, work, home=work)


def load(file: Path, rows: int, work: Path) -> Measured:
    """Load the file's first rows into a new server and return what that took."""
    with tempfile.TemporaryDirectory(dir=work) as folder, _server(Path(folder)) as home:
        return _measured(["load", str(file), "--env", "bench"], rows, work, home=home)


@contextmanager
def _server(home: Path) -> Iterator[Path]:
    """Run a server in a process of its own; yields the working folder whose environment `bench` it is."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (home / "environments").mkdir()
    (home / "environments" / "bench.toml").write_text(f'[fhir_server]\nbase_url = "http://127.0.0.1:{port}/fhir"\n')
    command = [_COMMAND, "fhir-server", "--port", str(port), "--data", str(home / "server")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        try:
            if server.stdout is None or not server.stdout.readline():
                raise SystemExit("the server did not start")
            yield home
        finally:
            server.terminate()


def _measured(command: Sequence[str], rows: int, work: Path, *, home: Path) -> Measured:
    options = ["--mapping", "puskesmas", "--clinic", "bench", "--limit", str(rows)]
    options += ["--json", "--report", str(work / "report.csv")]
    started, peak, cpu, resident = time.perf_counter(), 0.0, 0.0, array("d")
    with subprocess.Popen(
        [_COMMAND, *command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "FHIR_GATEWAY_HOME": str(home)},
    ) as process:
        while process.poll() is None:
            memory = _memory(process.pid)
            if memory:
                peak, cpu = max(peak, memory["VmHWM"]), _cpu(process.pid) or cpu
                resident.append(memory["VmRSS"])
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        said = process.stdout.read() if process.stdout else b""
    if process.returncode not in _FINISHED:
        raise SystemExit(f"{command[0]} ended with {process.returncode}")
    cuts = [len(resident) * n // 10 for n in range(11)]
    tenths = tuple(max(resident[one:other], default=0.0) for one, other in pairwise(cuts))
    return Measured(int(orjson.loads(said)["read"]), time.perf_counter() - started, cpu, peak, tenths)


def _memory(pid: int) -> dict[str, float]:
    """Return the process's VmHWM and VmRSS in MiB, nothing where it has ended meanwhile."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return {}
    words = [line.split() for line in status.splitlines() if line.startswith(("VmHWM", "VmRSS"))]
    return {name.rstrip(":"): int(size) / 1024 for name, size, _ in words}


def _cpu(pid: int) -> float:
    """Return the seconds of CPU that the process has used, 0 where it has ended meanwhile."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
