"""Build the release artefacts: distributions, man pages, packages and the manual."""
