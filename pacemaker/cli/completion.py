"""``completion``: print the script with which a shell completes our commands."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import get_completion_class

from pacemaker.cli.output.printing import print_text

PROGRAM: Final = "storm-pacemaker-py"
# The variable in which a shell asks click; it follows from the program's name.
COMPLETE_VARIABLE: Final = "_STORM_PACEMAKER_PY_COMPLETE"


@click.command(
    "completion",
    short_help="Print the completion script of a shell.",
    epilog="""\b
Examples:
  bash:  eval "$(storm-pacemaker-py completion bash)"       in ~/.bashrc
  zsh:   eval "$(storm-pacemaker-py completion zsh)"        in ~/.zshrc
  fish:  storm-pacemaker-py completion fish | source        in config.fish""",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion_command(ctx: click.Context, shell: str) -> None:
    """Print the script with which SHELL completes commands and options."""
    complete_class = get_completion_class(shell)
    if complete_class is None:
        raise click.UsageError(f"this version of click has no completion for {shell}")
    program = complete_class(ctx.find_root().command, {}, PROGRAM, COMPLETE_VARIABLE)
    print_text(program.source())
