"""Write the message classes of hocket/serve/grpc_api from its .proto file; needs the package grpcio-tools.

python -m tools.make_grpc_api
"""

import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "hocket" / "serve" / "grpc_api"
_NOTICE = (
    "# ruff: noqa\n# fmt: off\n# mypy: ignore-errors\n# Made by `python -m tools.make_grpc_api`; do not edit by hand.\n"
)
_POOL = "_descriptor_pool.Default()"


def main() -> None:
    """Compile, and give the messages a pool of their own: clients of the protocol bring the same names with them, and
    one process may hold both."""
    with tempfile.TemporaryDirectory() as folder:
        words = [f"-I{FOLDER}", f"--python_out={folder}", f"--pyi_out={folder}", str(FOLDER / "open_inference.proto")]
        subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *words], check=True)
        for made in Path(folder).iterdir():
            text = made.read_text()
            if made.suffix == ".py" and text.count(_POOL) != 1:
                raise SystemExit(f"{made.name} does not use {_POOL} once; this tool has to learn how it does now")
            (FOLDER / made.name).write_text(_NOTICE + text.replace(_POOL, "_descriptor_pool.DescriptorPool()"))


if __name__ == "__main__":
    main()
