"""What is made of videos and sounds."""

import shutil
import subprocess
from pathlib import Path

import pytest
from media_support import PLACE, make, nobody_reads
from PIL import Image
from structlog.testing import capture_logs
from support.waiting import eventually

from drive.media import videos
from drive.media.children import ChildLimits
from drive.media.making import Making, Task

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")

PICTURES = ["-f", "lavfi", "-i", "testsrc=s=1280x720:d=2:r=10"]
SOUND = ["-f", "lavfi", "-i", "sine=d=2"]


def record(file: Path, *arguments: str) -> Path:
    """Let ffmpeg write a file."""
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *arguments, str(file)], check=True)
    return file


def turned(file: Path) -> Path:
    """Let players turn a video by a quarter: the matrix of its track, in 16.16 and 2.30 bits."""
    numbers = [1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30], [0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30]
    straight, sideways = (b"".join(n.to_bytes(4, "big", signed=True) for n in matrix) for matrix in numbers)
    head, mark, tail = file.read_bytes().partition(b"tkhd")
    file.write_bytes(head + mark + tail.replace(straight, sideways, 1))
    return file


def opened(file: Path) -> Image.Image:
    image = Image.open(file)
    image.load()
    return image


@needs_ffmpeg
@pytest.mark.parametrize("suffix", ["mp4", "webm", "mkv", "avi", "mov", "ts"])
async def test_a_video_gets_a_picture_and_a_description(tmp_path: Path, suffix: str) -> None:
    tags = ["-metadata", f"location={PLACE}", "-metadata", f"comment={PLACE}", "-metadata", "title=Holiday"]
    source = record(tmp_path / f"video.{suffix}", *PICTURES, *SOUND, *tags).rename(tmp_path / "object")
    made, folder = await make("video", source)
    assert made.variants == {"thumbnail": "image/jpeg"}
    thumbnail = opened(folder / "thumbnail")
    assert (thumbnail.format, thumbnail.size) == ("JPEG", (1024, 576))
    meta = made.meta
    assert (meta["width"], meta["height"], meta["ratio"]) == (1280, 720, 1280 / 720)
    assert 1.9 < meta["duration"] < 2.3
    (video,) = meta["video_streams"]
    assert (video["width"], video["height"], video["rotation"]) == (1280, 720, 0)
    (audio,) = meta["audio_streams"]
    assert (audio["channels"], audio["codec_name"] is None) == (1, False)
    assert PLACE not in repr(meta)
    assert PLACE.encode() not in (folder / "thumbnail").read_bytes()
    if suffix in {"mp4", "mkv"}:
        assert meta["tags"]["title"] == "Holiday"


@needs_ffmpeg
async def test_a_video_of_a_turned_phone_is_shown_upright(tmp_path: Path) -> None:
    source = turned(record(tmp_path / "flat.mp4", *PICTURES))
    made, folder = await make("video", source)
    assert made.meta["video_streams"][0]["rotation"] in {90, 270}
    assert (made.meta["width"], made.meta["height"], made.meta["ratio"]) == (1280, 720, 720 / 1280)
    assert opened(folder / "thumbnail").size == (576, 1024)


@needs_ffmpeg
async def test_a_sound_is_described_and_its_cover_shown(tmp_path: Path) -> None:
    plain = record(tmp_path / "plain.mp3", *SOUND, "-metadata", "artist=Nobody")
    made, _ = await make("audio", plain)
    assert made.variants == {}
    assert (made.meta["video_streams"], made.meta["tags"]["artist"]) == ([], "Nobody")
    assert "width" not in made.meta

    cover = record(tmp_path / "cover.png", *PICTURES, "-frames:v", "1")
    covered = record(
        tmp_path / "covered.mp3", "-i", str(plain), "-i", str(cover), "-map", "0:a", "-map", "1:v", "-c", "copy",
        "-disposition:v", "attached_pic",
    )  # fmt: skip
    made, folder = await make("audio", covered)
    assert made.variants == {"thumbnail": "image/jpeg"}
    assert made.meta["video_streams"] == []
    assert opened(folder / "thumbnail").size == (1024, 576)


@needs_ffmpeg
@pytest.mark.parametrize("kind", ["hls", "concat", "text", "nothing", "half", "dash", "image"])
async def test_what_is_no_video_or_names_other_files_is_not_read(tmp_path: Path, kind: str) -> None:
    """A playlist could show what is in other files of the worker."""
    secret = record(tmp_path / "secret.mp4", *PICTURES)
    contents = {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile:{secret}\n#EXT-X-ENDLIST\n".encode(),
        "concat": f"ffconcat version 1.0\nfile '{secret.name}'\n".encode(),
        "dash": f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><BaseURL>{secret}'
        "</BaseURL></Period></MPD>".encode(),
        "text": b"not a video",
        "nothing": b"",
        "half": secret.read_bytes()[:2000],
        "image": b"P6 1 1 255\n\x00\x00\x00",
    }
    source = tmp_path / "object"
    source.write_bytes(contents[kind])
    made, _ = await make("video", source)
    assert (made.meta, made.variants, made.problem) == ({}, {}, None)
    assert made.flaw


@needs_ffmpeg
async def test_a_video_may_take_no_more_than_is_allowed(tmp_path: Path) -> None:
    """Neither time, nor memory, nor pixels; what was found out until then is kept."""
    source = record(tmp_path / "video.mp4", *PICTURES)
    made, _ = await make("video", source, max_pixels=1000)
    assert (made.meta["width"], made.variants, made.problem) == (1280, {}, None)
    made, _ = await make("video", source, timeout_s=0.01)
    assert made.problem == "ffprobe took too long"
    await eventually(nobody_reads(source))


@needs_ffmpeg
async def test_a_pool_may_want_no_thumbnails(tmp_path: Path) -> None:
    made, _ = await make("video", record(tmp_path / "video.mp4", *PICTURES), is_optimized=False)
    assert made.variants == {}
    assert made.meta["width"] == 1280


async def test_without_ffmpeg_videos_are_passed_over_and_that_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    making = Making(ChildLimits(256, 1.0), max_pixels=1)
    task = Task(tmp_path, tmp_path, is_optimized=True, is_described=True)
    with capture_logs() as lines:
        assert [await making.of("video", task), await making.of("audio", task)] == [None, None]
    assert [line["event"] for line in lines] == ["Videos are not processed"]


def test_what_ffprobe_tells_is_bounded_and_readable() -> None:
    """Whatever a file claims of itself."""
    stream = {"codec_type": "video", "width": 0, "height": 0, "avg_frame_rate": "0/0", "bit_rate": "1e400"}
    probe = {
        "format": {"duration": "nan", "tags": {"TITLE": "x\x00\x1b" * 1000, "com.apple.quicktime.location": PLACE}},
        "streams": [stream] * 100,
        "chapters": [{"tags": {"title": "t"}}] * 1000,
    }
    meta = videos.described(probe)
    assert meta["duration"] is None
    assert meta["tags"] == {"title": "x" * 67}
    assert len(meta["video_streams"]) == 16
    assert len(meta["chapters"]) == 100
    assert (meta["video_streams"][0]["avg_frame_rate"], meta["video_streams"][0]["bit_rate"]) == (None, None)
    assert "ratio" not in meta
    assert videos.described({})["video_streams"] == []
