"""`offhook-run agent.py start`: runs a program, unmodified, on the offhook engine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import NoReturn

from ._engine import enable
from ._version import __version__

USAGE = """\
Usage: offhook-run PROGRAM [ARGUMENT ...]

Runs a program, and every process that it starts, on the offhook engine in place of LiveKit's native one.

  offhook-run agent.py start           a script
  offhook-run -m my_agent start        a module
  offhook-run uvicorn app:api          a command
  offhook-run --version                offhook's version

OFFHOOK_ENGINE_MODE  shared (default), ready or own: which engine serves a process
OFFHOOK_NODE         the Node that runs the engine, in place of the one that comes with the package
OFFHOOK_LOG          error, warn (default), info or debug: what the engine writes to standard error
"""


def command_of(arguments: list[str]) -> list[str]:
    """The command line of a program: Python scripts, modules and code with this interpreter, commands as they are."""
    program = arguments[0]
    if program in ("-m", "-c") or program.endswith((".py", ".pyw", ".pyz")) or os.path.isdir(program):
        return [sys.executable, *arguments]
    found = shutil.which(program)
    return [found, *arguments[1:]] if found else [sys.executable, *arguments]


def run(arguments: list[str]) -> NoReturn:
    try:
        enable()
    except (FileNotFoundError, ValueError) as error:
        print(f"offhook-run: {error}", file=sys.stderr)
        sys.exit(1)
    command = command_of(arguments)
    sys.stdout.flush()
    if sys.platform == "win32":
        sys.exit(subprocess.call(command))
    # In place of this process: signals and the exit code are the program's.
    os.execv(command[0], command)


def main() -> None:
    arguments = sys.argv[1:]
    if arguments and arguments[0] in ("-V", "--version"):
        print(__version__)
        sys.exit(0)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE, end="")
        sys.exit(0 if arguments else 2)
    run(arguments)
