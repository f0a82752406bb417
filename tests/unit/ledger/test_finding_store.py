from array import array

import pytest

from fhir_gateway.domain.errors import LedgerError
from fhir_gateway.ledger import finding_store as module
from fhir_gateway.ledger.finding_store import finding_store


def test_records_come_back_by_their_number(tmp_path):
    with finding_store(tmp_path) as store:
        records = store.records()
        written = [bytes([number % 256]) * number for number in range(400)]
        records.extend(written[:150])
        records.extend(written[150:])
        assert [records.get(number) for number in range(400)] == written
        assert len(records) == 400


def test_records_are_read_and_written_by_turns(tmp_path):
    with finding_store(tmp_path) as store:
        records = store.records()
        records.extend([b"one"])
        assert records.get(0) == b"one"
        records.extend([b"two" * 400_000])
        assert (records.get(1), records.get(0)) == (b"two" * 400_000, b"one")
        with pytest.raises(IndexError):
            records.get(2)


def test_numbers_come_back_by_part(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BUFFERED_NUMBERS", 3)
    with finding_store(tmp_path) as store:
        numbers = store.numbers()
        for value in range(20):
            numbers.extend(value % 2, array("Q", [value << 40]))
        assert numbers.parts() == [0, 1]
        assert sorted(numbers.of(1)) == [value << 40 for value in range(1, 20, 2)]
        assert list(numbers.of(7)) == []


def test_what_is_kept_has_no_name_that_could_stay(tmp_path):
    folder = tmp_path / "new"
    with finding_store(folder) as store:
        records = store.records()
        records.extend([b"a name" * 500_000])
        assert list(folder.iterdir()) == []
        assert folder.stat().st_mode & 0o777 == 0o700


def test_no_room_is_told_without_what_was_written(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with finding_store(tmp_path) as store:
        records = store.records()
        monkeypatch.setattr(records, "_file", type("Full", (), {"write": full})())
        with pytest.raises(LedgerError, match="no room") as caught:
            records.extend([b"Rizki" * 500_000])
    assert "Rizki" not in str(caught.value)


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with finding_store(tmp_path / "file") as store, pytest.raises(LedgerError, match="no room"):
        store.records()
