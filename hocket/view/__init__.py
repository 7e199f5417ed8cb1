"""What people look at: pictures, traces for Perfetto, tables, explanations."""

from hocket.view.draw import draw
from hocket.view.explain import explain
from hocket.view.perfetto import perfetto
from hocket.view.reports import print_cost, print_demo, print_report, print_solution
from hocket.view.scatter_picture import Point, Scatter
from hocket.view.tables import print_facts, print_table

__all__ = [
    "Point",
    "Scatter",
    "draw",
    "explain",
    "perfetto",
    "print_cost",
    "print_demo",
    "print_facts",
    "print_report",
    "print_solution",
    "print_table",
]
