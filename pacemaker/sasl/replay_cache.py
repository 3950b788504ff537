"""The replay cache of KERBEROS: a file of tokens seen, so that no token works twice.

The JDK keeps the cache in memory, so after a restart a token can be replayed for as
long as clocks may differ (5 minutes).  MIT's library keeps it in a file, and has no
cache in memory.  So the default here is a file in a private folder of this user.  That
closes the gap, but without a writable folder nobody can authenticate.  The cache is
checked when the daemon starts, and the folder is recreated if a clean-up has removed
it.  The administrator can choose otherwise with MIT's variable KRB5RCACHENAME.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from pacemaker.errors import ConfigError

VARIABLE: Final = "KRB5RCACHENAME"
FILE_NAME: Final = "replay.cache"

_ADVICE: Final = (
    f"; make it writable, name another file ({VARIABLE}=file2:PATH), or turn the cache"
    f" off ({VARIABLE}=none:)"
)

_NO_CACHE: Final = (
    f"{VARIABLE} is none: there is no replay cache, so anyone who has recorded a"
    " client's first token can replay it for 5 minutes"
)

# The size of a trial write: more than the cache ever writes at once.
_TRIAL_BYTES: Final = 4096


class ReplayCache(NamedTuple):
    """The cache of this process.

    Attributes:
        file: its path; None if there is no cache.
        is_own: whether this daemon creates the folder and keeps it private; if not,
            MIT's library finds the cache by the variable.
    """

    file: Path | None
    is_own: bool

    @property
    def store(self) -> dict[str | bytes, str | bytes]:
        """The entry for GSSAPI's credential store; empty if the variable is set."""
        return {"rcache": f"file2:{self.file}"} if self.is_own else {}

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings for the administrator."""
        return (_NO_CACHE,) if self.file is None else ()

    def folder_problem(self) -> str | None:
        """Create the folder if it is missing; return its problem, if any.

        This takes microseconds, so it may be called before each use.
        """
        if not self.is_own or self.file is None:
            return None
        folder = self.file.parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Links are not followed: in a shared folder, another user could plant one.
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
        """Try to write to the cache; return its problem, if any."""
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
    """Return the cache that the variable names, or else a file in our own folder.

    Raises:
        ConfigError: MIT's library does not know the variable's value.
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
    # The flags that MIT's library uses.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    os.close(os.open(file, flags, 0o600))
    try:
        # Write a file beside it: the content of the cache is not ours.
        with tempfile.TemporaryFile(dir=file.parent, buffering=0) as trial:
            trial.write(bytes(_TRIAL_BYTES))
    except PermissionError:
        # The administrator's file may be in a folder where we may not create files.
        return
