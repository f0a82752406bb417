"""`serve` killed in the middle of a job, and started again, ends as if nothing had happened."""

import time

import httpx
from tests.fakes.duplicated_people import dose, patient
from tests.fakes.merging_place import everything, fill, referring_to
from tests.fakes.serving_process import PATIENCE, ServingProcess, run_command

GROUPS = 15
NIKS = [f"33030112041800{number:02}" for number in range(1, GROUPS + 1)]


def people():
    for number, nik in enumerate(NIKS, start=1):
        name = [{"text": f"Anak Rekaan {chr(64 + number)}ra"}]
        yield patient(100 + number, nik=nik, name=name, gender="male", birthDate="2018-04-12")
        yield patient(200 + number, nik=nik, name=name, gender="male", birthDate="2018-04-12")
        yield dose(1, f"p{200 + number}")


def asked_until(ask, is_enough):
    """Ask again until the answer is enough; what hangs is given up."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        answer = ask()
        if is_enough(answer):
            return answer
    raise AssertionError("it did not come so far")


def test_a_job_that_was_killed_goes_on_and_merges_everybody_once(tmp_path):
    fill(tmp_path, list(people()))
    headers = {
        "Authorization": f"Bearer {run_command(tmp_path, 'access', 'add', 'Sari', '--role', 'operator').strip()}"
    }
    server = ServingProcess(tmp_path).start()
    with httpx.Client(base_url=server.url, headers=headers, timeout=PATIENCE) as client:
        accepted = client.post("/embedded/merges", json={"niks": NIKS})
        assert accepted.status_code == 202
        where = httpx.URL(accepted.headers["content-location"]).path
        asked_until(lambda: client.get("/embedded/merges").json()["merges"], bool)
    server.kill()

    server.start()
    with httpx.Client(base_url=server.url, headers=headers, timeout=PATIENCE) as client:
        job = asked_until(lambda: client.get(where), lambda answer: answer.status_code == 200).json()
        merges = client.get("/embedded/merges").json()["merges"]
    assert server.stop() == 0
    assert job["counts"] == {"merged": GROUPS}
    assert sorted(each["nik"] for each in merges) == NIKS
    assert {each["state"] for each in merges} == {"applied"}
    content = everything(tmp_path)
    active = [one for name, one in content.items() if name.startswith("Patient/") and one["active"]]
    assert len(active) == GROUPS
    assert referring_to(content, [gone for each in merges for gone in each["replaced"]]) == []
