"""The JDK's end of a SASL exchange, with the interface of our mechanisms."""

from __future__ import annotations

import base64
from pathlib import Path

from pacemaker.errors import AuthenticationError
from tests.real.jvm import JAVA_SOURCES, JavaProgram, compile_java


class SaslProgram(JavaProgram):
    """A JVM for one exchange after the other; see SaslPeer.java.

    Args:
        krb5_conf: the Kerberos configuration, where one is needed.
        jaas_file: the JAAS file with its sections.
    """

    def __init__(
        self, krb5_conf: Path | None = None, jaas_file: Path | None = None
    ) -> None:
        options = []
        if krb5_conf and jaas_file:
            options = [
                f"-Djava.security.krb5.conf={krb5_conf}",
                f"-Djava.security.auth.login.config={jaas_file}",
            ]
        classes = compile_java([JAVA_SOURCES / "SaslPeer.java"], "")
        super().__init__("SaslPeer", [classes], options=options)


class JdkMechanism:
    """The mechanism that the JDK makes of a command; the last one begun alone works.

    Args:
        program: the JVM.
        command: what to begin, as SaslPeer.java has it.
    """

    completion_count = 1
    is_slow = True

    def __init__(self, program: SaslProgram, command: str) -> None:
        self._program = program
        self.complete = False
        self.user: str | None = None
        self.name = "DIGEST" if command.startswith("digest") else "KERBEROS"
        self.begins_with_request = self.name == "DIGEST"
        answer = program.ask(command)
        if answer != "ready":
            raise AuthenticationError("the JDK does not begin", answer)

    def step(self, token: bytes) -> bytes | None:
        """Let the JDK take a token and give the one to send."""
        kind, *words = self._program.ask(f"step {encode(token)}").split(" ")
        if kind != "token":
            raise AuthenticationError("the JDK refuses the token", " ".join(words))
        self.complete = words[1] == "true"
        self.user = words[2] if words[2] != "-" else None
        return None if words[0] == "-" else decode(words[0])


def encode(token: bytes) -> str:
    """Write bytes as one word, the empty ones too."""
    return base64.b64encode(token).decode() or "="


def decode(word: str) -> bytes:
    """Read what `encode` or its like in Java wrote."""
    return b"" if word == "=" else base64.b64decode(word, validate=True)
