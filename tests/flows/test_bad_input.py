"""Files, mappings and environments that are wrong: told before anything is begun, with what to do; exit code 2."""

import io
import json
import zipfile
from decimal import Decimal

import pytest
from openpyxl import Workbook
from tests.flows.conftest import BAYU, HEADER, RATNA, RATNA_POLIO, VITAMIN
from tests.flows.test_load import counts

from fhir_gateway.fhir import json_text

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
PEOPLE = ("3303015203200003", "Ratna", "Dewanti", "081210001001", "Bayu", "Kusumo")


def workbook(*rows):
    book = Workbook()
    for row in rows:
        book.active.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


SHEET = "xl/worksheets/sheet1.xml"
GOOD_BOOK = workbook(HEADER.split(";"), RATNA.split(";"))


def edited(part, edit):
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(GOOD_BOOK)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, edit(old.read(name)) if name == part else old.read(name))
    return buffer.getvalue()


def with_entity(xml):
    return xml.replace(b"<worksheet", b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><worksheet', 1)


def refused(place, *arguments):
    """Run a command that has to be refused as wrong usage, and return what it said."""
    code, out, err = place.run(*arguments)
    assert (code, out) == (2, ""), err
    assert "Traceback" not in err
    assert not [word for word in PEOPLE if word in err]
    assert "(" not in err or "fault of the program" not in err
    return err


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.csv", b"", "empty"),
        ("blank.csv", b"\n \n\n", "blanks"),
        ("export.csv", b"%PDF-1.7\n" + bytes(range(256)), "PDF"),
        ("export.xlsx", b"%PDF-1.7\n" + bytes(range(256)), "PDF"),
        ("binary.csv", bytes(range(256)) * 40, "binary"),
        ("old.xls", OLE + bytes(5000), "save it as XLSX or CSV"),
        ("secret.xlsx", OLE + bytes(600) + "EncryptedPackage".encode("utf-16-le"), "password"),
        ("page.xls", b"<html><table><tr><td>Nama</td></tr></table></html>", "HTML"),
        ("login.csv", b"<!DOCTYPE html><html><body>Session expired</body></html>", "HTML"),
        ("cut.xlsx", GOOD_BOOK[: len(GOOD_BOOK) // 2], "damaged"),
        ("entity.xlsx", edited(SHEET, with_entity), "entities"),
        ("bomb.xlsx", edited("xl/styles.xml", lambda _: bytes(100 << 20)), "would unpack"),
        ("list.json", b'[{"Nama": 1}]', "NDJSON"),
        ("prose.csv", b"Dear colleague,\nplease find the export attached.\n", "needs the columns"),
    ],
)
def test_a_file_that_cannot_be_loaded_says_why(place, name, content, words):
    path = place.home / name
    path.write_bytes(content)
    for command in (("load", path), ("load", path, "--mapping", "puskesmas"), ("convert", path, "--out", "o.ndjson")):
        err = refused(place, *command)
        assert words in err
        assert name in err
    assert not (place.home / "o.ndjson").exists()
    assert place.json("runs", "list") == []


def test_a_missing_file_and_a_folder_are_told(place):
    assert "no such file" in refused(place, "load", place.home / "missing.csv")
    assert "folder" in refused(place, "load", place.home)


def test_one_bad_file_of_several_stops_all_before_anything_is_begun(place):
    good = place.sheet(RATNA)
    bad = place.home / "bad.csv"
    bad.write_bytes(b"")
    assert "bad.csv" in refused(place, "load", good, bad)
    assert place.json("runs", "list") == []


def test_a_file_named_twice_is_told(place):
    path = place.sheet(RATNA)
    assert "twice" in refused(place, "load", path, path.parent / "." / path.name)


def test_wrong_columns_name_what_lacks_and_the_mapping_that_would_fit(place):
    err = refused(place, "load", place.sheet(RATNA), "--mapping", "asik")
    assert "asik" in err
    assert "--mapping puskesmas" in err
    lacking = place.home / "lacking.csv"
    lacking.write_text("Nama Lengkap;Tanggal Lahir;Tgl Vaksin;Vaksin\na;b;c;d\n")
    err = refused(place, "load", lacking, "--mapping", "puskesmas")
    assert "'Tgl Lahir'" in err


def test_a_header_without_rows_is_a_finished_load_of_nothing(place):
    code, out, err = place.run("load", place.sheet())
    assert (code, out.splitlines()[-1]) == (
        0,
        "read 0 = loaded 0 + unchanged 0 + review 0 + rejected 0 + failed 0",
    )
    assert "sheet.csv: no row stands below its header" in err
    assert "no row stands below" not in place.run("load", place.sheet(BAYU))[2]
    book = place.home / "empty.xlsx"
    book.write_bytes(workbook(HEADER.split(";")))
    assert place.load(book)["read"] == 0
    assert place.json("convert", book, "--out", "out.ndjson")["read"] == 0
    assert (place.home / "out.ndjson").read_bytes() == b""


def test_broken_rows_are_rejected_and_shift_nobody(place):
    path = place.home / "broken.csv"
    rows = [RATNA, "only;three;cells", BAYU.replace("Endah", "En\0dah"), RATNA_POLIO]
    path.write_bytes("\n".join((HEADER, *rows)).encode())
    out = place.home / "report.csv"
    code, text, _ = place.run("load", path, "--report", out)
    assert (code, text.splitlines()[-1][:17]) == (3, "read 4 = loaded 2")
    assert [row["gateway_status"] for row in place.report(out)] == ["loaded", "rejected", "rejected", "loaded"]
    assert [row["gateway_row"] for row in place.report(out)] == ["1", "2", "3", "4"]


# --- mappings


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
    for command in (("load", path, "--mapping", "own"), ("mapping", "preview", path)):
        err = refused(place, *command)
        assert words in err
        assert "mapping.yaml" in err


def test_all_faults_of_a_mapping_come_at_once(place):
    mapping(place, "mapping: own\nsource: {required: [Vaksin]}\npatiemt: {}\nimunization: {}\n")
    code, out, err = place.run("mapping", "check", "own")
    assert code == 2
    assert "patiemt" in out + err
    assert "imunization" in out + err


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


# --- environments


def environment(place, text, name="region"):
    folder = place.home / "environments"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.toml").write_text(text)
    return place.sheet(RATNA)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[fhir_server\n", "no TOML"),
        ('[fhir_server]\nbase_url = "https://x.test/fhir"\nbatchsize = 1\n', "did you mean batch_size"),
        ("[fhir_server]\n", "base_url is missing"),
        ('[fhir_server]\nbase_url = "https://x.test/fhir"\nbatch_size = "many"\n', "region.toml:3"),
        ('[fhir_server]\nbase_url = "https://user:geheim@x.test/fhir"\n', "auth"),
        (
            (
                '[fhir_server]\nbase_url = "https://x.test/fhir"\n'
                '[fhir_server.auth]\ntype = "bearer"\ntoken_env = "NO_SUCH_VARIABLE"\n'
            ),
            "NO_SUCH_VARIABLE",
        ),
        ('[fhir_server]\nbase_url = "embedded"\n[time]\nzone = "Asia/Jakrta"\n', "did you mean Asia/Jakarta"),
    ],
)
def test_an_environment_with_faults_names_file_and_line(place, text, words):
    err = refused(place, "load", environment(place, text), "--env", "region")
    assert words in err
    assert "environments/region.toml" in err
    assert "geheim" not in err


