"""A store is closed while others use it: by a command that ends, or a server that is told to stop."""

import threading

import pytest

from fhir_gateway.domain.errors import GatewayError
from fhir_gateway.embedded_server.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path, lambda: 1)


def refused(store):
    try:
        with store.read():
            return False
    except GatewayError:
        return True


def test_closing_waits_for_who_reads_and_lets_nobody_in(store):
    with store.read() as session:
        closing = threading.Thread(target=store.close)
        closing.start()
        while not refused(store):
            pass
        assert session.rows("SELECT 7") == [(7,)]
        assert closing.is_alive()
    closing.join(60)
    assert not closing.is_alive()


def test_closing_waits_for_who_writes(store):
    with store.write() as session:
        closing = threading.Thread(target=store.close)
        closing.start()
        while not refused(store):
            pass
        session.save_page("token", "query", 1)
    closing.join(60)
    assert not closing.is_alive()


def test_a_store_is_closed_once_more_without_harm(store):
    store.close()
    store.close()
    with pytest.raises(GatewayError, match="was stopped"), store.write():
        pass
