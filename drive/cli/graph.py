"""`drive graph`."""

from drive import logs
from drive.lazy import Graph
from drive.worker_container import WorkerContainer


def graph() -> int:
    """Print the container's graph as mermaid. Reads no settings: which provider needs which does not depend on them."""
    logs.write_line(Graph(WorkerContainer()).mermaid().rstrip())
    return 0
