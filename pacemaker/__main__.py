"""``python -m pacemaker`` is ``storm-pacemaker-py``."""

import signal


def run() -> None:
    """Run the command line of this process."""
    # Importing takes a moment, in which Ctrl-C would print a traceback.  A signal
    # that whoever starts us ignores stays ignored.
    is_ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_ours:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from pacemaker.cli import main
    from pacemaker.cli.completion import PROGRAM

    if is_ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    main(prog_name=PROGRAM)


if __name__ == "__main__":
    run()
