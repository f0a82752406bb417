from fhir_gateway.domain.merges import ChangeKind, ChangeState, JournalledChange
from fhir_gateway.flows.merge.replanning import Group, replanned
from fhir_gateway.flows.merge.sending import Write
from fhir_gateway.merging.undoing import restore

OWN, BROUGHT, EDITED = ({"system": "phone", "value": value} for value in ("0811", "0822", "0833"))
LINK = {"other": {"reference": "Patient/r"}, "type": "replaces"}
BEFORE = {"resourceType": "Patient", "id": "s", "telecom": [OWN]}
AFTER = {"resourceType": "Patient", "id": "s", "telecom": [OWN, BROUGHT], "link": [LINK]}
GROUP = Group("s", ("r",), "http://fhir.test")


def as_it_stands(current):
    change = JournalledChange(1, "Patient/s", ChangeKind.SURVIVOR, BEFORE, AFTER, "1", state=ChangeState.PLANNED)
    return replanned(Write(1, change, AFTER, "1"), current | {"meta": {"versionId": "3"}}, GROUP)


def test_what_was_merged_and_edited_before_the_answer_came_can_still_be_undone():
    again = as_it_stands(AFTER | {"telecom": [OWN, EDITED]}).change
    assert again.before == BEFORE | {"telecom": [OWN, EDITED]}
    assert again.after["link"] == [LINK]
    assert restore(again.before, again.after, again.after).resource == again.before


def test_an_edit_before_the_merge_was_written_is_kept_by_both():
    again = as_it_stands(BEFORE | {"telecom": [OWN, EDITED]}).change
    assert again.before == BEFORE | {"telecom": [OWN, EDITED]}
    assert again.after["link"] == [LINK]
    assert EDITED in again.after["telecom"]
    assert BROUGHT in again.after["telecom"]
