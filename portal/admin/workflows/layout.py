"""Where the boxes and lines of a workflow's diagram go: a small layered layout, the same each time for the same table.

Statuses stand in layers by how far they are from something new, following only steps that lead forward in the table's
order. Each transition has a box of its own between two layers, so that it is drawn once however many statuses it
leads from: lines run from its sources into the box and, with an arrow, from the box to its targets. A line that passes
a layer gets a place there (a bend), shared by all lines of the same box that pass it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from portal.domain.lifecycle import Transition, Workflow

SWEEPS = 24
MARGIN = 12.0
# Between neighbours of one layer, and between layers.
GAP, LAYER_GAP = 18.0, 34.0
BEND_WIDTH = 8.0
# Lines meet the edge of a box no nearer to its corners.
CORNER = 14.0
# Long lines are to be straight before anything else.
STRAIGHT, PLAIN = 32.0, 1.0


@dataclass(slots=True, eq=False)
class Node:
    """A status, a transition or a bend; ``x`` is its middle, ``y`` its top."""

    key: str
    width: float
    height: float
    layer: int
    order: int
    kind: str
    x: float = 0.0
    y: float = 0.0
    above: list[Edge] = field(default_factory=list)
    below: list[Edge] = field(default_factory=list)

    @property
    def left(self) -> float:
        """Where it begins at the left."""
        return self.x - self.width / 2


@dataclass(slots=True, eq=False)
class Edge:
    """A piece of line from ``upper`` to ``lower``, one layer further down.

    ``of`` is the transition it belongs to; ``points_to`` the status that it ends at with an arrow, if it does.
    """

    upper: Node
    lower: Node
    of: str
    points_to: Node | None = None
    out: float = 0.0
    into: float = 0.0

    @property
    def path(self) -> str:
        """The line as SVG draws it, towards where it points."""
        bottom = self.upper.y + self.upper.height
        start, end = (self.out, bottom), (self.into, self.lower.y)
        if self.points_to is self.upper:
            start, end = end, start
        middle = (start[1] + end[1]) / 2
        curve = f"M{start[0]:.1f} {start[1]:.1f}C{start[0]:.1f} {middle:.1f} {end[0]:.1f} {middle:.1f} {end[0]:.1f}"
        return f"{curve} {end[1]:.1f}"


@dataclass(frozen=True, slots=True)
class Layout:
    """A laid-out workflow: its boxes by name, its pieces of line, the stretches where lines pass a layer, its size."""

    statuses: dict[str, Node]
    transitions: dict[str, Node]
    edges: list[Edge]
    bends: list[tuple[str, Node]]
    width: float
    height: float


def ranks_of(workflow: Workflow[Any]) -> dict[str, int]:
    """Return how many steps forward each status is from the first, by the longest way."""
    place = {status.name: number for number, status in enumerate(workflow.statuses)}
    ranks = dict.fromkeys(place, 0)
    for name in place:
        for row in workflow.transitions:
            if name not in row.targets:
                continue
            before = [source for source in row.sources if source is not None and place[source] < place[name]]
            ranks[name] = max([ranks[name], *(ranks[source] + 1 for source in before)])
    return ranks


def layer_of(row: Transition[Any], ranks: dict[str, int]) -> int:
    """Return the layer of a transition's box: odd, where those of statuses are even."""
    sources = [ranks[source] for source in row.sources if source is not None]
    targets = [ranks[target] for target in row.targets]
    if not sources:
        return 2 * min(targets) - 1
    lowest = max(sources)
    if not targets or set(sources) == set(targets) == {lowest}:
        return 2 * lowest + 1
    return 2 * (min(targets) if min(targets) > lowest else lowest) - 1


def lay_out(
    workflow: Workflow[Any], status_sizes: dict[str, tuple[float, float]], box_sizes: dict[str, tuple[float, float]]
) -> Layout:
    """Return where everything of ``workflow`` stands, for boxes of the given widths and heights."""
    ranks = ranks_of(workflow)
    statuses = {
        status.name: Node(status.name, *status_sizes[status.name], 2 * ranks[status.name], number, "status")
        for number, status in enumerate(workflow.statuses)
    }
    transitions = {
        row.name: Node(row.name, *box_sizes[row.name], layer_of(row, ranks), number, "transition")
        for number, row in enumerate(workflow.transitions)
    }
    edges: list[Edge] = []
    bends: list[tuple[str, Node]] = []
    for row in workflow.transitions:
        box = transitions[row.name]
        ends = [(statuses[source], False) for source in row.sources if source is not None]
        ends += [(statuses[target], True) for target in row.targets]
        _connect(box, ends, edges, bends)
    nodes = [*statuses.values(), *transitions.values(), *(bend for _, bend in bends)]
    for edge in edges:
        edge.upper.below.append(edge)
        edge.lower.above.append(edge)
    layers = _layers(nodes)
    _order(layers, edges)
    _place(layers)
    _ports(nodes)
    width = max(node.x + node.width / 2 for node in nodes) + MARGIN
    height = max(node.y + node.height for node in nodes) + MARGIN
    return Layout(statuses, transitions, edges, bends, width, height)


def _connect(box: Node, ends: Iterable[tuple[Node, bool]], edges: list[Edge], bends: list[tuple[str, Node]]) -> None:
    """Draw lines between ``box`` and statuses; those of one direction and side share the bends they pass."""
    passed: dict[tuple[bool, int], Node] = {}
    for status, is_target in ends:
        down = status.layer > box.layer
        step = 1 if down else -1
        here, layer = box, box.layer + step
        while layer != status.layer:
            bend = passed.get((is_target, layer))
            if bend is None:
                bend = Node(f"{box.key}-{layer}", BEND_WIDTH, 0.0, layer, box.order, "bend")
                passed[is_target, layer] = bend
                bends.append((box.key, bend))
                edges.append(_edge(here, bend, box.key))
            here, layer = bend, layer + step
        edges.append(_edge(here, status, box.key, status if is_target else None))


