"""JAAS files, read by our parser and by the JDK's own."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacemaker.sasl.jaas import JaasError, parse_jaas
from pacemaker.sasl.secret import Secret
from tests.real.jvm import JAVA_SOURCES, JavaProgram, compile_java
from tests.real.sasl_peer import encode
from tests.sasl.jaas_files import CASES, PROPERTIES, JaasCase, Wanted
from tests.sasl.test_jaas import read

pytestmark = pytest.mark.real

GENERATED = 4000
SEED = 1_703


class JaasReader(JavaProgram):
    """The JDK's parser; see JaasReader.java."""

    def __init__(self) -> None:
        classes = compile_java([JAVA_SOURCES / "JaasReader.java"], "")
        options = [f"-D{name}={value}" for name, value in PROPERTIES.items()]
        super().__init__("JaasReader", [classes], options=options)

    def read(self, file: Path, names: list[str]) -> str:
        """Return what the JDK reads of some sections, or "refused"."""
        words = (encode(name.encode()) for name in names)
        return self.ask(" ".join([file.as_uri(), *words]))


@pytest.fixture(scope="module")
def jdk() -> Iterator[JaasReader]:
    """Give a JVM with its parser."""
    with JaasReader() as program:
        yield program


def as_jdk_writes(sections: Wanted | None) -> str:
    """Write what ours read in the form of JaasReader.java's answer."""
    if sections is None:
        return "refused"
    return " ".join(["read", *map(_section, sections.values())])


def _section(modules: list[tuple[str | None, dict[str, str]]]) -> str:
    if not modules:
        return "-"
    return "modules:" + "".join(
        f"{_word(name or '(none)')};"
        + "".join(f"{_word(key)}:{_word(options[key])}," for key in sorted(options))
        + "|"
        for name, options in modules
    )


def _word(text: str) -> str:
    return encode(text.encode())


@pytest.mark.parametrize("case", CASES, ids=lambda case: ascii(case.text))
def test_jdk_reads_as_listed(jdk: JaasReader, tmp_path: Path, case: JaasCase) -> None:
    """The table of JAAS files is right about the JDK."""
    file = tmp_path / "jaas.conf"
    file.write_bytes(case.text.encode())
    answer = jdk.read(file, list(case.sections or {}))
    assert (answer == as_jdk_writes(case.sections)) is case.jdk_agrees


FRAGMENTS = (
    *("A { m.C required k=v; };", 'B { m.D optional user="a b" k=w; };', "C { };"),
    *("A { k=v; };", 'D { x.Y REQUISITE k="${test.name}" ; z.Z sufficient; };'),
    *("// comment\n", "/* comment */", "/ comment\n", "\n", " ", "\t", "\r\n"),
    *("{", "}", ";", "=", '"', "'", "\\", "/", "*", "//", "/*", "*/", "9", "-", "."),
    *("$", "${", "${test.name}", "${{", "}}", "${test.empty}", "${no}", "required"),
    *("word", '"string"', "é", '"\\n\\101"', "k=v", "m.C required", "#", ",", "@"),
)


def generated(chance: random.Random) -> str:
    """Make up a file: some whole sections, a few of them cut or with odd things."""
    parts = chance.choices(FRAGMENTS[:12], k=chance.randint(1, 4))
    text = "".join(parts)
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        start = chance.randint(0, len(text))
        odd = chance.choice(FRAGMENTS) if chance.random() < 0.7 else ""
        text = text[:start] + odd + text[start + chance.randint(0, 2) :]
    return text


def differs_as_listed(text: str) -> bool:
    """Tell whether the JDK may decide otherwise, for one of the two listed reasons."""
    try:
        sections = parse_jaas(Secret(text), PROPERTIES)
    except JaasError as exc:
        return exc.problem.startswith("expected the name of a section")
    modules = (module for section in sections.values() for module in section)
    return any(module.login_class is None for module in modules)


def test_both_parsers_read_generated_files_alike(
    jdk: JaasReader, tmp_path: Path
) -> None:
    """Thousands of made-up files are read, or refused, as the JDK does it."""
    chance = random.Random(SEED)  # noqa: S311  # repeatable, not secret
    file = tmp_path / "jaas.conf"
    taken = refused = 0
    for _ in range(GENERATED):
        text = generated(chance)
        file.write_bytes(text.encode())
        ours = read(text)
        answer = jdk.read(file, list(ours or {}))
        if answer != as_jdk_writes(ours):
            assert differs_as_listed(text), f"{text!r}: {answer} instead of {ours}"
        taken += answer != "refused"
        refused += answer == "refused"
    assert min(taken, refused) > GENERATED // 10
