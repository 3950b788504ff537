"""Where the files are looked for, and what can happen when they are read."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from pacemaker.config import files, load_configuration
from pacemaker.config.files import (
    conf_dir_of_storm_env,
    find_conf_folder,
    read_named_file,
)
from pacemaker.errors import ConfigError

NOBODY = 65534
SYSTEM_ERROR = ": cannot be read: Permission denied for the user with uid {uid}"


def write_yaml(folder: Path, text: str = "pacemaker.port: 7001\n") -> Path:
    """Write a storm.yaml into a folder, made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "storm.yaml"
    path.write_text(text, "utf-8")
    return path


def install_launcher(release: Path, path_folder: Path) -> None:
    """Make a release of Storm whose launcher is linked into a folder of the PATH."""
    (release / "bin").mkdir(parents=True)
    launcher = release / "bin" / "storm"
    launcher.write_text("#!/bin/sh\n")
    launcher.chmod(0o755)
    path_folder.mkdir()
    (path_folder / "storm").symlink_to(launcher)


def test_conf_dir_variable_is_the_conf_folder(tmp_path: Path) -> None:
    """STORM_CONF_DIR alone counts if it is set, even if no file is there."""
    write_yaml(tmp_path / "home" / "conf")
    (tmp_path / "c").mkdir()
    environ = {"STORM_CONF_DIR": str(tmp_path / "c"), "STORM_HOME": f"{tmp_path}/home"}
    folder = find_conf_folder(environ)
    assert folder.path == tmp_path / "c"
    assert folder.looked_for == (f"{tmp_path}/c/storm.yaml (STORM_CONF_DIR)",)


def test_storm_home_comes_before_the_launcher(tmp_path: Path) -> None:
    """The conf folder of STORM_HOME is taken before that of the launcher."""
    install_launcher(tmp_path / "release", tmp_path / "bin")
    write_yaml(tmp_path / "release" / "conf")
    write_yaml(tmp_path / "home" / "conf")
    environ = {
        "STORM_CONF_DIR": "",
        "STORM_HOME": f"{tmp_path}/home",
        "PATH": f"{tmp_path}/bin",
    }
    assert find_conf_folder(environ).path == tmp_path / "home" / "conf"


def test_launcher_on_the_path_leads_to_its_release(tmp_path: Path) -> None:
    """The conf folder is beside the bin of the launcher that a link leads to."""
    install_launcher(tmp_path / "release", tmp_path / "bin")
    write_yaml(tmp_path / "release" / "conf")
    environ = {"STORM_HOME": f"{tmp_path}/gone", "PATH": f"{tmp_path}/bin"}
    folder = find_conf_folder(environ)
    assert folder.path == (tmp_path / "release" / "conf").resolve()
    assert len(folder.looked_for) == 2


def test_storm_env_moves_the_conf_folder(tmp_path: Path) -> None:
    """A STORM_CONF_DIR that storm-env.sh sets is followed, as the launcher does."""
    write_yaml(tmp_path / "moved")
    (tmp_path / "storm-env.sh").write_text(
        f'export STORM_CONF_DIR="{tmp_path}/moved"\n'
    )
    environ = {"STORM_CONF_DIR": str(tmp_path)}
    assert find_conf_folder(environ).path == tmp_path / "moved"
    assert load_configuration(environ).settings.port == 7001


@pytest.mark.parametrize(
    ("script", "folder"),
    [
        ("", None),
        ('# export STORM_CONF_DIR=""\n', None),
        ("export JAVA_HOME=/x\n  STORM_CONF_DIR=/a # why\n", "/a"),
        ("STORM_CONF_DIR=/a\nexport STORM_CONF_DIR='/b c'\n", "/b c"),
        ("STORM_CONF_DIR=\n", None),
        ("STORM_CONF_DIR=$HOME/conf\n", None),
        ("STORM_CONF_DIR=`pwd`\n", None),
        ("STORM_CONF_DIR='open\n", None),
    ],
)
def test_storm_env_is_read_and_not_run(script: str, folder: str | None) -> None:
    """Only an assignment of a plain word is understood."""
    assert conf_dir_of_storm_env(script) == folder


def test_load_names_file_and_origin(tmp_path: Path) -> None:
    """What was read is named, and each value says where it came from."""
    path = write_yaml(tmp_path)
    configuration = load_configuration(
        {"STORM_CONF_DIR": str(tmp_path)}, options=["pacemaker.max.threads=3"]
    )
    assert configuration.files_read == (path,)
    assert configuration.settings.port == 7001
    assert configuration.origins["port"] == str(path)
    assert configuration.origins["max_threads"] == "-c"
    assert configuration.notes == ()


