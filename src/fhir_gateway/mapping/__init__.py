"""Mappings: YAML compiled into functions that turn a source's rows into Patients and Immunizations. Pure, no I/O."""
