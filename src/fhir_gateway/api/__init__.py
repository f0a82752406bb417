"""HTTP: one file per resource of the contract, problems as OperationOutcomes."""
