"""Prometheus's JMX exporter, an agent for the JVM's Pacemaker."""

from __future__ import annotations

from pathlib import Path

from benchmarks.jars import POMS, maven_classpath

RELEASE = "1.0.1"


def agent() -> Path:
    """Return the agent's jar, fetched once."""
    folder = maven_classpath("jmx-exporter", POMS / "jmx.xml", jmx_release=RELEASE)
    (jar,) = Path(folder).parent.glob("*.jar")
    return jar
