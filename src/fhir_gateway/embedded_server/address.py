"""Where the embedded server is, as its clients in the same process name it: known without importing the server."""

BASE_URL = "http://embedded/fhir"
