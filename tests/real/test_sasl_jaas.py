"""JAAS files, read by our parser and by the JDK's own."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacemaker.sasl.jaas import JaasError
from pacemaker.sasl.login import java_properties, keytab_path
from tests.real.jvm import JAVA_SOURCES, JavaProgram, compile_java
from tests.real.sasl_peer import encode
from tests.sasl.jaas_files import CASES, PROPERTIES, JaasCase, Wanted
from tests.sasl.test_jaas import read, read_all

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
        sections = read_all(text)
    except JaasError as exc:
        return exc.problem.startswith("expected the name of a section")
    modules = (module for section in sections.values() for module in section)
    return any(login_class is None for login_class, _ in modules)


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


class JavaFacts(JavaProgram):
    """What a JVM knows; see JavaFacts.java."""

    def __init__(self) -> None:
        classes = compile_java([JAVA_SOURCES / "JavaFacts.java"], "")
        package = "java.security.jgss/sun.security.krb5.internal.ktab"
        options = [f"--add-exports={package}=ALL-UNNAMED"]
        super().__init__("JavaFacts", [classes], options=options)

    def look_up(self, what: str, name: str) -> str | None:
        """Return a property, or what becomes of a keytab's name."""
        answer = self.ask(f"{what} {encode(name.encode())}")
        if answer == "-":
            return None
        return "" if answer == "=" else base64.b64decode(answer).decode()


@pytest.fixture(scope="module")
def facts() -> Iterator[JavaFacts]:
    """Give a JVM that says what it knows."""
    with JavaFacts() as program:
        yield program


def test_properties_are_those_of_a_jvm(facts: JavaFacts) -> None:
    """Each property that ours puts in has the value that a JVM here has."""
    for name, value in java_properties().items():
        assert facts.look_up("property", name) == value.reveal(), name


@pytest.mark.parametrize(
    "name",
    [
        *("/a", "FILE:/a", "file:/a", "File:/a", "file:///a", "file:file:/a", "a"),
        *(
            "srvtab:/a",
            "SRVTAB:/a",
            "any:/a",
            "MEMORY:a",
            "WRFILE:/a",
            "file",
            "afile:",
        ),
    ],
)
def test_keytab_is_found_where_a_jvm_finds_it(facts: JavaFacts, name: str) -> None:
    """What is written before the path of a keytab is taken off, or left, as in Java."""
    found = facts.look_up("keytab", name)
    assert found is not None
    assert keytab_path(name) == Path(found)
