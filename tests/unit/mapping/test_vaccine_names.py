import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.mapping.concept_maps import CsvText, parse_concept_map, unmapped_line
from fhir_gateway.mapping.spellings import DoseNumber, read_dose_number, spelling_key, spellings
from fhir_gateway.sources.mapping_folders import CONCEPT_MAPS, shipped_mappings

CODES = CsvText(
    "codes.csv", "system,code,display,with\ncvx,19,BCG,kfa:VG19\ncvx,02,OPV,\ncvx,178,OPV bivalent,\nkfa,VG19,BCG,\n"
)


@pytest.fixture(scope="module")
def vaccines():
    folder = shipped_mappings() / CONCEPT_MAPS
    maps = [CsvText("vaccine.csv", (folder / "vaccine.csv").read_text(encoding="utf-8"))]
    codes = [CsvText("vaccine_codes.csv", (folder / "vaccine_codes.csv").read_text(encoding="utf-8"))]
    concept_map, problems = parse_concept_map("vaccine", maps, codes)
    assert problems == ()
    return concept_map


@pytest.mark.parametrize(
    ("text", "cvx"),
    [
        *(
            (text, "08")
            for text in ("HB0", "HB-0", "hb 0", "HB0 (<7 hari)", "Hepatitis B 0", "VAKSIN HEPATITIS B 0 UNIJECT")
        ),
        *((text, "45") for text in ("Hepatitis B", "hep b", "HB 1")),
        *((text, "19") for text in ("BCG", "bcg 1", "VAKSIN BCG 20 DS")),
        *((text, "89") for text in ("Polio", "POLIO 4", "Polio IV")),
        *(
            (text, "178")
            for text in (
                "OPV",
                "bOPV",
                "Polio Tetes",
                "Polio Tetes III",
                "VAKSIN bOPV 10 DS",
                "VAKSIN bOPV POLIO TETES",
            )
        ),
        *((text, "10") for text in ("IPV", "IPV 2", "Polio Suntik", "Polio Suntik II")),
        *(
            (text, "198")
            for text in (
                "DPT-HB-Hib",
                "DPT/HB/Hib 3",
                "Pentabio",
                "Pentavalen",
                "dpt hb hib iii",
                "DPT-HB-Hib1 (Pentabio)",
            )
        ),
        *((text, "152") for text in ("PCV", "PCV 2", "pcv ii")),
        *((text, "133") for text in ("PCV13", "PCV 13", "PCV-13 dosis 2")),
        *((text, "122") for text in ("Rota", "RV", "RV 1", "Rotavirus", "ROTA 3")),
        *(
            (text, "04")
            for text in ("MR", "MR 2", "Campak Rubella", "Campak-Rubela", "VAKSIN CAMPAK RUBELLA (MR) 10 DOSIS")
        ),
        *((text, "05") for text in ("Campak", "campak 9 bulan", "BIAS Campak")),
        *((text, "28") for text in ("DT (BIAS)", "DT", "BIAS DT kelas 1")),
        *((text, "139") for text in ("Td", "TD", "Td (BIAS)", "Td BIAS kelas 5")),
        *((text, "35") for text in ("TT", "TT 2", "TT II")),
        *((text, "137") for text in ("HPV", "HPV 2")),
        *((text, "129") for text in ("JE", "Japanese Encephalitis")),
        *((text, "511") for text in ("Sinovac", "CoronaVac", "COVID-19 (Sinovac)", "Covid-19 CoronaVac 2")),
        *((text, "210") for text in ("AstraZeneca", "COVID-19 AstraZeneca", "AZ 2")),
        *((text, "208") for text in ("Pfizer", "Covid 19 booster 1 Pfizer")),
        *((text, "207") for text in ("Moderna", "COVID-19 Moderna dosis 2")),
        *((text, "510") for text in ("Sinopharm",)),
        *((text, "213") for text in ("COVID-19", "Indovac", "COVID-19 Booster")),
        *((text, "03") for text in ("MMR",)),
        *((text, "45") for text in ("Hepatitis B 0,5", "HB 0.5")),
        *((text, "04") for text in ("Suntik MR", "ORI MR", "kampanye MR", "MR 9")),
        *((text, "10") for text in ("fIPV 1", "Polio injeksi 2")),
        *((text, "178") for text in ("OPV4/bOPV", "bOPV 10")),
        *((text, "137") for text in ("HPV kls 5", "HPV 9")),
        *((text, "216") for text in ("Prevenar 20", "PCV20 2")),
        ("Prevenar 7", "100"),
    ],
)
def test_a_name_means_its_cvx_code_however_it_is_spelled(vaccines, text, cvx):
    match = vaccines.match(text)
    assert match is not None
    assert match.on("2024-01-01").codes[0].code == cvx


