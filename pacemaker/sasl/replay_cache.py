"""Where KERBEROS keeps the tokens that it has seen, so that none is taken twice.

The JDK keeps them in memory, so a token can be repeated after a restart, for as long
as clocks may differ (5 minutes).  MIT's library keeps them in a file, and has no cache
in memory.  So the default here is a file in a folder of this user's own, which closes
that gap and has a price: without a place to write nobody can authenticate.  It is
looked at when the daemon starts, and the folder is made again if somebody has cleaned
it away.  The administrator may choose otherwise by MIT's variable, KRB5RCACHENAME.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pacemaker.errors import ConfigError

VARIABLE = "KRB5RCACHENAME"
FILE_NAME = "replay.cache"

_ADVICE = (
    f"; make it writable, or name another file ({VARIABLE}=file2:PATH), or do without"
    f" ({VARIABLE}=none:)"
)

_NO_CACHE = (
    f"{VARIABLE} is none: there is no replay cache, and who has listened to a client"
    " can repeat its first token for 5 minutes"
)

# What the cache is given when it is tried: more than it ever writes at once.
_TRIAL_BYTES = 4096


class ReplayCache(NamedTuple):
    """The cache of this process.

    Attributes:
        file: where it is; None if there is none.
        is_own: whether its folder is this daemon's to make, and nobody else's to
            look into; if not, MIT's library finds the cache by the variable.
    """

    file: Path | None
    is_own: bool

    @property
    def store(self) -> dict[str | bytes, str | bytes]:
        """The entry of GSSAPI's credential store that names it, if it has to."""
        return {"rcache": f"file2:{self.file}"} if self.is_own else {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What the administrator should know."""
        return (_NO_CACHE,) if self.file is None else ()

    def folder_problem(self) -> str | None:
        """Make the folder if it is missing; return what is wrong with it, if anything.

        It takes microseconds, so it may be asked before each use.
        """
        if not self.is_own or self.file is None:
            return None
        folder = self.file.parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Not followed: in a shared folder the name may be another user's link.
            status = folder.lstat()
        except OSError as exc:
            return f"the replay cache has no folder {folder}: {exc.strerror}{_ADVICE}"
        is_private = stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o077
        if not is_private or status.st_uid != os.getuid():
            return (
                f"the replay cache needs a private folder: {folder} must belong to this"
                " user and have mode 0700"
            )
        return None

    def problem(self) -> str | None:
        """Try to write; return what is wrong with the cache, if anything."""
        folder_problem = self.folder_problem()
        if folder_problem is not None or self.file is None:
            return folder_problem
        try:
            _try_to_write(self.file)
        except OSError as exc:
            return (
                f"the replay cache {self.file} cannot be written: {exc.strerror}"
                f"{_ADVICE}"
            )
        return None


def find_replay_cache(state_directory: Path, environ: Mapping[str, str]) -> ReplayCache:
    """Find the cache: the one of the variable, or else a file in our own folder.

    Raises:
        ConfigError: the variable has a value that MIT's library does not know.
    """
    name = environ.get(VARIABLE)
    if not name:
        return ReplayCache(state_directory / FILE_NAME, is_own=True)
    kind, colon, place = name.partition(":")
    if colon and kind == "none":
        return ReplayCache(None, is_own=False)
    if colon and kind == "dfl":
        folder = environ.get("KRB5RCACHEDIR") or "/var/tmp"  # noqa: S108  # MIT's
        return ReplayCache(Path(folder, f"krb5_{os.getuid()}.rcache2"), is_own=False)
    if kind == "file2" and place:
        return ReplayCache(Path(place), is_own=False)
    raise ConfigError("must be file2:PATH, dfl: or none:", key=VARIABLE, value=name)


def _try_to_write(file: Path) -> None:
    # As MIT's library opens it.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    os.close(os.open(file, flags, 0o600))
    try:
        # Beside it: what is in the file is not ours to write.
        with tempfile.TemporaryFile(dir=file.parent, buffering=0) as trial:
            trial.write(bytes(_TRIAL_BYTES))
    except PermissionError:
        # The administrator's file may be in a folder that is closed to us.
        return
