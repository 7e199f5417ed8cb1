"""Where things go at one node: the program's wiring, looked up instead of searched."""

from collections import defaultdict
from collections.abc import Iterator

from hocket.errors import FormatError, PlanError
from hocket.program import INPUT, Binding, Program, Region, Resource, TensorInfo, Transfer, Wire
from hocket.runtime.codecs import DTYPES, require
from hocket.runtime.mailbox import source_regions


class Routes:
    """The part of a program's wiring that one node needs.

    Raises:
        PlanError: the program contradicts itself at this node.
    """

    def __init__(self, program: Program, node: str) -> None:
        sites = {site.name: site for site in program.sites}
        if node not in sites:
            raise PlanError(f"the program has no node {node!r}; it has {', '.join(sorted(sites))}")
        self.site = sites[node]
        self._program = program
        self.tensors: dict[str, TensorInfo] = {tensor.name: tensor for tensor in program.tensors}
        _check_tensors(program, self.tensors)
        self.regions = source_regions(program)
        self.inputs: dict[str, Binding] = {b.tensor: b for b in program.inputs if b.node == node}
        self.transfers: dict[tuple[str, str], list[tuple[int, Transfer]]] = defaultdict(list)
        self.outputs: dict[tuple[str, str], list[int]] = defaultdict(list)
        for index, transfer in enumerate(program.transfers):
            if node in transfer.path:
                self._check(transfer)
            if transfer.path[0] == node and (transfer.source != INPUT or transfer.tensor in self.inputs):
                self.transfers[transfer.source, transfer.tensor].append((index, transfer))
        for leaving in self.transfers.values():
            leaving.sort(key=lambda entry: (entry[1].priority, entry[1].id))
        for index, binding in enumerate(program.outputs):
            if binding.node == node:
                self._known(binding.tensor)
                self.outputs[binding.source, binding.tensor].append(index)
        for tensor in self.inputs:
            self._known(tensor)
        resources = {resource.name: resource for resource in program.resources}
        self.wires: dict[str, tuple[Wire, tuple[Resource, ...]]] = {
            wire.target: (wire, tuple(_resource(wire, name, resources) for name in wire.resources))
            for wire in program.wires
            if wire.source == node
        }
        self.next_nodes = sorted(
            {
                b
                for transfer in program.transfers
                for a, b in zip(transfer.path, transfer.path[1:], strict=False)
                if a == node
            }
        )

    def arriving(self, index: int, hop: int) -> Transfer:
        """The transfer that ends a hop here.

        Raises:
            FormatError: there is none, or it does not.
        """
        transfers = self._program.transfers
        if index >= len(transfers):
            raise FormatError(f"there is no transfer {index}; the program has {len(transfers)}")
        transfer = transfers[index]
        if hop + 1 >= len(transfer.path) or transfer.path[hop + 1] != self.site.name:
            raise FormatError(
                f"hop {hop} of transfer {transfer.id!r} does not end at {self.site.name!r}; route it right"
            )
        return transfer

    def carried(self, transfer: Transfer) -> TensorInfo:
        """Type and shape of what a transfer carries."""
        info = self.tensors[transfer.tensor]
        if transfer.region is None:
            return info
        return info.replace(shape=tuple(stop - start for start, stop in transfer.region))

    def made(self, segment: str, tensor: str) -> TensorInfo | None:
        """Type and shape of what a segment makes of a tensor; None = the program does not say."""
        info, region = self.tensors.get(tensor), self.regions.get((segment, tensor))
        if info is None or region is None:
            return info
        return info.replace(shape=tuple(stop - start for start, stop in region))

    def part(self, transfer: Transfer) -> tuple[slice, ...] | None:
        """What to cut out of the source's array; None = all of it."""
        held: Region | None = self.regions.get((transfer.source, transfer.tensor))
        if transfer.region is None or transfer.region == held:
            return None
        bases = [start for start, _ in held] if held is not None else [0] * len(transfer.region)
        return tuple(slice(a - base, b - base) for (a, b), base in zip(transfer.region, bases, strict=True))

    def _check(self, transfer: Transfer) -> None:
        self._known(transfer.tensor)
        require(transfer.codec)

    def _known(self, tensor: str) -> None:
        if tensor not in self.tensors:
            raise PlanError(f"tensor {tensor!r} has no type and shape; list it in the program's tensors")


def _check_tensors(program: Program, tensors: dict[str, TensorInfo]) -> None:
    """Types are plain, and what is said of a part of a tensor lies within it."""
    for tensor in program.tensors:
        if tensor.dtype not in DTYPES:
            raise PlanError(f"tensor {tensor.name!r} has type {tensor.dtype[:40]!r}; tensors have plain numpy types")
    for name, region in _parts(program):
        info = tensors.get(name)
        if info is None or region is None:
            continue
        if len(region) != len(info.shape) or any(
            not 0 <= start <= stop <= length for (start, stop), length in zip(region, info.shape, strict=True)
        ):
            raise PlanError(f"region {region} does not lie within tensor {name!r} {list(info.shape)}; correct it")


def _parts(program: Program) -> Iterator[tuple[str, Region | None]]:
    yield from ((transfer.tensor, transfer.region) for transfer in program.transfers)
    for segment in program.segments:
        yield from ((port.tensor, port.region) for port in segment.inputs)
        yield from zip(segment.outputs, segment.output_regions, strict=False)


def _resource(wire: Wire, name: str, resources: dict[str, Resource]) -> Resource:
    if name not in resources:
        raise PlanError(f"wire {wire.source} - {wire.target} holds {name!r}, which is not among the resources; list it")
    return resources[name]
