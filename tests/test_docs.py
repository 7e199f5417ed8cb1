"""The documentation: generated pages are current, links lead somewhere, commands and examples exist."""

import ast
import importlib
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType

import pytest

import hocket
from hocket.cli.common import read_graph
from hocket.cluster import DEVICES, LINKS, read_toml
from hocket.cluster.keys import LINK_KEYS, NODE_KEYS

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def make_docs() -> ModuleType:
    """The tool that makes pages, which lies beside the package and not in it."""
    sys.path.insert(0, str(ROOT))
    try:
        return importlib.import_module("tools.make_docs")
    finally:
        sys.path.remove(str(ROOT))


def _blocks(page: Path, language: str) -> list[str]:
    return [text for found, text in _FENCE.findall(page.read_text(encoding="utf-8")) if found == language]


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _commands(page: Path) -> list[list[str]]:
    """The words of every line of a shell block that calls hocket."""
    lines = [line for block in _blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
    words = [shlex.split(line.split("|")[0], comments=True) for line in lines]
    return [line for line in words if line[:1] == ["hocket"]]


def test_generated_pages_are_current(make_docs: ModuleType) -> None:
    """What the code says of itself is what the pages say."""
    for page, text in make_docs.pages().items():
        assert page.read_text(encoding="utf-8") == text, f"{_name(page)} is not current; run python -m tools.make_docs"


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_to_files(page: Path) -> None:
    """Every link that is no address names a file or a folder that exists."""
    prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in _LINK.findall(prose):
        path = target.partition("#")[0]
        if path and "://" not in path:
            assert (page.parent / path).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_commands_exist(page: Path, make_docs: ModuleType) -> None:
    """Every command in a shell block exists, with its options and as many arguments as it takes."""
    known = make_docs.commands()
    for found in _commands(page):
        if found[1:] == ["--help"]:
            continue
        of_group = " ".join(found[1:3])
        words = [found[0], of_group, *found[3:]] if of_group in known else found
        command = known[words[1]]
        given, rest = 0, iter(words[2:])
        for word in rest:
            if not word.startswith("-"):
                given += 1
            elif word != "--help":
                option = command.option(word)
                assert option is not None, f"{words[1]} has no option {word}: {words}"
                if option.kind != "flag":
                    assert next(rest, None) is not None, f"{word} has no value: {words}"
        required = sum(argument.required for argument in command.arguments)
        assert required <= given, words
        assert given <= len(command.arguments) or command.arguments[-1].many, words


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_clusters_are_clusters(page: Path) -> None:
    """Every TOML block that says it is a whole cluster is one."""
    for text in _blocks(page, "toml"):
        if "hocket.cluster/1" in text:
            assert read_toml(text).nodes


def test_the_problem_file_of_its_page_is_one(tmp_path: Path) -> None:
    """On the cluster of the examples."""
    (text,) = [text for text in _blocks(ROOT / "docs" / "problem.md", "toml") if "hocket.problem/1" in text]
    (tmp_path / "home.toml").write_text((ROOT / "examples" / "home.toml").read_text(encoding="utf-8"))
    (tmp_path / "problem.toml").write_text(text)
    problem = hocket.read_problem(tmp_path / "problem.toml", read_graph)
    assert [task.name for task in problem.tasks] == ["camera", "microphone"]


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_python_names_exist(page: Path) -> None:
    """Every Python block can be parsed, and what it takes from hocket is there."""
    for text in _blocks(page, "python"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module:
                module = importlib.import_module(node.module)
                assert not [alias.name for alias in node.names if not hasattr(module, alias.name)], node.module
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "hocket":
                assert node.attr in hocket.__all__, node.attr


def test_the_readme_has_its_examples() -> None:
    """The checks above would pass on a page without any."""
    readme = ROOT / "README.md"
    assert _commands(readme)
    assert any("hocket.cluster/1" in text for text in _blocks(readme, "toml"))
    assert any("import hocket" in text for text in _blocks(readme, "python"))


def test_every_key_of_a_cluster_is_documented() -> None:
    """Its page names each key in code font."""
    text = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    for key in (*NODE_KEYS, *LINK_KEYS, *DEVICES, *LINKS, "preset", "port", "trace", "bandwidth", "snr", "up", "down"):
        assert f"`{key}`" in text, key
