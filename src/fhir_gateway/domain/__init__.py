"""The types on the arrows of a record's road, the systems of identifiers, and the errors."""
