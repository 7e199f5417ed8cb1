"""The one slicing rule: what a part of a block's results needs, what it costs, and the model that computes it."""

from hocket.graph.regions.block import Block, block_of, make_block
from hocket.graph.regions.box import Box, Interval, extent, intersect, merge, missing, region_name, volume, whole
from hocket.graph.regions.combine import combine
from hocket.graph.regions.contract import contractions
from hocket.graph.regions.cuts import contract_parts, granule, part_boxes
from hocket.graph.regions.decompose import decompose
from hocket.graph.regions.demand import Demand, Work, demand
from hocket.graph.regions.lengths import Free, Lengths, lengths_of
from hocket.graph.regions.rewrite import Piece, rewrite
from hocket.graph.regions.rule import Contraction, UnsupportedError
from hocket.graph.regions.slicer import Slicer, slicer_of
from hocket.program import Contract

__all__ = [
    "Block",
    "Box",
    "Contract",
    "Contraction",
    "Demand",
    "Free",
    "Interval",
    "Lengths",
    "Piece",
    "Slicer",
    "UnsupportedError",
    "Work",
    "block_of",
    "combine",
    "contract_parts",
    "contractions",
    "decompose",
    "demand",
    "extent",
    "granule",
    "intersect",
    "lengths_of",
    "make_block",
    "merge",
    "missing",
    "part_boxes",
    "region_name",
    "rewrite",
    "slicer_of",
    "volume",
    "whole",
]
