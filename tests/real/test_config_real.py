"""Storm's own reader (2.8.3) and ours read the same files and options alike."""

from __future__ import annotations

import json
import random
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest

from pacemaker.config import Settings, load_configuration
from pacemaker.config.files import read_storm_yaml
from pacemaker.config.keys import KEYS, RELAY_SERVERS
from pacemaker.config.layers import option_layers
from pacemaker.config.lookalikes import ignored_keys
from pacemaker.config.storm_defaults import BY_KEY
from pacemaker.config.yaml_reader import Timestamp, parse_yaml
from pacemaker.errors import ConfigError
from tests.real.jvm import (
    JAVA_SOURCES,
    NEWEST_RELEASE,
    RELEASES,
    JavaProgram,
    compile_java,
    storm_classpath,
)

GENERATED_FILES = 250
"""For each seed."""

pytestmark = pytest.mark.real


@dataclass(frozen=True)
class Answer:
    """What Storm makes of a case.

    Attributes:
        values: what it merged, as JSON; None where it could not read it.
        refused: why its Pacemaker would not start; None where it would.

    """

    values: dict[str, Any] | None
    refused: str | None


class StormReader:
    """Storm's reader, in one JVM for all cases."""

    def __init__(self, java: JavaProgram) -> None:
        self._java = java

    def read(self, folder: Path, *options: str, config_file: str = "") -> Answer:
        """Read the configuration of a folder as `storm pacemaker` does."""
        joined = ",".join(quote_plus(option) for option in options)
        answer = json.loads(self._java.ask(f"{folder}\t{config_file}\t{joined}"))
        return Answer(answer.get("values"), answer["refused"])


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StormReader]:
    """Start Storm's reader."""
    jars = storm_classpath(NEWEST_RELEASE)
    classes = compile_java([JAVA_SOURCES / "ReadConfig.java"], jars)
    # Storm reads files in the charset of the JVM; ours is always UTF-8.
    utf_8 = "-Dfile.encoding=UTF-8"
    with JavaProgram("ReadConfig", [classes, jars], options=[utf_8]) as java:
        reader = StormReader(java)
        # Classes of Storm's that cannot read the first file they see stay unusable.
        reader.read(tmp_path_factory.mktemp("empty"))
        yield reader


def as_json(value: object) -> object:
    """Return a value of ours in the form in which ReadConfig writes Storm's."""
    if isinstance(value, Timestamp):
        return "a date"
    if isinstance(value, bytes):
        return {"$bytes": value.decode("latin-1")}
    if isinstance(value, float):
        return {"$double": value}
    if isinstance(value, set):
        return {"$set": sorted(value)}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    return value


