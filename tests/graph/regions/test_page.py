"""The table in the docs is that of the code."""

import importlib.util
from pathlib import Path
from types import ModuleType

from hocket.graph.regions.table import RULES

TOOL = Path(__file__).parents[3] / "tools" / "make_slicing_table.py"


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_slicing_table", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_of_rules_is_current() -> None:
    page = tool().PAGE.read_text(encoding="utf-8")
    assert page == tool().renewed(page), "run python tools/make_slicing_table.py"


def test_every_rule_says_what_it_needs() -> None:
    for kind, entry in RULES.items():
        for function in (entry.rule, entry.contractions):
            assert function is None or function.__doc__, kind
