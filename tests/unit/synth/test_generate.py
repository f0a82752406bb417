import csv
import hashlib
import tracemalloc
from collections import Counter, defaultdict
from dataclasses import fields, replace

import openpyxl
import pytest

from fhir_gateway.domain.errors import ConfigurationError, SourceError
from fhir_gateway.synth import cohort, khanza, puskesmas
from fhir_gateway.synth.dice import dice_for
from fhir_gateway.synth.generate import FILES, generate
from fhir_gateway.synth.misspelling import Bearer, written_name
from fhir_gateway.synth.naming import GivenName, customs
from fhir_gateway.synth.population import Region, families
from fhir_gateway.synth.rates import Rates, rates_as_toml, read_rates
from fhir_gateway.synth.truth import TRUTH_FILE, read_truth

PERSONS = 1500
REGION = Region(seed=11, persons=PERSONS, population="mixed", rates=Rates())


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    folder = tmp_path_factory.mktemp("region")
    generate(folder, REGION)
    return folder


@pytest.fixture(scope="module")
def truth(region):
    return list(read_truth(region))


def rows_of(folder, source):
    if source == cohort.SOURCE:
        book = openpyxl.load_workbook(folder / FILES[source], read_only=True)
        rows = [[cell or "" for cell in row] for row in book.worksheets[0].iter_rows(values_only=True)]
        book.close()
        return rows[len(cohort.TITLES) :]
    delimiter, encoding = (",", "utf-8") if source == khanza.SOURCE else (";", "cp1252")
    with (folder / FILES[source]).open(encoding=encoding, newline="") as file:
        return [row for row in csv.reader(file, delimiter=delimiter) if row]


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_the_same_seed_writes_the_same_bytes(region, tmp_path):
    generate(tmp_path, REGION)
    assert digests(tmp_path) == digests(region)


def test_another_seed_writes_other_people(region, tmp_path):
    generate(tmp_path, replace(REGION, seed=12))
    assert not set(digests(tmp_path).values()) & set(digests(region).values())


def test_nothing_is_left_beside_the_exports_and_the_truth(region):
    assert set(digests(region)) == {*FILES.values(), TRUTH_FILE}


def test_as_many_persons_as_asked_for_stand_in_rows(truth):
    assert len({row.person for row in truth}) == PERSONS


@pytest.mark.parametrize(
    ("source", "columns"),
    [
        (khanza.SOURCE, khanza.COLUMNS),
        (cohort.SOURCE, cohort.COLUMNS),
        (puskesmas.SOURCE, puskesmas.COLUMNS),
    ],
)
def test_every_row_of_an_export_has_its_truth(region, truth, source, columns):
    header, *rows = rows_of(region, source)
    assert tuple(header) == columns
    assert [row.row for row in truth if row.source == source] == list(range(1, len(rows) + 1))


def test_a_true_row_of_the_sheet_is_about_the_person_in_it(region, truth):
    _, *rows = rows_of(region, puskesmas.SOURCE)
    names = {
        person.id: person.name.text
        for family, _ in zip(families(REGION), range(PERSONS), strict=False)
        for person in family.people
    }
    clean = [row for row in truth if row.source == puskesmas.SOURCE and not row.tags]
    assert len(clean) > 1000
    assert all(rows[row.row - 1][1].lower() == names[row.person].lower() for row in clean)


def test_one_dose_stands_in_several_sources_under_one_id(truth):
    sources = defaultdict(set)
    for row in truth:
        for dose in row.doses:
            sources[dose].add(row.source)
    assert Counter(len(each) for each in sources.values())[2] > 100


def test_rows_of_a_person_are_scattered(truth):
    places = defaultdict(list)
    for row in truth:
        if row.source == puskesmas.SOURCE:
            places[row.person].append(row.row)
    apart = [max(rows) - min(rows) > len(rows) * 20 for rows in places.values() if len(rows) > 2]
    assert sum(apart) > len(apart) / 2


def test_children_share_lot_and_day_on_posyandu_days(region):
    _, *rows = rows_of(region, puskesmas.SOURCE)
    vials = Counter((row[8], row[11]) for row in rows if len(row) == len(puskesmas.COLUMNS) and row[11])
    assert max(vials.values()) >= 4


def test_what_makes_matching_hard_is_there(truth):
    tags = Counter(tag for row in truth for tag in row.tags)
    expected = {
        "newborn", "nik-of-mother", "nik-missing", "nik-placeholder", "nik-typo", "nik-through-spreadsheet", "two-niks",
        "name-typo", "respelled", "abbreviated", "title", "degree", "nickname", "word-dropped", "birth-date-swapped",
        "birth-year-wrong", "row-twice", "no-vaccine", "phone-typo", "dose-typed-twice",
    }  # fmt: skip
    assert expected <= set(tags)
    assert any(tag.startswith("broken-") for tag in tags)


