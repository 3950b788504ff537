"""SASL as Storm speaks it, at both ends: mechanisms without I/O."""
