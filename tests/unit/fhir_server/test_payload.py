import codecs

from fhir_gateway.fhir_server.payload import parse_json


def test_a_byte_order_mark_before_json_is_passed_over():
    assert parse_json(codecs.BOM_UTF8 + b'{"a": 1}') == {"a": 1}
