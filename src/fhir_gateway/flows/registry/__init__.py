"""The roads of a registry's pull: searches, reads, exports."""
