"""What can go wrong, as types; a bad row or a refused entry is a value (see records and posting), not an exception.

GatewayError                     everything that the gateway raises on purpose
├── UsageError                   wrong usage, exit code 2
│   ├── ConfigurationError       environment or mapping files, all their problems at once
│   ├── SourceError              the input file as a whole cannot be read
│   └── ReportError              the report cannot be written
├── LedgerError                  the ledger is newer, damaged or used by another run
├── InterruptedRunError          could not finish, the run can be resumed, exit code 1
└── ServerError                  the FHIR server
    ├── TransientServerError     may go away by itself; retry_after in seconds where the server named it
    ├── PermanentServerError     will not go away by itself
    │   └── AccessRefusedError   the credentials are missing, wrong or not allowed to: nothing can be sent with them
    ├── PageExpiredError         the next page of a search is gone: the search has to begin again
    └── UntrustedAnswerError     a 200 whose content cannot be what was asked for
"""

from collections.abc import Sequence
from dataclasses import dataclass


class GatewayError(Exception):
    """An error whose message says what, where and what to do, and holds no patient's data."""


class UsageError(GatewayError):
    """Wrong usage, configuration, mapping, source file or report path."""


@dataclass(frozen=True, slots=True)
class ConfigurationProblem:
    """One fault in a configuration or mapping file; line and column are 1-based, 0 where unknown."""

    file: str
    line: int
    column: int
    message: str
    suggestion: str = ""

    def __str__(self) -> str:
        place = self.file + (f":{self.line}:{self.column}" if self.line else "")
        return f"{place}: {self.message}" + (f" ({self.suggestion})" if self.suggestion else "")


class ConfigurationError(UsageError):
    """Faults of configuration or mapping files, all at once; one of a file that several mappings share stands once."""

    def __init__(self, problems: Sequence[ConfigurationProblem]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class SourceError(UsageError):
    """The input file as a whole cannot be read."""


class ReportError(UsageError):
    """The report cannot be written."""


class LedgerError(GatewayError):
    """The ledger cannot be used: it is of a newer version, damaged, or a load runs in it."""


class InterruptedRunError(GatewayError):
    """The run could not finish and can be resumed."""


class ServerError(GatewayError):
    """The FHIR server did not do what was asked."""


class TransientServerError(ServerError):
    """May go away by itself; retry_after is in seconds, None where the server named none."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class PermanentServerError(ServerError):
    """Will not go away by itself; status is the HTTP status, 0 where there was none."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        self.status = status
        super().__init__(message)


class AccessRefusedError(PermanentServerError):
    """The server takes no request with these credentials (401), or does not permit this one (403)."""


class UntrustedAnswerError(PermanentServerError):
    """The server answered 200 with something that cannot be the answer to what was asked."""


class PageExpiredError(ServerError):
    """The next page of a search is gone: the search has to begin again."""
