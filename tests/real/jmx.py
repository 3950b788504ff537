"""Prometheus's JMX exporter, an agent for the JVM's Pacemaker."""

from __future__ import annotations

from pathlib import Path

from benchmarks import jars

RELEASE = "1.0.1"
_POM = Path(jars.__file__).with_name("maven") / "jmx.xml"


def agent() -> Path:
    """Return the agent's jar, fetched once."""
    folder = jars.maven_classpath("jmx-exporter", _POM, jmx_release=RELEASE)
    (jar,) = Path(folder).parent.glob("*.jar")
    return jar
