"""What ffmpeg and ffprobe are asked of a video or a sound, and what is shown of their answer."""

from pathlib import Path
from typing import Any

import msgspec

# Containers that hold their own pictures and sounds. Playlists (HLS, DASH, concat, …) are none: they name other files.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpeg,mpegts,mpegvideo,asf,ogg,mp3,wav,w64,aiff,flac,aac,ac3,amr,au,caf,"
    "h264,hevc,m4v,mxf,rm,ivf,dv,wv,ape,tta,opus"
)
_MOST_STREAMS = 16
_MOST_CHAPTERS = 100
_TEXT_MAX_CHARACTERS = 200
# A list of what is allowed, as for images: where a video was taken has many names.
_TAGS = {
    "album", "album_artist", "artist", "compatible_brands", "composer", "copyright", "creation_time", "date", "disc",
    "encoder", "genre", "language", "major_brand", "minor_version", "performer", "publisher", "title", "track",
}  # fmt: skip
_THUMBNAIL_SIDE = 1024
_FIRST_S = 1.0  # many videos begin with a black frame


def probing(ffprobe: str, source: Path) -> list[str]:
    """Return the command that describes a file as JSON."""
    wanted = ["-show_format", "-show_streams", "-show_chapters"]
    return [ffprobe, "-v", "error", "-of", "json=compact=1", *wanted, *_input(source)]


def picking(ffmpeg: str, source: Path, *, at_s: float, max_pixels: int) -> list[str]:
    """Return the command that writes a frame as `thumbnail`, a JPEG without metadata."""
    start = ["-ss", f"{at_s:.3f}"] if at_s else []  # even to seek to the beginning passes over the cover of a song
    side = f"min({_THUMBNAIL_SIDE}\\,iw):min({_THUMBNAIL_SIDE}\\,ih)"
    return [
        ffmpeg, "-nostdin", "-v", "error", "-y", "-threads", "1", "-max_pixels", str(max_pixels), *start,
        *_input(source), "-map", "0:v:0", "-frames:v", "1", "-map_metadata", "-1", "-filter_threads", "1", "-vf",
        f"scale={side}:force_original_aspect_ratio=decrease:force_divisible_by=2,format=yuvj420p",
        "-threads", "1", "-c:v", "mjpeg", "-q:v", "4", "-bitexact", "-f", "image2", "-update", "1", "thumbnail",
    ]  # fmt: skip


def _input(source: Path) -> list[str]:
    return ["-protocol_whitelist", "file", "-format_whitelist", _CONTAINERS, "-i", f"file:{source}"]


def parsed(output: bytes) -> dict[str, Any] | None:
    """Read what ffprobe printed; None where it is nothing that could be read."""
    try:
        found = msgspec.json.decode(output)
    except msgspec.DecodeError:
        return None
    return found if isinstance(found, dict) else None


def described(probe: dict[str, Any]) -> dict[str, Any]:
    """Return what is shown of a file."""
    container, streams = probe.get("format", {}), probe.get("streams", [])[:_MOST_STREAMS]
    pictures = [_video(one) for one in streams if _is_video(one)]
    meta = {
        "format_name": _text(container.get("format_name")),
        "format_long_name": _text(container.get("format_long_name")),
        "duration": _number(container.get("duration")),
        "start_time": _number(container.get("start_time")),
        "bit_rate": _number(container.get("bit_rate")),
        "tags": _tags(container.get("tags", {})),
        "chapters": [_chapter(one) for one in probe.get("chapters", [])[:_MOST_CHAPTERS]],
        "video_streams": pictures,
        "audio_streams": [_audio(one) for one in streams if one.get("codec_type") == "audio"],
    }
    return meta | _size(pictures[0]) if pictures else meta


def shows_something(probe: dict[str, Any]) -> bool:
    """Tell whether there is a picture, be it the cover of a song."""
    return any(one.get("codec_type") == "video" for one in probe.get("streams", []))


def moment_s(meta: dict[str, Any]) -> float:
    """Return which moment to show of a file."""
    return min(_FIRST_S, (meta["duration"] or 0.0) / 2) if meta["video_streams"] else 0.0


def _is_video(stream: dict[str, Any]) -> bool:
    return stream.get("codec_type") == "video" and not stream.get("disposition", {}).get("attached_pic")


def _video(stream: dict[str, Any]) -> dict[str, Any]:
    return {
        "avg_frame_rate": _rate(stream.get("avg_frame_rate")),
        "bit_rate": _number(stream.get("bit_rate")),
        "codec_name": _text(stream.get("codec_name")),
        "duration": _number(stream.get("duration")),
        "height": stream.get("height", 0),
        "width": stream.get("width", 0),
        "language": _text(stream.get("tags", {}).get("language")),
        "pixel_format": _text(stream.get("pix_fmt")),
        "rotation": _rotation(stream),
    }


def _audio(stream: dict[str, Any]) -> dict[str, Any]:
    return {
        "bit_rate": _number(stream.get("bit_rate")),
        "channels": stream.get("channels", 0),
        "channel_layout": _text(stream.get("channel_layout")),
        "codec_name": _text(stream.get("codec_name")),
        "duration": _number(stream.get("duration")),
        "language": _text(stream.get("tags", {}).get("language")),
        "sample_rate_hz": _number(stream.get("sample_rate")),
    }


def _chapter(chapter: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": _text(chapter.get("tags", {}).get("title")),
        "start": _number(chapter.get("start_time")),
        "end": _number(chapter.get("end_time")),
    }


def _size(video: dict[str, Any]) -> dict[str, Any]:
    width, height = video["width"], video["height"]
    sizes = {"width": width, "height": height}
    if not width or not height:
        return sizes
    return sizes | {"ratio": height / width if video["rotation"] % 180 else width / height}


def _rotation(stream: dict[str, Any]) -> int:
    """Return by how many degrees a player turns it."""
    for data in stream.get("side_data_list", []):
        degrees = _number(data.get("rotation"))
        if degrees is not None:
            return round(degrees) % 360
    return round(_number(stream.get("tags", {}).get("rotate")) or 0) % 360


def _tags(tags: dict[str, Any]) -> dict[str, str]:
    lower = {name.lower(): _text(value) for name, value in tags.items()}
    return {name: text for name, text in sorted(lower.items()) if name in _TAGS and text}


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return "".join(one for one in str(value)[:_TEXT_MAX_CHARACTERS] if one.isprintable())


def _number(value: Any) -> float | None:
    """Read a number, which ffprobe writes as text; a whole one comes as such."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    if not -1e15 < number < 1e15:  # noqa: PLR2004 - what every client can read; not infinite, and a number
        return None
    return int(number) if number.is_integer() else number


def _rate(value: Any) -> float | None:
    count, _, per = str(value).partition("/")
    counted, divisor = _number(count), _number(per or "1")
    return counted / divisor if counted is not None and divisor else None
