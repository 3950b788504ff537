"""The relay's decisions, without I/O."""
