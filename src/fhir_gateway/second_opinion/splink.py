"""Splink on DuckDB: a model estimated on all people of a server, asked about the pairs that were found.

The model is what Splink's documentation recommends for people: u by random sampling, m by expectation maximisation over
two blockings, term frequencies for names (https://moj-analytical-services.github.io/splink/). It knows neither vetoes nor
families: it is asked, it decides nothing.
"""

import importlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from fhir_gateway.domain.errors import UsageError

COLUMNS = ("id", "name", "first", "nik", "born", "gender", "mother", "phone", "place")
FEWEST = 1_000
"""Of fewer people no model can be estimated."""
_ALONE = {
    "temp_directory": "",
    "max_temp_directory_size": "0KB",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
"""DuckDB writes nothing to disk, and fetches nothing."""
_ROWS_TOGETHER = 50_000
_SEED = 1
_MOST_PAIRS = 2e6
_TRAINED_ON = (("born", "first"), ("nik",), ("name", "gender"), ("phone", "first"))
_TRAININGS = 2
"""By two of these in turn every comparison is estimated where it was not held equal."""
_NOT_INSTALLED = (
    "a second opinion needs Splink, which is not installed: install the extra, pip install 'fhir-gateway[linkage]'"
    " (versions that are known to work stand in requirements/linkage.txt)"
)

Row = Mapping[str, str]


class SplinkOpinion:
    """Fulfils ports.SecondOpinion; everything stays in memory (about 0.75 GB for a million people)."""

    name = "Splink"

    def __init__(self) -> None:
        """Raise UsageError where Splink or DuckDB is not installed."""
        try:
            self._duckdb: Any = importlib.import_module("duckdb")
            self._splink: Any = importlib.import_module("splink")
            self._comparisons: Any = importlib.import_module("splink.comparison_library")
            self._arrow: Any = importlib.import_module("pyarrow")
            failed: Any = importlib.import_module("splink.internals.exceptions").SplinkException
        except ImportError:
            raise UsageError(_NOT_INSTALLED) from None
        self._errors = (failed, ValueError)  # the latter where a probability that is estimated comes to 0

    def probabilities(self, people: Iterable[Row], pairs: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], float]:
        """Return the probability of each pair; none where there are too few people, or too few alike, for a model."""
        connection = self._duckdb.connect(config=_ALONE)
        try:
            connection.execute("SET enable_progress_bar = false")  # it would stand on stdout
            if self._fill(connection, people, pairs) < FEWEST:
                return {}
            return self._asked(connection)
        finally:
            connection.close()

    def _fill(self, connection: Any, people: Iterable[Row], pairs: Sequence[tuple[str, str]]) -> int:
        """Write the people, each id once, and who stands in a pair; return how many people there are."""
        columns = ", ".join(f"{name} VARCHAR" for name in COLUMNS)
        connection.execute(f"CREATE TABLE read (number BIGINT, {columns})")
        for table in self._tables(people):
            connection.register("chunk", table)
            connection.execute(f"INSERT INTO read SELECT number, {', '.join(COLUMNS)} FROM chunk")  # noqa: S608 - its own columns
            connection.unregister("chunk")
        wanted = self._arrow.table({"one": [one for one, _ in pairs], "other": [other for _, other in pairs]})
        connection.register("chunk", wanted)
        connection.execute("CREATE TABLE pairs AS SELECT one, other, row_number() OVER () AS pair FROM chunk")
        blank = ", ".join(f"nullif({name}, '') AS {name}" for name in COLUMNS if name != "id")
        connection.execute(
            f"CREATE TABLE people AS SELECT id AS unique_id, {blank}, coalesce(asked.pairs, []) AS pairs"  # noqa: S608 - its own columns
            " FROM (SELECT * FROM read QUALIFY row_number() OVER (PARTITION BY id ORDER BY number DESC) = 1)"
            " LEFT JOIN (SELECT id AS asked_id, list(pair) AS pairs FROM (SELECT one AS id, pair FROM pairs"
            " UNION ALL SELECT other, pair FROM pairs) GROUP BY id) AS asked ON asked_id = id"
        )
        return int(connection.execute("SELECT count(*) FROM people").fetchall()[0][0])

    def _tables(self, people: Iterable[Row]) -> Iterator[Any]:
        rows = iter(people)
        number = 0
        while together := list(islice(rows, _ROWS_TOGETHER)):
            columns: dict[str, list[Any]] = {name: [row[name] for row in together] for name in COLUMNS}
            columns["number"] = list(range(number, number + len(together)))
            number += len(together)
            yield self._arrow.table(columns)

    def _asked(self, connection: Any) -> Mapping[tuple[str, str], float]:
        logging.getLogger("splink").setLevel(logging.ERROR)
        database = self._splink.DuckDBAPI(connection=connection)
        linker = self._splink.Linker(database.register("people"), self._settings(), log_level=logging.ERROR)
        if not self._trained(linker):
            return {}
        predicted = linker.inference.predict()
        rows = connection.execute(
            f"SELECT one, other, max(match_probability) FROM {predicted.physical_name}"  # noqa: S608 - Splink's table
            " JOIN pairs ON least(one, other) = least(unique_id_l, unique_id_r)"
            " AND greatest(one, other) = greatest(unique_id_l, unique_id_r) GROUP BY one, other"
        ).fetchall()
        return {(str(one), str(other)): float(probability) for one, other, probability in rows}

    def _settings(self) -> Any:
        library, block_on = self._comparisons, self._splink.block_on
        return self._splink.SettingsCreator(
            link_type="dedupe_only",
            comparisons=[
                library.JaroWinklerAtThresholds("name", [0.95, 0.9, 0.8]).configure(term_frequency_adjustments=True),
                library.DamerauLevenshteinAtThresholds("nik", [1, 2]),
                library.DateOfBirthComparison("born", input_is_string=True),
                library.ExactMatch("gender"),
                library.JaroWinklerAtThresholds("mother", [0.95, 0.85]).configure(term_frequency_adjustments=True),
                library.ExactMatch("phone"),
                library.JaroWinklerAtThresholds("place", [0.9]),
            ],
            blocking_rules_to_generate_predictions=[block_on("pairs", arrays_to_explode=["pairs"])],
            retain_intermediate_calculation_columns=False,
            retain_matching_columns=False,
        )

    def _trained(self, linker: Any) -> bool:
        """Estimate the model; False where too few of the people are alike for it."""
        block_on, training = self._splink.block_on, linker.training
        estimated = 0
        try:
            training.estimate_probability_two_random_records_match(
                [block_on("nik"), block_on("name", "born")], recall=0.8
            )
            training.estimate_u_using_random_sampling(max_pairs=_MOST_PAIRS, seed=_SEED)
        except self._errors:
            return False
        for columns in _TRAINED_ON:
            try:
                training.estimate_parameters_using_expectation_maximisation(block_on(*columns))
            except self._errors:  # nobody agrees in these columns
                continue
            estimated += 1
            if estimated == _TRAININGS:
                return True
        return False
