"""The nodes of a Ray cluster, and why none of them can hold a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tidemill.adapters.clusters.worker_shape import WorkerShape
from tidemill.core.lazy_dataclass import dataclass

_SHOWN_NODES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """A node of a cluster: all its resources, as Ray names them, and its labels."""

    address: str
    resources: Mapping[str, float]
    labels: Mapping[str, str]

    def can_hold(self, shape: WorkerShape) -> bool:
        """Whether it could hold a worker if nothing else ran on it."""
        wanted = {"CPU": shape.cpus, "memory": shape.memory, "GPU": shape.gpus}
        enough = all(self.resources.get(name, 0) >= need for name, need in wanted.items())
        return enough and {*shape.labels} <= {*self.labels.items()}

    def __str__(self) -> str:
        own = (held for held in sorted(self.labels.items()) if not held[0].startswith("ray.io/"))
        shape = WorkerShape(
            cpus=self.resources.get("CPU", 0),
            memory=int(self.resources.get("memory", 0)),
            gpus=int(self.resources.get("GPU", 0)),
            labels=tuple(own),
        )
        return f"{self.address} ({shape})"


def explain_pending(shape: WorkerShape, nodes: Sequence[NodeFacts], waited_s: float) -> str:
    """Explain why a worker wasn't placed in time: what it asks for, and what the cluster has."""
    asked = f"no worker of {shape} was placed within {waited_s:g} s"
    if not nodes:
        return f"{asked}: the cluster has no nodes"
    shown = "; ".join(str(node) for node in nodes[:_SHOWN_NODES])
    if len(nodes) > _SHOWN_NODES:
        shown += f"; and {len(nodes) - _SHOWN_NODES} more"
    if any(node.can_hold(shape) for node in nodes):
        return f"{asked}: other work uses the nodes that could hold it, of {shown}"
    return (
        f"{asked}: no node is large enough, and none was added. The cluster has {shown}; ask for less in "
        "[tool.tidemill.ray], or add nodes"
    )
