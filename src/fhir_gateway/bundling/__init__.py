"""Pure: what a Patient or Immunization becomes when records are added to it or correct it."""
