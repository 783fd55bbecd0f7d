"""`offhook dev`, `doctor`, `demo`, `token`: the engine's own commands, without npm."""

from __future__ import annotations

import os
import subprocess
import sys

from ._engine import engine_folder, library_path, node_path

COMMANDS = ("dev", "doctor", "demo", "token")


def main() -> None:
    try:
        node = node_path()
    except FileNotFoundError as error:
        print(f"offhook: {error}", file=sys.stderr)
        sys.exit(1)
    command = [node, str(engine_folder() / "dist" / "engine" / "cli.js"), *sys.argv[1:]]
    # The demo plays its agent with the Python that has this package.
    os.environ.setdefault("OFFHOOK_PYTHON", sys.executable)
    os.environ.setdefault("OFFHOOK_LIBRARY", str(library_path()))
    if sys.platform == "win32":
        sys.exit(subprocess.call(command))
    os.execv(node, command)
