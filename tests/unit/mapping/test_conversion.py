import dataclasses
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_gateway.bundling import immunizations, parting, patients
from fhir_gateway.bundling.digests import digest, supplied
from fhir_gateway.domain import systems
from fhir_gateway.domain.records import Converted, Rejected, SourceRecord, SourceRef, dose_identifier
from fhir_gateway.fhir.json_text import fingerprint, fingerprint_and_id
from fhir_gateway.fhir.validation import validate
from fhir_gateway.flows.load.validating import validated
from fhir_gateway.ledger.codec import pack_doses, unpack_doses
from fhir_gateway.mapping import conversion
from fhir_gateway.mapping.columns import Columns, said
from fhir_gateway.mapping.functions import ClinicEntry, ConversionContext, Steadiness
from fhir_gateway.sources.mapping_folders import find_mapping, find_mappings, load_found

SHIPPED = {found.name: found for found in find_mappings(Path("/nonexistent"))}
CONTEXT = ConversionContext(zone=ZoneInfo("Asia/Jakarta"), today=date(2026, 1, 15))
ROW = {
    "Nama Lengkap": "Laras Citra",
    "NIK": "3303994902240007",
    "L/P": "P",
    "Tgl Lahir": "09/02/2024",
    "Tgl Vaksin": "2024-11-20",
    "Vaksin": "MR",
    "Dosis Ke": "1",
}


