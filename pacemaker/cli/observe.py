"""``observe``: watch a cluster without end and log what happens."""

from __future__ import annotations

import logging
import signal
import threading
from typing import TYPE_CHECKING

import click

from pacemaker.cli.targets import Target, client_command
from pacemaker.cli.top import observer, zookeeper_option

if TYPE_CHECKING:
    from pacemaker.observe.observer import Observer

logger = logging.getLogger("pacemaker.observe")

LOG_EVERY_S = 2.0
"""How often the view is compared with the one before."""


@click.command(
    "observe",
    short_help="Watch the cluster and log what goes wrong.",
    epilog="""\b
Examples:
  storm-pacemaker-py observe
  storm-pacemaker-py observe --server pm1.example.com --no-zookeeper""",
)
@client_command
@zookeeper_option
def observe_command(target: Target, with_zookeeper: bool) -> None:
    """Watch the workers of the cluster, without end, and log what goes wrong.

    It is a process of its own: it only reads the Pacemakers, as Nimbus does, and
    ZooKeeper. Each line says what has begun to be wrong, or that it is over.
    """
    logger.setLevel(logging.INFO)
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    with observer(target, with_zookeeper) as observing:
        observing.start()
        _log_until(ending, observing)


def _log_until(ending: threading.Event, observing: Observer) -> None:
    from pacemaker.observe.log import TroubleLog

    log = TroubleLog()
    while not ending.wait(LOG_EVERY_S):
        for line in log.lines(observing.view()):
            logger.log(logging.WARNING if line.is_bad else logging.INFO, line.text)
