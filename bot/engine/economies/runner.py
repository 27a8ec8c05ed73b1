"""The model's graph run node by node.

Rasa hands it to dask in every message, which plans it anew each time: a tenth of a turn.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Text, Tuple

from rasa.core import processor
from rasa.engine.exceptions import GraphRunError
from rasa.engine.runner.dask import DaskGraphRunner


class DirectGraphRunner(DaskGraphRunner):
    """A runner that keeps the order of the nodes for each target."""

    _orders: Dict[Tuple[Text, ...], List[Text]]

    def run(self, inputs: Optional[Dict[Text, Any]] = None, targets: Optional[List[Text]] = None) -> Dict[Text, Any]:
        """The output of each target. Raises GraphRunError if a node waits for itself."""
        wanted = tuple(targets or self._graph_schema.target_names)
        done: Dict[Text, Any] = {name: (name, value) for name, value in (inputs or {}).items()}
        for name in self._order(wanted):
            needs = self._graph_schema.nodes[name].needs.values()
            done[name] = self._instantiated_nodes[name](*[done.get(need, need) for need in needs])
        return {name: done[name][1] for name in wanted}

    def _order(self, targets: Tuple[Text, ...]) -> List[Text]:
        if not hasattr(self, "_orders"):
            self._orders = {}
        if targets not in self._orders:
            nodes = self._graph_schema.minimal_graph_schema(list(targets)).nodes
            order: List[Text] = []
            while len(order) < len(nodes):
                ready = [n for n, node in nodes.items() if n not in order and all(p in order or p not in nodes for p in node.needs.values())]
                if not ready:
                    raise GraphRunError(f"The graph goes round in circles at {sorted(set(nodes) - set(order))}.")
                order += ready
            self._orders[targets] = order
        return self._orders[targets]


def run_without_dask() -> None:
    """Let Rasa's message processor load its model with this runner."""
    processor.DaskGraphRunner = DirectGraphRunner
