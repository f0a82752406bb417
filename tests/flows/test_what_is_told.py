"""What an operator is told: whole commands, no contradictions, and nothing that can be looked up in vain."""

import os
import re

import httpx
from tests.flows.conftest import BAYU, RATNA, RATNA_POLIO, VITAMIN

from fhir_gateway.cli import progress
from fhir_gateway.cli.printing import masked

UNREADABLE = BAYU.replace("20/08/2019", "someday")
SAME_NIK = "7;Surya Maheswara;3303015203200003;L;19/11/2021;Tuti Alawiyah;Kemangkon;081299001001;15/12/2021;bOPV;1;P300"


def refuse(_):
    raise httpx.ConnectError("refused")


def test_next_steps_are_whole_commands_for_the_environment(place, region):
    region(before=refuse)
    path = place.sheet(RATNA, UNREADABLE)
    _, out, _ = place.run("load", path, "--env", "region", "--report", "report.csv")
    assert "`fhir-gateway runs retry 1 --env region` sends the failed rows again" in out
    assert "correct the rejected rows in report.csv and load that file" in out
    failed, _ = place.report(place.home / "report.csv")
    assert "`fhir-gateway runs retry 1 --env region`" in failed["gateway_suggestion"]


def test_next_steps_name_no_environment_where_none_was_named(place):
    place.load(place.sheet(RATNA))
    _, out, _ = place.run("load", place.sheet(RATNA, SAME_NIK, name="next.csv"))
    assert "`fhir-gateway review list` shows" in out


def test_a_retry_without_failed_rows_makes_no_run(place):
    place.load(place.sheet(RATNA))
    code, out, _ = place.run("runs", "retry", 1)
    assert (code, out) == (0, "run 1: nothing to retry, none of its rows waits to be sent again\n")
    assert [run["run"] for run in place.json("runs", "list")] == [1]
    assert place.json("runs", "retry", 1)["read"] == 0


def test_nothing_has_to_be_done_about_what_is_no_immunization(place):
    _, out, _ = place.run("load", place.sheet(RATNA, VITAMIN))
    assert "nothing has to be done" in out
    assert "correct the rejected rows" not in out


def test_a_dry_run_names_no_run(place):
    path = place.sheet(RATNA)
    _, out, _ = place.run("load", path, "--dry-run")
    assert "run 1" not in out
    assert place.load(path, "--dry-run")["run"] == 0


def test_an_older_export_says_how_it_was_told_and_what_to_do_if_that_is_wrong(place):
    old = place.sheet(RATNA, name="january.csv")
    os.utime(old, (1_700_000_000, 1_700_000_000))
    place.load(place.sheet(RATNA.replace("B100", "B101"), name="february.csv"))
    place.run("load", old, "--report", "report.csv")
    (row,) = place.report(place.home / "report.csv")
    assert "modification time" in row["gateway_reason"]
    assert "`touch` it" in row["gateway_suggestion"]
    os.utime(old)
    assert place.load(old)["loaded"] == 1


def test_a_sheet_that_says_again_what_was_replaced_points_to_its_report(place):
    path = place.sheet(RATNA, name="january.csv")
    place.load(path)
    place.load(place.sheet(RATNA.replace("B100", "B101"), name="february.csv"))
    os.utime(path, (4_000_000_000, 4_000_000_000))
    place.run("load", path, "--report", "report.csv")
    (row,) = place.report(place.home / "report.csv")
    assert "from its report" in row["gateway_suggestion"]
    assert "touch" not in row["gateway_suggestion"]
    assert place.load(place.home / "report.csv")["loaded"] == 1


def test_an_explanation_names_rows_and_says_when_a_rule_decides(place):
    place.load(place.sheet(BAYU, RATNA, SAME_NIK))
    told = place.json("runs", "show", 1, "--row", 3)["evidence"]
    assert "compared with row 2 of sheet.csv:" in told
    place_of_sum = next(n for n, line in enumerate(told) if "in sum, but here a rule decides" in line)
    assert "the NIK is the same" in told[place_of_sum + 1]


def test_identifiers_are_labelled_and_the_gateways_own_stands_last(place):
    patient = place.load(place.sheet(RATNA)) and next(iter(place.server("Patient")))
    _, out, _ = place.run("person", "show", patient, "--reveal")
    (line,) = [line for line in out.splitlines() if line.startswith("identifiers")]
    assert re.fullmatch(r"identifiers +NIK 3303015203200003; .*gateway's own \w+ *", line)
    _, out, _ = place.run("person", "show", patient)
    assert f"NIK {masked('3303015203200003')}" in out


def test_one_decision_on_several_rows_is_told_once(place):
    place.load(place.sheet(RATNA, RATNA_POLIO))
    _, out, _ = place.run("person", "show", next(iter(place.server("Patient"))))
    assert out.count("a new person: nobody was found") == 1
    assert "run 1, sheet.csv:1; run 1, sheet.csv:2:" in out


def test_a_doubt_whose_row_was_corrected_and_loaded_is_superseded(place):
    place.load(place.sheet(RATNA, RATNA.replace("B100", "B777")))
    (item,) = place.json("review", "list")
    place.load(place.sheet(RATNA, name="next.csv"))
    assert place.json("review", "list") == []
    _, out, _ = place.run("review", "show", item["id"])
    assert "superseded" in out
    assert "nothing is left to decide" in out
    code, _, err = place.run("review", "create", item["id"])
    assert code == 2
    assert "superseded" in err


