"""The Merkle tree over the history of merges, its proofs and checkpoints; pure."""
