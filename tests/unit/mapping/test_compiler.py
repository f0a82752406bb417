from datetime import date
from textwrap import dedent
from zoneinfo import ZoneInfo

import pytest

from fhir_gateway.domain.errors import ConfigurationError
from fhir_gateway.domain.records import SourceRecord, SourceRef
from fhir_gateway.mapping.checking import check_elements
from fhir_gateway.mapping.compiler import compile_mapping
from fhir_gateway.mapping.concept_maps import ConceptMap
from fhir_gateway.mapping.functions import ConversionContext

MAPS = {"vaccine": ConceptMap("vaccine", {})}
GOOD = """\
mapping: small
source:
  required: [Nama]
key: [Nama]
patient:
  name:
    - {column: Nama, through: person_name, required: true}
  birthDate: {column: Lahir, through: {date: {formats: [dd/mm/yyyy]}}}
immunization:
  resource:
    status: completed
    vaccineCode: {column: Vaksin, through: {concept_map: {map: vaccine}}}
    occurrenceDateTime: {column: Tanggal, through: date}
"""


def _problems(text):
    with pytest.raises(ConfigurationError) as caught:
        compile_mapping(dedent(text), "own/mapping.yaml", concept_maps=MAPS)
    return [str(problem) for problem in caught.value.problems]


def test_a_mapping_says_what_a_file_must_have_and_what_it_reads():
    layout = compile_mapping(GOOD, "own/mapping.yaml", concept_maps=MAPS).layout
    assert (layout.mapping, layout.required, layout.known) == (
        "small",
        {"Nama"},
        {"Nama", "Lahir", "Vaksin", "Tanggal"},
    )


@pytest.mark.parametrize(
    ("wrong", "right", "expected"),
    [
        ("key: [Nama]", "keys: [Nama]", "own/mapping.yaml:4:1: unknown key 'keys' (did you mean 'key'?)"),
        (
            "person_name",
            "persn_name",
            "own/mapping.yaml:7:31: unknown function 'persn_name' (did you mean 'person_name'?)",
        ),
        ("required: true", "requird: true", "own/mapping.yaml:7:44: unknown key 'requird' (did you mean 'required'?)"),
        (
            "dd/mm/yyyy",
            "dd/mn/yyyy",
            "own/mapping.yaml:8:57: unknown date format 'dd/mn/yyyy' (did you mean 'dd-mm-yyyy'?)",
        ),
        ("formats", "format", "own/mapping.yaml:8:47: unknown option of date 'format' (did you mean 'formats'?)"),
        (
            "map: vaccine",
            "map: vacine",
            "own/mapping.yaml:12:64: unknown concept map 'vacine' (did you mean 'vaccine'?)",
        ),
        (
            "required: [Nama]",
            "required: [Nma]",
            "own/mapping.yaml:3:14: unknown column (required, but read nowhere) 'Nma' (did you mean 'Nama'?)",
        ),
        (
            "mapping: small",
            "mapping: Very Small",
            "own/mapping.yaml:1:10: a mapping's name is made of small letters, digits and dashes",
        ),
        (
            "column: Nama, through",
            "constant: A, column: Nama, through",
            "own/mapping.yaml:7:7: a value has columns or a constant, not both",
        ),
        ("status: completed", "id: x", "own/mapping.yaml:11:5: the element 'id' is set by the gateway"),
        (
            "through: date}",
            "through: [date, {a: 1, b: 2}]}",
            "own/mapping.yaml:13:59: a function is its name, or its name with its options: {name: {option: …}}",
        ),
    ],
)
def test_a_fault_has_its_place_and_what_would_be_right(wrong, right, expected):
    assert expected in _problems(GOOD.replace(wrong, right, 1))


def test_all_faults_are_told_at_once():
    text = (
        GOOD.replace("person_name", "persn_name")
        .replace("map: vaccine", "map: vacine")
        .replace("key: [Nama]", "keys: [Nama]")
    )
    assert [problem.split(":")[1] for problem in _problems(text)] == ["1", "4", "7", "12"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mapping: [", "this is not YAML"),
        ("a: 1\na: 2\n", "the key 'a' stands here twice"),
        ("just text", "a mapping begins with its keys"),
        ("", "a mapping begins with its keys"),
        ("? [a, b]\n: 1\n", "a key must be a plain word"),
        ("a: &x [*x]\n", ""),
        ("[" * 5000, "this is not YAML"),
    ],
)
def test_what_is_no_mapping_is_told(text, expected):
    assert any(expected in problem for problem in _problems(text))


