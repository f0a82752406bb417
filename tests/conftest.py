"""What all tests share: properties are judged by what they find, never by how busy the machine is or who started them.

A command is a process; the tests run thousands in one. What each process makes for itself, always the same, is made once.
"""

import gc
import signal

from hypothesis import HealthCheck, settings
from sqlalchemy import create_engine

from fhir_gateway.domain import recent
from fhir_gateway.fhir import validation
from fhir_gateway.ledger import database

settings.register_profile(
    "steady", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")

# Thousands of tests are collected, all to be kept: nothing of that is garbage.
gc.disable()


def pytest_collection_finish():
    gc.freeze()
    gc.enable()


# A shell that starts the tests in the background has them ignore Ctrl-C, which some of them are about.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What a schema is compiled to is kept when a load forgets its rows.
for _of_a_schema in (
    validation._schema,
    validation._validator,
    validation._names_validator,
    validation._elements_validator,
):
    recent._FORGETTING.remove(_of_a_schema.cache_clear)

_EVERY_LEDGER = create_engine("sqlite://", query_cache_size=5000)
_EVERY_LEDGER.connect().close()


def _create_ledgers_engine(url, **options):
    """Create an engine that shares with all others what statements are compiled to: it is kept by dialect."""
    engine = create_engine(url, _initialize=False, **options)
    engine.dialect = engine.pool._dialect = _EVERY_LEDGER.dialect
    engine._compiled_cache = _EVERY_LEDGER._compiled_cache
    return engine


database.create_engine = _create_ledgers_engine