def _edge(one: Node, other: Node, of: str, points_to: Node | None = None) -> Edge:
    upper, lower = (one, other) if one.layer < other.layer else (other, one)
    return Edge(upper, lower, of, points_to)


def _layers(nodes: Iterable[Node]) -> list[list[Node]]:
    found: dict[int, list[Node]] = defaultdict(list)
    for node in nodes:
        found[node.layer].append(node)
    return [sorted(found[layer], key=lambda node: (node.kind == "bend", node.order)) for layer in sorted(found)]


# Order within layers: few crossings


def _order(layers: list[list[Node]], edges: Sequence[Edge]) -> None:
    """Sort each layer by where its neighbours are, up and down in turn, and keep the order that crosses least."""
    best, fewest = [list(layer) for layer in layers], _crossings(layers, edges)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            place = {node: number for other in layers for number, node in enumerate(other)}
            wanted = {node: _mean_place(node, place, down) for node in layer}
            layer.sort(key=wanted.__getitem__)
        crossings = _crossings(layers, edges)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    for layer, kept in zip(layers, best, strict=True):
        layer[:] = kept


def _mean_place(node: Node, place: dict[Node, int], down: bool) -> float:
    neighbours = [edge.upper for edge in node.above] if down else [edge.lower for edge in node.below]
    if not neighbours:
        return float(place[node])
    return sum(place[one] for one in neighbours) / len(neighbours)


def _crossings(layers: list[list[Node]], edges: Sequence[Edge]) -> int:
    place = {node: number for layer in layers for number, node in enumerate(layer)}
    by_layer: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for edge in edges:
        by_layer[edge.upper.layer].append((place[edge.upper], place[edge.lower]))
    return sum(
        (one[0] - other[0]) * (one[1] - other[1]) < 0
        for lines in by_layer.values()
        for number, one in enumerate(lines)
        for other in lines[:number]
    )


# Places: straight lines, no overlaps


def _place(layers: list[list[Node]]) -> None:
    """Give every node its ``x`` and ``y``."""
    y = MARGIN
    for layer in layers:
        deep = max(node.height for node in layer)
        for node in layer:
            # A bend is as high as its layer, so that the line passes the boxes beside it upright.
            node.height = deep if node.kind == "bend" else node.height
            node.y = y + (deep - node.height) / 2
        y += deep + LAYER_GAP
        _apart(layer, [0.0] * len(layer), [PLAIN] * len(layer))
    for sweep in range(2 * SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            pulls = [_pull(node, sweep) for node in layer]
            _apart(layer, [where for where, _ in pulls], [weight for _, weight in pulls])
    left = min(node.left for layer in layers for node in layer)
    for layer in layers:
        for node in layer:
            node.x += MARGIN - left


def _pull(node: Node, sweep: int) -> tuple[float, float]:
    """Return where the neighbours of ``node`` want it, and how strongly; in the last sweeps those of both sides."""
    both = sweep >= SWEEPS
    neighbours = [edge.upper for edge in node.above] if both or sweep % 2 == 0 else []
    neighbours += [edge.lower for edge in node.below] if both or sweep % 2 else []
    if not neighbours:
        return node.x, PLAIN / STRAIGHT
    weights = [STRAIGHT if node.kind == one.kind == "bend" else PLAIN for one in neighbours]
    where = sum(one.x * weight for one, weight in zip(neighbours, weights, strict=True)) / sum(weights)
    return where, sum(weights)


def _apart(layer: Sequence[Node], wanted: Sequence[float], weights: Sequence[float]) -> None:
    """Place a layer in its order as near to ``wanted`` as its widths allow (least squares, by pooling neighbours)."""
    shifts, at = [], 0.0
    for number, node in enumerate(layer):
        if number:
            at += (layer[number - 1].width + node.width) / 2 + GAP
        shifts.append(at)
    # Without its shift every place has only to be no less than the one before.
    pools: list[list[float]] = []
    for where, shift, weight in zip(wanted, shifts, weights, strict=True):
        pools.append([where - shift, weight, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            one, two = pools.pop(-2), pools.pop()
            weight_of_both = one[1] + two[1]
            mean = (one[0] * one[1] + two[0] * two[1]) / weight_of_both
            pools.append([mean, weight_of_both, one[2] + two[2]])
    places = [mean for mean, _, count in pools for _ in range(int(count))]
    for node, place, shift in zip(layer, places, shifts, strict=True):
        node.x = place + shift


def _ports(nodes: Iterable[Node]) -> None:
    """Spread the lines that meet a box along its edge, in the order in which they come."""
    for node in nodes:
        for edge, port in zip(sorted(node.above, key=lambda one: one.upper.x), _spread(node, node.above), strict=True):
            edge.into = port
        for edge, port in zip(sorted(node.below, key=lambda one: one.lower.x), _spread(node, node.below), strict=True):
            edge.out = port


def _spread(node: Node, lines: Sequence[Edge]) -> list[float]:
    if node.kind == "bend":
        return [node.x] * len(lines)
    room = node.width - 2 * CORNER
    return [node.left + CORNER + room * (number + 1) / (len(lines) + 1) for number in range(len(lines))]