@pytest.mark.parametrize("name", ["console", "health", "metrics", "docs", "Docs"])
def test_reserved_names_are_no_environments(place, name):
    path = environment(place, '[fhir_server]\nbase_url = "embedded"\n', name=name)
    assert "may be called" in refused(place, "load", path, "--env", name)


@pytest.mark.parametrize("name", ["../../etc", "a/b", "", ".hidden", "x" * 80])
def test_names_that_are_no_names_are_refused(place, name):
    refused(place, "load", place.sheet(RATNA), "--env", name)


def test_an_unknown_environment_is_told_with_those_that_there_are(place):
    environment(place, '[fhir_server]\nbase_url = "embedded"\n', name="purbalingga")
    err = refused(place, "load", place.sheet(RATNA), "--env", "purbalinga")
    assert "did you mean purbalingga" in err
    assert "embedded" in refused(place, "load", place.sheet(RATNA), "--env", "zzz")


# --- reports


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("report.pdf", ".csv, .xlsx, .ndjson"),
        ("report", ".csv, .xlsx, .ndjson"),
        ("missing/report.csv", "no folder"),
        ("sheet.csv", "input itself"),
        ("folder.csv", "is no file"),
    ],
)
def test_a_report_that_cannot_be_written_is_told_before_the_run(place, target, words):
    path = place.sheet(RATNA)
    (place.home / "folder.csv").mkdir()
    before = path.read_bytes()
    assert words in refused(place, "load", path, "--report", target)
    assert place.json("runs", "list") == []
    assert path.read_bytes() == before
    assert words in refused(place, "convert", path, "--out", "o.ndjson", "--report", target)


