"""Splink 5 on DuckDB over a CSV of people; run by linkage.py with an interpreter that has both.

    python splink_model.py PEOPLE.csv CLUSTERS.json THRESHOLD…

The model is what Splink's documentation recommends for people: u by random sampling, m by expectation maximisation over
two blockings, term frequencies for names. Blocking is wide, so that no candidate is lost to it.
"""

import json
import logging
import sys
from pathlib import Path

import duckdb
import splink.comparison_library as cl
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

_SEED = 1


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
    settings = SettingsCreator(
        link_type="dedupe_only",
        comparisons=[
            cl.JaroWinklerAtThresholds("name", [0.95, 0.9, 0.8]).configure(term_frequency_adjustments=True),
            cl.DamerauLevenshteinAtThresholds("nik", [1, 2]),
            cl.DateOfBirthComparison("born", input_is_string=True),
            cl.ExactMatch("gender"),
            cl.JaroWinklerAtThresholds("mother", [0.95, 0.85]).configure(term_frequency_adjustments=True),
            cl.ExactMatch("phone"),
            cl.JaroWinklerAtThresholds("place", [0.9]),
        ],
        blocking_rules_to_generate_predictions=[
            block_on("nik"),
            block_on("born", "gender"),
            block_on("phone"),
            block_on("name"),
            block_on("first", "mother"),
        ],
        retain_intermediate_calculation_columns=False,
        retain_matching_columns=False,
    )
    linker = Linker(DuckDBAPI(connection=connection).register("people"), settings, log_level=logging.ERROR)
    training = linker.training
    training.estimate_probability_two_random_records_match([block_on("nik"), block_on("name", "born")], recall=0.8)
    training.estimate_u_using_random_sampling(max_pairs=5e6, seed=_SEED)
    training.estimate_parameters_using_expectation_maximisation(block_on("born"))
    training.estimate_parameters_using_expectation_maximisation(block_on("nik"))
    pairs = linker.inference.predict(threshold_match_weight=min(thresholds))
    found = {}
    for threshold in thresholds:
        clustered = linker.clustering.cluster_pairwise_predictions_at_threshold(pairs, threshold_match_weight=threshold)
        rows = connection.execute(f"SELECT cluster_id FROM {clustered.physical_name} ORDER BY unique_id").fetchall()
        found[str(threshold)] = [str(row[0]) for row in rows]
    clusters.write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [float(word) for word in sys.argv[3:]])
