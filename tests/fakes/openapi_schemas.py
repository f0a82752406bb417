"""What the OpenAPI document says of answers, held against real ones."""

import jsonschema_rs


class Schemas:
    """The schemas that the document has of answers, read strictly: a key that no schema names is a fault."""

    def __init__(self, document):
        self._paths = document["paths"]
        self._components = {name: self._strict(each) for name, each in document["components"]["schemas"].items()}

    @staticmethod
    def _strict(schema):
        return {"additionalProperties": False} | schema if schema.get("properties") else schema

    def check(self, answer, operation):
        """Assert that an answer is what the document says of an operation, (method, path), with its status."""
        method, path = operation
        kind = answer.headers["content-type"].partition(";")[0]
        schema = self._paths[path][method]["responses"][str(answer.status_code)]["content"][kind]["schema"]
        assert "$ref" in schema, operation
        whole = {"components": {"schemas": self._components}, **schema}
        validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        assert [f"{each.instance_path}: {each.message}" for each in validator.iter_errors(answer.json())] == []
