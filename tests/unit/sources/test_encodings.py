"""Which encoding is taken is decided by the whole file; what does not fit it rejects its own row, and no other letters."""

import codecs
from dataclasses import replace

import pytest

HEAD = "Nama;NIK;Vaksin\n"
PLAIN = b"Ani;1;BCG\n"
BLOCKS = f"Ani;1;{'B' * 993}\n".encode() * 600
"""More bytes than are looked at together."""


def in_utf8(name: str) -> bytes:
    return f"{name};1;BCG\n".encode()


def in_cp1252(name: str) -> bytes:
    return f"{name};1;BCG\n".encode("cp1252")


@pytest.mark.parametrize("place", [0, 1, 2], ids=["start", "middle", "end"])
def test_a_damaged_byte_of_utf8_rejects_its_row_wherever_it_stands(opened, told, place):
    parts = [in_utf8("Renée"), BLOCKS, in_utf8("Zoë"), BLOCKS, in_utf8("Chloé")]
    parts.insert(place * 2, b"Bu\xffdi;3;C\n")
    source = opened(HEAD.encode() + b"".join(parts))
    names = [name for name in told(source) if name != "Ani"]
    assert sorted(names, key=str) == ["Chloé", "Renée", "Zoë", "row-encoding"]
    assert source.encoding == "utf-8-sig"


def test_what_looks_like_utf8_at_the_start_does_not_decide_for_all(opened, told):
    source = opened(HEAD.encode() + in_utf8("Renée") + BLOCKS + b"".join(map(in_cp1252, ("Zoë", "André") * 5)))
    names = [name for name in told(source) if name != "Ani"]
    assert names == ["row-encoding", *("Zoë", "André") * 5]
    assert source.encoding == "cp1252"


def test_letters_of_another_encoding_at_the_start_do_not_decide_for_all(opened, told):
    source = opened(HEAD.encode() + in_cp1252("Renée") + BLOCKS + b"".join(map(in_utf8, ("Zoë", "André"))))
    assert [name for name in told(source) if name != "Ani"] == ["row-encoding", "Zoë", "André"]


def test_a_mapping_that_says_utf8_is_believed(opened, told, layout):
    source = opened(HEAD.encode() + in_cp1252("Renée") + PLAIN, replace(layout, encoding="utf-8"))
    assert told(source) == ["row-encoding", "Ani"]


@pytest.mark.parametrize(("first", "last"), [(1, 0), (600, 0), (0, 600), (0, 0)])
def test_json_is_utf8_whatever_its_bytes(opened, told, first, last):
    plain = f'{{"Nama":"Ani","NIK":"1","Vaksin":"{"B" * 1_000}"}}\n'.encode()
    bad = b'{"Nama":"Ren\xe9e","NIK":"2"}\n'
    rows = told(opened(plain * first + bad * 3 + plain * last + '{"Nama":"Zoë","NIK":"3"}\n'.encode()))
    assert rows == ["Ani"] * first + ["row-encoding"] * 3 + ["Ani"] * last + ["Zoë"]


@pytest.mark.parametrize("codec", ["utf-16", "utf-32", "utf-8-sig"])
def test_json_with_a_byte_order_mark_is_read_as_it_says(opened, told, codec):
    assert told(opened('{"Nama":"Zoë","NIK":"3"}\n'.encode(codec))) == ["Zoë"]


def test_json_is_read_as_the_user_says(opened, told):
    assert told(opened('{"Nama":"Zoë","NIK":"3"}\n'.encode("cp1252"), encoding="cp1252")) == ["Zoë"]


@pytest.mark.parametrize("codec", ["cp1250", "cp1252", "iso8859-1", "iso8859-15", "mac-roman"])
def test_utf8_within_another_encoding_is_told_apart(opened, told, layout, codec):
    content = HEAD.encode() + in_utf8("Renée") + f"{'é' * 9};1;A\n".encode(codec)
    assert told(opened(content, replace(layout, encoding=codec))) == ["row-encoding", "é" * 9]


def test_a_mark_in_the_middle_is_no_text(opened, told):
    """Files that were joined to one each bring theirs."""
    source = opened(HEAD.encode() + codecs.BOM_UTF8 + in_utf8("Renée"))
    assert told(source) == ["\ufeffRenée"]


def test_json_files_that_were_joined_are_read_on(opened, told):
    content = '{"Nama":"Renée","NIK":"1"}\n'.encode("utf-8-sig") + '{"Nama":"Zoë","NIK":"2","Desa":"x"}\n'.encode(
        "utf-8-sig"
    )
    source = opened(content)
    assert told(source) == ["Renée", "Zoë"]
    assert source.header == ("Nama", "NIK", "Desa")


@pytest.mark.parametrize(
    ("codec", "place"),
    [("utf-16", 101), ("utf-16", 700_001), ("utf-16-le", 700_000), ("utf-16-be", 700_001), ("utf-32", 700_000)],
)
def test_a_lost_byte_of_wide_characters_shifts_no_other_row(opened, told, codec, place):
    content = (HEAD + f"Renée;1;{'B' * 191}\n" * 3_600).encode(codec)
    names = told(opened(content[:place] + content[place + 1 :]))
    assert set(names) == {"Renée", "row-encoding"}
    assert (len(names), names.count("row-encoding")) in {(3_600, 1), (3_599, 1)}


def test_a_byte_order_may_be_given_with_its_mark(opened, told):
    content = codecs.BOM_UTF16_BE + (HEAD + "Renée;1;BCG\n").encode("utf-16-be")
    assert told(opened(content)) == told(opened(content, encoding="utf-16-be")) == ["Renée"]