def test_a_conversion_uses_the_environments_zone_and_clinics_and_touches_no_ledger(place):
    (place.home / "environments").mkdir()
    (place.home / "environments" / "east.toml").write_text(
        '[fhir_server]\nbase_url = "https://east.test/fhir"\n[time]\nzone = "Asia/Jayapura"\n'
        '[clinics.pkm-1]\nname = "Puskesmas Timur"\n'
    )
    code, out, _ = place.run(
        "convert", place.sheet(RATNA, UNREADABLE), "--out", "o.ndjson", "--env", "east", "--clinic", "pkm-1"
    )
    assert code == 3
    assert "Puskesmas Timur" in (place.home / "o.ndjson").read_text()
    assert "nothing was sent to a server" in out
    assert "convert that file" in out
    assert not (place.home / ".fhir-gateway").exists()


def test_a_preview_without_limit_shows_all_rows(place):
    rows = [RATNA.replace("1;Ratna", f"{n};Ratna") for n in range(8)]
    assert len(place.json("mapping", "preview", place.sheet(*rows), "--limit", 0)) == 8


def test_merge_proposals_are_counted_below_the_reviews(place):
    from fhir_gateway import bootstrap  # noqa: PLC0415

    place.load(place.sheet(RATNA))
    with bootstrap.ledger_of("embedded") as ledger, ledger.transaction():
        ledger.keys.propose(ledger.runs.get(1), [("a", "b"), ("c", "d")], reason="why")
    _, out, _ = place.run("review", "list")
    assert out.splitlines()[-1] == "2 pairs of Patients seem to be one person: `fhir-gateway merge find` lists them"
    assert place.json("review", "list") == []


def test_the_help_lists_the_commands_in_the_order_of_work(place):
    _, out, _ = place.run("--help")
    names = [found[1] for line in out.splitlines() if (found := re.match(r"│ ([a-z-]+)  ", line))]
    order = ["demo", "load", "convert", "mapping", "runs", "review", "person", "env", "synth", "fhir-server"]
    assert [name for name in names if name in order] == order


def test_every_leg_of_a_load_tells_how_far_it_has_come(place, monkeypatch):
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", -1.0)
    sheet = place.sheet(RATNA, RATNA_POLIO.replace("3303015203200003", ""), BAYU)
    told = place.run("load", sheet)[2]
    for leg in ("reading sheet.csv: 3", "grouping people: 3", "looking people up: 3", "deciding who is who: 3"):
        assert f"{leg} (100%), " in told
    assert "comparing people: 1 (" in told
    assert "posting: 3 (100%), " in told
    assert "looking for duplicates: 3, " in told


def test_a_faulty_mapping_is_named_and_passed_over_unless_it_is_asked_for(place, caplog):
    faulty = place.home / "mappings" / "own"
    faulty.mkdir(parents=True)
    (faulty / "mapping.yaml").write_text("mapping: own\nkeys: []\n")
    sheet = place.sheet(RATNA)
    assert place.run("load", sheet)[0] == 0
    (warning,) = caplog.messages
    assert warning.startswith("the mapping own has faults and is passed over: ")
    assert f"{faulty}/mapping.yaml:1:1: " in warning
    code, _, told = place.run("load", sheet, "--mapping", "own")
    assert code == 2
    assert "mapping.yaml:2:1" in told  # all of its faults


def _since(place, run, row):
    return place.json("runs", "show", run, "--row", row)["since"]


def test_a_row_that_was_taken_apart_tells_whose_it_is_now(place):
    place.load(place.sheet(RATNA, RATNA_POLIO.replace("081210001001", "081210009999")))
    assert _since(place, 1, 2) == []
    done = place.json("review", "unlink", 1, 2, "--user", "wati", "--note", "another child")
    moved, way_back = _since(place, 1, 2)
    assert moved.startswith(f"Patient {done['to']}'s, taken apart from Patient {done['from']} in run 2 by wati on 20")
    assert moved.endswith(": another child")
    assert way_back == "if that is wrong, `review undo 1` takes it back"
    assert _since(place, 1, 1) == []
    _, out, _ = place.run("runs", "show", 1, "--row", 2)
    assert "since then: if that is wrong, `review undo 1`" in " ".join(out.split())
    place.json("merge", "plan", done["from"], done["to"], "--out", place.home / "plan.json")
    (merge,) = place.json("merge", "apply", place.home / "plan.json", "--accept-conflicts")["merges"]
    (gone,) = merge["replaced"]
    told = [line for row in (1, 2) for line in _since(place, 1, row) if "has been merged" in line]
    assert told == [f"Patient {gone} has been merged into {merge['survivor']}: `merge history --patient {gone}`"]


def test_a_row_in_review_tells_where_it_waits_and_how_it_was_answered(place):
    place.load(place.sheet(RATNA))
    place.load(place.sheet(BAYU.replace("3303021107190002", "3303015203200003"), name="next.csv"))
    assert _since(place, 2, 1) == ["it waits in review 1: `review show 1`"]
    place.json("review", "reject", 1, "--reason", "wrong clinic", "--user", "dewi")
    (line,) = _since(place, 2, 1)
    assert line.startswith("rejected by dewi on 20")
    assert line.endswith("(review 1): wrong clinic")
    place.json("review", "undo", 1)
    place.json("review", "create", 1, "--user", "dewi")
    (line,) = _since(place, 2, 1)
    patient_id = place.json("review", "show", 1)["patient_id"]
    assert line.startswith(f"loaded for Patient {patient_id} in run 3 by dewi on 20")
    assert line.endswith(", as answered in review 1")


def test_a_row_that_was_loaded_by_a_later_run_tells_so(place):
    place.load(place.sheet(RATNA, RATNA.replace("B100", "B777")))
    place.load(place.sheet(RATNA, name="next.csv"))
    (patient_id,) = place.content()[0]
    (line,) = _since(place, 1, 1)
    assert line.startswith(f"loaded for Patient {patient_id} in run 2 by ")
