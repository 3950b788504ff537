"""A STORM_HOME for each daemon: jars, storm.yaml and the configuration of the log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tests.cluster.releases import Release
from tests.real.jvm import JAVA_OPTIONS, storm_classpath

DAEMON_MEMORY = "-Xmx192m"
WORKER_MEMORY = "-Xmx96m"

LOG4J2 = """\
<Configuration>
  <Appenders>
    {appender}
      <PatternLayout pattern="%d{{yyyy-MM-dd'T'HH:mm:ss.SSS}} %p %c{{1}} %m%n"/>
    </{kind}>
  </Appenders>
  <Loggers>
    <Logger name="org.apache.storm.shade" level="warn"/>
    <Logger name="org.apache.storm.daemon.nimbus" level="debug"/>
    <Root level="info"><AppenderRef ref="log"/></Root>
  </Loggers>
</Configuration>
"""
"""Nimbus says at the level of debug when it begins each round of scheduling."""

APPENDERS = {
    "cluster.xml": '<Console name="log">',
    "worker.xml": '<File name="log" fileName="'
    "${sys:workers.artifacts}/${sys:storm.id}/${sys:worker.port}/${sys:logfile.name}"
    '">',
}
"""A daemon's log is its output; a worker's is where Storm has it."""

TEST_SETTINGS: dict[str, object] = {
    # A Nimbus that has just started assigns nothing for so long; else 600 s.
    "supervisor.worker.heartbeats.max.timeout.secs": 20,
    # A younger executor is alive whatever its heartbeats; else 120 s.
    "nimbus.task.launch.secs": 10,
    # Nimbus of 2.x deletes the heartbeats of a topology so long after its end.
    "nimbus.topology.blobstore.deletion.delay.ms": 10_000,
    # After 3 moves Nimbus of 2.x uses a supervisor no more; many tries share one.
    "blacklist.scheduler.tolerance.count": 1000,
    # Idle workers that look for tuples a thousand times a second fill two cores.
    "topology.batch.flush.interval.millis": 100,
    "topology.bolt.wait.strategy": "org.apache.storm.policy.WaitStrategyPark",
    "topology.bolt.wait.park.microsec": 50_000,
    "topology.disruptor.batch.timeout.millis": 100,
    "topology.worker.logwriter.childopts": "-Xmx32m -XX:TieredStopAtLevel=1",
}


def java_options(release: Release, memory: str) -> list[str]:
    """Return the options of each JVM of a cluster; the last `-Xmx` counts."""
    return [*JAVA_OPTIONS, *release.java_options, memory]


def make_home(folder: Path, release: Release, settings: Mapping[str, object]) -> Path:
    """Lay out a STORM_HOME with a storm.yaml of these settings.

    Args:
        folder: what is made.
        release: whose jars it links to.
        settings: keys of its storm.yaml, beside those of all test clusters.

    """
    jars = Path(storm_classpath(release.name)).parent
    for name in ("conf", "logs", "log4j2", "extlib", "extlib-daemon"):
        (folder / name).mkdir(parents=True)
    for name in ("lib", "lib-worker"):
        (folder / name).symlink_to(jars)
    for name, appender in APPENDERS.items():
        kind = appender[1:].split()[0]
        text = LOG4J2.format(appender=appender, kind=kind)
        (folder / "log4j2" / name).write_text(text)
    conf = {
        **TEST_SETTINGS,
        "storm.cluster.state.store": release.state_store,
        "storm.log4j2.conf.dir": str(folder / "log4j2"),
        "storm.local.dir": str(folder / "local"),
        "worker.childopts": " ".join(java_options(release, WORKER_MEMORY)),
        **settings,
    }
    # JSON is YAML.
    (folder / "conf" / "storm.yaml").write_text(json.dumps(conf, indent=2))
    return folder
