"""Tests of pacemaker.cli.output.exit_codes."""

from __future__ import annotations

from pacemaker.cli.output import exit_codes


def test_exit_codes_differ() -> None:
    """No two ends of the program look alike to who started it."""
    codes = [
        exit_codes.OK,
        exit_codes.NO,
        exit_codes.USAGE,
        exit_codes.GENERATOR_BEHIND,
        exit_codes.IN_USE,
        exit_codes.CANNOT_LISTEN,
        exit_codes.UNEXPECTED,
        exit_codes.NO_ANSWER,
        exit_codes.NOT_AUTHORIZED,
        exit_codes.WRONG_CONFIGURATION,
        exit_codes.SIGNALLED,
    ]
    assert len(set(codes)) == len(codes)