@pytest.mark.parametrize(
    "text",
    ["Vitamin A", "VIT. A 200.000 IU", "Suntik KB", "ATS", "ATS INJ 1500 IU", "obat cacing", "Oralit", "Vit A (Biru)"],
)
def test_what_is_no_vaccine_is_known_as_such(vaccines, text):
    assert vaccines.match(text).on("2024-01-01").no_immunization


@pytest.mark.parametrize("text", ["Vaksin", "Vaksin Kembang", "1", "-", "DPT-HB-Hib/IPV", "MR Vitamin A"])
def test_an_unknown_name_is_never_guessed(vaccines, text):
    assert vaccines.match(text) is None


def test_oral_polio_depends_on_the_date(vaccines):
    match = vaccines.match("Polio Tetes 2")
    assert [match.on(day).codes[0].code for day in ("2016-04-03", "2016-04-04")] == ["02", "178"]


@pytest.mark.parametrize(
    ("text", "dose"),
    [
        ("IPV 2", DoseNumber(2)),
        ("Polio Tetes III", DoseNumber(3)),
        ("PCV13", DoseNumber()),
        ("PCV13 2", DoseNumber(2)),
        ("HB0", DoseNumber()),
        ("VAKSIN PENTABIO 10 DOSIS", DoseNumber()),
        ("vaksin polio tetes (bOPV) dosis ke-2", DoseNumber(2)),
        ("DPT-HB-Hib Booster", DoseNumber(booster=True)),
        ("Polio 0", DoseNumber()),
        ("Polio lll", DoseNumber(3)),
        ("OPV4/bOPV", DoseNumber(4)),
        ("Polio suntik 2", DoseNumber(2)),
        *((text, DoseNumber()) for text in ("BCG 0,05", "HB0 0-7", "Verorab 0,5")),
        *((text, DoseNumber()) for text in ("HPV 9", "RV5", "PCV 7", "Synflorix 10", "ROTAVAC 5D", "Influenza 4")),
        *((text, DoseNumber()) for text in ("Pentabio 5", "IPV 10", "TT 10", "MR (10)", "MR 9")),
    ],
)
def test_the_dose_number_behind_a_name_is_read(vaccines, text, dose):
    assert vaccines.match(text).dose == dose


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        ("II", 2),
        ("Dosis 2", 2),
        ("2x", 2),
        ("2,0", 2),
        ("ke-3", 3),
        ("", 0),
        ("0", 0),
        ("99", 0),
        ("1x1", 0),
        ("dua", 2),
    ],
)
def test_a_dose_column_is_read(text, number):
    assert read_dose_number(text, own_column=True).number == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Dosis 2", 2),
        ("dosis ke-3, im", 3),
        ("Dosis 2, 0,5 ml", 2),
        ("dosis 0,5 ml", 0),
        ("1x1", 0),
        ("3 x sehari", 0),
        ("0,5 ml im", 0),
    ],
)
def test_free_text_tells_a_dose_number_only_where_it_is_named(text, number):
    assert read_dose_number(text, own_column=False).number == number


def test_a_booster_is_no_number():
    assert read_dose_number("Booster", own_column=True) == DoseNumber(booster=True)


def test_a_site_goes_over_what_is_shipped():
    shipped, own = CsvText("a.csv", "value,cvx\nVaksin X,02\n"), CsvText("b.csv", "vaksin-x,178\n")
    concept_map, problems = parse_concept_map("vaccine", [shipped, own], [CODES])
    assert problems == ()
    assert concept_map.match("VAKSIN X").on("").codes[0].code == "178"


def test_a_faulty_number_of_doses_is_told():
    codes = CsvText("codes.csv", "system,code,display,with,doses\ncvx,19,BCG,,few\n")
    _, problems = parse_concept_map("vaccine", [], [codes])
    assert [problem.message for problem in problems] == ["'few' in column doses is no number"]


