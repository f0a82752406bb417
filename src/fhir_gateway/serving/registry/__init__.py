"""An environment as registries see it: who gets in, what is answered, and what is written down of it."""
