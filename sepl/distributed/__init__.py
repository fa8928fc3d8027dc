"""Work over a Ray cluster: the one way to it (`connect.connect`), preparation, one call elsewhere."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = [
    "Node",
    "RayExecutor",
    "alive_nodes",
    "check_every_node",
    "is_this_machine",
    "ray_executor",
    "run_remotely",
]

if TYPE_CHECKING:
    from sepl.distributed.connect import Node, alive_nodes, is_this_machine
    from sepl.distributed.prepare import RayExecutor, ray_executor
    from sepl.distributed.remote import run_remotely
    from sepl.distributed.sight import check_every_node
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "connect": ["Node", "alive_nodes", "is_this_machine"],
            "prepare": ["RayExecutor", "ray_executor"],
            "remote": ["run_remotely"],
            "sight": ["check_every_node"],
        },
    )
