"""The journal of merges keeps what it is told and says how far each merge has come."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, text
from tests.fakes.merge_plans import NIK, NOW, group_plan, provenance

from fhir_gateway.domain.errors import LedgerError, UsageError
from fhir_gateway.domain.history import MergeFilter
from fhir_gateway.domain.merge_jobs import GroupState, JobPart, JobState, ReviewedPlan
from fhir_gateway.domain.merges import ChangeState, MergeState
from fhir_gateway.domain.runs import RunKind
from fhir_gateway.ledger.store import Ledger


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/ledger.db"


@pytest.fixture
def ledger(url):
    with Ledger(url) as opened:
        yield opened


def begun(ledger, plan=None, **more):
    with ledger.transaction():
        return ledger.merges.begin(7, plan or group_plan(), [provenance()], user="ani", at=NOW, **more)


def settled(ledger, merge, changes, state=ChangeState.DONE, requests=1):
    with ledger.transaction():
        answers = [replace(change, state=state, after_version="2") for change in changes]
        ledger.merges.settle(merge.id, answers, requests=requests)


def applied(ledger, plan=None):
    merge = begun(ledger, plan)
    settled(ledger, merge, list(ledger.merges.changes(merge.id)))
    with ledger.transaction():
        return ledger.merges.finish(merge.id, at=NOW + timedelta(seconds=9), remaining=["Task/9"])


def undone(ledger, plan=None):
    merge = applied(ledger, plan)
    with ledger.transaction():
        ledger.merges.begin_undo(merge.id, user="budi", at=NOW, reason="twins")
    settled(ledger, merge, list(ledger.merges.changes(merge.id)), state=ChangeState.UNDONE)
    with ledger.transaction():
        return ledger.merges.finish_undo(merge.id, at=NOW, conflicts=[])


def test_a_merge_that_begins_is_unfinished_and_keeps_its_plan(ledger):
    plan = group_plan()
    merge = begun(ledger, plan)
    assert merge.state is MergeState.APPLYING
    assert (merge.id, merge.run, merge.user, merge.begun) == (1, 7, "ani", NOW)
    assert (merge.nik, merge.survivor, merge.replaced) == (NIK, "p1", ("p2",))
    assert ledger.merges.unfinished() == [merge]
    bare = tuple(replace(change, before={}, after={}) for change in plan.changes)
    assert ledger.merges.plan_of(merge.id) == replace(plan, changes=bare)


def test_a_proposal_follows_whoever_was_merged_since_and_comes_back_with_undoing(ledger):
    with ledger.transaction():
        run = ledger.runs.start(
            kind=RunKind.LOAD, fingerprint="f", files=(), clinic="c", user="ani", started=NOW - timedelta(days=1)
        )
        ledger.keys.propose(run, [("p1", "p2"), ("p2", "p3")], reason="one row fits both")

    def proposed():
        return [row[:2] for row in ledger.keys.proposals()]

    assert proposed() == [("p1", "p2"), ("p2", "p3")]
    applied(ledger, group_plan(survivor="p1", replaced=("p2",)))
    assert proposed() == [("p1", "p3")]
    undone(ledger, group_plan(survivor="p0", replaced=("p1",), nik=""))
    assert proposed() == [("p1", "p3")]
    applied(ledger, group_plan(survivor="p0", replaced=("p1",), nik=""))
    assert proposed() == [("p0", "p3")]


def test_what_was_decided_of_a_patient_holds_for_whoever_stands_for_it(ledger):
    with ledger.transaction():
        ledger.merges.part(["p2", "p3"], user="ani", at=NOW, reason="namesakes")
    assert ledger.keys.kept_apart(["p1", "p3"]) == set()
    applied(ledger, group_plan(survivor="p1", replaced=("p2",)))
    assert ledger.keys.kept_apart(["p1", "p3"]) == {frozenset(("p1", "p3"))}
    applied(ledger, group_plan(survivor="p0", replaced=("p1",), nik=""))
    assert ledger.keys.kept_apart(["p0", "p3"]) == {frozenset(("p0", "p3"))}
    applied(ledger, group_plan(survivor="p0", replaced=("p3",), nik=""))
    assert ledger.keys.kept_apart(["p0", "p3"]) == set()


def test_changes_are_numbered_in_the_plan_s_order_and_keep_their_digits(ledger):
    plan = group_plan()
    changes = list(ledger.merges.changes(begun(ledger, plan).id))
    assert [change.number for change in changes] == [1, 2, 3, 4, 5]
    assert [change.before for change in changes] == [*(change.before for change in plan.changes), None]
    assert [change.after for change in changes[:-1]] == [change.after for change in plan.changes]
    assert str(changes[2].before["valueQuantity"]["value"]) == "0.50"
    assert {change.state for change in changes} == {ChangeState.PLANNED}


def test_a_settled_change_tells_its_version_and_where_it_is(ledger):
    merge = begun(ledger)
    created = list(ledger.merges.changes(merge.id))[-1]
    settled(ledger, merge, [replace(created, resource="Provenance/x")], requests=3)
    assert [c.resource for c in ledger.merges.changes(merge.id, ChangeState.DONE)] == ["Provenance/x"]
    assert len(list(ledger.merges.changes(merge.id, ChangeState.PLANNED, ChangeState.FAILED))) == 4
    now = ledger.merges.get(merge.id)
    assert (now.changed, now.requests) == (0, 3)  # a Provenance is added, nothing changes by it


def test_failed_changes_are_named_until_they_succeed(ledger):
    merge = begun(ledger)
    third = list(ledger.merges.changes(merge.id))[2]
    settled(ledger, merge, [replace(third, message="locked")], state=ChangeState.FAILED)
    assert ledger.merges.get(merge.id).failed == ("Observation/o0",)
    assert next(ledger.merges.changes(merge.id, ChangeState.FAILED)).message == "locked"
    settled(ledger, merge, [third])
    assert ledger.merges.get(merge.id).failed == ()


def test_a_change_that_was_planned_anew_replaces_the_old_one(ledger):
    merge = begun(ledger)
    third = list(ledger.merges.changes(merge.id))[2]
    with ledger.transaction():
        ledger.merges.replace(merge.id, [replace(third, before_version="5", after={"resourceType": "Observation"})])
    again = list(ledger.merges.changes(merge.id))[2]
    assert (again.before_version, again.after) == ("5", {"resourceType": "Observation"})
    assert len(list(ledger.merges.changes(merge.id))) == 5


def test_changes_that_were_planned_anew_together_are_one_entry(ledger):
    merge = begun(ledger)
    one, other = list(ledger.merges.changes(merge.id))[1:3]
    with ledger.transaction():
        ledger.merges.replace(merge.id, [replace(other, before_version="7"), replace(one, before_version="6")])
        ledger.merges.replace(merge.id, [])
    assert [each.entry.event for each in ledger.merges.search.entries(merge.id)] == ["begun", "replanned"]
    assert [each.before_version for each in ledger.merges.changes(merge.id)][1:3] == ["6", "7"]
    assert not ledger.merges.check({}, ()).fault_count


def test_a_finished_merge_tells_what_still_refers_to_the_replaced(ledger):
    merge = applied(ledger)
    assert merge.state is MergeState.APPLIED
    assert merge.finished == NOW + timedelta(seconds=9)
    assert (merge.changed, merge.remaining) == (4, ("Task/9",))
    assert ledger.merges.unfinished() == []


def test_an_undone_pair_is_kept_apart_until_it_is_merged_again(ledger):
    undone(ledger, group_plan(replaced=("p2", "p3")))
    assert ledger.merges.kept_apart(["p1", "p2", "p9"]) == {frozenset(("p1", "p2"))}
    assert len(ledger.merges.kept_apart(["p1", "p2", "p3"])) == 3
    applied(ledger)
    assert ledger.merges.kept_apart(["p1", "p2", "p3"]) == {frozenset(("p1", "p3")), frozenset(("p2", "p3"))}


def test_a_pair_is_kept_apart_from_the_moment_its_undoing_is_begun(ledger):
    merge = applied(ledger)
    with ledger.transaction():
        ledger.merges.begin_undo(merge.id, user="budi", at=NOW, reason="twins")
    assert ledger.keys.kept_apart(["p1", "p2"]) == {frozenset(("p1", "p2"))}


def test_an_operator_s_no_keeps_patients_apart(ledger):
    with ledger.transaction():
        ledger.merges.part(["a", "b"], user="ani", at=NOW, reason="siblings")
    assert ledger.merges.kept_apart(["a", "b", "c"]) == {frozenset(("a", "b"))}


@pytest.mark.parametrize(("user", "found"), [("Ani_S", 1), ("Ani_S (key 0265d8d0)", 1), ("Ani", 0), ("AniXS", 0)])
def test_a_key_s_holder_is_found_by_the_name_alone(ledger, user, found):
    with ledger.transaction():
        merge = ledger.merges.begin(7, group_plan(), [provenance()], user="Ani_S (key 0265d8d0)", at=NOW)
        ledger.merges.part(["a", "b"], user=merge.user, at=NOW, reason="siblings")
    wanted = MergeFilter(user=user)
    assert len(list(ledger.merges.search.find(wanted))) == found
    assert len(list(ledger.merges.search.partings(wanted))) == found


def test_merges_are_found_by_the_survivor_and_by_the_replaced(ledger):
    first, second = applied(ledger), applied(ledger, group_plan(survivor="p8", replaced=("p1",)))
    assert ledger.merges.by_patient(["p1"]) == [first, second]
    assert ledger.merges.by_patient(["p2"]) == [first]
    assert ledger.merges.by_patient([NIK]) == []


def test_what_is_undone_cannot_be_finished_or_undone_again(ledger):
    merge = undone(ledger)
    assert merge.state is MergeState.UNDONE
    for step in (
        lambda: ledger.merges.finish(merge.id, at=NOW, remaining=[]),
        lambda: ledger.merges.begin_undo(merge.id, user="x", at=NOW, reason=""),
        lambda: ledger.merges.finish_undo(merge.id, at=NOW, conflicts=[]),
    ):
        with pytest.raises(LedgerError, match="merge 1 is undone"), ledger.transaction():
            step()
    with pytest.raises(LedgerError, match="no merge 99"), ledger.transaction():
        ledger.merges.settle(99, [], requests=1)


def test_a_step_and_its_entry_stand_or_fall_together(ledger):
    merge = begun(ledger)
    before = ledger.merges.history.size()

    def finish_and_fail():
        with ledger.transaction():
            ledger.merges.finish(merge.id, at=NOW, remaining=[])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        finish_and_fail()
    assert ledger.merges.get(merge.id).state is MergeState.APPLYING
    assert ledger.merges.history.size() == before


def test_two_processes_may_journal_at_once(url, ledger):
    with Ledger(url) as other:
        first, second = begun(ledger), begun(other)
        assert list(ledger.merges.changes(first.id))
        settled(other, second, [])
        settled(ledger, first, list(ledger.merges.changes(first.id)))
        assert (first.id, second.id) == (1, 2)
        assert [entry.number for entry in other.merges.history.entries()] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE history SET merge = 2",
        "DELETE FROM history",
        "DELETE FROM history_details WHERE part = 'facts'",
        "UPDATE history_details SET body = ''",
        "UPDATE merge_changes SET kind = ''",
        "UPDATE merge_steps SET state = 'done'",
        "UPDATE merge_subjects SET value = 'x'",
    ],
)
def test_the_database_refuses_what_the_gateway_never_does(url, ledger, statement):
    applied(ledger)
    engine = create_engine(url)
    with engine.connect() as connection, pytest.raises(Exception, match="append-only"):
        connection.execute(text(statement))
    engine.dispose()


def test_a_ledger_of_the_first_schema_is_given_the_journal(tmp_path, url, ledger):
    ledger.close()
    engine = create_engine(url)
    with engine.begin() as connection:
        for table in ("history", "history_details", "merges", "merge_changes", "merge_steps", "merge_subjects"):
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text("DROP TABLE checkpoints"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    engine.dispose()
    with Ledger(url) as migrated:
        assert applied(migrated).id == 1
        names = "SELECT count(*) FROM sqlite_master WHERE type = 'trigger'"
        assert migrated._connection.execute(text(names)).scalar() == 9


def test_erasing_a_person_empties_what_merge_jobs_tell_of_the_nik(ledger):
    applied(ledger)
    with ledger.transaction():
        job = ledger.merge_jobs.add([JobPart(NIK), JobPart("3303015203200003")], user="ani", at=NOW)
        for number in (1, 2):
            ledger.merge_jobs.settle(job, number, GroupState.MERGED, {"survivor": "p1"})
    what = ledger.merges.erasing.find(patient="p1")
    assert (what.merges, what.jobs) == ((1,), ((job, 1),))
    with ledger.transaction():
        ledger.merges.erasing.erase(what, user="ani", reason="asked for it", at=NOW)
    first, second = ledger.merge_jobs.groups(job, after=0, limit=10)
    assert (first.nik, first.result) == ("", {"erased": True})
    assert (second.nik, second.result) == ("3303015203200003", {"survivor": "p1"})


def test_a_person_is_not_erased_while_a_job_waits_for_the_nik(ledger):
    with ledger.transaction():
        ledger.merge_jobs.add([JobPart(NIK)], user="ani", at=NOW)
    with pytest.raises(UsageError, match="job 1 is not finished"):
        ledger.merges.erasing.find(nik=NIK)


def handed_in(ledger, state=None):
    """Hand a plan of named Patients in, and settle it where a state is given; return the job's number."""
    part = JobPart("", {"survivor": "p1", "replaced": ["p2"]})
    with ledger.transaction():
        job = ledger.merge_jobs.add([part], user="ani", at=NOW, plan=ReviewedPlan("{}", accept_conflicts=False))
        if state:
            ledger.merge_jobs.settle(job, 1, state, part.told)
            ledger.merge_jobs.reach(job, JobState.FINISHED, finished=NOW)
    return job


def test_a_finished_job_keeps_no_plan(ledger):
    assert ledger.merge_jobs.plan_of(handed_in(ledger)) == ReviewedPlan("{}", accept_conflicts=False)
    assert ledger.merge_jobs.plan_of(handed_in(ledger, GroupState.MERGED)) is None


def test_erasing_a_person_empties_what_merge_jobs_tell_of_named_patients(ledger):
    applied(ledger)
    job = handed_in(ledger, GroupState.MERGED)
    what = ledger.merges.erasing.find(patient="p2")
    assert what.jobs == ((job, 1),)
    with ledger.transaction():
        ledger.merges.erasing.erase(what, user="ani", reason="asked for it", at=NOW)
    (group,) = ledger.merge_jobs.groups(job, after=0, limit=10)
    assert (group.nik, group.result) == ("", {"erased": True})


def test_a_person_is_not_erased_while_a_job_waits_that_names_the_patient(ledger):
    applied(ledger)
    job = handed_in(ledger)
    with pytest.raises(UsageError, match=f"job {job} is not finished"):
        ledger.merges.erasing.find(patient="p2")
