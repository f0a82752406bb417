"""What lives while `serve` runs: opened environments, access keys, jobs, the registry endpoint; all without HTTP."""
