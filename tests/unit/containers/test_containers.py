"""The container files hold what they promise; no container engine is needed to see that."""

import re
import socket
import threading
import time
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def services() -> dict:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


@pytest.fixture(scope="module")
def instructions() -> list[str]:
    """The Dockerfile's instructions, one a line, without comments."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    return [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def test_ports_are_published_on_loopback_only(services):
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_no_secret_stands_in_the_compose_file(services):
    secrets = [
        value
        for service in services.values()
        for name, value in service.get("environment", {}).items()
        if "PASSWORD" in name
    ]
    assert secrets == ["${HAPI_DATABASE_PASSWORD:?set it in the file .env}"] * 2
    assert "HAPI_DATABASE_PASSWORD=\n" in (ROOT / ".env.example").read_text()
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


def test_services_wait_for_services_that_can_tell(services):
    for service in services.values():
        for name, condition in service.get("depends_on", {}).items():
            assert name in services
            assert condition["condition"] != "service_healthy" or "healthcheck" in services[name]


def test_the_database_counts_as_ready_when_it_answers_over_the_network(services):
    test = services["database"]["healthcheck"]["test"]
    assert test[test.index("--host") + 1] == "127.0.0.1"


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([b'HTTP/1.1 200 OK\r\n\r\n{"resourceType": "CapabilityStatement"}'], 0),
        ([b"", b"no HTTP\r\n", b"HTTP/1.1 503 not yet\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nCapabilityStatement"], 0),
        ([b"HTTP/1.1 200 OK\r\n\r\n<html>"], "that is no FHIR server"),
    ],
)
def test_the_wait_for_hapi_ends_when_it_answers(services, monkeypatch, answers, code):
    *_, program = services["hapi-answers"]["entrypoint"]
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = f"127.0.0.1:{listener.getsockname()[1]}"
        serving = threading.Thread(target=_answer, args=(listener, answers), daemon=True)
        serving.start()
        with pytest.raises(SystemExit) as ended:
            exec(compile(program.replace("hapi:8080", place), "hapi-answers", "exec"), {})
        serving.join()
    assert ended.value.code == code
    assert len(waits) == len(answers) - 1


def _answer(listener: socket.socket, answers: list[bytes]) -> None:
    for answer in answers:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(answer)


def test_the_composed_environment_names_the_composed_server(services):
    environment = (ROOT / "environments" / "compose.toml").read_text()
    host = re.search(r'base_url = "http://([a-z]+):8080/fhir"', environment)
    assert host is not None
    assert host[1] in services


def test_the_image_is_built_from_files_that_are_there_and_let_in(instructions):
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [
        source.rstrip("/")
        for line in instructions
        if line.startswith("COPY") and "--from" not in line
        for source in line.split()[1:-1]
    ]
    assert copied
    assert set(copied) == let_in
    assert all((ROOT / source).exists() for source in copied)


def test_every_download_of_the_image_is_a_wheel_with_a_known_hash(instructions):
    installs = [step for line in instructions for step in line.split("&&") if "pip install" in step]
    assert installs
    assert all(
        ("--require-hashes" in step and "--only-binary :all:" in step) or "--no-index" in step for step in installs
    )


def test_the_image_does_not_run_as_root(instructions):
    users = [line.split()[1] for line in instructions if line.startswith("USER")]
    assert users[-1:] == ["10001"]
    assert instructions[-2:] == ['ENTRYPOINT ["fhir-gateway"]', 'CMD ["--help"]']
