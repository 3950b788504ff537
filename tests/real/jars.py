"""The jars that the tests need, fetched before the tests: Maven takes a minute.

    python -m tests.real.jars

A test fetches what is missing as well, but shows nothing meanwhile.
"""

from __future__ import annotations

import sys

from benchmarks import jars
from tests.real import jmx


def main() -> None:
    """Fetch what is not in the cache, and name each part before it is fetched."""
    try:
        for release in jars.RELEASES:
            _say(f"Storm {release}")
            jars.storm_classpath(release)
        _say(f"ZooKeeper {jars.ZOOKEEPER_RELEASE}")
        jars.zookeeper_classpath()
        _say(f"Prometheus's JMX exporter {jmx.RELEASE}")
        jmx.agent()
    except jars.MissingError as exc:
        sys.exit(f"Error: {exc}")


def _say(text: str) -> None:
    print(f"    {text}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