def comparable(value: object) -> object:
    """Return a value of Storm's with its numbers and dates in one spelling."""
    if isinstance(value, list):
        return [comparable(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$date" in value:
        return "a date"
    if "$double" in value:
        return {"$double": float(value["$double"].replace("Infinity", "inf"))}
    if "$set" in value:
        return {"$set": sorted(value["$set"])}
    if "$pairs" in value:
        # Keys that are no strings: written as pairs, and of no interest here.
        pairs = [pair for pair in value["$pairs"] if isinstance(pair[0], str)]
        return {key: comparable(item) for key, item in pairs}
    return {key: comparable(item) for key, item in value.items()}


def of_storm(answer: Answer, keys: Mapping[str, object]) -> object:
    """Return those values of Storm's that the case has set."""
    found = comparable(answer.values)
    assert isinstance(found, dict)
    return {key: found.get(key, "missing") for key in keys}


def values_agree(storm: StormReader, folder: Path, text: str) -> bool:
    """Check that both read the same values, or neither can read the file.

    Returns:
        Whether they read it.

    """
    (folder / "storm.yaml").write_bytes(text.encode())
    answer = storm.read(folder)
    try:
        ours = parse_yaml(text, "storm.yaml")
    except ConfigError:
        assert answer.values is None, text
        return False
    assert answer.values is not None, (text, answer.refused)
    assert of_storm(answer, ours) == as_json(ours), text
    return True


def refusal(folder: Path, *options: str) -> str | None:
    """Return why ours would not start; None where it would."""
    try:
        load_configuration({"STORM_CONF_DIR": str(folder)}, options=options)
    except ConfigError as exc:
        return str(exc)
    return None


FILES = {
    "plain": "pacemaker.port: 7001\npacemaker.servers:\n  - a\n  - b\n",
    "empty": "",
    "comments": "# storm.zookeeper.servers:\n#   - server1\n",
    "bare document": "---\n",
    "integers": "a: 010\nb: 0x1A2B\nc: 0b11\nd: 1_000\ne: +5\nf: -0x10\ng: 0_7\n",
    "no integers": "a: 08\nb: 0o17\nc: 0x\nd: 1,000\ne: 1 000\nf: 0:30\ng: 1:99\n",
    "sexagesimal": "a: 1:51:39\nb: -1:30\nc: 1:30.5\npacemaker.port: 1:51:39\n",
    "large": f"a: 2147483648\nb: {'9' * 30}\nc: {'9' * 1024}\nd: {'9' * 1025}\n",
    "floats": "a: 6699.0\nb: 6.7e3\nc: 1e3\nd: .5\ne: 1.\nf: .inf\ng: -.INF\nh: +.5\n",
    "booleans": "a: yes\nb: NO\nc: on\nd: y\ne: True\nf: tRue\n",
    "nulls": "a: ~\nb:\nc: Null\nd: nUll\ne: ''\nnimbus.daemon.user: ~\n",
    "dates": "a: 2024-01-02\nb: 2024-01-02 03:04:05.5 +01:00\nc: 2024-13-45\n",
    "quotes": "a: '6699'\nb: \"x\\ty\"\nc: 'it''s'\nd: !!str 5\ne: !!int '7'\nf: ! 5\n",
    "anchors": "a: &x [p, q]\nb: *x\nc: &y 5\nd: *y\n",
    "merge": "a: &a {x: 1, y: 2}\nb: {y: 3, <<: *a}\nc: {<<: [{z: 1}, {z: 2}]}\n",
    "merge at the top": "a: &a {pacemaker.port: 1, c: 9}\npacemaker.port: 2\n<<: *a\n",
    "duplicates": "pacemaker.port: 1\nb: 2\npacemaker.port: 7003\n",
    "utf-8": 'nimbus.daemon.user: Zürich\na: "☃ \\u2603"\n',
    "byte order mark": "\ufeffa: 1\n",
    "line ends": "a: 1\r\nb: x\r\n",
    "blocks": "a: >\n  x\n  y\nb: |\n  x\n  y\nc: x\n  y\n",
    "other keys": "1: a\n2.5: b\nyes: c\n~: d\nreal: 1\n",
    "other types": "a: !!binary aGVsbG8=\nb: !!set {x, y}\nc: [1, [2, {d: e}]]\n",
    "words": "a: =\nb: b:c\nc: http://x:80/\nd: x#y\ne: 1.2.3\nf: '<<'\n",
    "flow": '{a: 1, "b":2, c: [1,2,], d}\n',
    "version": "%YAML 1.2\n---\na: 1\n...\n",
    "deep": f"a: {'[' * 50}{']' * 50}\n",
    "tabs": "a\t:\t7000\t\nb: [x\t, y\t]\t# c\nc:\n  - x\t# c\n  - y\tz\t\n",
    "equal anchors": "a: &x 1\nb: *x\nc: &x 2\nd: *x\n",
    "aliases": f"a: &a [x]\nb: [{', '.join(['*a'] * 50)}]\n",
    # Refused by both:
    "tab": "a:\n\tb: 1\n",
    "open list": "a: [1, 2\n",
    "two documents": "a: 1\n---\nb: 2\n",
    "list": "- a\n",
    "no blank": "pacemaker.port:7001\n",
    "tag": "a: !foo bar\n",
    "python tag": "a: !!python/object:os.system x\n",
    "control character": 'a: "\x07"\n',
    "not a float": "a: ._\n",
    "merged scalar": "<<: 5\n",
    "too deep": f"a: {'[' * 51}{']' * 51}\n",
    "too many aliases": f"a: &a [x]\nb: [{', '.join(['*a'] * 51)}]\n",
    "unknown alias": "a: *b\n",
    "reserved": "a: @b\n",
}

# What files are put together of: keys, values, and all kinds of blanks around them.
BLANKS = ("", "", "", " ", "  ", "\t", " \t", "\t ", "\t\t", "\u00a0")
INDENTS = ("", "", "", "", "", "", " ", "  ", "\t", "\u00a0")
AFTER_COLON = (" ", " ", " ", "  ", "\t", " \t", "", "\u00a0")
COMMENTS = ("", "", "", " #c", "\t#c", "#c", "\t# c\t", " # Zürich\u00a0")
LINE_ENDS = ("\n", "\n", "\n", "\r\n", "\r")
FILE_STARTS = ("", "", "", "", "\ufeff", "---\n", "\n")
ODD_LINES = (
    *("", "  ", "\t", " \t", "# c", "\t# c", "---", "...", "- a", "a", "? a", ": b"),
    *("\u00a0", "\ufeff"),
)
GENERATED_KEYS = (
    *("pacemaker.port", "pacemaker.port", "pacemaker.servers", "a", "b", "x y", "x\ty"),
    *("'q'", '"d"', "\u00a0k", "k\u00a0", "\u3000k", "\u200bk", "~"),
)
GENERATED_VALUES = (
    *("7000", "pm1", "a b", "a\tb", "'s'", '"d"', '"d\td"', "'s\ts'", "", "~", "="),
    *(
        "[a, b]",
        "[a,\tb]",
        "[ a\t, b\t]",
        "[a\n, b]",
        "[a\n\t, b]",
        "[a:b, c]",
        "[a: b]",
    ),
    *("{x: 1}", "{x:\t1}", "{x\t: 1}", "{a\n: b}", "{a}", "{a:}", "{'a':b}", "[x?y]"),
    *("\n  - a\t\n  - b", "\n- a\n- b\t#c", "\n  x: 1\t\n  y: 2", "- a", "-\ta", "?"),
    *("a\n  b", "a\t\n  b", "a\n \tb", "a\n\n  b", '"a\\\n  b"', '"a\n b', "'a"),
    *("|\n  t\tt\n  u", ">\n  t\n  u\t", "|-\t\n  x", "|2\n   x", ">+ \n  x\n\n"),
    *(
        "a#b",
        "a:b",
        "x?y",
        "[?y]",
        "[a?]",
        "[http://x:1/, b]",
        "&q x",
        "*q",
        "!!str\t5",
    ),
    *(
        "a\u00a0b",
        "\u00a07",
        "\u3000x",
        "Zürich",
        "\ufeffx",
        "a\u2028b",
        "a\x85b",
        "\x00",
    ),
)


def generated_file(chance: random.Random) -> str:
    """Put a file of one to four keys together, many of which no reader takes."""

    def line() -> str:
        if chance.random() < 0.12:
            return chance.choice(ODD_LINES)
        key = chance.choice(INDENTS) + chance.choice(GENERATED_KEYS)
        value = chance.choice(AFTER_COLON) + chance.choice(GENERATED_VALUES)
        end = chance.choice(BLANKS) + chance.choice(COMMENTS)
        return f"{key}{chance.choice(BLANKS)}:{value}{end}"

    lines = [line() for _ in range(chance.randint(1, 4))]
    text = chance.choice(FILE_STARTS) + chance.choice(LINE_ENDS).join(lines)
    return text + chance.choice(("\n", ""))


ENCODED_LINES = (
    *("# Zürich", "a: Zürich", "'k€y': x", "pacemaker.port: 7000 # é", "b: 'é'"),
    "c: [é, é]",
)
ENCODINGS = ("latin-1", "cp1252", "utf-8", "utf-8-sig", "euc-jp", "gb18030", "cp437")
STRAY_BYTES = (
    b"\xc3",
    b"\xe2\x82",
    b"\xf0\x9f\x98",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xc0\xaf",
)


def generated_bytes(chance: random.Random) -> bytes:
    """Put a file of lines in various encodings together, with stray bytes."""
    lines = [
        chance.choice(ENCODED_LINES).encode(chance.choice(ENCODINGS), "replace")
        + chance.choice((b"", b"", b" x: y".replace(b": ", chance.choice(STRAY_BYTES))))
        for _ in range(chance.randint(1, 4))
    ]
    return b"\n".join(lines)


VALUES = {
    "pacemaker.port": [
        *["7001", "015", "0x1A2B", "1:51:39", "'7001'", "7001.0", "1e3", "null", "-1"],
        *["65536", "yes", "99999999999", "[7001]", "2024-01-02"],
    ],
    "pacemaker.max.threads": ["1", "0", "2.5", "'4'", "~", "2147483647", "2147483648"],
    "pacemaker.thrift.message.size.max": ["1", "0", "1e6", "'1'", "~", "2147483648"],
    "pacemaker.auth.method": ["NONE", "'NONE'", "none", "SIMPLE", "", "yes", "5", "[]"],
    "pacemaker.servers": ["[]", "[a, b]", "a", "~", "[1]", "{a: b}"],
    "pacemaker.client.max.threads": ["3", "0", "'3'", "~"],
    "pacemaker.childopts": ["-Xmx1g", "[-Xmx1g, -Xms1g]", "~", "5", "[1]"],
    "nimbus.daemon.user": ["storm", "~", "5", "2024-01-02", "yes"],
    "java.security.auth.login.config": ["/etc/jaas", "~", "''", "5", "[a]"],
    "storm.zookeeper.servers": ["[a]", "a", "~", "[5]"],
    "storm.zookeeper.port": ["2182", "0", "-1", "'2182'", "~"],
    "storm.zookeeper.root": ["/s", "5", "~"],
    "storm.zookeeper.session.timeout": ["1", "'1'", "~", "1.5"],
    "storm.zookeeper.auth.scheme": ["digest", "5", "~"],
    "storm.zookeeper.auth.payload": ["u:p", "5", "~"],
}

OPTIONS = (
    *[["pacemaker.port=7001"], ["pacemaker.port=007"], ["pacemaker.port= 7001 "]],
    *[["pacemaker.port=null"], ["pacemaker.port='7001'"], ["pacemaker.port=1e3"]],
    *[["pacemaker.port=7001x"], ["pacemaker.port=+7001"], ["pacemaker.port="]],
    *[["pacemaker.port=1", "pacemaker.port=2"], ["pacemaker.port"], ["=1", "a==b"]],
    *[["pacemaker.servers=[a,b]"], ["nimbus.seeds=['a', b c ,]"]],
    *[["pacemaker.servers=a,b"], ["pacemaker.servers=[1,a]"], ["pacemaker.servers={}"]],
    *[['pacemaker.auth.method="NONE"'], ["pacemaker.auth.method= NONE"]],
    *[["pacemaker.auth.method='NONE' x"], ["pacemaker.auth.method=none"]],
    *[["a={b:1,c:[x,{d:null}]}", "e=[[1],[2]]"], ["a={b:}", "c=[1,2", "d=[:]"]],
    *[["a=true", "b=TRUE", "c=yes", "d=NaN", "e=nul"], ["a=1e", "b=1.", "c=-.5"]],
    *[["a=10.0.0.1", "b=1 2", "c=6699~", "d=-", "e=-x"], ["a=Zürich ☃", "b=%41+%2C"]],
    *[[r'a="x\ty\u0041\q"', r"b='\x41'", r'c="\u00zz"', 'd="open'], ["a= ", "b=,"]],
    [f"a={'9' * 30}", "b=2147483648", "c=0.1234567890123456789", "d=1e400"],
    ["pacemaker.childopts=-Xmx1g -Dx=[a,b]", "nimbus.daemon.user=storm"],
)


@pytest.mark.parametrize("seed", range(2))
def test_bytes_that_are_not_utf_8_are_read_to_the_same_values(
    storm: StormReader, tmp_path: Path, seed: int
) -> None:
    """Bytes that are not UTF-8 are U+FFFD to both, in any number, and stop neither."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    for _ in range(GENERATED_FILES):
        content = generated_bytes(chance)
        (tmp_path / "storm.yaml").write_bytes(content)
        answer = storm.read(tmp_path)
        try:
            read = read_storm_yaml(tmp_path)
        except ConfigError:
            assert answer.values is None, content
        else:
            assert read is not None
            ours = read.layer.values
            # Of a surrogate's three bytes Java makes one U+FFFD, Python three.
            alike = [
                re.sub("\ufffd+", "\ufffd", repr(values))
                for values in (of_storm(answer, ours), as_json(dict(ours)))
            ]
            assert alike[0] == alike[1], content


def test_defaults_are_storms(storm: StormReader, tmp_path: Path) -> None:
    """Each default of ours is the one of Storm's defaults.yaml.

    Storm's file does not have the keys of ours.
    """
    values = storm.read(tmp_path).values
    assert values is not None
    defaults = {field.name: field.default for field in fields(Settings)}
    for key in KEYS:
        if key.name in ("pacemaker.log.level", RELAY_SERVERS):
            continue
        default = defaults[key.field]
        found = values.get(key.name)
        assert default == (key.check(found) if found is not None else None), key.name


def test_defaults_by_key_are_storms(storm: StormReader, tmp_path: Path) -> None:
    """Those that `doctor` compares with are in Storm's defaults.yaml too."""
    values = storm.read(tmp_path).values
    assert values is not None
    assert {key: values.get(key) for key in BY_KEY} == BY_KEY


@pytest.mark.parametrize("release", RELEASES)
def test_no_key_of_storms_is_taken_for_a_misspelt_one(release: str) -> None:
    """Of all keys that a release of Storm knows none is warned of."""
    classes = ["org.apache.storm.Config"]
    if release == NEWEST_RELEASE:
        classes.append("org.apache.storm.DaemonConfig")
    command = ["javap", "-constants", "-cp", storm_classpath(release), *classes]
    listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    names = re.findall(r'String \w+ = "([^"]+)"', listing)
    assert "pacemaker.servers" in names
    assert list(ignored_keys(dict.fromkeys(names))) == []


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_file_is_read_to_the_same_values(
    storm: StormReader, tmp_path: Path, text: str
) -> None:
    """Both read the same values, or both cannot read the file."""
    values_agree(storm, tmp_path, text)
    verdict = storm.read(tmp_path).refused
    assert (refusal(tmp_path) is None) == (verdict is None)


@pytest.mark.parametrize("seed", range(8))
def test_generated_files_are_read_to_the_same_values(
    storm: StormReader, tmp_path: Path, seed: int
) -> None:
    """Tabs, odd blanks, comments, line ends and equal keys mean the same to both."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    were_read = [
        values_agree(storm, tmp_path, generated_file(chance))
        for _ in range(GENERATED_FILES)
    ]
    assert {True, False} == set(were_read)


@pytest.mark.parametrize("key", VALUES)
def test_value_is_judged_alike(storm: StormReader, tmp_path: Path, key: str) -> None:
    """A value that ends Storm's Pacemaker ends the start of ours, and no other does."""
    for value in VALUES[key]:
        (tmp_path / "storm.yaml").write_text(f"{key}: {value}\n")
        answer = storm.read(tmp_path)
        ours = refusal(tmp_path)
        assert (ours is None) == (answer.refused is None), (value, answer, ours)


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_options_are_read_to_the_same_values(
    storm: StormReader, tmp_path: Path, options: list[str]
) -> None:
    """Both read the same values of -c, and come to the same verdict."""
    (tmp_path / "storm.yaml").write_text("pacemaker.port: 7005\n")
    answer = storm.read(tmp_path, *options)
    ours: dict[str, object] = {"pacemaker.port": 7005}
    for layer in option_layers(options)[0]:
        ours.update(layer.values)
    assert repr(of_storm(answer, ours)) == repr(as_json(ours))  # NaN equals NaN
    assert (refusal(tmp_path, *options) is None) == (answer.refused is None)


def test_named_file_is_found_alike(storm: StormReader, tmp_path: Path) -> None:
    """The file of --config replaces storm.yaml; an empty or missing one is refused."""
    (tmp_path / "storm.yaml").write_text("pacemaker.port: 1\n")
    (tmp_path / "named.yaml").write_text("pacemaker.max.threads: 2\n")
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    environ = {"STORM_CONF_DIR": str(tmp_path)}
    for name in ("named.yaml", str(tmp_path / "named.yaml")):
        answer = storm.read(tmp_path, config_file=name)
        assert answer.values is not None
        settings = load_configuration(environ, config_file=name).settings
        assert settings.port == answer.values["pacemaker.port"] == 6699
        assert settings.max_threads == answer.values["pacemaker.max.threads"] == 2
    for name in ("empty.yaml", "missing.yaml"):
        assert storm.read(tmp_path, config_file=name).refused is not None
        with pytest.raises(ConfigError):
            load_configuration(environ, config_file=name)


@pytest.mark.parametrize(
    ("text", "storm_starts", "ours_starts"),
    [
        ("pacemaker.port: 0\n", False, True),
        ("pacemaker.client.max.threads: 2.5\n", True, False),
        ("storm.zookeeper.port: 2181.0\n", True, False),
        ("storm.zookeeper.port: 65536\n", True, False),
        ("storm.zookeeper.session.timeout: -1\n", True, False),
        ("pacemaker.host: [a]\n", True, False),
        ("pacemaker.servers: [a..b]\n", True, False),
        ("storm.zookeeper.servers: []\n", True, False),
        ("storm.zookeeper.servers: ['zk1:2181']\n", True, False),
        ("pacemaker.servers: [a, ~]\n", True, False),
        ('pacemaker.childopts: "\'open"\n', True, False),
        ("nimbus.task.timeout.secs: soon\n", False, True),
        ("? [a]\n: b\n", True, False),
        ("a: !!bool x\n", True, False),
        ("%YAML 1.2\n", True, False),
    ],
)
def test_deviation_is_as_documented(
    storm: StormReader,
    tmp_path: Path,
    text: str,
    storm_starts: bool,
    ours_starts: bool,
) -> None:
    """Where docs/configuration.md lists a difference, it is that difference."""
    (tmp_path / "storm.yaml").write_text(text)
    assert (storm.read(tmp_path).refused is None) == storm_starts
    assert (refusal(tmp_path) is None) == ours_starts


@pytest.mark.parametrize(
    ("text", "storms_port", "our_port"),
    [
        (
            "a: &a {pacemaker.port: 1}\nb: &b {pacemaker.port: 2}\n<<: *a\n<<: *b\n",
            1,
            2,
        ),
        (
            "a: &a {pacemaker.port: 1}\nb: &b {<<: *a, pacemaker.port: 2}\n<<: *b\n",
            1,
            2,
        ),
    ],
    ids=["twice", "nested"],
)
def test_merge_keys_deviate_as_documented(
    storm: StormReader, tmp_path: Path, text: str, storms_port: int, our_port: int
) -> None:
    """Two merge keys at the top, or a merge of what itself merges, differ."""
    (tmp_path / "storm.yaml").write_text(text)
    values = storm.read(tmp_path).values
    assert values is not None
    assert values["pacemaker.port"] == storms_port
    configuration = load_configuration({"STORM_CONF_DIR": str(tmp_path)})
    assert configuration.settings.port == our_port