@pytest.mark.parametrize("target", ["sheet.csv", "missing/o.ndjson", "folder.csv"])
def test_resources_that_cannot_be_written_are_told_before_the_conversion(place, target):
    path = place.sheet(RATNA)
    (place.home / "folder.csv").mkdir()
    before = path.read_bytes()
    refused(place, "convert", path, "--out", target)
    assert path.read_bytes() == before


def test_report_and_resources_may_not_be_one_file(place):
    refused(place, "convert", place.sheet(RATNA), "--out", "o.ndjson", "--report", "o.ndjson")


def test_several_files_need_a_folder_and_get_a_report_each(place):
    first, second = place.sheet(RATNA), place.sheet(BAYU, VITAMIN, name="second.csv")
    assert "folder" in refused(place, "load", first, second, "--report", "both.csv")
    code, _, _ = place.run("load", first, second, "--report", "reports")
    assert code == 3
    assert [row["gateway_status"] for row in place.report(place.home / "reports" / "sheet.csv")] == ["loaded"]
    statuses = [row["gateway_status"] for row in place.report(place.home / "reports" / "second.csv")]
    assert statuses == ["loaded", "rejected"]


def test_reports_go_into_a_folder_that_is_there_whatever_the_inputs_names_end_in(place):
    (place.home / "reports.d").mkdir()
    first, second = place.sheet(RATNA, name="export.txt"), place.sheet(BAYU, name="plain")
    code, _, err = place.run("load", first, second, "--report", "reports.d")
    assert code == 0, err
    assert sorted(path.name for path in (place.home / "reports.d").iterdir()) == ["export.txt.csv", "plain.csv"]


def test_the_report_folder_may_not_be_that_of_the_inputs(place):
    first, second = place.sheet(RATNA), place.sheet(BAYU, name="second.csv")
    assert "input itself" in refused(place, "load", first, second, "--report", place.home)


def test_a_csv_reports_as_workbook_and_is_loaded_from_there(place):
    code, _, _ = place.run("load", place.sheet(RATNA, VITAMIN), "--report", "report.xlsx")
    assert code == 3
    assert counts(place.load(place.home / "report.xlsx")) == {"unchanged": 1, "rejected": 1}


# --- options together


def test_a_dry_run_with_report_tells_what_would_become_of_every_row(place):
    out = place.home / "report.csv"
    summary = place.load(place.sheet(RATNA, VITAMIN, BAYU), "--dry-run", "--report", out)
    assert (counts(summary), summary["read"]) == ({"loaded": 2, "rejected": 1}, 3)
    assert [row["gateway_status"] for row in place.report(out)] == ["loaded", "rejected", "loaded"]
    assert place.content() == ({}, {})


def test_limit_and_dry_run_leave_the_other_rows_without_a_status(place):
    out = place.home / "report.csv"
    summary = place.load(place.sheet(RATNA, RATNA_POLIO, BAYU), "--limit", 2, "--dry-run", "--report", out)
    assert summary["read"] == 2
    assert [row["gateway_status"] for row in place.report(out)] == ["loaded", "loaded", ""]


def test_limit_counts_over_all_files(place):
    first, second = place.sheet(RATNA, RATNA_POLIO), place.sheet(BAYU, VITAMIN, name="second.csv")
    assert place.load(first, second, "--limit", 3)["read"] == 3
    assert place.load(first, second, "--limit", 1)["read"] == 1


