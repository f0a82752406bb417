import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.people import names
from fhir_gateway.people.names import name_keys, read_name


@pytest.mark.parametrize(
    ("written", "text", "prefix", "suffix"),
    [
        ("H. Moh. Rizki, S.Kom", "Moh. Rizki", ("H.",), ("S.Kom",)),
        ("Drs. H. Budi Santoso SH, M.Kes", "Budi Santoso", ("Drs.", "H."), ("SH", "M.Kes")),
        ("dr. Ani Wijaya, Sp.A", "Ani Wijaya", ("dr.",), ("Sp.A",)),
        ("NUR HAYATI, A.Md.Keb", "Nur Hayati", (), ("A.Md.Keb",)),
        ("BUDI SANTOSO SH", "Budi Santoso", (), ("SH",)),
        ("K.H. Ahmad", "Ahmad", ("K.H.",), ()),
        ("AN.BUDI", "Budi", ("AN.",), ()),
        ("An Nisa", "An Nisa", (), ()),
        ("R. Adi", "Adi", ("R.",), ()),
        ("Ny. Siti", "Siti", ("Ny.",), ()),
        ("Sri Se", "Sri Se", (), ()),
        ("MOH.RIZKI", "Moh. Rizki", (), ()),
        ("ma'ruf  amin", "Ma'ruf Amin", (), ()),
        ("'Siti", "Siti", (), ()),
        ("Ahmad alias Amat", "Ahmad", (), ()),
        ("de Jong", "de Jong", (), ()),
    ],
)
def test_titles_and_degrees_are_split_off(written, text, prefix, suffix):
    name = read_name(written)
    assert (name.text, name.prefix, name.suffix) == (text, prefix, suffix)


@pytest.mark.parametrize(
    ("written", "mother", "order"),
    [
        ("By. Ny. Siti Aminah", "Siti Aminah", 0),
        ("BY NY SITI 2", "Siti", 2),
        *((text, "Siti", 2) for text in ("By. Ny. Siti/2", "By. Ny. Siti -2", "By. Ny. Siti/II", "By Ny Siti ke-2")),
        *((text, "Siti", 2) for text in ("By. II Ny. Siti", "By. 2 Ny. Siti", "BY. NY. SITI, BAYI 2")),
        ("Bayi Ny. Siti (kembar kedua)", "Siti", 2),
        ("By. Ny. Siti G2", "Siti G2", 0),
        ("By. Ny. Siti-Aminah", "Siti-Aminah", 0),
        ("Bayi Ny. Siti I", "Siti", 1),
        ("By.Ny.Siti", "Siti", 0),
        ("Bayi Ibu Rahma (kembar 2)", "Rahma", 2),
        ("An. Ny. Siti", "Siti", 0),
    ],
)
def test_newborns_temporary_name_names_the_mother(written, mother, order):
    name = read_name(written)
    assert (name.newborn, name.newborn_of, name.birth_order, name.key) == (True, mother, order, "")
    assert name.tokens


def test_newborn_without_ny_may_be_named_itself():
    name = read_name("By. Ahmad Fauzan")
    assert (name.newborn, name.newborn_of, name.key) == (True, "Ahmad Fauzan", "ahmad fauzan||")


def test_child_is_no_newborn():
    assert not read_name("An. Rizki").newborn


def test_father_stands_behind_bin_or_binti():
    name = read_name("SITI AMINAH BINTI ABDULLAH")
    assert (name.text, name.given, name.father) == ("Siti Aminah binti Abdullah", ("Siti", "Aminah"), "Abdullah")


def test_mononym_is_told():
    assert read_name("Suharto").mononym
    assert not read_name("Budi Santoso").mononym


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Muhammad", "Moch."),
        ("Achmad", "Ahmad"),
        ("Abdurrahman", "Abd. Rahman"),
        ("Abdurahman", "Abdul Rahman"),
        ("Soekarno", "Sukarno"),
        ("Djoko", "Joko"),
        ("Tjahjo", "Cahjo"),
        ("Sjarif", "Syarif"),
        ("Chairul", "Khairul"),
        ("Noer", "Nur"),
        ("St. Rahma", "Siti Rahmah"),
        ("Aisyah", "Aisha"),
        ("Rizky", "Rizki"),
        ("M. Fauzi", "Muhammad Fauzi"),
        ("José", "Jose"),
        ("B0bby", "Bobby"),
    ],
)
def test_spellings_of_one_name_have_the_same_tokens(one, other):
    assert read_name(one).tokens == read_name(other).tokens


@pytest.mark.parametrize("name", ["Panji", "Anjani", "Jani", "Najwa"])
def test_modern_j_stays_j(name):
    assert read_name(name).tokens == (name.lower(),)


def test_compared_forms_are_never_shown():
    assert read_name("Soekarno").text == "Soekarno"


