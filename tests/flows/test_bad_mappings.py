"""Mappings that are wrong: told before anything is begun, all faults at once, with their place."""

import pytest
from tests.flows.conftest import RATNA
from tests.flows.wrong_usage import refused


def mapping(place, text, name="own"):
    folder = place.home / "mappings" / name
    folder.mkdir(parents=True)
    (folder / "mapping.yaml").write_text(text)
    return place.sheet(RATNA)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mapping: own\n  key: [", "YAML"),
        ("just a sentence", "mapping.yaml:1"),
        ("", "mapping.yaml"),
        ("- a\n- b\n", "mapping.yaml:1"),
        ("mapping: own\nsource: {required: [Vaksin]}\npatiemt: {}\n", "did you mean"),
        ("mapping: &a [*a]\n", "mapping.yaml"),
        ("!!python/object/apply:os.system ['true']\n", "mapping.yaml"),
        (
            (
                "mapping: own\nsource: {required: [Vaksin]}\nkey: [Vaksin]\n"
                "patient:\n  birthDate: {column: Tgl Lahir, through: datte}\n"
            ),
            "did you mean",
        ),
    ],
)
def test_a_mapping_with_faults_names_file_and_place(place, text, words):
    path = mapping(place, text)
    for command in (("load", path, "--mapping", "own"), ("mapping", "preview", path, "--mapping", "own")):
        err = refused(place, *command)
        assert words in err
        assert "mapping.yaml" in err


def test_all_faults_of_a_mapping_come_at_once(place):
    mapping(place, "mapping: own\nsource: {required: [Vaksin]}\npatiemt: {}\nimunization: {}\n")
    code, out, err = place.run("mapping", "check", "own")
    assert code == 2
    assert "patiemt" in out + err
    assert "imunization" in out + err


def test_a_line_of_a_shared_concept_map_that_was_not_completed_is_told_once(place):
    own = place.home / "mappings" / "concept_maps" / "vaccine.csv"
    own.parent.mkdir(parents=True)
    own.write_text("Vaksin Kembang,?    # 2 rows\n")
    err = refused(place, "load", place.sheet(RATNA))
    assert err.count("'Vaksin Kembang' has no code yet") == 1


def test_an_unknown_mapping_is_told_with_the_nearest(place):
    assert "did you mean 'puskesmas'" in refused(place, "load", place.sheet(RATNA), "--mapping", "puskemas")


def test_a_mapping_that_is_no_text_is_told(place):
    path = place.home / "own.yaml"
    path.write_bytes(b"\xff\xfe\x00mapping")
    assert "own.yaml" in refused(place, "load", place.sheet(RATNA), "--mapping", path)


def test_a_broken_concept_map_of_the_site_is_told(place):
    folder = place.home / "mappings" / "concept_maps"
    folder.mkdir(parents=True)
    (folder / "vaccine.csv").write_text('BCG,"unclosed\n')
    assert "vaccine.csv" in refused(place, "load", place.sheet(RATNA))
