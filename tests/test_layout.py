"""The house: imports point one way, no cycles, heavy packages in their one file, files of a readable size."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "hocket"
# A part may import only what it lists here, and itself.
BASE = {"errors", "units", "nouns"}
PLANNING = BASE | {"program", "graph", "cluster", "profile", "plan", "cost", "solvers"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "units": {"errors"},
    "nouns": {"errors", "units"},
    "program": BASE,
    "runtime": BASE | {"program"},
    "graph": BASE | {"program"},
    "cluster": BASE | {"program"},
    "profile": BASE | {"program", "graph", "cluster"},
    "plan": BASE | {"program", "graph", "cluster", "profile"},
    "cost": BASE | {"program", "graph", "cluster", "profile", "plan"},
    "solvers": PLANNING,
    "zoo": BASE | {"program", "graph"},
    "variants": BASE | {"program", "graph"},
    "reading": PLANNING,
    "control": PLANNING | {"runtime", "zoo", "version"},
    "view": PLANNING | {"control"},
    "privacy": PLANNING | {"runtime", "control"},
    "lab": PLANNING | {"runtime", "control"},
    "language": PLANNING | {"runtime", "control", "zoo"},
    "serve": PLANNING | {"runtime", "control", "language", "version"},
    "comparison": PLANNING | {"zoo", "control", "view", "version"},
    "cli": PLANNING
    | {"runtime", "zoo", "reading", "control", "view", "comparison", "privacy", "lab", "language", "serve"},
    "__main__": {"cli"},
    "version": set(),
    "__init__": {"version"},
}
HEAVY = {
    "torch": {"graph/torch.py", "privacy/inversion.py", "language/hugging_face.py"},
    "transformers": {"language/hugging_face.py"},
    "gguf": {"language/gguf_file.py"},
    "tokenizers": {"language/tokenizer.py"},
    "zeroconf": {"runtime/mdns.py"},
    "starlette": {"serve"},
    "uvicorn": {"serve"},
    "grpc": {"serve"},
    "jinja2": {"language/tokenizer.py"},
    "safetensors": {"language/hugging_face.py", "language/safetensors_folder.py"},
    "prometheus_client": {"control/metrics.py", "serve/metrics.py"},
    "opentelemetry": {"control/spans.py"},
    "matplotlib": {"view"},
    "zmq": {"runtime"},
    "onnxruntime": {"runtime", "graph/execute.py", "language/quantise.py"},
    "PIL": {"zoo/preprocess.py", "runtime/pictures.py"},
    "scipy": {"solvers", "profile", "cost", "language/lossy.py"},
    "typer": {"cli"},
    "pyarrow": {"comparison/tables.py"},
    "pymoo": {"solvers/search/library.py"},
    "ortools": {"solvers/exact/schedule.py"},
    "ray": {"comparison/on_ray.py"},
}
FILES = sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    inside = path.relative_to(PACKAGE)
    return inside.parts[0] if len(inside.parts) > 1 else inside.stem


def imported(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
            names += [f"{node.module}.{alias.name}" for alias in node.names if node.module == "hocket"]
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_only_what_stands_to_its_left(path: Path) -> None:
    part = part_of(path)
    parts = {name.split(".")[1] for name in imported(path) if name.startswith("hocket.")}
    assert parts <= MAY_IMPORT[part] | {part}


@pytest.mark.parametrize("package", sorted(HEAVY))
def test_a_heavy_package_is_imported_only_where_it_belongs(package: str) -> None:
    for path in FILES:
        if any(name.split(".")[0] == package for name in imported(path)):
            inside = str(path.relative_to(PACKAGE))
            assert any(inside == place or inside.startswith(f"{place}/") for place in HEAVY[package]), inside


def test_no_file_is_longer_than_four_hundred_lines_and_the_median_is_below_two_hundred() -> None:
    sizes = sorted(len(path.read_text().splitlines()) for path in FILES)
    assert sizes[-1] <= 400
    assert sizes[len(sizes) // 2] <= 200


def test_the_package_asserts_nothing_about_users_data() -> None:
    for path in FILES:
        assert not [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Assert)], path
