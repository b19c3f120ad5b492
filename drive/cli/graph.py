"""`drive graph`."""

from drive import logs
from drive.containers import Container
from drive.lazy import Graph


def graph() -> int:
    """Print the container's graph as mermaid. Reads no settings: which provider needs which does not depend on them."""
    logs.write_line(Graph(Container()).mermaid().rstrip())
    return 0
