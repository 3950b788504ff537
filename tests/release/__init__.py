"""The artefacts: what is built from this repository, and how."""
