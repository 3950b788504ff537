"""What turns this repository into artefacts: dist, man pages, packages, the manual."""
