"""Splink 5 on DuckDB over a CSV of people; run by linkage.py with an interpreter that has both.

    python splink_model.py PEOPLE.csv CLUSTERS.json THRESHOLD…

The model is that of `merge find --second-opinion` (second_opinion/linkage_model.py), read as a file, as the gateway is
not installed there. Blocking is wide, so that no candidate is lost to it.
"""

import json
import logging
import sys
from pathlib import Path

import duckdb
import splink
import splink.comparison_library as cl
from splink import DuckDBAPI, Linker, block_on

sys.path.append(str(Path(__file__).resolve().parents[2] / "src/fhir_gateway/second_opinion"))
from linkage_model import estimate, settings_of


def main(people: Path, clusters: Path, thresholds: list[float]) -> None:
    """Write every person's cluster at every threshold (a match weight in bits)."""
    logging.getLogger("splink").setLevel(logging.ERROR)
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE people AS SELECT CAST(unique_id AS BIGINT) AS unique_id, "
        + ", ".join(
            f"NULLIF({column}, '') AS {column}"
            for column in ("name", "nik", "born", "gender", "mother", "phone", "place")
        )
        + ", SPLIT_PART(name, ' ', 1) AS first FROM read_csv(?, all_varchar = true, header = true)",
        [str(people)],
    )
    wide = [("nik",), ("born", "gender"), ("phone",), ("name",), ("first", "mother")]
    settings = settings_of(splink, cl, [block_on(*columns) for columns in wide])
    linker = Linker(DuckDBAPI(connection=connection).register("people"), settings, log_level=logging.ERROR)
    if not estimate(linker, block_on, ()):
        sys.exit("too few of these people are alike: no model can be estimated")
    pairs = linker.inference.predict(threshold_match_weight=min(thresholds))
    found = {}
    for threshold in thresholds:
        clustered = linker.clustering.cluster_pairwise_predictions_at_threshold(pairs, threshold_match_weight=threshold)
        rows = connection.execute(f"SELECT cluster_id FROM {clustered.physical_name} ORDER BY unique_id").fetchall()
        found[str(threshold)] = [str(row[0]) for row in rows]
    clusters.write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [float(word) for word in sys.argv[3:]])
