"""Bulk exports of one environment: jobs that survive the server, and the files that they leave."""
