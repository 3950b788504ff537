"""JAAS files, and the result of the JDK's parser for each.

`MARK` marks cases that the JDK refuses and our parser accepts, or the reverse.
"""

from __future__ import annotations

from typing import NamedTuple

Wanted = dict[str, list[tuple[str | None, dict[str, str]]]]

PROPERTIES = {"test.name": "value", "test.empty": "", "test.dollar": "${test.name}"}
"""The properties that both parsers are given."""


class JaasCase(NamedTuple):
    """One file.

    Attributes:
        text: its text.
        sections: what ours reads of it; None where it refuses it.
        jdk_agrees: whether the JDK does the same.
    """

    text: str
    sections: Wanted | None
    jdk_agrees: bool = True


def _one(text: str, **options: str) -> JaasCase:
    return JaasCase(text, {"A": [("m.C", options)]})


def _value(written: str, value: str) -> JaasCase:
    return _one(f"A {{ m.C required k={written}; }};", k=value)


def _refused(text: str) -> JaasCase:
    return JaasCase(text, None)


CASES = (
    # Sections and modules.
    JaasCase("", {}),
    JaasCase(" \t\r\n\f\v\0 ", {}),
    JaasCase("A { };", {"A": []}),
    JaasCase("A{};B{};", {"A": [], "B": []}),
    JaasCase('"A" { };', {"A": []}),
    JaasCase('"" { };', {"": []}),
    JaasCase("A-b_c.d$e*9 { };", {"A-b_c.d$e*9": []}),
    JaasCase("é { };", {"é": []}),
    _one("A { m.C required; };"),
    _one('A { "m.C" "required"; };'),
    _one("A { m.C REQUIRED; };"),
    _one("A { m.C requisite; };"),
    _one("A { m.C Sufficient; };"),
    _one("A { m.C optional; };"),
    _one("A\n{\nm.C\nrequired\nk\n=\nv\n;\n}\n;\n", k="v"),
    _one("A{m.C required k=v j=w;};", k="v", j="w"),
    _one("A{m.C required k=v k=w;};", k="w"),
    _one('A{m.C required "k"="v";};', k="v"),
    JaasCase(
        "A { m.C required k=v; m.D optional j=w; };",
        {"A": [("m.C", {"k": "v"}), ("m.D", {"j": "w"})]},
    ),
    JaasCase("A { * required; };", {"A": [("*", {})]}),
    _refused("A"),
    _refused("A {"),
    _refused("A { }"),
    _refused("A { } B { };"),
    _refused("A { };;"),
    _refused("A { m.C; };"),
    _refused("A { m.C required };"),
    _refused("A { m.C required; }"),
    _refused("A { m.C needed; };"),
    _refused('A { "" required; };'),
    _refused('A { m.C ""; };'),
    _refused("A { m.C required k; };"),
    _refused("A { m.C required k=; };"),
    _refused("A { m.C required =v; };"),
    _refused("A { m.C required k=v,j=w; };"),
    _refused("A { m.C required k:v; };"),
    _refused("A { }; A { };"),
    _refused('A { }; "A" { m.C required; };'),
    _refused("A ( );"),
    _refused("A { }; }"),
    # Words.
    _value("a.b-c_d$e*f9", "a.b-c_d$e*f9"),
    _value("$x", "$x"),
    _value("*", "*"),
    _value("_", "_"),
    _value("é→\U0001f600", "é→\U0001f600"),
    _value("\u00a0", "\u00a0"),
    _refused("A { m.C required k=9; };"),
    _refused("A { m.C required k=9a; };"),
    _refused("A { m.C required k=-a; };"),
    _refused("A { m.C required k=.a; };"),
    _refused("A { m.C required k=-; };"),
    _refused("A { m.C required k=a@b; };"),
    _refused("A { m.C required k=a+b; };"),
    _refused("A { m.C required k=/a; };"),
    _refused("A { m.C required k=\x7f; };"),
    _refused("A { m.C required k=\x80; };"),
    _refused("A { m.C required k='v'; };"),
    _refused("A { m.C required k=(v); };"),
    _refused("\ufeffA { }; A { }; \ufeffA { };"),
    # Strings.
    _value('""', ""),
    _value('"a b;{}=,"', "a b;{}=,"),
    _value('"//a /*b*/ #"', "//a /*b*/ #"),
    _value('"it\'s"', "it's"),
    _value(r'"\n\t\r\a\b\f\v"', "\n\t\r\a\b\f\v"),
    _value(r'"\"\\\x\8\u"', '"\\x8u'),
    _value(r'"\0\7\12\123\377\400\477\78\08"', "\0\7\12\123\377\0400\0477\0078\0008"),
    _value('"a\\\nb"', "a\nb"),
    _value('"a\\\rb"', "a\rb"),
    _value('"é→\U0001f600\x80"', "é→\U0001f600\x80"),
    # A string that its line ends needs no closing quote.
    _value('"a\n', "a"),
    _value('"a\r\n', "a"),
    _refused('A { m.C required k="a'),
    _refused('A { m.C required k="a\\'),
    _refused('A { m.C required k="a"b; };'),
    # Comments.
    _one("// x { \nA { m.C required; };"),
    _one("A { m.C required; }; // x"),
    _one("A { m.C required; }; //"),
    _one("/* x */ A /**/ { /* \n */ m.C required; /*/ ; */ };"),
    _one("A { m.C /***/ required; }; /* not closed"),
    _one("A { m.C required; }; /*\n*/"),
    _one("A { m.C required; }; /*\r\n*/"),
    _one("A { m.C required; }; /*\n\n*\n**/"),
    _one("A { m.C required k=v/; comment\n; };", k="v"),
    # A lone slash takes the rest of the line; at its end, all of the next one.
    _one("A { m.C required; };\n/\n{ nonsense\n"),
    _one("A { m.C required; };\n/ { nonsense"),
    _refused("# x\nA { };"),
    _refused("A { m.C required; /* not closed };"),
    _refused("A { // m.C required; };"),
    # Properties.
    _value('"${test.name}"', "value"),
    _value('"a${test.name}b${test.name}"', "avaluebvalue"),
    _value('"${/}"', "/"),
    _value('"${test.dollar}"', "${test.name}"),
    _value('"a${test.empty}"', "a"),
    _value('"${{test.name}}"', "${{test.name}}"),
    _value('"${{x}}${test.name}"', "${{x}}value"),
    _value('"${{x}${test.name}"', "${{x}${test.name}"),
    _value('"${{x}}"', "${{x}}"),
    _value('"a${test.name"', "a${test.name"),
    _value('"${test.name}${"', "value${"),
    _value('"$ {test.name} $"', "$ {test.name} $"),
    _value('"$${test.name}"', "$value"),
    _one('A { m.C required "${test.name}"=v; };', **{"${test.name}": "v"}),
    _refused('A { m.C required k="${test.empty}"; };'),
    _refused('A { m.C required k="${}"; };'),
    _refused('A { m.C required k="${test.missing}"; };'),
    _refused('A { m.C required k="${test.${/}}"; };'),
    _refused("A { m.C required k=${test.name}; };"),
    # A property that nobody needs, as the option's later value counts.
    JaasCase(
        'A { m.C required k="${test.missing}" k=v; };',
        {"A": [("m.C", {"k": "v"})]},
        jdk_agrees=False,
    ),
    # The sample of Storm's documentation, which the JDK refuses.
    JaasCase(
        'PacemakerDigest {\n    username="some"\n    password="thing";\n};\n',
        {"PacemakerDigest": [(None, {"username": "some", "password": "thing"})]},
        jdk_agrees=False,
    ),
    JaasCase(
        "A { k=v; m.C required j=w; };",
        {"A": [(None, {"k": "v"}), ("m.C", {"j": "w"})]},
        jdk_agrees=False,
    ),
    JaasCase('A { ""=v k=w; };', {"A": [(None, {"": "v", "k": "w"})]}, False),
    _refused('A { username="some" password="thing" };'),
    _refused("A { k= };"),
    # Names that the JDK takes, and no file has.
    JaasCase("'A' { };", None, jdk_agrees=False),
    JaasCase("9 { };", None, jdk_agrees=False),
    JaasCase("@ { };", None, jdk_agrees=False),
    JaasCase("{ { };", None, jdk_agrees=False),
)
