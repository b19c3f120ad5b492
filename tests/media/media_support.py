"""Pictures, and what is made of them."""

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
from PIL import Image

from drive.media.children import ChildLimits
from drive.media.making import Made, Making, Task

PLACE = "Secret Place 48.1N"
"""Where a picture was taken: must be in nothing that was made of it."""


async def make(
    kind: str,
    source: Path,
    *,
    memory_mib: int = 1024,
    timeout_s: float = 60.0,
    max_pixels: int = 64 * 1024 * 1024,
    is_optimized: bool = True,
    is_described: bool = True,
) -> tuple[Made, Path]:
    """Return what was made of a file, and the folder where it is."""
    folder = source.with_name(f"{source.name}.made")
    folder.mkdir(exist_ok=True)
    making = Making(ChildLimits(memory_mib, timeout_s), max_pixels=max_pixels)
    made = await making.of(kind, Task(source, folder, is_optimized, is_described))
    assert made is not None
    return made, folder


def picture(width: int = 64, height: int = 48, mode: str = "RGB") -> Image.Image:
    """Return a picture none of whose corners is like another."""
    image = Image.linear_gradient("L").resize((width, height))
    sideways = Image.linear_gradient("L").rotate(90).resize((width, height))
    return Image.merge("RGB", (image, sideways, Image.new("L", (width, height), 40))).convert(mode)


def encoded(image: Image.Image, format_: str, **options: Any) -> bytes:
    """Return a picture as the bytes of a file."""
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def with_place(image: Image.Image, format_: str = "JPEG", orientation: int = 1) -> bytes:
    """Return a file that says in many ways where the picture was taken."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Maker"
    exif[0x0110] = "Camera"
    exif[0x9C9C] = PLACE.encode("utf-16-le")  # XPComment
    exif.get_ifd(0x8825)[29] = PLACE  # GPSDateStamp, the place of a text
    exif.get_ifd(0x8825)[2] = (48.0, 8.0, 7.0)
    exif.get_ifd(0x8769)[0x927C] = PLACE.encode()  # MakerNote
    exif.get_ifd(0x8769)[0x9286] = PLACE.encode()  # UserComment
    exif.get_ifd(0x8769)[0xA431] = PLACE  # BodySerialNumber
    exif.get_ifd(0x8769)[0x829D] = 1.8
    options: dict[str, Any] = {"comment": PLACE, "xmp": PLACE.encode()} if format_ == "JPEG" else {}
    if format_ == "PNG":
        from PIL.PngImagePlugin import PngInfo

        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_text("Comment", PLACE)
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", PLACE)
    return encoded(image, format_, exif=exif, **options)


def bomb(width: int, height: int) -> bytes:
    """Return a small PNG that says that it is a large picture."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    pixels = zlib.compress(bytes(10_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def looks_like(image: Image.Image, other: Image.Image, most: int = 24) -> bool:
    """Tell whether two pictures are the same to the eye, in each corner."""
    if image.size != other.size:
        return False
    image, other = image.convert("RGB"), other.convert("RGB")
    right, bottom = image.width - 2, image.height - 2
    corners = [(1, 1), (right, 1), (1, bottom), (right, bottom)]
    return all(_distance(image.getpixel(one), other.getpixel(one)) <= most for one in corners)


def _distance(one: Any, other: Any) -> int:
    return int(max(abs(a - b) for a, b in zip(one, other, strict=True)))


def readers_of(file: Path) -> list[psutil.Process]:
    """Return the processes that were started to read a file."""
    return [one for one in psutil.process_iter() if one.pid != os.getpid() and _names(one, str(file))]


def _names(process: psutil.Process, file: str) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and any(file in part for part in process.cmdline())
    except psutil.NoSuchProcess:
        return False


def nobody_reads(file: Path) -> Callable[[], bool]:
    return lambda: readers_of(file) == []
