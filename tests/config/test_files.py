"""Where the files are looked for, and what reading them may give."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NoReturn

import pytest

from pacemaker.config import load_configuration
from pacemaker.config.files import conf_dir_of_storm_env, find_conf_folder
from pacemaker.errors import ConfigError


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
    """STORM_CONF_DIR alone counts where it is set, even if nothing is there."""
    write_yaml(tmp_path / "home" / "conf")
    environ = {"STORM_CONF_DIR": str(tmp_path / "c"), "STORM_HOME": f"{tmp_path}/home"}
    folder = find_conf_folder(environ)
    assert folder.path == tmp_path / "c"
    assert folder.looked_for == (f"{tmp_path}/c (STORM_CONF_DIR)",)


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
    assert note.text.endswith(f"looked for it in: {tmp_path} (STORM_CONF_DIR)")


def test_load_knows_nowhere_to_look() -> None:
    """With nothing set at all the warning names the variables."""
    (note,) = load_configuration({"PATH": ""}).notes
    assert note.text.endswith("looked for it in: STORM_CONF_DIR, STORM_HOME, PATH")


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
    environ = {"STORM_CONF_DIR": str(tmp_path / "none")}
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


def test_file_that_is_not_utf_8_is_named_with_its_line(tmp_path: Path) -> None:
    """Bytes in another encoding stop the start and are found."""
    path = write_yaml(tmp_path)
    path.write_bytes(b"a: 1\nb: Z\xfcrich\n")
    with pytest.raises(ConfigError) as caught:
        load_configuration({"STORM_CONF_DIR": str(tmp_path)})
    assert str(caught.value) == f"{path}, line 2: is not UTF-8"


def test_folder_in_the_place_of_a_file_is_an_error(tmp_path: Path) -> None:
    """What is there and cannot be read is not passed over."""
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_configuration({}, config_file=str(tmp_path))


def test_unreadable_file_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file without the permission to read it is named with the reason."""
    path = write_yaml(tmp_path)

    def refuse(*args: object, **kwargs: object) -> NoReturn:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)  # root itself may read anything
        with pytest.raises(ConfigError) as caught:
            load_configuration({"STORM_CONF_DIR": str(tmp_path)})
    assert str(caught.value) == f"{path}: cannot be read: Permission denied"


def test_endless_file_is_not_read_to_its_end() -> None:
    """The name of a device does not fill the memory."""
    with pytest.raises(ConfigError, match=r"/dev/zero: is larger than \d+ bytes"):
        load_configuration({}, config_file="/dev/zero")
