"""The history of merges over HTTP: verified, signed, proved."""

import asyncio
import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from tests.fakes.served_gateway import assert_is_problem

from fhir_gateway.audit import verify_history
from fhir_gateway.domain.access import Role
from fhir_gateway.domain.errors import UsageError
from fhir_gateway.flows.merge import ApplyRequest

NIK = "3303015203200003"


@pytest.fixture
async def merge(served):
    """The number of a merge of two invented Patients."""
    opened = await served.app.state.serving.environment("north")
    await served.put_pair(NIK)
    (outcome,) = await opened.merges.apply(await opened.merges.plan(niks=[NIK]), ApplyRequest("tests"))
    return outcome.merge.id


async def verified(served, key, **wish):
    """Verify, and return what was found."""
    begun = await served.ask("POST", "/north/merges/verification", key, json=wish)
    assert begun.status_code == 202
    assert begun.headers["content-location"].endswith("/north/merges/verification")
    return await found(served, key)


async def found(served, key):
    for _ in range(3000):
        told = (await served.get("/north/merges/verification", key)).json()
        if told["running_since"] is None:
            return told
        await asyncio.sleep(0.02)
    raise AssertionError("the verification did not end")


async def test_before_the_first_verification_nothing_is_claimed(served):
    told = (await served.get("/north/merges/verification", served.key(Role.AUDITOR)[1])).json()
    assert told == {"running_since": None, "problem": "", "result": None}


async def test_an_auditor_verifies_an_unaltered_history(served, merge):
    result = (await verified(served, served.key(Role.AUDITOR)[1]))["result"]
    assert result["passed"] is True
    assert (result["merges"], result["faults"]) == (1, [])
    assert result["began"] <= result["finished"]
    assert "cut off" in result["not_known"][0]


async def test_a_history_that_was_tampered_with_is_found_out(served, merge):
    opened = await served.app.state.serving.environment("north")
    with closing(sqlite3.connect(opened.settings.ledger_url.removeprefix("sqlite:///"))) as ledger:
        ledger.execute("UPDATE merges SET user = 'Dewi'")
        ledger.commit()
    result = (await verified(served, served.key()[1]))["result"]
    assert result["passed"] is False
    assert result["fault_count"] >= 1
    assert NIK not in json.dumps(result)


async def test_a_checkpoint_kept_elsewhere_finds_a_cut_off_end(served, merge):
    key = served.key(Role.AUDITOR)[1]
    note = (await served.get("/north/merges/checkpoint", key)).text
    assert (await verified(served, key, checkpoints=[note]))["result"]["passed"] is True
    origin, _, rest = note.split("\n", 2)
    ahead = f"{origin}\n999\n{rest}"
    result = (await verified(served, key, checkpoints=[ahead]))["result"]
    assert result["passed"] is False
    assert any("cut off" in fault for fault in result["faults"])


async def test_what_is_no_checkpoint_is_refused(served, merge):
    answer = await served.ask("POST", "/north/merges/verification", served.key()[1], json={"checkpoints": ["x"]})
    assert_is_problem(answer, 400)
    assert (await served.get("/north/merges/verification", served.key()[1])).json()["running_since"] is None


async def test_one_verification_goes_on_at_a_time(served, merge):
    history = (await served.app.state.serving.environment("north")).history
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow():
        begun.set()
        await go_on.wait()
        raise UsageError("given up")

    history.verification.begin(slow)
    await begun.wait()
    key = served.key()[1]
    assert_is_problem(await served.ask("POST", "/north/merges/verification", key, json={}), 409)
    assert (await served.get("/north/access", key)).status_code == 200
    go_on.set()
    await asyncio.sleep(0)
    assert history.verification.began is None


async def test_a_proof_is_checked_without_the_gateway(served, merge, tmp_path):
    key = served.key(Role.AUDITOR)[1]
    earlier = (await served.get("/north/merges/checkpoint", key)).text
    assert (await served.get("/north/merges/checkpoint/key", key)).text.startswith("fhir-gateway/north/")
    answer = await served.ask("POST", f"/north/merges/{merge}/proof", key, json={"earlier": earlier})
    assert answer.status_code == 200
    assert NIK not in answer.text
    (tmp_path / "proof.json").write_text(answer.text)
    (tmp_path / "note.txt").write_text(earlier)
    command = [sys.executable, verify_history.__file__, "proof.json", "--checkpoint", "note.txt"]
    done = await asyncio.to_thread(subprocess.run, command, cwd=tmp_path, capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout
    assert (await served.get(f"/north/merges/{merge}/proof", key)).json()["merge"] == merge


async def test_a_checkpoint_of_another_history_proves_nothing(served, merge):
    key = served.key()[1]
    note = (await served.get("/north/merges/checkpoint", key)).text
    other = note.replace(note.splitlines()[2], "A" * 43 + "=", 1)
    answer = await served.ask("POST", f"/north/merges/{merge}/proof", key, json={"earlier": other})
    assert_is_problem(answer, 409, "conflict")


async def test_a_merge_that_is_not_there_has_no_proof(served):
    assert_is_problem(await served.get("/north/merges/7/proof", served.key()[1]), 404)
