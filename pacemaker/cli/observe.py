"""``observe``: watch a cluster until stopped, log trouble, serve a page."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pacemaker.admin.address import AdminAddress
from pacemaker.cli.options.admin_options import METAVAR, parse_admin, read_token
from pacemaker.cli.options.daemon_options import choose, daemon_option
from pacemaker.cli.options.targets import Target, client_options
from pacemaker.cli.top import WITHOUT_ZOOKEEPER
from pacemaker.errors import ConfigError

if TYPE_CHECKING:
    from pacemaker.observe.observer import Observer
    from pacemaker.observe.views.sparklines import Sparklines

_logger: Final = logging.getLogger("pacemaker.observe")

# How often the view is compared with the previous one.
TURN_EVERY_S: Final = 2.0

DEFAULT_HTTP: Final = "127.0.0.1:6697"


@click.command(
    "observe",
    short_help="Watch the cluster: log what goes wrong, serve a page.",
    epilog=f"""\b
Examples:
  storm-pacemaker-py observe
  storm-pacemaker-py observe --http {DEFAULT_HTTP}
  storm-pacemaker-py observe --http 0.0.0.0:6697 --http-token-file /etc/storm/token""",
)
@partial(client_options, scope="observe")
@daemon_option(
    "--no-zookeeper",
    scope="observe",
    is_flag=True,
    help=WITHOUT_ZOOKEEPER,
)
@daemon_option(
    "--http",
    "address",
    scope="observe",
    metavar=METAVAR,
    callback=parse_admin,
    help="Serve a read-only page and /metrics there. --http-token-file is required for"
    " an address that other hosts can reach, and, if Pacemaker's authentication is on,"
    " for every address except a Unix socket.",
)
@daemon_option(
    "--http-host",
    "names",
    scope="observe",
    metavar="NAME",
    multiple=True,
    help="A further host name by which browsers may ask for the page; localhost,"
    " addresses and the name in --http are always allowed. Repeatable.",
)
@daemon_option(
    "--http-token-file",
    "token",
    scope="observe",
    metavar="FILE",
    type=click.Path(path_type=Path),
    callback=read_token,
    help="Require the token in FILE: in browsers as the password, with any user name;"
    " from programs as a bearer token.",
)
@click.pass_context
def observe_command(ctx: click.Context, /, target: Target, **_: object) -> None:
    """Watch the workers of the cluster until stopped, and log what goes wrong.

    It runs beside the Pacemakers and only reads: from them as Nimbus does, and from
    ZooKeeper. Each log line says that some trouble has begun, or that it is over.
    """
    from pacemaker.observe.observer import Observer
    from pacemaker.observe.views.sparklines import Sparklines
    from pacemaker.observe.web.server import WebServer

    configuration = target.configuration()
    chosen = choose(ctx, configuration)
    target = target.as_chosen(chosen)
    logging.getLogger().setLevel(target.log_level.upper())
    address, names, token, no_zookeeper = (
        chosen[name].value for name in ("address", "names", "token", "no_zookeeper")
    )
    settings = target.settings_in(configuration)
    if address is not None:
        _check_gate(address, token, settings.auth_method.value)
    _logger.setLevel(logging.INFO)
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    sparklines = Sparklines()
    with contextlib.ExitStack() as parts:
        observing = parts.enter_context(
            Observer(settings, target.timeout_s, with_zookeeper=not no_zookeeper)
        )
        if address is not None:
            web = WebServer(address, observing, sparklines, names, token)
            parts.enter_context(web)
            _logger.info("the page is at %s", _url(web.address))
        observing.start()
        _turn_until(ending, observing, sparklines)


def _check_gate(address: AdminAddress, token: str | None, auth_method: str) -> None:
    """Refuse to show everyone what only authorized readers of Pacemaker may see."""
    from pacemaker.observe.web.server import is_local

    if token is not None or address.is_unix:
        return
    if not is_local(address):
        raise click.UsageError(
            f"--http {address} can be reached from other hosts: name a file with a"
            " token by --http-token-file, or use a loopback address"
        )
    if auth_method != "NONE":
        raise ConfigError(
            "only authenticated clients may read heartbeats, so the page of --http"
            " needs --http-token-file, or a Unix socket: --http unix:PATH",
            key="pacemaker.auth.method",
            value=auth_method,
        )


def _url(address: AdminAddress) -> str:
    return str(address) if address.is_unix else f"http://{address}/"


def _turn_until(
    ending: threading.Event, observing: Observer, sparklines: Sparklines
) -> None:
    from pacemaker.observe.views.trouble_log import TroubleLog

    log = TroubleLog()
    while not ending.wait(TURN_EVERY_S):
        view = observing.view()
        sparklines.on_view(view)
        for line in log.lines(view):
            _logger.log(logging.WARNING if line.is_bad else logging.INFO, line.text)
