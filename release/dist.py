"""Build the wheel and the source distribution reproducibly.

    python -m release.dist FOLDER

They are written to FOLDER, with an SBOM for each and ``SHA256SUMS``.  The same tree
gives the same bytes.  SOURCE_DATE_EPOCH is the time of every file; by default it is the
time of the last commit.

Neither setuptools nor `build` makes a source distribution reproducible: times, owners,
permissions and the order of files depend on the tree and the umask.  So both artefacts
are built from a copy with fixed permissions, and the source distribution is repacked.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from release import sbom

ROOT = Path(__file__).parents[1]

NOT_COPIED = (".git", ".cache", "build", "dist", "mutants", "site", "__pycache__")
"""Left out, with `.venv*` and `.*_cache`, if the tree is not a git clone."""


class ReleaseError(Exception):
    """A step of the release failed; the text says which and why."""


def run(*argv: str | Path, cwd: Path = ROOT, epoch: int | None = None) -> str:
    """Run a program and return its standard output.

    Raises:
        ReleaseError: it failed; the text contains its whole output.
    """
    environ = os.environ | ({} if epoch is None else {"SOURCE_DATE_EPOCH": f"{epoch}"})
    done = subprocess.run(  # noqa: S603
        argv, cwd=cwd, env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        command = " ".join(map(str, argv))
        raise ReleaseError(f"{command} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def source_date(root: Path = ROOT) -> int:
    """Return the time of all files.

    Raises:
        ReleaseError: SOURCE_DATE_EPOCH is not set, and the tree is not a git clone.
    """
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    if not (root / ".git").exists():
        raise ReleaseError(
            "this tree is not a git clone: set SOURCE_DATE_EPOCH to the time of the"
            " release, in seconds since 1970"
        )
    return int(run("git", "log", "-1", "--format=%ct", cwd=root))


def sources(root: Path = ROOT) -> list[Path]:
    """Return the files of the tree as relative paths; in a clone, only git's files."""
    if (root / ".git").exists():
        listed = run("git", "ls-files", "-z", cwd=root).split("\0")
        return sorted(Path(name) for name in listed if name and _exists(root / name))
    return sorted(_walk(root, root))


def _exists(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _walk(folder: Path, root: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name in NOT_COPIED or path.name.startswith(".venv"):
            continue
        if path.name.endswith(("_cache", ".egg-info", ".pyc")):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path, root)
        else:
            yield path.relative_to(root)


def copy_tree(target: Path, root: Path = ROOT) -> None:
    """Copy the tree, with permissions that do not depend on the umask."""
    for name in sources(root):
        source, copy = root / name, target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            copy.symlink_to(source.readlink())
        else:
            shutil.copyfile(source, copy)
            is_program = source.stat().st_mode & stat.S_IXUSR
            copy.chmod(0o755 if is_program else 0o644)


def build_dists(target: Path, root: Path = ROOT) -> tuple[Path, Path]:
    """Build both into a folder.

    Returns:
        The source distribution, and the wheel, which is built from it.
    """
    epoch = source_date(root)
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name) / "tree"
        copy_tree(tree, root)
        run(sys.executable, "-m", "release.man", "share", cwd=tree, epoch=epoch)
        for folder in tree.rglob("__pycache__"):
            shutil.rmtree(folder)
        sdist = target / _built("--sdist", tree, Path(name), epoch).name
        sdist.write_bytes(repacked(Path(name) / sdist.name, epoch))
        unpacked = _unpacked(sdist, Path(name) / "unpacked")
        built = _built("--wheel", unpacked, Path(name), epoch)
        wheel = target / built.name
        shutil.copyfile(built, wheel)
    return sdist, wheel


def _built(kind: str, tree: Path, target: Path, epoch: int) -> Path:
    """Build one of the two with the pinned setuptools of this environment."""
    build = (sys.executable, "-m", "build", "--no-isolation", kind)
    run(*build, f"--outdir={target}", tree, cwd=target, epoch=epoch)
    (made,) = target.glob("*.tar.gz" if kind == "--sdist" else "*.whl")
    return made


def repacked(archive: Path, epoch: int) -> bytes:
    """Return a .tar.gz of the same files, sorted, without traces of this machine."""
    plain = io.BytesIO()
    with (
        tarfile.open(archive) as read,
        tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as written,
    ):
        for member in sorted(read.getmembers(), key=lambda each: each.name):
            member.mtime, member.uid, member.gid = epoch, 0, 0
            member.uname = member.gname = ""
            member.pax_headers = {}
            written.addfile(
                member, read.extractfile(member) if member.isreg() else None
            )
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=epoch) as file:
        file.write(plain.getvalue())
    return packed.getvalue()


def _unpacked(sdist: Path, folder: Path) -> Path:
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (top,) = folder.iterdir()
    return top


def write_checksums(folder: Path) -> Path:
    """Write ``SHA256SUMS``, for `sha256sum --check`, over all files of a folder."""
    sums = folder / "SHA256SUMS"
    rows = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n"
        for file in sorted(folder.iterdir())
        if file.is_file() and file != sums
    ]
    sums.write_text("".join(rows))
    return sums


def main(target: Path) -> None:
    """Build and check both, and write their SBOMs and checksums."""
    # The artefacts contain files made here, whose permissions depend on the umask.
    os.umask(0o022)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    made = build_dists(target)
    run(sys.executable, "-m", "twine", "check", "--strict", *made)
    bill = sbom.of_wheel(made[1], source_date())
    for artefact in made:
        sbom.write(bill, artefact, target / f"{artefact.name}.cdx.json")
    write_checksums(target)
    for file in sorted(target.iterdir()):
        print(f"    {file.name}")  # noqa: T201


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except ReleaseError as exc:
        sys.exit(f"Error: {exc}")
