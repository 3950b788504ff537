"""The table of the keys of storm.yaml that are read here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pacemaker.config import values

CHILDOPTS: Final = "pacemaker.childopts"
HOST: Final = "pacemaker.host"
JAAS_FILE: Final = "java.security.auth.login.config"
RELAY_SERVERS: Final = "pacemaker.relay.servers"
SERVERS: Final = "pacemaker.servers"
ZOOKEEPER_SERVERS: Final = "storm.zookeeper.servers"


@dataclass(frozen=True, slots=True)
class ConfigKey:
    """One key that is read.

    Attributes:
        name: its name in storm.yaml.
        field: the field of Settings that it fills.
        check: checks the value as read and returns it typed.
        null_is_unset: whether null means the default.  False for the keys that
            Storm's daemon uses, because it fails on a null there.
        is_secret: its value is never shown.
        has_effect: False if the value is checked and shown, as in Storm, but nothing
            here uses it.

    """

    name: str
    field: str
    check: Callable[[object], object]
    null_is_unset: bool = True
    is_secret: bool = False
    has_effect: bool = True


KEYS: Final = (
    ConfigKey("pacemaker.port", "port", values.integer(0, values.PORT_MAX), False),
    ConfigKey("pacemaker.max.threads", "max_threads", values.integer(1), False),
    ConfigKey("pacemaker.auth.method", "auth_method", values.auth_method, False),
    ConfigKey(
        "pacemaker.thrift.message.size.max",
        "message_size_max_bytes",
        values.integer(1),
        False,
    ),
    ConfigKey("pacemaker.log.level", "log_level", values.log_level),
    ConfigKey(JAAS_FILE, "jaas_file", values.path),
    ConfigKey("nimbus.daemon.user", "nimbus_daemon_user", values.string),
    ConfigKey(SERVERS, "servers", values.servers),
    ConfigKey(RELAY_SERVERS, "relay_servers", values.servers),
    ConfigKey(
        "pacemaker.client.max.threads",
        "client_max_threads",
        values.integer(1),
        has_effect=False,
    ),
    ConfigKey(ZOOKEEPER_SERVERS, "zookeeper_servers", values.zookeeper_servers),
    ConfigKey(
        "storm.zookeeper.port", "zookeeper_port", values.integer(1, values.PORT_MAX)
    ),
    ConfigKey("storm.zookeeper.root", "zookeeper_root", values.string),
    ConfigKey(
        "storm.zookeeper.session.timeout",
        "zookeeper_session_timeout_ms",
        values.integer(1),
    ),
    ConfigKey(
        "storm.zookeeper.connection.timeout",
        "zookeeper_connection_timeout_ms",
        values.integer(1),
    ),
    ConfigKey("storm.zookeeper.auth.scheme", "zookeeper_auth_scheme", values.string),
    ConfigKey(
        "storm.zookeeper.auth.payload",
        "zookeeper_auth_payload",
        values.string,
        is_secret=True,
    ),
    ConfigKey(
        "storm.zookeeper.topology.auth.scheme",
        "zookeeper_topology_auth_scheme",
        values.string,
    ),
    ConfigKey(
        "storm.zookeeper.topology.auth.payload",
        "zookeeper_topology_auth_payload",
        values.string,
        is_secret=True,
    ),
)

# Accepted with any value: no release of Storm reads them.
UNREAD_KEYS: Final = (
    "pacemaker.base.threads",
    "pacemaker.kerberos.users",
    "pacemaker.thread.timeout",
)

PACEMAKER_PREFIX: Final = "pacemaker."
# The prefix of our own keys that stand for options of `serve`, `relay` and `observe`.
OPTION_PREFIX: Final = "pacemaker.py."
KNOWN_PACEMAKER_KEYS: Final = frozenset(
    {key.name for key in KEYS} | {HOST, CHILDOPTS, *UNREAD_KEYS}
)