def test_a_fault_in_for_each_is_told_once():
    text = GOOD.replace("immunization:\n", "immunization:\n  for_each: [A, B, C]\n").replace(
        "through: date}", "through: dat}"
    )
    assert len(_problems(text)) == 1


def test_a_variable_that_for_each_does_not_have_is_told():
    text = GOOD.replace("immunization:\n", "immunization:\n  for_each: [A, B]\n  when: Tanggal {ech}\n")
    assert _problems(text) == ["own/mapping.yaml:11:9: {ech} is no variable of for_each (did you mean 'each'?)"]


def test_elements_that_fhir_does_not_have_are_told():
    text = (
        GOOD.replace("birthDate:", "birthdate:")
        .replace("  name:\n    - {", "  name: {")
        .replace("status: completed", "status: [completed]")
    )
    problems = [str(problem) for problem in check_elements(text, "own/mapping.yaml")]
    assert problems == [
        "own/mapping.yaml:6:3: Patient.name is a list in FHIR R4 (begin its items with a dash)",
        "own/mapping.yaml:7:3: Patient has no element 'birthdate' in FHIR R4 (did you mean 'birthDate'?)",
        "own/mapping.yaml:10:5: Immunization.status is no list in FHIR R4 (leave the dash out)",
    ]


@pytest.mark.parametrize(
    ("right", "wrong", "expected"),
    [
        ("    status: completed\n", "", "11:5: Immunization.status is missing, which FHIR R4 demands"),
        (
            "occurrenceDateTime: {column: Tanggal, through: date}",
            "lotNumber: {column: Batch}",
            "11:5: Immunization.occurrence[x] is missing, which FHIR R4 demands (write occurrenceDateTime or occurrenceString)",
        ),
        (
            "status: completed",
            "status: completed\n    occurrenceString: {column: Tanggal}",
            "12:5: Immunization has one occurrence[x] in FHIR R4, not occurrenceDateTime and occurrenceString",
        ),
        (
            "status: completed",
            "status: completed\n    primarySource: {column: Sendiri}",
            "12:20: Immunization.primarySource is true or false in FHIR R4, and a column's text is not (pass it through word)",
        ),
        (
            "status: completed",
            "status: completed\n    doseQuantity: {value: {column: ml}}",
            "12:27: Immunization.doseQuantity.value is a number in FHIR R4, and a column's text is not (pass it through number)",
        ),
        (
            "{column: Nama, through: person_name, required: true}",
            "{column: Nama, through: nik}",
            "7:31: Patient.name is a HumanName in FHIR R4, which nik does not make (what makes one: person_name)",
        ),
        (
            "status: completed",
            "status: completed\n    location: {column: Pos, through: {reference: {type: Practitioner}}}",
            "12:57: Immunization.location refers to Location in FHIR R4, not to a Practitioner",
        ),
        (
            "key: [Nama]",
            "key: [Namaa]",
            "4:7: the key's column 'Namaa' stands nowhere else in the mapping (did you mean 'Nama'?)",
        ),
    ],
)
def test_what_would_make_every_rows_resource_invalid_is_told(right, wrong, expected):
    text = GOOD.replace(right, wrong)
    assert text != GOOD
    assert [str(problem) for problem in check_elements(text, "m.yaml")] == [f"m.yaml:{expected}"]


