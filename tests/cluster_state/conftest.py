"""The ZooKeepers of these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster_state.zookeepers import AnyZooKeeper, Fake, Real
from tests.real.zookeeper import ZooKeeper


@pytest.fixture(
    scope="session", params=["fake", pytest.param("real", marks=pytest.mark.real)]
)
def zookeeper(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AnyZooKeeper]:
    """Give each ZooKeeper: the tests hold the fake to what the real one does."""
    if request.param == "fake":
        yield Fake()
        return
    with ZooKeeper(tmp_path_factory.mktemp("zookeeper")) as started:
        yield Real(started)
