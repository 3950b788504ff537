"""The tests; those in `tests/real` start real programs (a JVM, Storm, the daemon)."""
