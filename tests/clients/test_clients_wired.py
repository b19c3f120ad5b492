"""Which of the gRPC clients are there, and for whom."""

from drive.lazy import Graph, Stub
from drive.lazy.graph import needed
from drive.worker_container import WorkerContainer


def test_no_client_is_wired_that_nothing_uses() -> None:
    graph = Graph(WorkerContainer())
    stubs = {name for name, provider in graph.names.items() if isinstance(provider, Stub)}
    used = {graph.name(one) for provider in graph.providers for one in needed(provider)}
    assert len(stubs) == 10
    assert stubs - used == set()


def test_all_clients_share_one_set_of_channels() -> None:
    graph = Graph(WorkerContainer())
    stubs = [provider for provider in graph.providers if isinstance(provider, Stub)]
    assert {graph.names["channels"] in needed(stub) for stub in stubs} == {True}
    assert [name for name in map(graph.name, graph.providers) if name == "Channels"] == []
