"""What is made of images, and what no image can make of us."""

import asyncio
import io
import os
import time
from pathlib import Path

import pytest
from media_support import (
    PLACE,
    bomb,
    encoded,
    looks_like,
    make,
    nobody_reads,
    picture,
    readers_of,
    with_place,
)
from PIL import Image, ImageCms
from support.waiting import eventually

SECRETS = (PLACE.encode(), PLACE.encode("utf-16-le"), b"Exif", b"EXIF", b"XMP ")

# How an upright picture has to be stored for an orientation to turn it upright again.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "object"


def put(file: Path, content: bytes) -> None:
    file.write_bytes(content)


def names(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir()}


def content(file: Path) -> bytes:
    return file.read_bytes()


def opened(file: Path) -> Image.Image:
    return Image.open(io.BytesIO(content(file)))


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", STORED)
async def test_a_picture_is_turned_upright(file: Path, orientation: int, format_: str) -> None:
    upright = picture(1200, 900)
    turn = STORED[orientation]
    stored = upright if turn is None else upright.transpose(turn)
    put(file, with_place(stored, format_, orientation))
    made, folder = await make("image", file)
    assert set(made.variants.items()) == {("webp", "image/webp"), ("compressed", "image/webp")}
    assert looks_like(opened(folder / "webp"), upright)
    assert looks_like(opened(folder / "compressed"), upright.resize((1024, 768)))
    assert (made.meta["width"], made.meta["height"]) == stored.size
    assert (made.meta["orientation"], made.meta["ratio"]) == (orientation, 1200 / 900)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
async def test_nothing_that_is_made_says_where_a_picture_was_taken(file: Path, format_: str) -> None:
    put(file, with_place(picture(1200, 900), format_))
    made, folder = await make("image", file)
    assert set(made.variants) == {"webp", "compressed"}
    for name in made.variants:
        data = content(folder / name)
        assert [secret for secret in SECRETS if secret in data] == []
        assert not opened(folder / name).getexif()
    assert PLACE not in repr(made)
    assert "GPS" not in repr(made)
    assert made.meta["exif"]["Make"] == "Maker"
    assert made.meta["exif"]["Model"] == "Camera"
    if format_ != "TIFF":  # for which Pillow writes no more than that
        assert made.meta["exif"]["FNumber"] == "1.8"


async def test_what_is_told_of_a_picture(file: Path) -> None:
    put(file, encoded(picture(), "JPEG", quality=95))
    made, _ = await make("image", file)
    blur = made.meta.pop("blur")
    assert made.meta == {"format": "jpeg", "width": 64, "height": 48, "ratio": 64 / 48, "orientation": 1, "exif": {}}
    assert len(blur) == 2 + 4 + 2 * 8  # 3 x 3 components
    assert set(made.variants) == {"webp"}


async def test_notes_are_bounded(file: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "x" * 60_000
    exif[0x0131] = "soft\x07ware"
    exif[0xEA60] = "unknown"
    put(file, encoded(picture(), "JPEG", exif=exif))
    made, _ = await make("image", file)
    assert made.meta["exif"] == {"ImageDescription": "x" * 200, "Software": "software"}


@pytest.mark.parametrize(
    ("options", "variants"),
    [
        ({"is_optimized": False}, set()),
        ({"is_described": False}, {"webp"}),
    ],
)
async def test_a_pool_may_want_only_one_of_both(file: Path, options: dict[str, bool], variants: set[str]) -> None:
    put(file, encoded(picture(), "JPEG"))
    made, _ = await make("image", file, **options)
    assert set(made.variants) == variants
    assert ("blur" in made.meta) == options.get("is_described", True)


@pytest.mark.parametrize(
    ("size", "variants"),
    [
        ((1024, 1023), {"webp"}),
        ((1024, 1024), {"webp", "compressed"}),
        ((12_000, 100), {"webp"}),  # a strip would be 8 pixels high
        ((16_400, 1200), {"compressed"}),  # wider than the format can be
        ((1, 1), {"webp"}),
    ],
)
async def test_which_variants_a_size_has(file: Path, size: tuple[int, int], variants: set[str]) -> None:
    put(file, encoded(picture(*size), "PNG"))
    made, folder = await make("image", file)
    assert set(made.variants) == variants
    if "webp" in variants:
        assert opened(folder / "webp").size == size
    if "compressed" in variants:
        assert max(opened(folder / "compressed").size) == 1024


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "LA", "1"])
async def test_a_lossless_picture_stays_so(file: Path, mode: str) -> None:
    image = picture(mode=mode)
    if mode in {"RGBA", "LA"}:
        image.putalpha(Image.linear_gradient("L").resize(image.size).point(lambda value: max(value, 1)))
    put(file, encoded(image, "PNG"))
    _, folder = await make("image", file)
    made = opened(folder / "webp")
    assert made.convert("RGBA").tobytes() == image.convert("RGBA").tobytes()
    assert content(folder / "webp")[12:16] == (b"VP8X" if mode in {"RGBA", "LA"} else b"VP8L") or mode in {
        "RGBA",
        "LA",
    }


async def test_sixteen_bits_are_made_eight(file: Path) -> None:
    deep = Image.linear_gradient("L").resize((64, 48)).convert("I").point(lambda value: value * 257)
    put(file, encoded(deep.convert("I;16"), "PNG"))
    _, folder = await make("image", file)
    assert looks_like(opened(folder / "webp"), Image.linear_gradient("L").resize((64, 48)))


@pytest.mark.parametrize("lossless", [True, False])
async def test_a_webp_is_kept_in_its_kind(file: Path, lossless: bool) -> None:
    put(file, encoded(picture(), "WEBP", lossless=lossless, exif=Image.Exif()))
    _, folder = await make("image", file)
    assert (b"VP8L" in content(folder / "webp")[:64]) == lossless


