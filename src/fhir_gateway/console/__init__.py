"""Web pages for auditors and operators, rendered on the server."""
