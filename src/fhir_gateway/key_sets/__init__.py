"""The public keys that clients publish at an address of theirs."""