def test_name_that_may_be_cut_off_is_marked():
    assert read_name("Siti Nurhayati Rahmawati Kusumaningtyas P").truncated
    assert not read_name("Siti Nurhayati").truncated


def test_blocking_keys_survive_spelling_and_typing_errors_in_vowels():
    assert name_keys(read_name("Rizky Pratama")) == name_keys(read_name("Moh. Riski Pratema"))


@settings(derandomize=True, deadline=None)
@given(st.text(max_size=60))
def test_reading_never_raises_and_reads_its_own_text_again(text):
    name = read_name(text)
    assert read_name(name.text).newborn_of.casefold() == name.newborn_of.casefold() or not name.newborn
    assert name_keys(name) == name_keys(read_name(text))


def test_a_turkish_i_numbers_no_twin():
    assert read_name("Fandi kembar II\u0130").birth_order == 0


_WORDS = st.sampled_from(
    [
        "budi",
        "SITI",
        "Nur",
        "alamsyah",
        "aka",
        "Bambang",
        "twinda",
        "kembar",
        "h",
        "bin",
        "dr",
        "ny",
        "by",
        "i",
        "Anak",
        "agung",
        "Ke",
        "se",
        "al",
    ]
)


@settings(derandomize=True)
@given(st.lists(_WORDS, min_size=1, max_size=5).map(" ".join))
def test_the_short_way_of_plain_names_reads_what_the_long_way_reads(written):
    cleaned = names._clean(written)

    assert names._read_plain(written, cleaned) in (None, names._read_any(written, cleaned))


@pytest.mark.parametrize(
    ("written", "plain"), [("Đani Łukasz", "dani lukasz"), ("DANI ŁUKASZ", "dani lukasz"), ("Ægir Ø", "aegir o")]
)
def test_letters_that_no_accent_can_be_taken_from_are_compared_as_the_plain_ones(written, plain):
    assert read_name(written).key == f"{plain}||"


@pytest.mark.parametrize(
    "written", ["An. Tn. Budi Santoso", "Anak Bpk Budi Santoso", "BY TN BUDI SANTOSO", "An Bapak Budi"]
)
def test_a_child_written_under_its_fathers_name_has_no_name_of_its_own(written):
    name = read_name(written)

    assert (name.newborn, name.key, name.newborn_of) == (True, "", "")
    assert name.father.startswith("Budi")
    assert name.text.startswith("By. Tn. Budi")


def test_a_newborns_title_may_stand_behind_its_mothers_name():
    assert read_name("RATNA SARI, BY NY").newborn_of == "Ratna Sari"


@pytest.mark.parametrize(("written", "order"), [("By. Ny. Siti (2)", 2), ("BY NY SITI (B)", 2), ("Siti Aminah (2)", 0)])
def test_a_number_in_brackets_counts_twins_behind_a_mothers_name_alone(written, order):
    assert read_name(written).birth_order == order


@pytest.mark.parametrize(
    "written", ["BUDI SANTOSO, TN", "Budi Santoso, An", "BUDI SANTOSO,SDR", "Budi Santoso, H. M.Pd"]
)
def test_titles_behind_a_comma_are_no_part_of_the_name(written):
    assert read_name(written).key == "budi santoso||"


@pytest.mark.parametrize(
    "written",
    [
        "Tidak ada",
        "TANPA NAMA",
        "belum ada nama",
        "(belum ada nama)",
        "BELUM ADA NAMA (By. Ny. Sri)",
        "Alm.",
        "unknown",
    ],
)
def test_words_for_no_name_are_none_that_two_could_share(written):
    name = read_name(written)

    assert (name.text, name.key, name.words, name.newborn) == ("", "", (), False)


@pytest.mark.parametrize("written", ["Bayi", "BY.", "Bayi perempuan", "BAYI L", "By. Lk"])
def test_a_baby_without_any_other_name_has_none_of_its_own(written):
    name = read_name(written)

    assert (name.text, name.key, name.words, name.newborn) == ("By.", "", (), True)


@pytest.mark.parametrize(
    "written",
    ["Alm. Siti Aminah", "Siti Aminah almarhumah", "SITI AMINAH ALMH.", "Siti Aminah, alm", "Siti Aminah (alm)"],
)
def test_that_a_person_has_died_is_no_part_of_the_name(written):
    assert read_name(written).key == "siti aminah||"


@pytest.mark.parametrize("written", ["Siti bin Alm. Ahmad", "Siti bin H. Ahmad", "Siti bin Ahmad"])
def test_a_fathers_titles_are_not_compared(written):
    assert read_name(written).key == "siti|ahmad|"


@pytest.mark.parametrize("written", ["Ratna Sari d/a Bobotsari", "RATNA SARI D/A PAK RT 3", "Ratna Sari c/o Budi"])
def test_where_a_person_can_be_found_is_no_part_of_the_name(written):
    assert read_name(written).given == ("Ratna", "Sari")