@pytest.fixture(scope="module")
def puskesmas(tmp_path_factory):
    return load_found(SHIPPED["puskesmas"], tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def asik(tmp_path_factory):
    return load_found(SHIPPED["asik"], tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def khanza(tmp_path_factory):
    return load_found(SHIPPED["simrs-khanza"], tmp_path_factory.mktemp("home"))


def _record(cells, *, numeric=()):
    return SourceRecord(SourceRef("sheet.csv", 1), cells, frozenset(numeric))


def _convert(mapping, cells, context=CONTEXT, numeric=()):
    return mapping.convert(_record(cells, numeric=numeric), context)


def test_the_key_does_not_depend_on_case_blanks_or_the_dates_spelling(puskesmas):
    other = {
        **ROW,
        "Nama Lengkap": "  LARAS   citra ",
        "Tgl Lahir": "9 Februari 2024",
        "Tgl Vaksin": "20/11/2024",
        "Nomor": "77",
    }
    assert _convert(puskesmas, ROW).key == _convert(puskesmas, other).key


def test_a_corrected_nik_is_a_correction_of_the_same_record(puskesmas):
    assert _convert(puskesmas, ROW).key == _convert(puskesmas, {**ROW, "NIK": "3303994902240008"}).key


@pytest.mark.parametrize(
    ("column", "value"), [("Nama Lengkap", "Laras"), ("Vaksin", "IPV"), ("Tgl Vaksin", "2024-11-21"), ("Dosis Ke", "2")]
)
def test_who_got_what_and_when_makes_the_key(puskesmas, column, value):
    assert _convert(puskesmas, ROW).key != _convert(puskesmas, {**ROW, column: value}).key


def test_clinics_share_no_keys(puskesmas):
    keys = {_convert(puskesmas, ROW, dataclasses.replace(CONTEXT, clinic=clinic)).key for clinic in ("", "a", "b")}
    assert len(keys) == 3


def test_a_row_of_a_report_keeps_its_key(puskesmas):
    key = "0123456789abcdef" * 2
    result = _convert(puskesmas, {**ROW, "gateway_key": f" {key} "})
    assert (result.key, result.corrected) == (key, True)
    assert result.doses[0].resource["identifier"] == [{"system": systems.DOSE, "value": dose_identifier(key, "")}]


def test_what_is_no_key_is_not_taken_for_one(puskesmas):
    result = _convert(puskesmas, {**ROW, "gateway_key": "../../etc/passwd"})
    assert (result.key, result.corrected) == (_convert(puskesmas, ROW).key, False)


def test_the_clinic_stands_in_uris_safely(khanza):
    cells = {
        "no_rawat": "1",
        "no_rkm_medis": "7",
        "nm_pasien": "LARAS",
        "tgl_lahir": "2024-02-09",
        "tgl_perawatan": "2024-03-10",
        "nama_brng": "BCG",
    }
    result = _convert(khanza, cells, dataclasses.replace(CONTEXT, clinic="RS A/1"))
    assert result.clinic == "RS A/1"
    assert result.patient["meta"]["source"] == "urn:fhir-gateway:source:RS%20A%2F1:simrs-khanza"
    assert result.patient["identifier"][0]["system"] == "http://sys-ids.kemkes.go.id/mrn/RS%20A%2F1"


def test_the_environment_names_the_clinics_organization(puskesmas):
    entry = ClinicEntry(name="Puskesmas Rekaan", reference="Organization/77")
    context = dataclasses.replace(CONTEXT, clinic="pkm-1", clinics={"pkm-1": entry})
    actor = _convert(puskesmas, ROW, context).doses[0].resource["performer"][0]["actor"]
    assert actor == {"reference": "Organization/77", "display": "Puskesmas Rekaan"}


def test_without_an_organization_the_clinic_is_a_logical_reference(puskesmas):
    entry = ClinicEntry(name="Puskesmas Rekaan", identifier_system="http://example.test/org", identifier_value="1000")
    context = dataclasses.replace(CONTEXT, clinic="pkm-1", clinics={"pkm-1": entry})
    actor = _convert(puskesmas, ROW, context).doses[0].resource["performer"][0]["actor"]
    assert actor["identifier"] == {"system": "http://example.test/org", "value": "1000"}
    assert actor["display"] == "Puskesmas Rekaan"


def test_spellings_of_a_clinics_name_are_one_clinic(asik):
    cells = {"Nama Anak": "Laras", "Tanggal Lahir Anak": "2024-02-09", "Nama Orang Tua": "Dewi"}
    clinics = {
        _convert(asik, {**cells, "Puskesmas": name}).clinic for name in ("Puskesmas Bobotsari", "PUSKESMAS  BOBOTSARI ")
    }
    assert clinics == {"puskesmas-bobotsari"}


def test_doses_of_a_wide_row_keep_their_names(asik):
    cells = {"Nama Anak": "Laras", "Tanggal Lahir Anak": "2024-02-09", "Nama Orang Tua": "Dewi", "Puskesmas": "B"}
    first = _convert(asik, {**cells, "Tanggal Imunisasi BCG 1": "2024-03-10", "Tanggal Imunisasi HB0": "2024-02-09"})
    second = _convert(asik, {**cells, "Tanggal Imunisasi BCG 1": "2024-03-11"})
    assert [dose.name for dose in first.doses] == ["HB0", "BCG 1"]
    assert first.doses[1].resource["identifier"] == second.doses[0].resource["identifier"]


def test_nik_cells_are_told_as_they_were_written(asik):
    cells = {
        "Nama Anak": "Laras",
        "Tanggal Lahir Anak": "2024-02-09",
        "Nama Orang Tua": "Dewi",
        "NIK Anak": " 3303994902240007 ",
    }
    assert _convert(asik, cells).nik_cells == (("NIK Anak", " 3303994902240007 "),)


def test_a_rejected_row_has_its_key_and_every_reason(puskesmas):
    result = _convert(puskesmas, {**ROW, "Nama Lengkap": "", "Vaksin": "Vaksin Kembang"})
    assert isinstance(result, Rejected)
    assert [problem.code for problem in result.problems] == ["name-missing", "vaccine-unmapped"]
    assert result.unmapped[0].line == "Vaksin Kembang,?"
    assert all(problem.text and problem.suggestion and problem.column for problem in result.problems)


def test_a_header_that_stands_again_is_rejected_as_such(puskesmas, asik):
    again = {name: name for name in ROW} | {"Nama Lengkap": "\ufeffNAMA LENGKAP", "Tgl Lahir": "Tgl. Lahir"}
    rejected = _convert(puskesmas, again)
    assert [problem.code for problem in rejected.problems] == ["row-header"]
    assert not rejected.unmapped
    wide = {"Nama Anak": "Nama Anak", "Nama Orang Tua": "Nama Orang Tua", "Tanggal Lahir Anak": "Tanggal Lahir"}
    assert [problem.code for problem in _convert(asik, wide).problems] == ["row-header"]


def test_a_header_with_its_columns_in_another_order_is_told_as_such(puskesmas):
    names = list(ROW)
    swapped = dict(zip(names, [*names[1:], names[0]], strict=True))
    assert [problem.code for problem in _convert(puskesmas, swapped).problems] == ["row-other-header"]
    other = {name: name for name in names} | {names[-1]: "Lot"}
    assert [problem.code for problem in _convert(puskesmas, other).problems] == ["row-other-header"]
    lacking = {name: name for name in names} | {"Vaksin": "BCG"}
    assert "row-header" not in {problem.code for problem in _convert(puskesmas, lacking).problems}


def test_a_number_in_the_vaccines_place_is_not_told(puskesmas):
    for number in ("0812-1000-1000", "3303015203200003"):
        result = _convert(puskesmas, {**ROW, "Vaksin": number})
        assert isinstance(result, Rejected)
        assert [problem.code for problem in result.problems] == ["vaccine-unmapped"]
        assert number not in str(result.problems)
        assert not result.unmapped


def test_no_reason_tells_a_patients_data(puskesmas):
    cells = {**ROW, "Tgl Lahir": "31/02/1987", "Tgl Vaksin": "kemarin", "NIK": "3303994902240007"}
    told = " ".join(f"{p.text} {p.suggestion}" for p in _convert(puskesmas, cells).problems)
    assert not any(secret in told for secret in ("1987", "kemarin", "3303994902240007", "Laras"))


def test_an_earlier_rows_fault_does_not_stick(puskesmas):
    _convert(puskesmas, {**ROW, "Vaksin": "Vaksin Kembang"})
    assert isinstance(_convert(puskesmas, ROW), Converted)


def test_what_is_made_of_a_record_does_not_change_the_next_one(puskesmas):
    """Records share parts of their resources, so nobody may change one: everything that makes a new one is tried."""
    one = _convert(puskesmas, {**ROW, "No HP": "0812 3456 7890", "Desa": "Majapura", "Nama Ibu": "Rina"})
    other = _convert(
        puskesmas, {**ROW, "NIK": "330399490224000", "L/P": "", "Nama Lengkap": "By. Ny. Rina", "Batch": "B1"}
    )
    records = (one, other)
    before = orjson.dumps([(each.patient, each.doses[0].resource) for each in records])
    for left, right in (records, records[::-1]):
        said, dose_said = supplied(left.patient), supplied(left.doses[0].resource)
        patients.combined([patients.Said(left.patient), patients.Said(right.patient)], identifier="own")
        patients.enriched(left.patient, right.patient)
        patients.corrected(left.patient, said, right.patient)
        parting.without(
            patients.combined([patients.Said(left.patient)], identifier="own"), [said], [supplied(right.patient)]
        )
        parting.said_by(left.patient, said)
        dose, other_dose = (immunizations.for_patient(each.doses[0].resource, "1") for each in (left, right))
        immunizations.corrected(dose, dose_said, other_dose)
        immunizations.improved(dose, other_dose)
        parting.without_dose_identifiers(dose, [dose["identifier"][0]["value"]], "own")
        parting.dose_of_its_own(dose, dose_said, identifier="own", source="s")
        validated(left)
    assert orjson.dumps([(each.patient, each.doses[0].resource) for each in records]) == before


def test_rows_of_a_person_are_read_once(puskesmas):
    first, second = _convert(puskesmas, ROW), _convert(puskesmas, {**ROW, "Vaksin": "BCG"})
    assert second.patient is first.patient
    assert second.fingerprint == first.fingerprint == fingerprint(first.patient)


def test_cells_that_only_look_alike_when_joined_are_told_apart(puskesmas):
    first = _convert(puskesmas, {**ROW, "Desa": "A\x1fB", "No HP": ""})
    second = _convert(puskesmas, {**ROW, "Desa": "A", "No HP": "B\x1f"})
    assert first.patient != second.patient


def test_another_day_may_change_what_is_in_the_future(puskesmas):
    assert isinstance(_convert(puskesmas, ROW, dataclasses.replace(CONTEXT, today=date(2024, 11, 19))), Rejected)
    assert isinstance(_convert(puskesmas, ROW, dataclasses.replace(CONTEXT, today=date(2024, 11, 20))), Converted)


def test_control_characters_never_reach_a_resource(puskesmas):
    result = _convert(puskesmas, {**ROW, "Nama Lengkap": "Laras\x00\x1b Citra", "Batch": "B\u00a01\n2"})
    assert result.patient["name"][0]["text"] == "Laras Citra"
    assert result.doses[0].resource["lotNumber"] == "B 1 2"


_CELLS = st.one_of(
    st.text(max_size=25),
    st.sampled_from([*ROW.values(), "-", "0000-00-00", "By. Ny. Siti", "8.12E+11", "Dosis 2", "ditolak"]),
)


@settings(
    derandomize=True,
    max_examples=300,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.dictionaries(st.sampled_from([*ROW, "Batch", "No HP", "Desa", "Nama Ibu", "gateway_key"]), _CELLS))
def test_every_row_becomes_valid_resources_or_reasons(puskesmas, cells):
    result = _convert(puskesmas, {**ROW, **cells})
    if isinstance(result, Rejected):
        assert result.problems
        return
    assert validate(result.patient) == ()
    for dose in result.doses:
        assert validate({**dose.resource, "patient": {"reference": "Patient/1"}}) == ()


@pytest.mark.parametrize("lost", ["#REF!", "#NAME?", "#N/A", "########", "\\N"])
def test_a_value_that_the_spreadsheet_lost_is_no_value(puskesmas, lost):
    asked = {"Nama Lengkap": "name-missing", "Tgl Lahir": "birth-date-missing", "Vaksin": "vaccine-missing"}
    for column, code in asked.items():
        result = _convert(puskesmas, {**ROW, column: lost})
        assert [problem.code for problem in result.problems] == [code]
        assert not result.unmapped
    kept = _convert(puskesmas, {**ROW, "NIK": lost, "Nama Ibu": lost, "Desa": lost, "Batch": lost, "No HP": lost})
    assert not {"identifier", "contact", "address", "telecom"} & set(kept.patient)
    assert "lotNumber" not in kept.doses[0].resource


def test_a_dose_whose_date_the_spreadsheet_lost_is_a_missing_dose(asik):
    row = {"Nama Anak": "Laras", "Nama Orang Tua": "Citra", "Tanggal Lahir Anak": "2024-02-09"}
    result = _convert(asik, {**row, "Tanggal Imunisasi HB0": "#REF!", "Tanggal Imunisasi BCG 1": "2024-03-10"})
    assert [dose.name for dose in result.doses] == ["BCG 1"]
    assert [(dose.name, dose.problem.code) for dose in result.missing] == [("HB0", "dose-date-unreadable")]


def _formulas(row, *lost):
    return SourceRecord(SourceRef("sheet.xlsx", 1), {**row, **dict.fromkeys(lost, "")}, lost=frozenset(lost))


def test_a_formula_without_a_value_costs_a_wide_row_just_its_dose(asik):
    row = {"Nama Anak": "Laras", "Nama Orang Tua": "Citra", "Tanggal Lahir Anak": "2024-02-09"}
    record = _formulas({**row, "Tanggal Imunisasi BCG 1": "2024-03-10"}, "Tanggal Imunisasi HB0", "Catatan")
    result = asik.convert(record, CONTEXT)
    assert [dose.name for dose in result.doses] == ["BCG 1"]
    (missing,) = result.missing
    assert (missing.name, missing.problem.code, missing.problem.column) == (
        "HB0",
        "cell-formula",
        "Tanggal Imunisasi HB0",
    )


@pytest.mark.parametrize("column", ["NIK", "Nama Lengkap", "Tgl Lahir", "Tgl Vaksin", "Vaksin"])
def test_a_formula_without_a_value_rejects_a_row_that_says_too_little_without_it(puskesmas, column):
    result = puskesmas.convert(_formulas(ROW, column), CONTEXT)
    assert isinstance(result, Rejected)
    assert ("cell-formula", column) in [(problem.code, problem.column) for problem in result.problems]


@pytest.mark.parametrize("column", ["No HP", "Desa", "Nomor"])
def test_a_formula_without_a_value_is_nothing_where_the_cell_may_be_empty(puskesmas, column):
    result, blank = puskesmas.convert(_formulas(ROW, column), CONTEXT), _convert(puskesmas, {**ROW, column: ""})
    assert (result.key, result.patient, result.doses) == (blank.key, blank.patient, blank.doses)


def test_rows_that_are_converted_together_become_what_each_becomes_alone(puskesmas, tmp_path):
    odd = [
        {**ROW, "Vaksin": "Entahlah"},
        {**ROW, "Tgl Lahir": ""},
        {**ROW, "gateway_key": "0" * 32},
        {**ROW, "NIK": "3303990902240007", "Dosis Ke": "ditolak"},
        {**ROW, "Tgl Vaksin": "2020-01-01"},
    ]
    records = [SourceRecord(SourceRef("sheet.csv", row), cells) for row, cells in enumerate([ROW, *odd, ROW], start=1)]
    fresh = load_found(SHIPPED["puskesmas"], tmp_path)

    assert fresh.convert_all(records, CONTEXT) == [puskesmas.convert(record, CONTEXT) for record in records]


def test_a_mapping_that_is_loaded_again_remembers_nobody_whom_it_converted_before(tmp_path):
    one, other = (load_found(SHIPPED["puskesmas"], tmp_path) for _ in range(2))
    one.convert(SourceRecord(SourceRef("sheet.csv", 1), ROW), CONTEXT)

    assert one.memory is not other.memory
    assert other.memory.context is None


def test_rows_of_several_clinics_that_are_converted_together_keep_their_order(asik, tmp_path):
    child = {"Nama Anak": "Laras", "Tanggal Lahir Anak": "2024-02-09", "Nama Orang Tua": "Dewi"}
    places = ("Puskesmas A", "Puskesmas B", "Puskesmas A", "", "PUSKESMAS  B")
    bcg, hb0 = "Tanggal Imunisasi BCG 1", "Tanggal Imunisasi HB0"
    doses = ({}, {bcg: "2024-03-01"}, {bcg: "2024-03-01", hb0: "2024-02-09"}, {hb0: "2023-02-09"}, {bcg: "x"})
    records = [
        SourceRecord(SourceRef("sheet.xlsx", row), {**child, "Puskesmas": place, **given})
        for row, (place, given) in enumerate(zip(places, doses, strict=True), start=1)
    ]

    together = load_found(SHIPPED["asik"], tmp_path).convert_all(records, CONTEXT)

    assert [result.ref.row for result in together] == [1, 2, 3, 4, 5]
    assert together == [asik.convert(record, CONTEXT) for record in records]
    assert max(len(result.doses) for result in together) == 2


@settings(derandomize=True)
@given(st.lists(st.text(alphabet="a-N/?\\ \t\x00\u200b\u00a0", max_size=4), min_size=4, max_size=4))
def test_cells_of_a_column_say_together_what_each_says_alone(texts):
    columns = Columns([{"a": text} for text in texts] + [{}])
    assert columns["a"] == [*map(said, texts), ""]
    assert columns.rows(("a", "none"))[-1] == {"a": "", "none": ""}


def test_a_sign_of_nothing_says_nothing_beside_a_control_character():
    assert said("\u200b-\x00") == ""


_DOSE_CELLS = st.fixed_dictionaries(
    {
        "Vaksin": st.sampled_from(["MR", "MR 2", "OPV", "OPV 3", "MR menolak", "bukan vaksin", "vitamin A", ""]),
        "Tgl Vaksin": st.sampled_from(["2016-03-01", "2024-11-20", "2024-11-20 08:00", "2023-01-01", "besok", "-", ""]),
        "Dosis Ke": st.sampled_from(["1", "II", "booster", "ditunda", "entah", ""]),
        "Batch": st.sampled_from(["A1", "BATCH-20240101010101", "1,2E+5", "tolak", "-", ""]),
        "Tgl Lahir": st.sampled_from(["2016-01-09", "2024-02-09", ""]),
    }
)


def _remembering_nothing(mapping):
    groups = [
        group._replace(elements=tuple([element._replace(steadiness=Steadiness.UNSTEADY) for element in group.elements]))
        for group in mapping.doses
    ]
    return dataclasses.replace(mapping, doses=tuple(groups), memory=conversion._Memory())


@settings(derandomize=True, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(_DOSE_CELLS, min_size=1, max_size=8), min_size=1, max_size=2))
def test_what_is_remembered_of_doses_changes_none(puskesmas, chunks):
    puskesmas.forget()
    plain = _remembering_nothing(puskesmas)
    for rows in chunks:
        records = [SourceRecord(SourceRef("sheet.csv", row), {**ROW, **cells}) for row, cells in enumerate(rows)]
        assert puskesmas.convert_all(records, CONTEXT) == [plain.convert(record, CONTEXT) for record in records]


def test_what_is_told_of_a_dose_counts_for_its_other_elements(puskesmas):
    usual = _convert(puskesmas, {**ROW, "Dosis Ke": "", "Batch": "A1"}).doses[0].resource
    refused = _convert(puskesmas, {**ROW, "Dosis Ke": "ditolak", "Batch": "A1"}).doses[0].resource
    second = _convert(puskesmas, {**ROW, "Vaksin": "MR 2", "Dosis Ke": "", "Batch": "A1"}).doses[0].resource
    assert (usual["status"], usual["lotNumber"], refused["status"]) == ("completed", "A1", "not-done")
    assert "protocolApplied" not in usual
    assert "lotNumber" not in refused
    assert refused["statusReason"]["text"] == "ditolak"
    assert second["protocolApplied"] == [{"doseNumberPositiveInt": 2}]


def test_a_name_that_changed_its_meaning_is_remembered_for_no_other_day(puskesmas):
    born = {**ROW, "Tgl Lahir": "2016-01-09", "Vaksin": "OPV"}
    records = [_record({**born, "Tgl Vaksin": day}) for day in ("2016-04-03", "2016-04-04", "2016-04-03")]
    doses = [result.doses[0].resource for result in puskesmas.convert_all(records, CONTEXT)]
    assert [dose["vaccineCode"]["coding"][0]["code"] for dose in doses] == ["02", "178", "02"]


def test_why_a_dose_was_not_given_may_stand_in_another_column(tmp_path):
    folder = tmp_path / "mappings" / "apart"
    folder.mkdir(parents=True)
    text = SHIPPED["puskesmas"].file.read_text(encoding="utf-8").replace("mapping: puskesmas", "mapping: apart")
    text = text.replace("status: {columns: [Dosis Ke, Vaksin, Batch]", "status: {columns: [Dosis Ke]")
    text = text.replace("statusReason: {columns: [Dosis Ke, Vaksin, Batch]", "statusReason: {columns: [Vaksin]")
    (folder / "mapping.yaml").write_text(text, encoding="utf-8")
    apart = load_found(find_mapping("apart", tmp_path), tmp_path)
    rows = [{**ROW, "Vaksin": "MR menolak", "Dosis Ke": number} for number in ("1", "ditolak", "1")]
    doses = [_convert(apart, row).doses[0].resource for row in rows]
    assert [dose["status"] for dose in doses] == ["completed", "not-done", "completed"]
    assert ["statusReason" in dose for dose in doses] == [False, True, False]


def test_a_reason_may_be_required_and_stand_beside_others(tmp_path):
    folder = tmp_path / "mappings" / "reasons"
    folder.mkdir(parents=True)
    text = SHIPPED["puskesmas"].file.read_text(encoding="utf-8").replace("mapping: puskesmas", "mapping: reasons")
    reason = "{columns: [Dosis Ke, Vaksin, Batch], through: dose_status_reason"
    required = text.replace(reason, f"{reason}, required: true")
    beside = text.replace(
        "    lotNumber:", f"    reasonCode:\n      - {{text: Batch}}\n      - {reason}}}\n    lotNumber:"
    )
    usual, refused = ({**ROW, "Dosis Ke": number} for number in ("1", "ditolak"))
    for mapping, expected in ((required, [Rejected, Converted]), (beside, [Converted, Converted])):
        (folder / "mapping.yaml").write_text(mapping, encoding="utf-8")
        results = [_convert(load_found(find_mapping("reasons", tmp_path), tmp_path), row) for row in (usual, refused)]
        assert [type(result) for result in results] == expected
    assert [len(result.doses[0].resource["reasonCode"]) for result in results] == [1, 2]


@pytest.mark.parametrize(
    ("remark", "status"),
    [
        *(
            (text, "not-done")
            for text in ("Ditolak ortu", "batal", "tidak jadi", "blm diberikan", "pasien tidak datang")
        ),
        *(
            (text, "completed")
            for text in ("Orang tua tidak menolak", "Tolak angin 1x1", "tidak ada reaksi", "tertunda")
        ),
    ],
)
def test_a_remark_tells_whether_a_dose_was_given(puskesmas, remark, status):
    assert _convert(puskesmas, {**ROW, "Dosis Ke": remark}).doses[0].resource["status"] == status


def test_a_number_is_read_with_a_comma_or_a_point_and_kept_where_it_is_none(tmp_path):
    folder = tmp_path / "mappings" / "volumes"
    folder.mkdir(parents=True)
    text = SHIPPED["puskesmas"].file.read_text(encoding="utf-8").replace("mapping: puskesmas", "mapping: volumes")
    text = text.replace(
        "    status: {col", "    doseQuantity: {value: {column: ml, through: number}, unit: ml}\n    status: {col"
    )
    (folder / "mapping.yaml").write_text(text, encoding="utf-8")
    volumes = load_found(find_mapping("volumes", tmp_path), tmp_path)
    doses = [_convert(volumes, {**ROW, "ml": ml}).doses[0].resource for ml in ("0,5", "2", "1.25", "sedikit")]
    assert [dose.get("doseQuantity", {}).get("value") for dose in doses] == [0.5, 2, 1.25, None]
    assert "ml: sedikit" in [extension["valueString"] for extension in doses[3]["extension"]]


def test_a_dose_before_the_birth_is_rejected(puskesmas):
    result = _convert(puskesmas, {**ROW, "Tgl Vaksin": "2024-02-08"})
    assert [problem.code for problem in result.problems] == ["dose-before-birth"]


def test_no_rows_become_nothing(puskesmas):
    assert puskesmas.convert_all([], CONTEXT) == []


def test_values_that_are_remembered_are_bounded_in_number(puskesmas, monkeypatch):
    monkeypatch.setattr(conversion, "_VALUES", 5)
    puskesmas.forget()
    days = [f"2024-01-{day:02}" for day in range(10, 30)]
    given = [_convert(puskesmas, {**ROW, "Tgl Lahir": "2024-01-09", "Tgl Vaksin": day}).doses for day in days * 2]
    assert [doses[0].resource["occurrenceDateTime"] for doses in given] == days * 2


def test_what_the_same_cells_became_is_one_object_and_their_problems_are_told_each_time(khanza):
    cells = {"no_rawat": "1", "nm_pasien": "Ani", "tgl_lahir": "2024-01-09", "tgl_perawatan": "2024-02-09"}
    cells |= {"nama_brng": "BCG", "nm_dokter": "dr. A", "tgl_kadaluarsa": "2026"}
    first, second = (_convert(khanza, cells | {"jam": jam}).doses[0].resource for jam in ("08:00:00", "09:00:00"))
    assert first["performer"] is second["performer"]
    assert first["extension"] == second["extension"] != []


@settings(derandomize=True)
@given(st.recursive(st.text() | st.integers(0, 9), lambda inner: st.dictionaries(st.text(), inner)))
def test_a_patients_id_is_made_of_its_digests(value):
    assert fingerprint_and_id(value) == (fingerprint(value), digest(value) + digest([value, "id"]))


def test_a_date_in_the_key_is_the_same_whether_or_not_something_is_told_beside_it(puskesmas):
    cells = [
        ROW,
        {**ROW, "Tgl Vaksin": f"{ROW['Tgl Vaksin']} 08:15"},
        {**ROW, "Tgl Lahir": f"{ROW['Tgl Lahir']} 00:00"},
    ]
    puskesmas.forget()
    records = [SourceRecord(SourceRef("sheet.csv", row), each) for row, each in enumerate(cells, start=1)]
    for together in (records, records[::-1]):
        assert len({result.key for result in puskesmas.convert_all(together, CONTEXT)}) == 1


@pytest.mark.parametrize(
    ("told", "status", "assumed"),
    [
        ("", "completed", True),
        ("-", "completed", True),
        ("Dosis 1", "completed", False),
        ("Ditolak", "not-done", False),
    ],
)
def test_a_dose_of_which_no_cell_tells_whether_it_was_given_says_so(khanza, told, status, assumed):
    row = {
        "no_rawat": "1",
        "no_rkm_medis": "1",
        "nm_pasien": "Laras Citra",
        "tgl_lahir": "2024-02-09",
        "tgl_perawatan": "2024-11-20",
        "nama_brng": "VAKSIN MR",
        "aturan_pakai": told,
    }
    (dose,) = _convert(khanza, row).doses
    assert (dose.resource["status"], dose.assumed) == (status, assumed)
    assert unpack_doses(pack_doses((dose,), ())) == ((dose,), ())


def test_the_column_that_tells_whether_a_dose_was_given_is_none_of_its_key(puskesmas, asik, khanza):
    columns = [mapping.doses[0].status_column for mapping in (puskesmas, asik, khanza)]
    assert columns == ["Batch", "Status Imunisasi HB0", "aturan_pakai"]


@pytest.mark.parametrize("mother", ["tidak ada", "Tdk. ada", "Alm.", "belum ada"])
def test_words_for_no_mother_make_no_contact_that_two_children_could_share(puskesmas, mother):
    patient = _convert(puskesmas, {**ROW, "Nama Ibu": mother}).patient

    assert "contact" not in patient


@pytest.mark.parametrize("name", ["Tanpa Nama", "belum ada nama", "Tidak ada"])
def test_words_for_no_name_are_none(puskesmas, name):
    assert [problem.code for problem in _convert(puskesmas, {**ROW, "Nama Lengkap": name}).problems] == [
        "name-unreadable"
    ]


def test_a_baby_without_a_name_is_a_newborn(puskesmas):
    patient = _convert(puskesmas, {**ROW, "Nama Lengkap": "BAYI", "Nama Ibu": "Sri"}).patient

    assert patient["name"] == [{"use": "temp", "text": "BAYI"}]
    assert patient["contact"][0]["name"]["text"] == "Sri"


def test_a_baby_of_whom_nothing_else_is_known_is_nobody(puskesmas):
    row = {**ROW, "Nama Lengkap": "By. Ny.", "NIK": "-"}

    assert [problem.code for problem in _convert(puskesmas, row).problems] == ["name-missing"]
    assert isinstance(_convert(puskesmas, {**row, "NIK": ROW["NIK"]}), Converted)
    assert isinstance(_convert(puskesmas, {**row, "Nama Ibu": "Sri"}), Converted)


COHORT = {
    "Nama Anak": "Laras",
    "Tanggal Lahir Anak": "2024-02-09",
    "Nama Orang Tua": "Sri",
    "Puskesmas": "PKM BOBOTSARI",
    "Tanggal Imunisasi BCG 1": "2024-03-09",
}


@pytest.mark.parametrize(
    ("post", "primary", "origin"),
    [
        ("Puskesmas Bobotsari", True, None),
        ("UPTD PUSKESMAS KEC. BOBOTSARI", True, None),
        ("PKM", True, None),
        ("Puskesmas Pembantu Gandasuli", True, None),
        ("PKM luar gedung", True, None),
        ("Posyandu Mawar PKM Bobotsari", True, None),
        ("PKM KUTASARI", False, "provider"),
        ("PKM BBS", None, None),
        ("PKM KTS", False, "provider"),
        ("Posyandu Mawar wilayah Puskesmas Kutasari", False, "provider"),
        ("Puskesmas lain", False, "provider"),
        ("RSUD Goeteng", False, "provider"),
        ("Gandasuli", None, None),
    ],
)
def test_a_post_that_names_another_puskesmas_gave_the_dose_itself(asik, post, primary, origin):
    (dose,) = _convert(asik, {**COHORT, "Pos Imunisasi BCG 1": post}).doses
    codes = [coding["code"] for coding in dose.resource.get("reportOrigin", {}).get("coding", ())]

    assert (dose.resource.get("primarySource"), codes) == (primary, [origin] if origin else [])


def test_whose_post_it_is_is_unknown_where_the_cohort_names_no_puskesmas(asik):
    (dose,) = _convert(asik, {**COHORT, "Puskesmas": "", "Pos Imunisasi BCG 1": "PKM Kutasari"}).doses

    assert not {"primarySource", "reportOrigin"} & dose.resource.keys()
