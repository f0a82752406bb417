"""The Splink model for people: what is compared and how it is estimated. It needs nothing but Splink, which is handed in.

It is what Splink's documentation recommends (https://moj-analytical-services.github.io/splink/): u by random sampling, m
by expectation maximisation over two blockings, term frequencies for names. The columns are name, first (word), nik, born,
gender, mother, phone, place. benchmarks/identity/splink_model.py measures this very model in an interpreter of its own.
"""

from collections.abc import Sequence
from typing import Any

_SEED = 1
_MOST_PAIRS = 2e6
_TRAINED_ON = (("born", "first"), ("nik",), ("name", "gender"), ("phone", "first"))
_TRAININGS = 2
"""By two of these in turn every comparison is estimated where it was not held equal."""


def settings_of(splink: Any, library: Any, blocking: Sequence[Any]) -> Any:
    """Return the model's settings; `library` is splink.comparison_library, `blocking` says who is compared."""
    return splink.SettingsCreator(
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
        blocking_rules_to_generate_predictions=list(blocking),
        retain_intermediate_calculation_columns=False,
        retain_matching_columns=False,
    )


def estimate(linker: Any, block_on: Any, failures: tuple[type[Exception], ...]) -> bool:
    """Estimate the model; return False where too few of the people are alike for it, which Splink tells by `failures`."""
    training = linker.training
    estimated = 0
    try:
        training.estimate_probability_two_random_records_match([block_on("nik"), block_on("name", "born")], recall=0.8)
        training.estimate_u_using_random_sampling(max_pairs=_MOST_PAIRS, seed=_SEED)
    except failures:
        return False
    for columns in _TRAINED_ON:
        try:
            training.estimate_parameters_using_expectation_maximisation(block_on(*columns))
        except failures:  # nobody agrees in these columns
            continue
        estimated += 1
        if estimated == _TRAININGS:
            return True
    return False
