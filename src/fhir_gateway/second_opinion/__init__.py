"""What another model of record linkage says of pairs of people, where the extra `linkage` is installed."""
