"""The jars that the tests need, fetched before the tests: Maven takes a minute.

    python -m tests.real.jars

A test fetches what is missing as well, but shows nothing meanwhile.
"""

from __future__ import annotations

import sys

import pytest

from tests.real import jmx, zookeeper
from tests.real.jvm import RELEASES, storm_classpath


def main() -> None:
    """Fetch what is not in the cache, and name each part before it is fetched."""
    try:
        for release in RELEASES:
            _say(f"Storm {release}")
            storm_classpath(release)
        _say(f"ZooKeeper {zookeeper.RELEASE}")
        zookeeper.zookeeper_classpath()
        _say(f"Prometheus's JMX exporter {jmx.RELEASE}")
        jmx.agent()
    except (pytest.skip.Exception, pytest.fail.Exception) as exc:
        sys.exit(f"Error: {exc}")


def _say(text: str) -> None:
    print(f"    {text}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
