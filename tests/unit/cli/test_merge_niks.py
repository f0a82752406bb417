import pytest

from fhir_gateway.cli.merge_niks import read_niks
from fhir_gateway.domain.errors import UsageError

ONE, OTHER, CUT = "3303121503200001", "3303021107190002", "3303121503200010"


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "niks.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(
    "text",
    [
        f"{ONE}\n{OTHER}\n",
        f"\ufeff# asked for by the district\n\nNIK\n{ONE}\n\n # more\n{OTHER}\n{ONE}\n",
        f"name;NIK\nRizki;{ONE}\nBayu;'{OTHER}\n;\n",
        f'"name","NIK"\n"Pratama, Rizki","{ONE}"\n"Bayu",{OTHER}\n',
        f"{ONE}\tRizki\r\n{OTHER}\tBayu\r\n",
    ],
)
def test_niks_are_read_from_lines_and_from_tables(file, text):
    assert read_niks(file(text)) == [ONE, OTHER]


def test_a_nik_that_ends_in_0_is_taken_as_it_stands(file):
    assert read_niks(file(CUT)) == [CUT]


def test_what_is_no_nik_is_named_by_line_and_not_by_value(file):
    with pytest.raises(UsageError) as caught:
        read_niks(file(f"{ONE}\n3303121503\n# 12\n{OTHER}\n0000000000000000\n"))
    told = str(caught.value)
    assert ":2:" in told
    assert ":5:" in told
    assert "3303121503" not in told


def test_many_faults_are_counted(file):
    with pytest.raises(UsageError, match="and 5 more"):
        read_niks(file("12\n" * 15))


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_niks(tmp_path / "none")
