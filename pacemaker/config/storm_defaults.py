"""Storm's own defaults for the keys of storm.yaml that matter here; pure.

They are those of Storm's defaults.yaml (2.8.3), which is part of storm-client.jar.  A
module that counts on a default imports it from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

PACEMAKER_PORT: Final = 6699
PACEMAKER_MAX_THREADS: Final = 50
PACEMAKER_CLIENT_MAX_THREADS: Final = 2
MESSAGE_SIZE_MAX_BYTES: Final = 10485760
ZOOKEEPER_SERVERS: Final = ("localhost",)
ZOOKEEPER_PORT: Final = 2181
ZOOKEEPER_ROOT: Final = "/storm"
ZOOKEEPER_SESSION_TIMEOUT_MS: Final = 20000
ZOOKEEPER_CONNECTION_TIMEOUT_MS: Final = 15000

# How often a worker sends its heartbeat.
TASK_HEARTBEAT_SECS: Final = 3
# How often Nimbus reads all heartbeats, how old one may be before Nimbus moves the
# worker, and how long Nimbus waits for the first one of a worker that it has assigned.
NIMBUS_MONITOR_SECS: Final = 10
NIMBUS_TASK_TIMEOUT_SECS: Final = 30
NIMBUS_TASK_LAUNCH_SECS: Final = 120
# After how many moves of its workers Nimbus stops using a supervisor, and for how long.
BLACKLIST_TOLERANCE_COUNT: Final = 3
BLACKLIST_RESUME_SECS: Final = 1800

# By key: what `doctor` compares with the values of a storm.yaml.
BY_KEY: Final[Mapping[str, Any]] = {
    "pacemaker.servers": [],
    "pacemaker.port": PACEMAKER_PORT,
    "pacemaker.auth.method": "NONE",
    "pacemaker.thrift.message.size.max": MESSAGE_SIZE_MAX_BYTES,
    "storm.zookeeper.servers": list(ZOOKEEPER_SERVERS),
    "storm.zookeeper.port": ZOOKEEPER_PORT,
    "storm.zookeeper.root": ZOOKEEPER_ROOT,
    "nimbus.task.timeout.secs": NIMBUS_TASK_TIMEOUT_SECS,
    "nimbus.task.launch.secs": NIMBUS_TASK_LAUNCH_SECS,
    "nimbus.monitor.freq.secs": NIMBUS_MONITOR_SECS,
    "nimbus.supervisor.timeout.secs": 60,
    "supervisor.heartbeat.frequency.secs": 5,
    "supervisor.worker.timeout.secs": 30,
    "supervisor.worker.start.timeout.secs": 120,
    "supervisor.worker.heartbeats.max.timeout.secs": 600,
    "worker.heartbeat.frequency.secs": 1,
    "task.heartbeat.frequency.secs": TASK_HEARTBEAT_SECS,
    "blacklist.scheduler.tolerance.count": BLACKLIST_TOLERANCE_COUNT,
    "blacklist.scheduler.resume.time.secs": BLACKLIST_RESUME_SECS,
}
