"""What long work came to outlives the server, is its owner's alone, and is gone when a person is erased."""

from datetime import UTC, datetime

from fhir_gateway.bootstrap.kept_results import KeptResult, kept_finding
from fhir_gateway.domain.finding import Finding, Found, FoundKind, FoundPatient
from fhir_gateway.domain.identity import ComparedPair, Comparison, Evidence, Grade, Veto
from fhir_gateway.domain.merges import DuplicateGroup, GroupRule, MergeConflict
from fhir_gateway.serving.long_work import LongWork, Remembered

NOW = datetime(2026, 6, 30, 12, 0, tzinfo=UTC)
PAIR = ComparedPair(
    "p1", "p2", Comparison((Evidence("nik", "agree", 23.2, "same"),), (Veto("twins", "x"),), 1.25, Grade.PROBABLE)
)
GROUP = DuplicateGroup(
    ("p1", "p2"), GroupRule.SAME_NIK, Grade.PROBABLE, "33", (PAIR,), (MergeConflict("twins", "x", ("Patient/p1",)),)
)
PATIENT = FoundPatient("p1", "Rizki Pratama", "2020-03-15", "male")
FINDING = Finding((Found(FoundKind.CONFLICT, GROUP, (PATIENT,), 1.25, 3, "why", 0.5),), 2, ("34",), ("a note",))


def work(path):
    return LongWork(now=lambda: NOW, kept=KeptResult(path, Remembered[Finding]))


async def found(path):
    async def look():
        return FINDING

    begun = work(path)
    assert begun.begin(look)
    await begun._task
    return begun


async def test_a_result_is_the_same_after_a_restart(tmp_path):
    path = kept_finding(tmp_path / "region")
    before = await found(path)
    assert before.result == Remembered(FINDING, NOW, NOW)
    assert work(path).result == before.result
    assert path.stat().st_mode & 0o777 == 0o600


async def test_what_is_erased_is_gone_from_a_running_server_too(tmp_path):
    path = kept_finding(tmp_path)
    before = await found(path)
    path.unlink()
    assert before.result is None
    assert work(path).result is None


async def test_a_result_of_another_version_is_none_and_the_next_one_takes_its_place(tmp_path):
    path = kept_finding(tmp_path)
    path.write_text('{"value": 1}')
    assert work(path).result is None
    assert (await found(path)).result == work(path).result


async def test_where_there_is_no_room_a_result_is_remembered_all_the_same(tmp_path):
    (tmp_path / "file").write_text("")
    assert (await found(kept_finding(tmp_path / "file"))).result == Remembered(FINDING, NOW, NOW)
