"""The whole command in a working folder of its own, on the embedded server."""

import csv
import json
from contextlib import ExitStack, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import copytree

import pytest
from tests.fakes.disturbed_server import DisturbedServer

from fhir_gateway.bootstrap import gateway
from fhir_gateway.cli.app import run
from fhir_gateway.embedded_server.server import EmbeddedServer
from fhir_gateway.fhir_server.client import FhirClient

HEADER = "Nomor;Nama Lengkap;NIK;L/P;Tgl Lahir;Nama Ibu;Desa;No HP;Tgl Vaksin;Vaksin;Dosis Ke;Batch"
RATNA = "1;Ratna Dewanti;3303015203200003;P;12/03/2020;Lastri Handayani;Bukateja;081210001001;15/04/2020;BCG;1;B100"
RATNA_POLIO = (
    "2;Ratna Dewanti;3303015203200003;P;12/03/2020;Lastri Handayani;Bukateja;081210001001;15/05/2020;bOPV;1;P200"
)
BAYU = "3;Bayu Kusumo;3303021107190002;L;11/07/2019;Endah Palupi;Kutasari;081210001002;20/08/2019;BCG;1;B100"
VITAMIN = "4;Gilang Prakoso;3303020502210005;L;05/02/2021;Wiwit Astuti;Kutasari;;10/03/2021;Vitamin A;1;"
"""Rows of invented people."""


@dataclass
class Place:
    """A working folder, and what a command printed there."""

    home: Path
    capsys: pytest.CaptureFixture

    def sheet(self, *rows, name="sheet.csv"):
        path = self.home / name
        path.write_text("\n".join((HEADER, *rows)) + "\n", encoding="cp1252")
        return path

    def run(self, *arguments):
        """Return (exit code, stdout, stderr) of a command."""
        self.capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = self.capsys.readouterr()
        return code, captured.out, captured.err

    def json(self, *arguments):
        """Return what a command prints with --json."""
        _, out, err = self.run(*arguments, "--json")
        assert out, err
        return json.loads(out)

    def load(self, path, *arguments):
        return self.json("load", path, *arguments)

    def report(self, path):
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file, delimiter=";"))

    def server(self, resource_type, query="", environment="embedded"):
        """Return the resources of a type on the embedded server, by id."""
        server = EmbeddedServer(self.home / ".fhir-gateway" / environment)
        found, asked = {}, f"_count=500{query}"
        try:
            while asked:
                answer = server.handle(
                    "GET", f"/{resource_type}", query=asked, headers={}, body=b"", base="http://x/fhir"
                )
                bundle = json.loads(answer.body)
                found |= {entry["resource"]["id"]: entry["resource"] for entry in bundle.get("entry", [])}
                following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
                asked = following[0].partition("?")[2] if following else ""
        finally:
            server.close()
        return found

    def content(self):
        """Return everything on the server that a second load must leave as it is."""
        return self.server("Patient"), self.server("Immunization")


@pytest.fixture
def place(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FHIR_GATEWAY_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return Place(tmp_path, capsys)


@pytest.fixture(scope="session")
def beginnings():
    """By the function that filled it: the folder where what it left is kept, and what it returned."""
    return {}


@pytest.fixture
def begin(place, beginnings, tmp_path_factory):
    """Return a function that fills the place as `fill(place)` does, which is done once: then what it left is copied."""

    def begin(fill):
        if fill in beginnings:
            copytree(beginnings[fill][0], place.home, dirs_exist_ok=True)
        else:
            returned, kept = fill(place), tmp_path_factory.mktemp("beginning")
            beginnings[fill] = copytree(place.home, kept, dirs_exist_ok=True), returned
        return deepcopy(beginnings[fill][1])

    return begin


REGION = """[fhir_server]
base_url = "https://region.test/fhir"
wait_for_server = 60
timeout = 60
"""


@pytest.fixture
def region(place, monkeypatch):
    """Return a function that puts a DisturbedServer behind the environment `region` and returns it."""
    folder = place.home / "environments"
    folder.mkdir()

    def put(*, before=None, after=None, settings=""):
        (folder / "region.toml").write_text(REGION + settings)
        server = DisturbedServer(place.home / ".fhir-gateway" / "region-server", before=before, after=after)
        client = partial(FhirClient, timing=server.time.timing())
        opened.callback(server.server.close)
        monkeypatch.setattr(gateway, "_transport", lambda _: nullcontext(server))
        monkeypatch.setattr(gateway, "FhirClient", client)
        return server

    with ExitStack() as opened:
        yield put
