"""Settings: the part of Storm's configuration that the rest of the program uses."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pacemaker.config import storm_defaults as storm


class AuthMethod(enum.Enum):
    """How the daemon decides who may read: ``pacemaker.auth.method``."""

    NONE = "NONE"
    DIGEST = "DIGEST"
    KERBEROS = "KERBEROS"


LOG_LEVELS: Final = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Settings:
    """The values of Storm's configuration that are used here, typed and checked.

    The defaults are Storm's (`storm_defaults`).  A secret is not part of the ``repr``.

    Attributes:
        port: pacemaker.port; 0, which Storm refuses, picks a free port.
        max_threads: pacemaker.max.threads, at least 1.
        auth_method: pacemaker.auth.method.
        message_size_max_bytes: pacemaker.thrift.message.size.max, the maximum size
            of a frame's body.
        log_level: pacemaker.log.level, a key of our own, one of LOG_LEVELS: the level
            of the log of `serve`, unless its command line sets it.
        jaas_file: the JAAS file: java.security.auth.login.config, or the option
            of that name in pacemaker.childopts, which wins.  It has not been opened.
        java_properties: names and values of the options -DNAME=VALUE in
            pacemaker.childopts, for `${NAME}` in the JAAS file; any value may be a
            secret.
        nimbus_daemon_user: nimbus.daemon.user, the user that may read under KERBEROS.
        servers: pacemaker.servers, or the single pacemaker.host; for clients.
        relay_servers: pacemaker.relay.servers, a key of our own: the Pacemakers, if
            Storm's clients talk to relays (then `pacemaker.servers` is localhost).
        client_max_threads: pacemaker.client.max.threads; for clients.
        zookeeper_servers: storm.zookeeper.servers, host names without ports.
        zookeeper_port: storm.zookeeper.port, the port of all of them.
        zookeeper_root: storm.zookeeper.root, the node above all of Storm's.
        zookeeper_session_timeout_ms: storm.zookeeper.session.timeout.
        zookeeper_connection_timeout_ms: storm.zookeeper.connection.timeout.
        zookeeper_auth_scheme: storm.zookeeper.auth.scheme, such as "digest".
        zookeeper_auth_payload: storm.zookeeper.auth.payload, a secret.
        zookeeper_topology_auth_scheme: storm.zookeeper.topology.auth.scheme, a
            topology's own, which overrides the cluster's.
        zookeeper_topology_auth_payload: storm.zookeeper.topology.auth.payload, a
            secret.

    """

    port: int = storm.PACEMAKER_PORT
    max_threads: int = storm.PACEMAKER_MAX_THREADS
    auth_method: AuthMethod = AuthMethod.NONE
    message_size_max_bytes: int = storm.MESSAGE_SIZE_MAX_BYTES
    log_level: str = "info"
    jaas_file: Path | None = None
    java_properties: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    nimbus_daemon_user: str | None = None
    servers: tuple[str, ...] = ()
    relay_servers: tuple[str, ...] = ()
    client_max_threads: int = storm.PACEMAKER_CLIENT_MAX_THREADS
    zookeeper_servers: tuple[str, ...] = storm.ZOOKEEPER_SERVERS
    zookeeper_port: int = storm.ZOOKEEPER_PORT
    zookeeper_root: str = storm.ZOOKEEPER_ROOT
    zookeeper_session_timeout_ms: int = storm.ZOOKEEPER_SESSION_TIMEOUT_MS
    zookeeper_connection_timeout_ms: int = storm.ZOOKEEPER_CONNECTION_TIMEOUT_MS
    zookeeper_auth_scheme: str | None = None
    zookeeper_auth_payload: str | None = field(default=None, repr=False)
    zookeeper_topology_auth_scheme: str | None = None
    zookeeper_topology_auth_payload: str | None = field(default=None, repr=False)
