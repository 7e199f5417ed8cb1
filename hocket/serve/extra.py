"""Whether what a server needs is installed; imports none of it."""

import importlib.util

from hocket.errors import MissingError

_PACKAGES = ("starlette", "uvicorn", "prometheus_client", "grpc")


def check_installed() -> None:
    """Refuse where a package is missing.

    Raises:
        MissingError: names it and the extra.
    """
    missing = [package for package in _PACKAGES if importlib.util.find_spec(package) is None]
    if missing:
        raise MissingError(
            f"a server needs {' and '.join(missing)}, which this Python lacks; run pip install 'hocket[serve]'"
        )
