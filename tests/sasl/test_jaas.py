"""Tests of pacemaker.sasl.jaas."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacemaker.sasl.jaas import JaasError, parse_jaas
from pacemaker.sasl.secret import Secret
from tests.sasl.jaas_files import CASES, PROPERTIES, JaasCase, Wanted

SECRETS = {name: Secret(value) for name, value in PROPERTIES.items()}


def read_all(text: str) -> Wanted:
    """Read a text into plain values, each property of each section put in."""
    return {
        name: [
            (
                module.login_class,
                {k: v.expand(SECRETS).reveal() for k, v in module.options.items()},
            )
            for module in modules
        ]
        for name, modules in parse_jaas(Secret(text)).items()
    }


def read(text: str) -> Wanted | None:
    """Read a text into plain values; None if it is refused."""
    try:
        return read_all(text)
    except JaasError:
        return None


@pytest.mark.parametrize("case", CASES, ids=lambda case: ascii(case.text))
def test_parse_jaas_reads_as_listed(case: JaasCase) -> None:
    """Each file gives what the table has, or is refused."""
    assert read(case.text) == case.sections


@pytest.mark.parametrize(
    ("text", "report"),
    [
        ("A {\n  m.C required\n  k=v\n};", "line 4: expected the name of an option"),
        ("A { };\n\nA { };", "line 3: the section A appears twice"),
        (
            "A {\n m.C\n needed; };",
            "line 3: the flag must be one of OPTIONAL, REQUIRED",
        ),
        ("A {\n/*\n\n*/ m.C =;", "line 4: expected a value, found ';'"),
        ('A { m.C required k="${x}"; };', "line 1: unknown property 'x'"),
        ("A {", "line 1: expected a login module, or '}', found the end of the file"),
    ],
)
def test_parse_jaas_says_where_and_what(text: str, report: str) -> None:
    """An error names the line, what is due there and what was found."""
    with pytest.raises(JaasError) as caught:
        read_all(text)
    assert str(caught.value).startswith(report)


def test_parse_jaas_puts_in_no_property_before_it_is_needed() -> None:
    """A file with properties of others is read; who needs the value is refused it."""
    sections = parse_jaas(
        Secret('A { m.C required k="${theirs}"; };\nB { m.C required k=v; };')
    )
    assert sections["B"][0].options["k"].expand({}).reveal() == "v"
    with pytest.raises(JaasError, match="line 1: unknown property 'theirs'"):
        sections["A"][0].options["k"].expand({})


def test_module_knows_where_it_begins() -> None:
    """Each module has its line, with or without a class."""
    sections = parse_jaas(Secret("A {\n m.C\n required\n k=v;\n j=w; };"))
    assert [(module.login_class, module.line) for module in sections["A"]] == [
        ("m.C", 2),
        (None, 5),
    ]


def test_parse_jaas_errors_quote_no_value() -> None:
    """A password in the wrong place does not get into the message."""
    with pytest.raises(JaasError) as caught:
        parse_jaas(Secret('A { m.C "hunter2"; };'))
    assert "hunter2" not in str(caught.value)
    with pytest.raises(JaasError) as caught:
        parse_jaas(Secret('A { m.C required k=v "hunter2" ; };'))
    assert "hunter2" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "A { m.C required " + 'k="' + "\\" * 2_000_000,
        "/" * 2_000_000,
        "/*" * 1_000_000,
        "A { " * 500_000,
        'A { m.C required k="' + "${{" * 700_000 + '"; };',
        'A { m.C required k="' + "${{a}}" * 300_000 + '"; };',
        "A { m.C required " + "k=v " * 300_000 + "; };",
        "".join(f"A{number} {{ }};\n" for number in range(100_000)),
        "\n" * 2_000_000,
    ],
    ids=lambda text: text[:24],
)
@pytest.mark.timeout(20)
def test_parse_jaas_takes_long_files(text: str) -> None:
    """Megabytes of anything are read in seconds, without deep recursion."""
    with contextlib.suppress(JaasError):
        read_all(text)


@given(st.text(st.sampled_from('A1.-=;{}"\\/*$\n 07n\u00e9'), max_size=60))
def test_parse_jaas_reads_or_refuses_any_text(text: str) -> None:
    """Whatever the text: sections or JaasError."""
    with contextlib.suppress(JaasError):
        read_all(text)