def test_load_without_a_file_warns_where_it_looked(tmp_path: Path) -> None:
    """Where there is no storm.yaml the defaults hold, and a warning says so."""
    configuration = load_configuration({"STORM_CONF_DIR": str(tmp_path)})
    assert configuration.settings.port == 6699
    assert configuration.files_read == ()
    (note,) = configuration.notes
    assert note.is_warning
    assert note.text == (
        f"no storm.yaml found; tried {tmp_path}/storm.yaml (STORM_CONF_DIR)"
    )


@pytest.fixture
def system_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that stands for /etc/storm; it does not exist yet."""
    folder = tmp_path / "etc"
    monkeypatch.setattr(files, "SYSTEM_FOLDER", folder)
    return folder


def test_system_folder_is_the_last_place(tmp_path: Path, system_folder: Path) -> None:
    """/etc/storm is read unless STORM_HOME or the launcher have a conf folder."""
    path = write_yaml(system_folder)
    environ = {"STORM_HOME": f"{tmp_path}/home", "PATH": ""}
    assert load_configuration(environ).files_read == (path,)
    nearer = write_yaml(tmp_path / "home" / "conf")
    assert load_configuration(environ).files_read == (nearer,)


def test_load_names_the_files_that_it_looked_for(
    tmp_path: Path, system_folder: Path
) -> None:
    """The warning names files, also if no variable is set at all."""
    (note,) = load_configuration({"PATH": ""}).notes
    assert note.text == f"no storm.yaml found; tried {system_folder}/storm.yaml"
    (note,) = load_configuration({"PATH": "", "STORM_HOME": "/gone"}).notes
    assert note.text == (
        "no storm.yaml found; tried /gone/conf/storm.yaml (STORM_HOME), "
        f"{system_folder}/storm.yaml"
    )


def test_load_names_no_file_that_it_did_not_look_for(
    tmp_path: Path, system_folder: Path
) -> None:
    """The first folder that exists is the conf folder, whether or not it is empty."""
    write_yaml(system_folder)
    (tmp_path / "home" / "conf").mkdir(parents=True)
    configuration = load_configuration({"PATH": "", "STORM_HOME": f"{tmp_path}/home"})
    assert configuration.files_read == ()
    assert [note.text for note in configuration.notes] == [
        f"no storm.yaml found; tried {tmp_path}/home/conf/storm.yaml (STORM_HOME)"
    ]


def test_etc_storm_is_the_system_folder() -> None:
    """The place that documentation and units name."""
    assert Path("/etc/storm") == files.SYSTEM_FOLDER


def error_of(conf_dir: Path | str, config_file: str | None = None) -> str:
    """Return the error that STORM_CONF_DIR, or a file of --config, gives."""
    with pytest.raises(ConfigError) as caught:
        load_configuration({"STORM_CONF_DIR": str(conf_dir)}, config_file=config_file)
    return str(caught.value)


def test_folder_that_is_named_must_exist(tmp_path: Path) -> None:
    """STORM_CONF_DIR that names nothing is an error, not a start with defaults."""
    gone = tmp_path / "gone"
    assert error_of(gone) == f"STORM_CONF_DIR={gone}: there is no such folder"
    script = tmp_path / "storm-env.sh"
    script.write_text(f"export STORM_CONF_DIR={gone}\n")
    assert error_of(tmp_path) == (
        f"{script}: STORM_CONF_DIR={gone}: there is no such folder"
    )


def test_folder_that_is_a_file_is_an_error(tmp_path: Path, system_folder: Path) -> None:
    """A file in the place of a folder, or on the way to it, is not passed over."""
    file = write_yaml(tmp_path)
    assert error_of(file) == f"{file} (STORM_CONF_DIR): must be a folder"
    assert error_of(file / "conf") == (
        f"{file}/conf (STORM_CONF_DIR): cannot be read: Not a directory"
    )
    with pytest.raises(ConfigError, match=r"STORM_HOME\): cannot be read: Not a dir"):
        load_configuration({"PATH": "", "STORM_HOME": str(file)})
    system_folder.touch()
    with pytest.raises(ConfigError, match="/etc: must be a folder"):
        load_configuration({"PATH": ""})


@pytest.mark.parametrize("link", ["conf", "conf/storm.yaml", "conf/storm-env.sh"])
def test_link_to_nowhere_is_an_error(tmp_path: Path, link: str) -> None:
    """A dangling link means a file that should be there, not one that is absent."""
    if link != "conf":
        (tmp_path / "conf").mkdir()
    (tmp_path / link).symlink_to("nowhere")
    assert error_of(tmp_path / "conf") == (
        f"{tmp_path}/{link}: is a link to nowhere, which does not exist"
    )


def test_link_to_nowhere_is_an_error_in_every_place(
    tmp_path: Path, system_folder: Path
) -> None:
    """Also STORM_HOME, the system folder and the file of --config may be links."""
    for link in (tmp_path / "home", system_folder, tmp_path / "f"):
        link.symlink_to(tmp_path / "nowhere")
    for environ in ({"PATH": "", "STORM_HOME": f"{tmp_path}/home"}, {"PATH": ""}):
        with pytest.raises(ConfigError, match=r"(home|etc): is a link to .*/nowhere,"):
            load_configuration(environ)
    assert error_of(tmp_path, f"{tmp_path}/f").startswith(f"{tmp_path}/f: is a link")
    assert error_of(tmp_path, "f").startswith(f"{tmp_path}/f: is a link")


@pytest.mark.parametrize("link", ["conf", "conf/storm.yaml", "conf/storm-env.sh"])
def test_loop_of_links_is_an_error(tmp_path: Path, link: str) -> None:
    """A link to itself is named with the system's word for it."""
    if link != "conf":
        (tmp_path / "conf").mkdir()
    (tmp_path / link).symlink_to(tmp_path / link)
    error = error_of(tmp_path / "conf")
    assert error.startswith(f"{tmp_path}/{link}")
    assert error.endswith(": cannot be read: Too many levels of symbolic links")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that every user may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@contextlib.contextmanager
