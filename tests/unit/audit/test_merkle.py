"""The tree is that of RFC 9162: known vectors, and an independent implementation that follows the text's recursion."""

import hashlib
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.audit.merkle import Prover, Tree, count_leaf, leaf_hash, node_hash, root_of
from fhir_gateway.audit.verify_history import MergeCounts, verifies_consistency, verifies_inclusion

# The leaves and roots that the authors of Certificate Transparency test their own implementations with.
KNOWN_LEAVES = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
KNOWN_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
EMPTY_ROOT = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def leaves(count):
    return [leaf_hash(str(n).encode()) for n in range(count)]


def mth(nodes):
    """RFC 9162, 2.1.1, by its recursion."""
    if not nodes:
        return hashlib.sha256().digest()
    if len(nodes) == 1:
        return nodes[0]
    k = largest_power_below(len(nodes))
    return hashlib.sha256(b"\x01" + mth(nodes[:k]) + mth(nodes[k:])).digest()


def path(m, nodes):
    """RFC 9162, 2.1.3.1, by its recursion."""
    if len(nodes) == 1:
        return []
    k = largest_power_below(len(nodes))
    return [*path(m, nodes[:k]), mth(nodes[k:])] if m < k else [*path(m - k, nodes[k:]), mth(nodes[:k])]


def subproof(m, nodes, *, whole=True):
    """RFC 9162, 2.1.4.1, by its recursion."""
    if m == len(nodes):
        return [] if whole else [mth(nodes)]
    k = largest_power_below(len(nodes))
    if m <= k:
        return [*subproof(m, nodes[:k], whole=whole), mth(nodes[k:])]
    return [*subproof(m - k, nodes[k:], whole=False), mth(nodes[:k])]


def largest_power_below(n):
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def test_the_roots_are_those_that_the_authors_publish():
    tree = Tree()
    assert tree.root().hex() == EMPTY_ROOT
    for leaf, root in zip(KNOWN_LEAVES, KNOWN_ROOTS, strict=True):
        tree.add(leaf_hash(bytes.fromhex(leaf)))
        assert tree.root().hex() == root
    assert tree.size == 8


@pytest.mark.parametrize("size", range(1, 40))
def test_proofs_are_those_of_the_text(size):
    nodes = leaves(size)
    prover, root = Prover(nodes), mth(nodes)
    assert root_of(nodes) == root
    for index in range(size):
        assert prover.inclusion(index) == path(index, nodes)
        assert verifies_inclusion(leaf=nodes[index], index=index, size=size, path=path(index, nodes), root=root)
    for earlier in range(1, size + 1):
        proof = subproof(earlier, nodes)
        assert prover.consistency(earlier) == proof
        assert verifies_consistency(
            earlier=earlier, earlier_root=mth(nodes[:earlier]), size=size, root=root, path=proof
        )


@settings(derandomize=True, max_examples=300)
@given(st.data())
def test_a_proof_that_was_tampered_with_proves_nothing(data):
    size = data.draw(st.integers(2, 70))
    index = data.draw(st.integers(0, size - 1))
    nodes = leaves(size)
    root, proof = root_of(nodes), Prover(nodes).inclusion(index)
    wrong = data.draw(st.integers(0, len(proof) - 1))
    flipped = [*proof]
    flipped[wrong] = node_hash(flipped[wrong], b"")
    other = data.draw(st.integers(0, size - 1).filter(lambda n: n != index))
    tries = [
        {"leaf": nodes[index], "index": index, "path": flipped},
        {"leaf": nodes[index], "index": index, "path": proof[:-1]},
        {"leaf": nodes[index], "index": index, "path": [*proof, root]},
        {"leaf": nodes[other], "index": index, "path": proof},
        {"leaf": nodes[index], "index": size + index, "path": proof},
        {"leaf": nodes[index], "index": -1, "path": proof},
    ]
    assert not any(verifies_inclusion(size=size, root=root, **one) for one in tries)


@settings(derandomize=True, max_examples=300)
@given(st.data())
def test_a_history_that_was_written_anew_is_not_consistent(data):
    size = data.draw(st.integers(2, 70))
    earlier = data.draw(st.integers(1, size))
    changed = data.draw(st.integers(0, earlier - 1))
    old, new = leaves(size), leaves(size)
    new[changed] = leaf_hash(b"something else")
    sides = {"earlier": earlier, "earlier_root": root_of(old[:earlier]), "size": size, "root": root_of(new)}
    assert not verifies_consistency(path=Prover(new).consistency(earlier), **sides)
    assert not verifies_consistency(path=Prover(old).consistency(earlier), **sides)
    assert not verifies_consistency(path=[], **sides)


@settings(derandomize=True, max_examples=300)
@given(st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=120))
def test_counts_that_grow_have_the_root_of_all_their_leaves(steps):
    counts, told = MergeCounts(), Counter()
    for merge, look in steps:
        counts.add(merge)
        told[merge] += 1
        if look:
            counts.root()
    leaves = [count_leaf(merge, told[merge]) for merge in range(1, max(told, default=0) + 1)]
    assert (counts.root(), len(counts)) == (root_of(leaves), len(leaves))


def test_proofs_of_what_is_not_there_are_refused():
    for wrong in (-1, 3):
        with pytest.raises(ValueError, match="has none"):
            Prover(leaves(3)).inclusion(wrong)
    for wrong in (0, 4):
        with pytest.raises(ValueError, match="never had"):
            Prover(leaves(3)).consistency(wrong)
        assert not verifies_consistency(earlier=wrong, earlier_root=b"", size=3, root=root_of(leaves(3)), path=[])