@pytest.mark.parametrize(
    ("lines", "faults"),
    [
        ("X,19,,\nx!,02,,", ["'x!' is 'X', which has other codes in a line above"]),
        ("X,19,,2020-01-02\nX,02,2020-01-01,", ["'X' is 'X', which has other codes in a line above"]),
        ("X,19,2020-01-02,2019-01-01", ["the line ends on 2019-01-01, before it begins"]),
        ("X,19,,2020-01-01\nX,02,2020-01-01,\nx,02,2020-01-01,", []),
    ],
)
def test_lines_that_contradict_each_other_are_told(lines, faults):
    _, problems = parse_concept_map("vaccine", [CsvText("a.csv", f"value,cvx,from,until\n{lines}\n")], [CODES])
    assert [problem.message for problem in problems] == faults


def test_a_clinics_own_code_counts_at_that_clinic_only_and_as_a_whole():
    own = CsvText("b.csv", "value;cvx;clinic\nB0002;19;rs-a\n")
    concept_map, _ = parse_concept_map("vaccine", [own], [CODES])
    assert concept_map.match_code("b0002", "rs-a") is not None
    assert concept_map.match_code("B0002", "rs-b") is None
    assert concept_map.match_code("B0002 7", "rs-a") is None


def test_codes_that_go_along_are_stacked():
    concept_map, _ = parse_concept_map("vaccine", [CsvText("a.csv", "BCG,19\n")], [CODES])
    assert [code.code for code in concept_map.match("bcg").on("").codes] == ["19", "VG19"]


def test_a_pasted_line_without_its_code_is_told_with_its_place():
    _, problems = parse_concept_map(
        "vaccine", [CsvText("own.csv", f"value,cvx\n{unmapped_line('Vaksin, Baru')}\n")], [CODES]
    )
    assert [str(problem) for problem in problems] == [
        "own.csv:2:1: 'Vaksin, Baru' has no code yet (write its CVX code, as 198)"
    ]


def test_a_remark_behind_a_line_is_left_out():
    concept_map, problems = parse_concept_map("vaccine", [CsvText("own.csv", "Vaksin Baru,19    # 2 rows\n")], [CODES])
    assert problems == ()
    assert concept_map.match("vaksin baru") is not None


def test_every_fault_of_a_concept_map_is_told():
    text = "value,cvv,from\nA,19,\nB,19,2016-4-4\n,19,\n"
    _, problems = parse_concept_map("vaccine", [CsvText("own.csv", text)], [CODES])
    assert "did you mean 'cvx'?" in problems[0].suggestion
    _, problems = parse_concept_map(
        "vaccine", [CsvText("own.csv", text.replace("cvv", "cvx").replace("A,19", "A,20"))], [CODES]
    )
    assert [problem.line for problem in problems] == [2, 3, 4]


def test_a_near_name_is_suggested(vaccines):
    assert vaccines.nearest("Pentabioo") == "Pentabio"


@settings(derandomize=True)
@given(st.text(max_size=40))
def test_no_text_makes_the_reading_fail(text):
    assert all(reading.key for reading in spellings(text))
    read_dose_number(text, own_column=True)
    read_dose_number(text, own_column=False)


@settings(derandomize=True)
@given(
    st.sampled_from(["DPT-HB-Hib", "Polio Tetes", "Campak Rubella"]),
    st.sampled_from([" ", "-", "/", "  ", ". "]),
    st.booleans(),
)
def test_case_and_punctuation_do_not_matter(name, between, upper):
    words = name.replace("-", " ").split()
    written = between.join(words)
    assert spelling_key(written.upper() if upper else written) == spelling_key(name)


@pytest.mark.parametrize(
    ("written", "hint"), [("8", "did you mean 'cvx:08'?"), ("18", "add it to the file of codes"), ("OPV", "add it to")]
)
def test_no_code_is_near_another_but_for_a_zero_that_a_spreadsheet_took(written, hint):
    codes = CsvText("codes.csv", "system,code,display,with,doses\ncvx,08,HepB,,\ncvx,19,BCG,,\n")
    _, (problem,) = parse_concept_map("vaccine", [CsvText("own.csv", f"A,{written}\n")], [codes])

    assert problem.suggestion.startswith(hint)