@pytest.mark.parametrize("arguments", [("--limit", "-1"), ("--limit", "two"), ("--nonsense",), ("--env",)])
def test_wrong_options_are_wrong_usage(place, arguments):
    refused(place, "load", place.sheet(RATNA), *arguments)


@pytest.mark.parametrize("clinic", ["../evil", "a\nb", "", "  ", "-x", "a  b", "x" * 64, "a/b"])
@pytest.mark.parametrize("command", [("load",), ("convert", "--out", "out.ndjson")])
def test_a_clinic_that_is_no_id_is_refused(place, clinic, command):
    assert "a clinic's id has letters" in refused(place, *command, place.sheet(BAYU), "--clinic", clinic)


def test_blanks_around_a_clinics_id_do_not_matter(place):
    assert counts(place.load(place.sheet(BAYU), "--clinic", "rs-a")) == {"loaded": 1}
    assert counts(place.load(place.sheet(BAYU), "--clinic", " rs-a ")) == {"unchanged": 1}
    (patient,) = place.server("Patient").values()
    assert patient["meta"]["source"].endswith(":rs-a:puskesmas")


def test_no_file_at_all_is_wrong_usage(place):
    refused(place, "load")
    refused(place, "convert")


def test_stdout_is_json_alone(place):
    code, out, err = place.run("load", place.sheet(RATNA, VITAMIN), "--json")
    summary = json.loads(out)
    assert code == 3
    assert {"run", "read", "reasons", "unmapped", "seconds", "loaded", "failed"} <= summary.keys()
    assert "puskesmas" in err


def test_a_nik_that_a_spreadsheet_damaged_in_the_report_is_restored(place):
    path = place.sheet(RATNA, VITAMIN)
    out = place.home / "report.csv"
    place.run("load", path, "--report", out)
    text = out.read_text(encoding="utf-8-sig")
    damaged = text.replace("3303015203200003", "3.30302E+15").replace("3303020502210005", "3,30302E+15")
    fixed = place.home / "fixed.csv"
    fixed.write_text(damaged.replace("3.30302E+15", "3.30301520320E+15").replace("Vitamin A", "BCG"), "utf-8-sig")
    assert counts(place.load(fixed)) == {"loaded": 1, "unchanged": 1}
    niks = {i["value"] for p in place.content()[0].values() for i in p["identifier"] if i["system"].endswith("/nik")}
    assert niks == {"3303015203200003", "3303020502210005"}


@pytest.mark.parametrize("successor", ["itself", "gone"])
def test_a_person_who_was_replaced_by_nobody_goes_to_review(place, successor):
    place.load(place.sheet(RATNA))
    (patient,) = place.content()[0].values()
    other = patient["id"] if successor == "itself" else "gone"
    link = {"other": {"reference": f"https://elsewhere.test/fhir/Patient/{other}"}, "type": "replaced-by"}
    put(place, {**patient, "active": False, "link": [link]})
    summary = place.load(place.sheet(RATNA_POLIO, name="next.csv"))
    assert (counts(summary), summary["reasons"]) == ({"review": 1}, {"replaced-by-nobody": 1})
    assert [len(part) for part in place.content()] == [1, 1]
    assert place.json("review", "list")[0]["candidates"] == [patient["id"]]


def put(place, resource):
    from fhir_gateway.embedded_server.server import EmbeddedServer  # noqa: PLC0415

    server = EmbeddedServer(place.home / ".fhir-gateway" / "embedded")
    path = f"/{resource['resourceType']}/{resource['id']}"
    answer = server.handle("PUT", path, query="", headers={}, body=json_text.dump(resource), base="http://x/fhir")
    server.close()
    assert answer.status == 200, answer.body


def test_a_decimal_of_the_server_keeps_its_digits_in_json(place):
    place.load(place.sheet(RATNA))
    (patient_id,), (dose_id,) = place.content()
    quantity = {"value": Decimal("0.50"), "unit": "mL"}
    put(place, {**place.server("Immunization")[dose_id], "doseQuantity": quantity})
    code, out, _ = place.run("person", "show", patient_id, "--json")
    assert code == 0
    assert '"value": 0.50' in out
    assert json.loads(out)["immunizations"][0]["doseQuantity"]["value"] == 0.5
