"""The command line: the same steps without a screen. Its verbs and flags are a contract.

Every verb takes `--json` and `--device`, and exits 0, or 2 with one plain sentence on standard error.
"""

from __future__ import annotations

import os
import sys

import typer

from napari_medseg.cli import learn, look, rounds, segment, sessions
from napari_medseg.core.errors import MedsegError

app = typer.Typer(
    help="Turn medical scans into masks. Research use only; not a medical device.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for room in (look, segment, sessions, learn, rounds):
    room.register(app)

# typer's own error for a command line that makes no sense, of which BadParameter is one kind.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


@app.callback(invoke_without_command=True)
def medseg(context: typer.Context) -> None:
    """Turn medical scans into masks. Research use only; not a medical device."""
    if context.invoked_subcommand is None:
        print(context.get_help())


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; the door where every error becomes one sentence."""
    try:
        code = app(arguments, prog_name="medseg", standalone_mode=False)
        sys.stdout.flush()
    except MedsegError as problem:
        _stop(str(problem))
    except _UsageError as problem:
        _stop(getattr(problem, "format_message", problem.__str__)())
    except BrokenPipeError:  # the reader of our output has gone, as with "| head"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _stop("The output could not be written: whoever read it stopped.")
    except (KeyboardInterrupt, typer.Abort):
        _stop("Stopped before the end, as you asked.")
    except OSError as problem:
        where = f" ({problem.filename})" if problem.filename else ""
        _stop(f"The system refused a file operation: {problem.strerror or problem}{where}.")
    except Exception as problem:  # noqa: BLE001 - the door
        if os.environ.get("MEDSEG_DEBUG"):
            raise
        kind = type(problem).__name__
        _stop(f"Something went wrong inside the program ({kind}); set MEDSEG_DEBUG=1 to see where.")
    else:
        sys.exit(code if isinstance(code, int) else 0)


def _stop(sentence: str) -> None:
    """Say what is wrong in one line and end with code 2."""
    line = " ".join(sentence.split())
    print(line if line.endswith((".", "!", "?")) else f"{line}.", file=sys.stderr)
    sys.exit(2)
