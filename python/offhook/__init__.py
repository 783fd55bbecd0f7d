"""offhook: LiveKit programs in Python on a realtime engine that picks up whatever breaks around it.

`offhook-run agent.py start` puts an unmodified program on it. A program that is started otherwise calls `offhook.enable()`
before it uses LiveKit.
"""

from ._engine import EngineMode, enable, engine_folder, library_path, node_path
from ._version import __version__

__all__ = ["EngineMode", "__version__", "enable", "engine_folder", "library_path", "node_path"]
