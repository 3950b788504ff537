"""``python -m pacemaker`` is ``storm-pacemaker-py``."""

from pacemaker.cli import main
from pacemaker.cli.completion import PROGRAM

main(prog_name=PROGRAM)
