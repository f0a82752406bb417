"""The review road: an operator's answer posts at once, as a run of its own, and is remembered."""

from fhir_gateway.flows.review.answering import create, link, reject

__all__ = ["create", "link", "reject"]
