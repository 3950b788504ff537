#!/usr/bin/env python3
"""The part of Storm's launcher that the compose file needs."""

import os
import shlex
import sys
from pathlib import Path

import yaml

HOME = "/apache-storm"
CONF_DIR = os.environ["STORM_CONF_DIR"]
DAEMONS = {
    "nimbus": "org.apache.storm.daemon.nimbus.Nimbus",
    "pacemaker": "org.apache.storm.pacemaker.Pacemaker",
    "supervisor": "org.apache.storm.daemon.supervisor.Supervisor",
}


def main(command: str, *args: str) -> None:
    """Become the JVM that a command asks for."""
    conf = yaml.safe_load(Path(CONF_DIR, "storm.yaml").read_text())
    log_dir = conf.get("storm.log.dir", f"{HOME}/logs")
    common = [f"-Dstorm.home={HOME}", f"-Dstorm.log.dir={log_dir}"]
    if command in DAEMONS:
        options = [
            *shlex.split(conf.get(f"{command}.childopts", "")),
            f"-Ddaemon.name={command}",
            f"-Dlogfile.name={command}.log",
            f"-Dlog4j.configurationFile={HOME}/log4j2/cluster.xml",
        ]
        become_jvm([*common, *options], [], [DAEMONS[command]])
    elif command == "jar":
        jar, *rest = args
        become_jvm([*common, f"-Dstorm.jar={jar}"], [jar], rest)
    elif command == "ui":
        # Its exit code is 0, so that it is not started again and again.
        print("storm ui: this stand-in has none; Maven Central has no jars of it")  # noqa: T201
    else:
        sys.exit(f"storm {command}: only the official image has it")


def become_jvm(options: list[str], classpath: list[str], command: list[str]) -> None:
    """Run Java in this process' place."""
    path = ":".join([f"{HOME}/lib/*", f"{HOME}/extlib/*", *classpath, CONF_DIR])
    argv = ["java", *options, "-cp", path, *command]
    os.execvp(argv[0], argv)  # noqa: S606  (a list of words: no shell is wanted)


if __name__ == "__main__":
    main(*sys.argv[1:])
