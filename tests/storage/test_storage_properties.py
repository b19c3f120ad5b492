"""Whatever the chunks and their order, the bytes are right."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from storage_support import Staged, body_of, content_of, open_files, promote, write

from drive.storage.local import LocalStore


@st.composite
def uploads(draw: st.DrawFn) -> tuple[bytes, int, list[int], list[bool]]:
    """Give a content, the size of its chunks, in which order they come, and which of them break off at first."""
    content = draw(st.binary(max_size=5000))
    chunk_bytes = draw(st.integers(1, 2000))
    indexes = list(range(-(-len(content) // chunk_bytes)))[:100]
    order = draw(st.permutations(indexes))
    return content[: 100 * chunk_bytes], chunk_bytes, order, draw(st.lists(st.booleans(), min_size=100, max_size=100))


@given(uploads())
@settings(max_examples=40, deadline=None)
async def test_chunks_in_any_order_make_the_content(upload: tuple[bytes, int, list[int], list[bool]]) -> None:
    content, chunk_bytes, order, breaks_off = upload
    with tempfile.TemporaryDirectory() as folder:
        store = LocalStore(Path(folder))

        async def send(index: int) -> None:
            data = content[index * chunk_bytes : (index + 1) * chunk_bytes]
            if breaks_off[index]:
                async with store.part(Staged(), offset=index * chunk_bytes, most_bytes=len(data)) as part:
                    await part.write(body_of(b"\xff" * (len(data) // 2)))
            await write(store, "object", data, offset=index * chunk_bytes)

        await asyncio.gather(*map(send, order))
        assert await promote(store, content) == content_of(content)
        assert store.path("object").read_bytes() == content
        assert open_files(Path(folder)) == []