async def test_colours_of_another_profile_become_those_of_the_web(file: Path) -> None:
    """Without the profile, which says more than the colours: it has texts."""
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    image = picture().convert("CMYK")
    put(file, encoded(image, "JPEG", quality=95))
    _, folder = await make("image", file)
    assert looks_like(opened(folder / "webp"), image.convert("RGB"))

    put(file, encoded(picture(), "JPEG", quality=95, icc_profile=lab.tobytes()))  # a profile for other colours
    made, folder = await make("image", file)
    assert set(made.variants) == {"webp"}
    assert looks_like(opened(folder / "webp"), picture())
    assert "icc_profile" not in opened(folder / "webp").info

    swapped = swapped_profile()
    put(file, encoded(picture(), "PNG", icc_profile=swapped))
    _, folder = await make("image", file)
    result = opened(folder / "webp")
    assert "icc_profile" not in result.info
    expected = ImageCms.profileToProfile(
        picture(), ImageCms.ImageCmsProfile(io.BytesIO(swapped)), ImageCms.createProfile("sRGB")
    )
    assert expected is not None
    assert looks_like(result, expected, most=2)
    assert not looks_like(result, picture(), most=24)


def swapped_profile() -> bytes:
    """Return the profile sRGB with red and green exchanged."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    at = 128 + 4
    names = {b"rXYZ": b"gXYZ", b"gXYZ": b"rXYZ"}
    data = bytearray(profile)
    for n in range(int.from_bytes(profile[128:132], "big")):
        place = at + 12 * n
        name = bytes(data[place : place + 4])
        data[place : place + 4] = names.get(name, name)
    return bytes(data)


@pytest.mark.parametrize("format_", ["GIF", "PNG", "WEBP", "AVIF"])
async def test_what_moves_is_left_alone(file: Path, format_: str) -> None:
    frames = [picture(1200, 900), picture(1200, 900).transpose(Image.Transpose.ROTATE_180)]
    put(file, encoded(frames[0], format_, save_all=True, append_images=frames[1:], duration=100))
    made, _ = await make("image", file)
    assert made.variants == {}
    assert made.flaw is None
    assert (made.meta["width"], made.meta["height"]) == (1200, 900)
    assert made.meta["blur"]


BAD = {
    "a text": b"just a text that calls itself a picture",
    "nothing": b"",
    "a vector graphic": b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>',
    "half a JPEG": encoded(picture(300, 300), "JPEG")[:3000],
    "half a PNG": encoded(Image.effect_noise((300, 300), 90), "PNG")[:9000],
    "a PostScript file": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
    "a broken GIF": b"GIF89a" + bytes(range(256)),
    "a broken TIFF": b"II*\x00" + b"\xff" * 64,
    "an icon of nothing": b"\x00\x00\x01\x00\x01\x00" + b"\x10" * 40,
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
async def test_what_is_no_picture_is_no_problem_of_ours(file: Path, data: bytes) -> None:
    put(file, data)
    made, _ = await make("image", file)
    assert (made.meta, made.variants, made.problem) == ({}, {}, None)
    assert made.flaw


async def test_a_bomb_is_measured_and_not_read(file: Path) -> None:
    """2.5 thousand million pixels."""
    put(file, bomb(50_000, 50_000))
    begun_s = time.monotonic()
    made, _ = await make("image", file)
    assert time.monotonic() - begun_s < 20
    assert made.meta == {"format": "png", "width": 50_000, "height": 50_000, "ratio": 1.0}
    assert (made.variants, made.problem) == ({}, None)


async def test_an_icon_cannot_hide_a_bomb(file: Path) -> None:
    """It says 16 x 16, and contains a PNG that is larger."""
    inner = bomb(50_000, 50_000)
    entry = bytes([16, 16, 0, 0, 1, 0, 32, 0]) + len(inner).to_bytes(4, "little") + (22).to_bytes(4, "little")
    put(file, b"\x00\x00\x01\x00\x01\x00" + entry + inner)
    made, _ = await make("image", file)
    assert (made.variants, made.problem) == ({}, None)


async def test_a_picture_that_takes_more_memory_than_is_allowed_ends_its_child_alone(file: Path) -> None:
    """300 MB once it is read."""
    put(file, encoded(Image.new("RGBA", (8700, 8700)), "PNG", compress_level=1))
    made, folder = await make("image", file, memory_mib=256, max_pixels=10**9)
    assert made.variants == {}
    assert made.problem is not None
    assert "memory" in made.problem
    assert names(folder) == {"stdout", "stderr"}


async def test_a_child_that_hangs_is_stopped(file: Path) -> None:
    """Nobody ever writes into this pipe."""
    os.mkfifo(file)
    made, _ = await make("image", file, timeout_s=1.0)
    assert made.problem == "Reading the image took too long"
    assert readers_of(file) == []


async def test_whoever_stops_waiting_stops_the_child(file: Path) -> None:
    os.mkfifo(file)
    making = asyncio.create_task(make("image", file))
    await eventually(lambda: readers_of(file))
    making.cancel()
    await asyncio.wait([making])
    await eventually(nobody_reads(file))


async def test_a_hundred_million_pixels_are_measured(file: Path) -> None:
    """What is larger than allowed, but by no means a bomb, gets no variants."""
    put(file, encoded(picture(200, 200), "PNG"))
    made, _ = await make("image", file, max_pixels=200 * 200 - 1)
    assert made.meta == {"format": "png", "width": 200, "height": 200, "ratio": 1.0}
    assert made.variants == {}
