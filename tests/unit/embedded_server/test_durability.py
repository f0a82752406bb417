import json
import os
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.fakes.fhir_samples import LOCAL, sample_patient

from fhir_gateway.domain.errors import GatewayError, UsageError
from fhir_gateway.embedded_server.http import serve
from fhir_gateway.embedded_server.server import EmbeddedServer
from fhir_gateway.embedded_server.transport import BASE_URL, EmbeddedTransport

WRITER = """
import json, sys
from pathlib import Path
from fhir_gateway.embedded_server.server import EmbeddedServer
from tests.fakes.fhir_samples import LOCAL, sample_patient
server = EmbeddedServer(Path(sys.argv[1]))
for number in range(int(sys.argv[2]), int(sys.argv[3])):
    condition = {"If-None-Exist": f"identifier={LOCAL}|p{number}"}
    body = json.dumps(sample_patient(number)).encode()
    answer = server.handle("POST", "/Patient", headers=condition, body=body)
    print(number, answer.status, json.loads(answer.body)["meta"]["lastUpdated"], flush=True)
"""


def start_writer(folder, first, last):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(first), str(last)], stdout=subprocess.PIPE, text=True
    )


def total(folder):
    server = EmbeddedServer(folder)
    answer = json.loads(server.handle("GET", "/Patient", query="_summary=count").body)
    server.close()
    return answer["total"]


def test_folder_and_files_are_the_owners_alone(tmp_path):
    folder = tmp_path / "a" / "data"
    server = EmbeddedServer(folder)
    server.handle("POST", "/Patient", body=json.dumps(sample_patient()).encode())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    server.close()


def test_data_outlive_the_server(tmp_path):
    for number in range(2):
        server = EmbeddedServer(tmp_path)
        server.handle("POST", "/Patient", body=json.dumps(sample_patient(number)).encode())
        server.close()
    assert total(tmp_path) == 2


def test_what_was_answered_survives_sigkill(tmp_path):
    for round_number in range(4):
        writer = start_writer(tmp_path, 0, 500)
        answered = [int(writer.stdout.readline().split()[0]) for _ in range(10 * (round_number + 1))]
        writer.send_signal(signal.SIGKILL)
        answered += [int(line.split()[0]) for line in writer.stdout.read().splitlines() if line.count(" ") == 2]
        writer.wait()
        writer.stdout.close()
        assert total(tmp_path) in (len(set(answered)), len(set(answered)) + 1)


def test_two_processes_write_the_same_folder_without_doubles(tmp_path):
    writers = [start_writer(tmp_path, 0, 60) for _ in range(2)]
    lines = [line.split() for writer in writers for line in writer.communicate()[0].splitlines()]
    assert sorted({status for _, status, _ in lines}) == ["200", "201"] or len(lines) == 120
    assert sum(status == "201" for _, status, _ in lines) == 60
    assert len({stamp for _, status, stamp in lines if status == "201"}) == 60
    assert total(tmp_path) == 60


def test_threads_create_once(tmp_path):
    server = EmbeddedServer(tmp_path)
    body = json.dumps(sample_patient()).encode()
    headers = {"If-None-Exist": f"identifier={LOCAL}|p1"}
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: server.handle("POST", "/Patient", headers=headers, body=body).status, range(40))
        )
    server.close()
    assert sorted(answers) == [200] * 39 + [201]


def test_data_of_a_newer_version_are_left_alone(tmp_path):
    import sqlite3  # noqa: PLC0415

    EmbeddedServer(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "fhir.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(GatewayError, match="newer"):
        EmbeddedServer(tmp_path)


def test_a_folder_locked_by_others_is_503(tmp_path, monkeypatch):
    import sqlite3  # noqa: PLC0415

    monkeypatch.setattr("fhir_gateway.embedded_server.store._BUSY_SECONDS", 0)
    server = EmbeddedServer(tmp_path)
    other = sqlite3.connect(tmp_path / "fhir.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answer = server.handle("POST", "/Patient", body=json.dumps(sample_patient()).encode())
    other.execute("ROLLBACK")
    other.close()
    assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
    assert server.handle("POST", "/Patient", body=json.dumps(sample_patient()).encode()).status == 201
    server.close()


def test_a_folder_that_is_a_file_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(GatewayError, match="cannot be used"):
        EmbeddedServer(tmp_path / "file")


def test_a_taken_port_is_wrong_usage(tmp_path):
    import socket  # noqa: PLC0415

    server = EmbeddedServer(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="--port"):
        serve(server, host="127.0.0.1", port=taken.getsockname()[1], announce=print)
    server.close()


async def test_httpx_speaks_to_it_inside_the_process(tmp_path):
    server = EmbeddedServer(tmp_path)
    async with httpx.AsyncClient(transport=EmbeddedTransport(server), base_url=BASE_URL) as client:
        created = await client.post("/Patient", json=sample_patient())
        found = await client.get("/Patient", params={"identifier": f"{LOCAL}|p1"})
        posted = await client.post(BASE_URL, json={"resourceType": "Bundle", "type": "batch", "entry": []})
        outside = await client.get("http://embedded/elsewhere")
    server.close()
    assert created.headers["location"].startswith(f"{BASE_URL}/Patient/")
    assert found.json()["total"] == 1
    assert (posted.status_code, outside.status_code) == (200, 404)


def test_the_command_serves_until_sigterm(tmp_path):
    script = "import sys; from fhir_gateway.cli.app import main; main()"
    command = [sys.executable, "-c", script, "fhir-server", "--port", "0"]
    environment = os.environ | {"FHIR_GATEWAY_HOME": str(tmp_path)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    line = process.stdout.readline()
    assert line.startswith("listening on http://127.0.0.1:")
    url = line.split()[-1]
    assert httpx.get(f"{url}/metadata", trust_env=False, timeout=60).json()["implementation"]["url"] == url
    assert (
        httpx.post(f"{url}/", json={"resourceType": "Bundle", "type": "batch"}, trust_env=False, timeout=60).status_code
        == 200
    )
    assert httpx.get(url.removesuffix("/fhir"), trust_env=False, timeout=60).status_code == 404
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=300)
    assert (process.returncode, output, errors) == (0, "", "")
    assert (tmp_path / ".fhir-gateway" / "embedded" / "fhir.db").exists()
