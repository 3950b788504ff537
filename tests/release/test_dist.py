"""The artefacts of `make dist`: the same from the same tree, and complete."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

from pacemaker import __version__
from release import dist, man
from tests.release.conftest import EPOCH, ROOT

TIMEOUT_S = 280

real = pytest.mark.real


def _archive(files: dict[str, bytes], mtime: int, uname: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.uname = len(content), mtime, uname
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.mark.slow
def test_repacked_archive_depends_on_names_and_contents_alone(tmp_path: Path) -> None:
    """Order, times and owners of a source distribution leave no trace."""
    first, second = tmp_path / "first.tar.gz", tmp_path / "second.tar.gz"
    first.write_bytes(_archive({"x/b": b"2", "x/a": b"1"}, 5, "ann"))
    second.write_bytes(_archive({"x/a": b"1", "x/b": b"2"}, 9, "bob"))
    packed = dist.repacked(first, EPOCH)
    assert packed == dist.repacked(second, EPOCH)
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as archive:
        assert {member.mtime for member in archive} == {EPOCH}


def test_checksums_are_those_of_all_files_beside_them(tmp_path: Path) -> None:
    """Each file has its line, in the form that `sha256sum --check` reads."""
    (tmp_path / "a.whl").write_bytes(b"wheel")
    digest = hashlib.sha256(b"wheel").hexdigest()
    assert dist.write_checksums(tmp_path).read_text() == f"{digest}  a.whl\n"
    assert dist.write_checksums(tmp_path).read_text() == f"{digest}  a.whl\n"


def test_tree_without_git_leaves_out_what_is_made(tmp_path: Path) -> None:
    """An unpacked source distribution builds from its own files alone."""
    for name in ("a.py", "build/b.py", ".venv-x/c.py", "d/__pycache__/e.pyc", "d/f"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert dist.sources(tmp_path) == [Path("a.py"), Path("d/f")]


def test_tree_without_git_needs_the_time_of_the_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a commit, the time of the files has to be given."""
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    with pytest.raises(dist.ReleaseError, match="set SOURCE_DATE_EPOCH"):
        dist.source_date(tmp_path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "7")
    assert dist.source_date(tmp_path) == 7


def _built(python: Path, tree: Path, target: Path, umask: int) -> Path:
    """Build in a tree that is a clone of nothing, under a umask."""
    target.mkdir()
    done = subprocess.run(
        [python, "-m", "release.dist", target],
        cwd=tree,
        env=os.environ | {"SOURCE_DATE_EPOCH": f"{EPOCH}"},
        capture_output=True,
        text=True,
        umask=umask,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return target


@pytest.fixture(scope="module")
def made(release_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the artefacts from a copy of the tree."""
    folder = tmp_path_factory.mktemp("first")
    dist.copy_tree(folder / "tree")
    return _built(release_python, folder / "tree", folder / "dist", 0o022)


@pytest.fixture(scope="module")
def wheel(made: Path) -> zipfile.ZipFile:
    """Return the wheel."""
    (built,) = made.glob("*.whl")
    return zipfile.ZipFile(built)


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    """Return the wheel's metadata."""
    (name,) = (n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
    return Parser().parsestr(wheel.read(name).decode())


@real
def test_same_tree_gives_the_same_bytes(
    made: Path, release_python: Path, tmp_path: Path
) -> None:
    """Another folder, umask and time of the files change no artefact."""
    tree = tmp_path / "elsewhere" / "tree"
    dist.copy_tree(tree)
    for path in tree.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    again = _built(release_python, tree, tmp_path / "dist", 0o077)
    names = sorted(path.name for path in made.iterdir())
    assert names == sorted(path.name for path in again.iterdir())
    assert len(names) == 5
    for name in names:
        assert (made / name).read_bytes() == (again / name).read_bytes(), name


@real
def test_wheel_carries_what_is_not_python(wheel: zipfile.ZipFile) -> None:
    """Units, man pages and completions are below share of its data."""
    start = ".data/data/share/"
    carried = {n.split(start)[1] for n in wheel.namelist() if start in n}
    wanted = {*man.pages(), *man.completions()}
    wanted |= {f"storm-pacemaker-py/systemd/{f.name}" for f in ROOT.glob("systemd/*")}
    assert wanted <= carried


@real
def test_metadata_are_complete(metadata: Message) -> None:
    """A package index shows licence, Pythons, a link and a readable page."""
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata.get_all("Project-URL")
    classifiers = metadata.get_all("Classifier") or []
    assert "Programming Language :: Python :: 3.14" in classifiers
    assert not any(each.startswith("License ::") for each in classifiers)
    assert metadata["Description-Content-Type"] == "text/markdown"


@real
def test_each_artefact_has_a_bill_of_materials(made: Path) -> None:
    """The bill names the artefact by checksum, and every package that it needs."""
    for artefact in (*made.glob("*.whl"), *made.glob("*.tar.gz")):
        bill = json.loads((made / f"{artefact.name}.cdx.json").read_text())
        subject = bill["metadata"]["component"]
        assert subject["name"] == "storm-pacemaker-py"
        digest = hashlib.sha256(artefact.read_bytes()).hexdigest()
        assert subject["hashes"] == [{"alg": "SHA-256", "content": digest}]
        names = {each["name"].lower() for each in bill["components"]}
        assert {"click", "kazoo", "pyyaml", "thriftpy2"} <= names
        assert "pip" not in names


@real
def test_source_distribution_has_the_pages_and_the_tools(made: Path) -> None:
    """A wheel can be built of it, with the same pages, and it can build itself."""
    (sdist,) = made.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {f"share/{name}" for name in (*man.pages(), *man.completions())}
    assert wanted | {"release/dist.py", "release/set-up"} <= names


@real
def test_wheel_installs_and_answers(made: Path, tmp_path: Path) -> None:
    """In a fresh environment the program runs, and man finds its page."""
    (built,) = made.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    programs = tmp_path / "venv" / "bin"
    dist.run(programs / "python", "-m", "pip", "install", "--quiet", built)
    version = dist.run(programs / "storm-pacemaker-py", "--version", cwd=tmp_path)
    assert version == f"storm-pacemaker-py, version {__version__}\n"
    pages = tmp_path / "venv" / "share" / "man" / "man8"
    assert (pages / "storm-pacemaker-py-serve.8").is_file()
