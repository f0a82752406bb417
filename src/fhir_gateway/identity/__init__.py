"""Who is who: evidence weighed, vetoes, decisions, and which doses are one. Pure: no I/O, no clock."""
