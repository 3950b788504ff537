"""The tests; `tests/real` starts real parts (a JVM, Storm, the daemon itself)."""
