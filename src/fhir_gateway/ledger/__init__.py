"""The ledger: runs, spooled records, outcomes, known keys, reviews; SQLAlchemy Core over SQLite."""