def test_twins_of_one_sex_differ_by_little(truth):
    people = {row.person: row for row in truth}
    assert any(row.twin_of in people for row in people.values())


def test_newborns_stand_under_both_names(truth):
    stages = defaultdict(set)
    for row in truth:
        if row.role == "child":
            stages[row.person].add("newborn" in row.tags)
    assert sum(len(each) == 2 for each in stages.values()) > 50


def test_strangers_share_name_and_birth_date():
    region = Region(seed=3, persons=3000, population="mixed", rates=replace(Rates(), same_name_and_birth_date=0.05))
    alike = defaultdict(set)
    for family, _ in zip(families(region), range(600), strict=False):
        for person in family.others:
            if person.namesake:
                alike[(person.name.words, person.born, person.sex)].add(person.id)
    assert any(len(people) > 1 for people in alike.values())


def test_no_two_people_have_one_nik():
    crowded = Region(seed=3, persons=3000, population="A", rates=replace(Rates(), same_name_and_birth_date=0.9))
    niks = [
        nik
        for family, _ in zip(families(crowded), range(3000), strict=False)
        for person in family.people
        for nik in person.niks
    ]
    assert len(niks) > 9000
    assert len(set(niks)) == len(niks)


def test_a_family_does_not_depend_on_the_ones_before():
    def nth(number):
        return next(family for at, family in enumerate(families(REGION)) if at == number)

    assert nth(7) == nth(7)


def test_the_sheet_is_no_utf_8(tmp_path):
    names = Region(seed=5, persons=1500, population="B", rates=Rates())
    generate(tmp_path, names)
    with pytest.raises(UnicodeDecodeError):
        (tmp_path / FILES[puskesmas.SOURCE]).read_text(encoding="utf-8")


def test_populations_a_and_b_share_no_given_name():
    words = {
        name: {word for custom in customs(name) for sex in "LP" for word in (*custom.given[sex], *custom.family)}
        for name in "AB"
    }
    assert len(words["A"] & words["B"]) <= 0.03 * len(words["A"])


def test_without_errors_every_row_is_plain(tmp_path):
    flawless = Rates().harsher(0)
    generate(tmp_path, Region(seed=1, persons=200, population="A", rates=flawless))
    tags = {tag for row in read_truth(tmp_path) for tag in row.tags}
    assert tags <= {"newborn", "nik-of-mother", "nik-missing", "two-niks", "no-vaccine", "by-program"}


def test_harsher_rates_are_probabilities_still():
    harsh = Rates().harsher(100)
    assert all(0 <= getattr(harsh, each.name) <= 1 for each in fields(Rates))
    assert harsh.twins == Rates().twins
    assert harsh.typo > Rates().typo


def test_a_rate_that_is_set_higher_than_harshness_goes_stays_as_it_is():
    certain = replace(Rates(), nik_missing=1.0)
    assert certain.harsher(1) == certain
    assert certain.harsher(5).nik_missing == 1
    assert certain.harsher(0.5).nik_missing == 0.5


def test_what_an_error_leaves_as_it_was_has_no_tag():
    always = replace(Rates().harsher(0), respelled=1.0, typo=1.0)
    written = [
        written_name(dice_for(seed), always, Bearer(GivenName((name,), name), "L"))
        for seed in range(40)
        for name in ("Tomm", "Ab")
    ]
    assert all(bool(tags) == (text not in {"Tomm", "Ab"}) for text, tags in written)
    assert {tags for _, tags in written} == {(), ("name-typo",)}


def test_every_rate_says_where_it_comes_from():
    assert all(each.metadata["origin"] for each in fields(Rates))


def test_rates_can_be_printed_edited_and_read_again(tmp_path):
    path = tmp_path / "rates.toml"
    path.write_text(rates_as_toml(replace(Rates(), typo=0.5)), encoding="utf-8")
    assert read_rates(path) == replace(Rates(), typo=0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tipo = 0.1", "did you mean 'typo'"),
        ("typo = 1.5", "probability between 0 and 1"),
        ("typo = true", "probability between 0 and 1"),
        ("typo 0.1", "cannot be read as TOML"),
    ],
)
def test_wrong_rates_are_named(tmp_path, text, message):
    path = tmp_path / "rates.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=message):
        read_rates(path)


def test_memory_does_not_grow_with_the_persons(tmp_path):
    def peak(persons):
        tracemalloc.start()
        generate(tmp_path / str(persons), replace(REGION, persons=persons))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(50)
    assert peak(800) < 1.1 * peak(100)


def test_a_folder_without_truth_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"truth\.csv"):
        list(read_truth(tmp_path))


def test_a_truth_of_other_columns_is_refused(tmp_path):
    (tmp_path / TRUTH_FILE).write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(SourceError, match="columns"):
        list(read_truth(tmp_path))
