"""The generated modules of talk.proto, which no type checker sees."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Talk:
    """The two generated modules."""

    messages: Any
    services: Any

    @property
    def stub(self) -> Any:
        """The class of the stub."""
        return self.services.TalkStub

    def words(self, text: str = "") -> Any:
        """Return a message."""
        return self.messages.Words(text=text)
