"""Read JAAS login configuration files as the JDK does.

The grammar is that of `javax.security.auth.login.Configuration`:

    Name { Class flag key=value ... ; ... };

with the words, comments and strings of `java.io.StreamTokenizer` as the JDK
sets it up: `//`, `/* */` and a lone `/` begin comments; a word is letters,
digits and `$ _ - * .` and does not begin with a digit, `.` or `-`; a string is
in double quotes and ends with its line; `${property}` is expanded in values.

Three things differ from the JDK.  A module without class and flag, as in the sample in
Storm's documentation, is accepted and marked.  A property is looked up only when its
value is needed, because the file may be shared with JVMs that have other properties.  A
section's name must be a word or a double-quoted string; the JDK accepts any token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from pacemaker.sasl.secret import Secret

_FLAGS: Final = frozenset({"REQUIRED", "REQUISITE", "SUFFICIENT", "OPTIONAL"})


class JaasError(Exception):
    """A JAAS file is invalid; all of it is refused.

    Attributes:
        line: the line of the problem, from 1.
        problem: a description; never contains a value from the file.
    """

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(line, problem)
        self.line = line
        self.problem = problem

    def __str__(self) -> str:
        return f"line {self.line}: {self.problem}"


class JaasValue(NamedTuple):
    """The value of an option, as written in the file.

    Attributes:
        text: the value before its properties are expanded.
        line: its line, from 1.
    """

    text: Secret
    line: int

    def expand(self, properties: Mapping[str, Secret]) -> Secret:
        """Replace each `${name}` with Java's system property.

        Raises:
            JaasError: a property is unknown, or the result is empty.
        """
        return Secret(_expand(self.text.reveal(), properties, self.line))


class LoginModule(NamedTuple):
    """One login module of a section.

    Attributes:
        login_class: its Java class; None if class and flag are missing, which the JDK
            refuses.
        options: its options; any of them may be a password.
        line: its first line, from 1.
    """

    login_class: str | None
    options: Mapping[str, JaasValue]
    line: int


Sections = dict[str, list[LoginModule]]


def parse_jaas(text: Secret) -> Sections:
    """Read the sections of a JAAS file, in time linear in its length.

    Args:
        text: the content of the file; a secret because it contains passwords.

    Raises:
        JaasError: the JDK would refuse the file.
    """
    return _Parser(text).sections()


class _Token(NamedTuple):
    """A word or a string with its text in `value`, or a sign with itself as `kind`."""

    kind: str
    value: str
    line: int

    def __repr__(self) -> str:
        return f"_Token({self.kind!r}, line {self.line})"


_WORD, _STRING, _END = "a word", "a string", "the end of the file"


class _Parser:
    """A recursive-descent parser with one token of lookahead."""

    def __init__(self, text: Secret) -> None:
        self._tokens = _tokenize(text)
        self._next = next(self._tokens)

    def sections(self) -> Sections:
        found: Sections = {}
        while self._next.kind != _END:
            line = self._next.line
            name = self._take_text("the name of a section")
            self._take_sign("{")
            modules = list(self._modules())
            self._take_sign(";")
            if name in found:
                raise JaasError(line, f"the section {name} appears twice")
            found[name] = modules
        return found

    def _modules(self) -> Iterator[LoginModule]:
        while self._next.kind != "}":
            line = self._next.line
            name = self._take_text("a login module, or '}'")
            if self._next.kind == "=":
                options = {name: self._value()}
                yield LoginModule(None, options | self._options(), line)
                continue
            if not name:
                raise JaasError(line, "the login module has no name")
            flag_line = self._next.line
            if self._take_text("a flag").upper() not in _FLAGS:
                raise JaasError(
                    flag_line, f"the flag must be one of {', '.join(sorted(_FLAGS))}"
                )
            yield LoginModule(name, self._options(), line)
        self._take_sign("}")

    def _options(self) -> dict[str, JaasValue]:
        options: dict[str, JaasValue] = {}
        while self._next.kind != ";":
            key = self._take_text("the name of an option, or ';'")
            options[key] = self._value()
        self._take_sign(";")
        return options

    def _value(self) -> JaasValue:
        self._take_sign("=")
        line = self._next.line
        return JaasValue(Secret(self._take_text("a value")), line)

    def _take_text(self, expected: str) -> str:
        token = self._next
        if token.kind not in (_WORD, _STRING):
            raise JaasError(token.line, f"expected {expected}, found {_show(token)}")
        self._next = next(self._tokens)
        return token.value

    def _take_sign(self, sign: str) -> None:
        token = self._next
        if token.kind != sign:
            raise JaasError(token.line, f"expected '{sign}', found {_show(token)}")
        self._next = next(self._tokens, token)


def _show(token: _Token) -> str:
    return token.kind if len(token.kind) > 1 else repr(token.kind)


# StreamTokenizer treats every character above U+009F as a letter.
_LETTER: Final = r"A-Za-z$_*\u00a0-\U0010ffff"
_SKIPPED: Final = re.compile(r"[\x00-\x20]+|//[^\r\n]*|/(?!\*)(?s:.)?[^\r\n]*")
_WORD_PATTERN: Final = re.compile(rf"[{_LETTER}][{_LETTER}0-9.\-]*")
_STRING_PATTERN: Final = re.compile(r'"((?:[^"\\\r\n]|\\(?s:.))*)(?:"|\\\Z)?')
_ESCAPE: Final = re.compile(r"\\([0-3][0-7]{0,2}|[4-7][0-7]?|(?s:.))")
_ESCAPED: Final = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
}


def _tokenize(text: Secret) -> Iterator[_Token]:
    whole = text.reveal()
    position, line = 0, 1
    while position < len(whole):
        start = position
        token: _Token | None = None
        if whole.startswith("/*", position):
            end = whole.find("*/", position + 2)
            position = len(whole) if end < 0 else end + 2
        elif skipped := _SKIPPED.match(whole, position):
            position = skipped.end()
        elif word := _WORD_PATTERN.match(whole, position):
            token = _Token(_WORD, word[0], line)
            position = word.end()
        elif string := _STRING_PATTERN.match(whole, position):
            token = _Token(_STRING, _ESCAPE.sub(_unescape, string[1]), line)
            position = string.end()
        else:
            token = _Token(whole[position], "", line)
            position += 1
        if token:
            yield token
        line += whole.count("\n", start, position)
    yield _Token(_END, "", line)


def _unescape(escape: re.Match[str]) -> str:
    what = escape[1]
    if what in "01234567" or len(what) > 1:
        return chr(int(what, 8))
    return _ESCAPED.get(what, what)


def _expand(value: str, properties: Mapping[str, Secret], line: int) -> str:
    """Expand the properties (sun.security.util.PropertyExpander).

    `${{...}}` is left unchanged, and so is an unclosed `${` with everything after it.
    """
    done: list[str] = []
    copied = 0
    while (start := value.find("${", copied)) >= 0:
        closing = "}}" if value.startswith("{", start + 2) else "}"
        end = value.find(closing, start + 2)
        if end < 0:
            break
        done.append(value[copied:start])
        copied = end + len(closing)
        if closing == "}}":
            done.append(value[start:copied])
        else:
            done.append(_property(value[start + 2 : end], properties, line))
    expanded = "".join(done) + value[copied:]
    if value and not expanded:
        raise JaasError(line, "a value is empty after its properties are expanded")
    return expanded


def _property(name: str, properties: Mapping[str, Secret], line: int) -> str:
    if name == "/":
        return "/"
    if name not in properties:
        raise JaasError(
            line,
            f"unknown property {name!r} in ${{...}}: set it with -D{name}=VALUE in"
            " pacemaker.childopts, or write the value itself",
        )
    return properties[name].reveal()
