"""`python -m fhir_gateway` is the command `fhir-gateway`."""

from fhir_gateway.cli.start import main

if __name__ == "__main__":
    main()