@pytest.mark.parametrize(
    "good", ["doseQuantity: {value: {column: ml, through: number}, unit: ml}", "key: [Nama, Faktur]"]
)
def test_what_fhir_has_is_no_fault(good):
    text = (
        GOOD.replace("key: [Nama]", good)
        if good.startswith("key")
        else GOOD.replace("    status:", f"    {good}\n    status:")
    )
    assert check_elements(text, "m.yaml") == ()


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("gender: {columns: [Kelamin, Sex], through: gender}", "the function gender reads one column"),
        (
            "address: [{columns: [Alamat, Desa, Kec], through: {address: {parts: [text, village]}}}]",
            "the function address has 2 parts for 3 columns",
        ),
        ("multipleBirthInteger: {constant: {dose}, through: number}", "a constant is a text, a number, true or false"),
    ],
)
def test_what_would_be_lost_without_a_word_is_a_fault_of_the_mapping(written, fault):
    (problem,) = _problems(GOOD.replace("immunization:", f"  {written}\nimmunization:"))

    assert fault in problem


def test_a_title_is_text():
    assert "the title is one line of text" in _problems(f"title: [a]\n{GOOD}")[0]


def test_a_date_that_passes_no_function_is_told_with_the_function():
    text = GOOD.replace(
        "birthDate: {column: Lahir, through: {date: {formats: [dd/mm/yyyy]}}}", "birthDate: {column: Lahir}"
    )
    (problem,) = check_elements(text, "own/mapping.yaml")

    assert "Patient.birthDate is a date in FHIR R4" in str(problem)
    assert "pass it through date" in str(problem)


@pytest.mark.parametrize("born", ["25/05/2023", "2023-02-30"])
def test_a_row_whose_birth_date_is_none_is_converted_all_the_same(born):
    text = GOOD.replace(
        "birthDate: {column: Lahir, through: {date: {formats: [dd/mm/yyyy]}}}", "birthDate: {column: Lahir}"
    )
    text = text.replace("  name:", "  identifier: [{column: NIK, through: nik}]\n  name:")
    mapping = compile_mapping(text, "own/mapping.yaml", concept_maps=MAPS)
    context = ConversionContext(zone=ZoneInfo("Asia/Jakarta"), today=date(2026, 1, 15))
    record = SourceRecord(SourceRef("a.csv", 1), {"Nama": "Budi", "Lahir": born, "NIK": "3303012505230001"})

    assert mapping.convert(record, context).patient["birthDate"] == born


def test_a_name_may_stand_in_several_columns():
    text = GOOD.replace("{column: Nama, through: person_name", "{columns: [Nama, Belakang], through: person_name")
    mapping = compile_mapping(text, "own/mapping.yaml", concept_maps=MAPS)
    context = ConversionContext(zone=ZoneInfo("Asia/Jakarta"), today=date(2026, 1, 15))
    record = SourceRecord(SourceRef("a.csv", 1), {"Nama": "BAYU", "Belakang": "SAPUTRA", "Lahir": "25/05/2023"})

    assert mapping.convert(record, context).patient["name"][0]["text"] == "Bayu Saputra"


def test_a_source_may_write_other_letters_for_a_sex():
    text = GOOD.replace(
        "immunization:", "  gender: {column: JK, through: {gender: {male: [P], female: [W]}}}\nimmunization:"
    )
    mapping = compile_mapping(text, "own/mapping.yaml", concept_maps=MAPS)
    context = ConversionContext(zone=ZoneInfo("Asia/Jakarta"), today=date(2026, 1, 15))

    def gender(letter):
        cells = {"Nama": "Budi", "Lahir": "25/05/2023", "JK": letter}
        return mapping.convert(SourceRecord(SourceRef("a.csv", 1), cells), context).patient["gender"]

    assert [gender(letter) for letter in ("P", "w", "L", "Perempuan")] == ["male", "female", "male", "female"]
    assert mapping.layout.sexes == frozenset()


@pytest.mark.parametrize(
    ("formats", "day_first", "month_first"),
    [
        ("[dd/mm/yyyy]", {"Lahir"}, set()),
        ("[yyyy-mm-dd, mm/dd/yyyy]", set(), {"Lahir"}),
        ("[dd/mm/yyyy, mm/dd/yyyy]", set(), set()),
    ],
)
def test_a_layout_tells_which_dates_have_one_order(formats, day_first, month_first):
    text = GOOD.replace("[dd/mm/yyyy]", formats)
    layout = compile_mapping(text, "own/mapping.yaml", concept_maps=MAPS).layout

    assert (layout.day_first, layout.month_first) == (day_first, month_first)
