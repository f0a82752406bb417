"""The merge road: Patients that are one person become one, and are taken apart again."""
