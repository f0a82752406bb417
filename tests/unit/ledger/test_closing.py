"""What a ledger says, or does not, when it is closed."""

import pytest

from fhir_gateway.ledger.store import Ledger


def test_ctrl_c_while_a_connection_is_closed_logs_no_traceback(tmp_path, caplog):
    left_open = []

    def interrupted(connection):
        left_open.append(connection)
        raise KeyboardInterrupt

    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    dialect = ledger._engine.dialect
    close, dialect.do_close = dialect.do_close, interrupted
    with pytest.raises(KeyboardInterrupt):
        ledger.close()
    dialect.do_close = close
    close(*left_open)
    assert caplog.text == ""
