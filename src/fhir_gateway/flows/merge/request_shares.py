"""Who is charged for requests that several merges made together."""

from collections.abc import Callable, Mapping


class RequestShares:
    """Counts a client's requests and deals them out by weight, so that the shares add up to what was really sent."""

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count
        self._dealt = count()

    def since_last(self, weights: Mapping[int, int]) -> dict[int, int]:
        """Deal out what was sent since the last dealing; with no weights at all it is left for the next one."""
        return dealt(self.taken(), weights) if weights else {}

    def taken(self) -> int:
        """Take what was sent since the last dealing out of the count, for somebody else to deal out."""
        total = self._count() - self._dealt
        self._dealt += total
        return total


def dealt(total: int, weights: Mapping[int, int]) -> dict[int, int]:
    """Return whole shares of `total` in proportion to the weights (largest remainder), which add up to it."""
    sum_of_weights = sum(weights.values())
    if not sum_of_weights:
        weights, sum_of_weights = dict.fromkeys(weights, 1), len(weights)
    shares = {key: total * weight // sum_of_weights for key, weight in weights.items()}
    left = total - sum(shares.values())
    by_remainder = sorted(weights, key=lambda key: (-(total * weights[key] % sum_of_weights), key))
    for key in by_remainder[:left]:
        shares[key] += 1
    return shares