def unprivileged() -> Iterator[int]:
    """Be another user, for whom modes of files count, if this one is root."""
    if os.geteuid() != 0:
        yield os.geteuid()
        return
    os.seteuid(NOBODY)
    try:
        yield NOBODY
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("locked", ["conf", "conf/storm.yaml", "conf/storm-env.sh"])
def test_what_may_not_be_read_is_an_error(open_folder: Path, locked: str) -> None:
    """A folder that may not be entered does not leave the daemon with defaults."""
    path = write_yaml(open_folder / "conf", "pacemaker.auth.method: DIGEST\n")
    (open_folder / "conf" / "storm-env.sh").write_text("# nothing\n")
    (open_folder / locked).chmod(0)
    # In a locked folder the script is the first thing that cannot be read.
    named = path if locked == "conf/storm.yaml" else path.with_name("storm-env.sh")
    with unprivileged() as uid:
        error = error_of(open_folder / "conf")
    assert error == f"{named}{SYSTEM_ERROR.format(uid=uid)}"
    (open_folder / locked).chmod(0o755)


def test_folder_below_one_that_may_not_be_entered_is_an_error(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it exists cannot be told, so the next place is not looked at."""
    write_yaml(open_folder / "home" / "conf")
    monkeypatch.setattr(files, "SYSTEM_FOLDER", open_folder / "home" / "conf")
    (open_folder / "home").chmod(0)
    conf = open_folder / "home" / "conf"
    with unprivileged() as uid:
        system = SYSTEM_ERROR.format(uid=uid)
        assert error_of(conf) == f"{conf} (STORM_CONF_DIR){system}"
        with pytest.raises(ConfigError) as caught:
            load_configuration({"PATH": "", "STORM_HOME": f"{open_folder}/home"})
        assert str(caught.value) == f"{conf} (STORM_HOME){system}"
        with pytest.raises(ConfigError) as caught:
            load_configuration({"PATH": ""})
        assert str(caught.value) == f"{conf}{system}"
    (open_folder / "home").chmod(0o755)


def test_io_error_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fails is not a file that is absent."""
    path = write_yaml(tmp_path)

    def fail(*args: object, **kwargs: object) -> NoReturn:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", fail)
        error = error_of(tmp_path)
    assert error == f"{tmp_path} (STORM_CONF_DIR): cannot be read: Input/output error"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", fail)
        error = error_of(tmp_path, str(path))
    assert error == f"{path}: cannot be read: Input/output error"


def test_named_file_is_looked_up_without_a_folder_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name without a folder means the working directory."""
    monkeypatch.chdir(tmp_path)
    Path("other.yaml").write_text("pacemaker.port: 7000\n")
    assert read_named_file("other.yaml", None).path == Path("other.yaml")


def test_absolute_name_is_looked_up_once(tmp_path: Path) -> None:
    """The error names the one place, with the conf folder or without."""
    name = str(tmp_path / "gone.yaml")
    for folder in (None, tmp_path):
        with pytest.raises(ConfigError) as caught:
            read_named_file(name, folder)
        assert caught.value.problem == f"there is no file {name}"


def test_named_file_needs_no_folder_if_its_name_is_absolute(tmp_path: Path) -> None:
    """A wrong STORM_CONF_DIR does not matter to a file that is found without it."""
    path = write_yaml(tmp_path)
    environ = {"STORM_CONF_DIR": f"{tmp_path}/gone"}
    assert load_configuration(environ, config_file=str(path)).files_read == (path,)
    assert "no such folder" in error_of(f"{tmp_path}/gone", "storm.yaml")


def test_named_file_replaces_storm_yaml(tmp_path: Path) -> None:
    """The file of --config is read alone, from the conf folder before elsewhere."""
    write_yaml(tmp_path / "conf")
    named = tmp_path / "conf" / "mine.yaml"
    named.write_text("pacemaker.max.threads: 9\n")
    configuration = load_configuration(
        {"STORM_CONF_DIR": str(tmp_path / "conf")}, config_file="mine.yaml"
    )
    assert configuration.files_read == (named,)
    assert configuration.settings.port == 6699
    assert configuration.settings.max_threads == 9


def test_named_file_is_found_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not in the conf folder is looked for as it stands."""
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("pacemaker.port: 1\n")
    (tmp_path / "empty").mkdir()
    environ = {"STORM_CONF_DIR": str(tmp_path / "empty")}
    configuration = load_configuration(environ, config_file="mine.yaml")
    assert configuration.settings.port == 1
    with pytest.raises(ConfigError, match=r"--config x: there is no file .*/x nor x"):
        load_configuration(environ, config_file="x")


def test_named_file_must_hold_something(tmp_path: Path) -> None:
    """An empty file of --config stops the start; an empty storm.yaml does not."""
    path = write_yaml(tmp_path, "# nothing yet\n")
    environ = {"STORM_CONF_DIR": str(tmp_path)}
    assert load_configuration(environ).files_read == (path,)
    with pytest.raises(ConfigError, match=r"storm\.yaml: holds no configuration"):
        load_configuration(environ, config_file="storm.yaml")


def test_bytes_that_are_not_utf_8_are_a_warning(tmp_path: Path) -> None:
    """Where nobody reads them they do no harm; the warning names their lines."""
    path = write_yaml(tmp_path)
    path.write_bytes(b"# Z\xfcrich\na: 1\nui.title: \xff\npacemaker.port: 7001\n")
    configuration = load_configuration({"STORM_CONF_DIR": str(tmp_path)})
    assert configuration.settings.port == 7001
    (note,) = configuration.notes
    assert note.is_warning
    assert note.text == f"{path}: not UTF-8, in line 1, 3"
    path.write_bytes(b"#\xff\n" * 9)
    (note,) = load_configuration({"STORM_CONF_DIR": str(tmp_path)}).notes
    assert note.text == f"{path}: not UTF-8, in line 1, 2, 3 and more"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"nimbus.daemon.user: Z\xfcrich", "'Z\ufffdrich'"),
        (b"pacemaker.servers: [a, \xff]", "['a', '\ufffd']"),
        (b"java.security.auth.login.config: /\xe9", "'/\ufffd'"),
        (b"storm.zookeeper.auth.payload: hunter2\xe9", "(not shown)"),
        (b"pacemaker.childopts: -Djava.security.auth.login.config=\xe9", "'\ufffd'"),
    ],
)
def test_value_that_is_read_must_be_utf_8(
    tmp_path: Path, line: bytes, shown: str
) -> None:
    """Bytes in another encoding in a value that is used stop the start."""
    path = write_yaml(tmp_path)
    path.write_bytes(line + b"\n")
    key = line.partition(b":")[0].decode()
    assert error_of(tmp_path) == f"{path}: {key}: {shown}: must be valid UTF-8"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_wide_encoding_is_an_error(tmp_path: Path, encoding: str) -> None:
    """A file of an editor that writes UTF-16 is not read at all, as by Storm."""
    path = write_yaml(tmp_path)
    path.write_text("pacemaker.port: 7001\n", encoding)
    assert error_of(tmp_path) == f"{path}: must be UTF-8, not UTF-16 or UTF-32"


def test_folder_in_the_place_of_a_file_is_an_error(tmp_path: Path) -> None:
    """What is there and cannot be read is not passed over."""
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_configuration({}, config_file=str(tmp_path))


def test_endless_file_is_not_read_to_its_end() -> None:
    """The name of a device does not fill the memory."""
    with pytest.raises(ConfigError, match=r"/dev/zero: is larger than \d+ bytes"):
        load_configuration({}, config_file="/dev/zero")
