"""What is counted of the server, for Prometheus: routes and statuses, never an id or a value."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
MEDIA_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """The server's counters in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "fhir_gateway_http_requests",
            "Requests answered, by route (its pattern, not its path).",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "fhir_gateway_http_request_seconds",
            "Seconds from a request's head to the end of its answer.",
            ("route",),
            registry=self.registry,
        )
        self._in_progress = Gauge(
            "fhir_gateway_http_requests_in_progress", "Requests that are being answered.", registry=self.registry
        )
        self._environments = Gauge(
            "fhir_gateway_environments_open", "Environments that are open.", registry=self.registry
        )

    def begin(self) -> None:
        """Count a request that has come in."""
        self._in_progress.inc()

    def end(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered; `route` is the pattern that it fitted."""
        self._in_progress.dec()
        known = method if method in METHODS else "other"
        self._requests.labels(known, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self, *, environments: int) -> bytes:
        """Return everything in Prometheus' text form."""
        self._environments.set(environments)
        return generate_latest(self.registry)
