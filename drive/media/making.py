"""Makes variants and descriptions, in children."""

import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import structlog

from drive.media import videos
from drive.media.children import ChildLimits, run_limited

log = structlog.get_logger()

_IMAGE_CHILD = Path(__file__).with_name("image_child.py")
_BAD_IMAGE = 3


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be made of one file."""

    source: Path
    folder: Path
    """Where to."""
    is_optimized: bool
    is_described: bool


@dataclass(frozen=True, slots=True)
class Made:
    """What was made of a file."""

    meta: dict[str, Any] = field(default_factory=dict)
    variants: dict[str, str] = field(default_factory=dict)
    """The type of each; they are files of these names."""
    problem: str | None = None
    """What kept the rest from being made, where that is for the operator to know."""
    flaw: str | None = None
    """What is wrong with the file itself, where that kept the rest from being made."""


class Making:
    """Makes what is asked for of a file. What it reads may be anything, whatever its type says."""

    def __init__(self, limits: ChildLimits, *, max_pixels: int) -> None:
        self._limits = limits
        self._max_pixels = max_pixels
        self._is_missing_logged = False

    async def of(self, kind: str, task: Task) -> Made | None:
        """Return what was made of an image, a video or a sound (`audio`); None where a program for it is missing."""
        return await self._of_image(task) if kind == "image" else await self._of_video(task)

    async def _of_image(self, task: Task) -> Made:
        asked = {
            "source": str(task.source),
            "max_pixels": self._max_pixels,
            "optimize": task.is_optimized,
            "describe": task.is_described,
        }
        program = [sys.executable, "-I", str(_IMAGE_CHILD), msgspec.json.encode(asked).decode()]
        ended = await run_limited(program, task.folder, self._limits)
        if ended.status == _BAD_IMAGE and not ended.is_late:
            return Made(flaw=ended.error)
        if ended.status != 0 or ended.is_late:
            return Made(problem=f"Reading the image {ended}")
        told = msgspec.json.decode(ended.output)
        return Made(told["meta"], told["variants"])

    async def _of_video(self, task: Task) -> Made | None:
        ffprobe, ffmpeg = shutil.which("ffprobe"), shutil.which("ffmpeg")
        if ffprobe is None or ffmpeg is None:
            if not self._is_missing_logged:
                log.warning("Videos are not processed", reason="ffprobe and ffmpeg are not installed")
            self._is_missing_logged = True
            return None
        ended = await run_limited(videos.probing(ffprobe, task.source), task.folder, self._limits)
        if ended.was_ended:
            return Made(problem=f"ffprobe {ended}")
        probe = videos.parsed(ended.output)
        if ended.status != 0 or probe is None:
            return Made(flaw=ended.error or "ffprobe makes nothing of it")
        meta = videos.described(probe)
        if not task.is_optimized or not videos.shows_something(probe):
            return Made(meta)
        return await self._with_thumbnail(Made(meta), ffmpeg, task)

    async def _with_thumbnail(self, made: Made, ffmpeg: str, task: Task) -> Made:
        ended = None
        for at_s in dict.fromkeys([videos.moment_s(made.meta), 0.0]):  # again from the start, where that is too late
            command = videos.picking(ffmpeg, task.source, at_s=at_s, max_pixels=self._max_pixels)
            ended = await run_limited(command, task.folder, self._limits)
            if ended.was_ended:
                return Made(made.meta, problem=f"ffmpeg {ended}")
            picture = task.folder / "thumbnail"
            if ended.status == 0 and picture.exists() and picture.stat().st_size:
                return Made(made.meta, {"thumbnail": "image/jpeg"})
        return Made(made.meta, flaw=ended.error if ended else None)
