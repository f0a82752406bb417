"""The Merkle tree of RFC 9162 (section 2.1) with SHA-256: roots, and proofs for those who hold a root."""

from collections.abc import Iterable, Sequence

from fhir_gateway.audit.verify_history import Tree, count_leaf, leaf_hash, node_hash

__all__ = ["Prover", "Tree", "count_leaf", "leaf_hash", "node_hash", "root_of"]


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the root over leaves' hashes."""
    tree = Tree()
    for leaf in leaves:
        tree.add(leaf)
    return tree.root()


class Prover:
    """Proves things of the tree over `leaves` (their hashes); what proofs have in common is computed once."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._leaves = leaves
        self._roots: dict[tuple[int, int], bytes] = {}

    def inclusion(self, index: int) -> list[bytes]:
        """Return the path (RFC 9162, 2.1.3.1) of the leaf at `index`, counted from 0.

        Raises ValueError where there is no such leaf.
        """
        if not 0 <= index < len(self._leaves):
            raise ValueError(f"a tree of {len(self._leaves)} leaves has none at {index}")
        start, end, path = 0, len(self._leaves), []
        while end - start > 1:
            middle = start + _split(end - start)
            if index < middle:
                path.append(self._root(middle, end))
                end = middle
            else:
                path.append(self._root(start, middle))
                start = middle
        return path[::-1]

    def consistency(self, earlier: int) -> list[bytes]:
        """Return the proof (RFC 9162, 2.1.4.1) that the tree over the first `earlier` leaves was this one's beginning.

        Raises ValueError unless 0 < earlier <= the number of leaves.
        """
        if not 0 < earlier <= len(self._leaves):
            raise ValueError(f"a tree of {len(self._leaves)} leaves never had {earlier}")
        start, end, path = 0, len(self._leaves), []
        while end != earlier:
            middle = start + _split(end - start)
            if earlier <= middle:
                path.append(self._root(middle, end))
                end = middle
            else:
                path.append(self._root(start, middle))
                start = middle
        return path[::-1] if start == 0 else [self._root(start, end), *path[::-1]]

    def _root(self, start: int, end: int) -> bytes:
        if (start, end) not in self._roots:
            self._roots[start, end] = root_of(self._leaves[start:end])
        return self._roots[start, end]


def _split(size: int) -> int:
    """Return the largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)
