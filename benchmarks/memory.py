"""Prints the peak memory of `fhir-gateway convert` for one-dose-per-row files of many rows, CSV and NDJSON.

    python benchmarks/memory.py [--rows 1000000] [--seed 7]

With a report. The peak is the kernel's VmHWM of the command's own process. Half the rows are measured first: where memory is flat,
twice the rows need no more.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson

from fhir_gateway.synth.generate import generate
from fhir_gateway.synth.population import Region
from fhir_gateway.synth.rates import Rates

_COMMAND = str(Path(sys.executable).with_name("fhir-gateway"))
_ROWS_A_PERSON = 5
_FINISHED = {0, 3}
_SECONDS_BETWEEN_LOOKS = 0.05


def main() -> None:
    """Write the files, convert them and print the peaks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        generate(work, Region(arguments.seed, max(50, arguments.rows // _ROWS_A_PERSON), "A", Rates()))
        sheet = work / "puskesmas.csv"
        lines = work / "puskesmas.ndjson"
        _write_ndjson(sheet, lines)
        print(f"{'':10}{'rows':>10}{'seconds':>9}{'peak MiB':>10}")
        for file in (sheet, lines):
            for rows in (arguments.rows // 2, arguments.rows):
                _show(file, rows, work)


def _write_ndjson(sheet: Path, lines: Path) -> None:
    with sheet.open(encoding="utf-8-sig", newline="") as rows, lines.open("wb") as out:
        for row in csv.DictReader(rows, delimiter=";"):
            row.pop(None, None)  # type: ignore[call-overload]  # cells of a broken row
            out.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))


def _show(file: Path, rows: int, work: Path) -> None:
    started = time.perf_counter()
    converted, peak = convert(file, rows, work)
    seconds = time.perf_counter() - started
    print(f"{file.suffix:10}{converted:10,}{seconds:9.1f}{peak / 1024:10.1f}", flush=True)


def convert(file: Path, rows: int, work: Path) -> tuple[int, int]:
    """Return how many rows the command converted, and the peak of its resident memory in KiB."""
    out = work / "out.ndjson"
    command = [_COMMAND, "convert", str(file), "--mapping", "puskesmas", "--clinic", "bench", "--limit", str(rows)]
    command += ["--out", str(out), "--json", "--report", str(work / "report.csv")]
    peak = 0
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "FHIR_GATEWAY_HOME": str(work)},
    ) as process:
        while process.poll() is None:
            peak = max(peak, _peak_memory(process.pid))
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        said = process.stdout.read() if process.stdout else b""
    if process.returncode not in _FINISHED:
        raise SystemExit(f"the conversion ended with {process.returncode}")
    return int(orjson.loads(said)["read"]), peak


def _peak_memory(pid: int) -> int:
    """Return the process's VmHWM in KiB, 0 where it has ended meanwhile."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)


if __name__ == "__main__":
    main()
