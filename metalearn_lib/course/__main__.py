"""`metalearn`, which is `python -m metalearn_lib.course`: the first and the last moment of every command.

Importing the commands takes a second or two: Ctrl-C in that time ends without a traceback, too.
"""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Run the command line; exit 130 after Ctrl-C, whenever it comes, and 1 where the output cannot be written."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # nothing has been begun yet
    from .cli import app
    from .console import forgiving_streams

    forgiving_streams()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        app(prog_name="metalearn")
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        _end(error)
    finally:
        try:
            sys.stdout.flush()
        except OSError as error:
            _end(error)


def _end(error: OSError) -> None:
    """Say what the system refused and end at once: what is left in the output cannot be written."""
    try:
        print(f"error: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(1)


if __name__ == "__main__":
    main()
