"""Tests of the wire: bytes to messages and back."""
