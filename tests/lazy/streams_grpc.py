"""What the protobuf plugin would generate for a service with one method of each arity, but for messages of plain bytes.

service Streams {
  rpc Echo (bytes) returns (bytes);
  rpc Count (bytes) returns (stream bytes);
  rpc Join (stream bytes) returns (bytes);
  rpc Talk (stream bytes) returns (stream bytes);
}
"""

from typing import Any


class StreamsStub:
    """Streams, as a client calls it."""

    def __init__(self, channel: Any) -> None:
        """Make the multicallables, as a generated stub does."""
        self.Echo = channel.unary_unary("/drive.tests.Streams/Echo", _registered_method=True)
        self.Count = channel.unary_stream("/drive.tests.Streams/Count", _registered_method=True)
        self.Join = channel.stream_unary("/drive.tests.Streams/Join", _registered_method=True)
        self.Talk = channel.stream_stream("/drive.tests.Streams/Talk", _registered_method=True)
