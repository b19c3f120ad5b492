"""Reads one image, in a process of its own: `python -I image_child.py '{"source": …, …}'`.

It writes variants as files of their names into its folder, and tells on stdout, as JSON, which these are and what the
image is. An exit status of 3 says that the image is at fault. Nothing of `drive` is imported: what Pillow's decoders
can be made to do must find nothing here that is worth having.
"""

import io
import json
import sys
import warnings
from typing import Any

from PIL import ExifTags, Image, ImageCms, ImageOps

BAD_IMAGE = 3
NO_MEMORY = 4

# Not EPS, which runs Ghostscript, nor what nobody uploads: each decoder is a risk. First those that need no import.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "AVIF", "TIFF", "JPEG2000", "ICO")
_MAY_BE_ANIMATED = {"AVIF", "GIF", "PNG", "WEBP"}  # several frames of a TIFF or an MPO are pages, not an animation
_LOSSLESS = {"BMP", "ICO", "PNG"}

_COMPRESSED_SIDE = 1024
_COMPRESSED_FROM_PIXELS = 1024 * 1024
_LEAST_SIDE = 64  # a strip that is shrunk to less shows nothing any more
_WEBP_MAX_SIDE = 16383
_LOSSLESS_MAX_PIXELS = 16 * 1024 * 1024  # beyond, it takes 30 bytes of memory a pixel, and is as large as the original
_BLUR_SIDE = 32
_BLUR_COMPONENTS = 3

_ORIENTATION = ExifTags.Base.Orientation
_SIDEWAYS = {5, 6, 7, 8}
_TEXT_MAX_CHARACTERS = 200
# What is shown of a camera's notes. A list of what is allowed: of what is forbidden, one always forgets something, and
# where a picture was taken hides in GPS fields, XMP, makers' notes, comments and serial numbers.
_SHOWN = {
    "ApertureValue", "Artist", "BrightnessValue", "ColorSpace", "Contrast", "Copyright", "CustomRendered", "DateTime",
    "DateTimeDigitized", "DateTimeOriginal", "DigitalZoomRatio", "ExposureBiasValue", "ExposureMode", "ExposureProgram",
    "ExposureTime", "FNumber", "Flash", "FocalLength", "FocalLengthIn35mmFilm", "ISOSpeedRatings", "ImageDescription",
    "LensMake", "LensModel", "LensSpecification", "LightSource", "Make", "MaxApertureValue", "MeteringMode", "Model",
    "OffsetTime", "OffsetTimeDigitized", "OffsetTimeOriginal", "Orientation", "PhotographicSensitivity",
    "ResolutionUnit", "Saturation", "SceneCaptureType", "SceneType", "SensingMethod", "SensitivityType", "Sharpness",
    "ShutterSpeedValue", "Software", "SubjectDistanceRange", "SubsecTimeOriginal", "WhiteBalance", "XResolution",
    "YCbCrPositioning", "YResolution",
}  # fmt: skip


class BadImageError(Exception):
    """It is no image, or a broken one."""


def main(source: str, *, max_pixels: int, optimize: bool, describe: bool) -> dict[str, Any]:
    """Make what is asked for of an image; a larger one than that is only measured."""
    Image.MAX_IMAGE_PIXELS = None  # what is too large is to be measured, at least
    try:
        image = Image.open(source, formats=_FORMATS)
    except Exception as error:
        raise BadImageError(repr(error)) from error
    width, height = image.size
    meta = {"format": str(image.format).lower(), "width": width, "height": height, "ratio": width / height}
    if width * height > max_pixels:
        return {"meta": meta, "variants": {}}
    orientation, notes = _notes(image)
    if orientation in _SIDEWAYS and image.format == "TIFF":  # whose size Pillow tells as it is to be seen
        meta |= {"width": height, "height": width}
    elif orientation in _SIDEWAYS:
        meta["ratio"] = height / width
    upright = _decoded(image, orientation, max_pixels)
    is_lossless = image.format in _LOSSLESS or _is_lossless_webp(source)
    variants = _variants(upright, is_lossless=is_lossless) if optimize and not _is_animated(image) else []
    if describe:
        meta |= {"orientation": orientation, "exif": notes, "blur": _blurred(upright)}
    return {"meta": meta, "variants": dict.fromkeys(variants, "image/webp")}


def _notes(image: Image.Image) -> tuple[int, dict[str, str]]:
    """Return the orientation, and what the camera noted; broken notes are no reason to refuse the picture."""
    try:
        exif = image.getexif()
        orientation, shown = int(exif.get(_ORIENTATION, 1)), _shown(exif)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - Pillow has no error of its own for this
        sys.stderr.write(f"the notes are left out: {error!r}\n")
        return 1, {}
    return (orientation if orientation in range(1, 9) else 1), shown


def _decoded(image: Image.Image, orientation: int, max_pixels: int) -> Image.Image:
    """Return the image as it is to be seen, in sRGB, and without anything but its pixels."""
    Image.MAX_IMAGE_PIXELS = max_pixels  # some decoders find out only now how large it is
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    try:
        image.load()
    except MemoryError:
        raise
    except Exception as error:
        raise BadImageError(repr(error)) from error
    if orientation != 1:
        ImageOps.exif_transpose(image, in_place=True)
    converted = _in_srgb(image, "RGBA" if image.has_transparency_data else "RGB")
    converted.info.clear()
    return converted


def _is_animated(image: Image.Image) -> bool:
    """Tell whether it is to be left alone: what moves, and any GIF, which would only grow."""
    return image.format == "GIF" or (image.format in _MAY_BE_ANIMATED and getattr(image, "n_frames", 1) > 1)


def _is_lossless_webp(source: str) -> bool:
    """Tell whether it is a WebP of the lossless kind: by the first chunk that is pixels."""
    with open(source, "rb") as file:  # noqa: PTH123 - no need for one more import
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WEBP":
            return False
        while len(chunk := file.read(8)) == 8:  # noqa: PLR2004 - a name and a length of four bytes each
            if chunk[:4] in {b"VP8L", b"VP8 "}:
                return chunk[:4] == b"VP8L"
            length = int.from_bytes(chunk[4:], "little")
            file.seek(length + length % 2, 1)
    return False


def _shown(exif: Image.Exif) -> dict[str, str]:
    found = dict(exif) | exif.get_ifd(ExifTags.IFD.Exif)
    named = {ExifTags.TAGS.get(tag, ""): value for tag, value in found.items()}
    return {name: text for name, value in sorted(named.items()) if name in _SHOWN and (text := _text(value))}


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode(errors="ignore")
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return "".join(one for one in text[:_TEXT_MAX_CHARACTERS] if one.isprintable()).strip()


def _in_srgb(image: Image.Image, mode: str) -> Image.Image:
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I"):  # 16 bits, which converting alone would clip
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    if image.mode in {"P", "PA", "LA", "La", "RGBa"}:
        image = image.convert(mode)
    if profile:
        try:
            given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, given, ImageCms.createProfile("sRGB"), outputMode=mode)
        except (ImageCms.PyCMSError, OSError, ValueError):
            converted = None  # a broken profile, or one for other colours: most readers ignore it, too
        if converted is not None:
            return converted
    return image if image.mode == mode else image.convert(mode)


def _variants(image: Image.Image, *, is_lossless: bool) -> list[str]:
    made = []
    pixels = image.width * image.height
    if max(image.size) <= _WEBP_MAX_SIDE:
        if is_lossless and pixels <= _LOSSLESS_MAX_PIXELS:
            made += _saved(image, "webp", lossless=True, quality=30, method=2)
        else:
            made += _saved(image, "webp", quality=90, method=2)
    shrunk_side = min(image.size) * _COMPRESSED_SIDE // max(image.size)
    if pixels >= _COMPRESSED_FROM_PIXELS and shrunk_side >= _LEAST_SIDE:
        image.thumbnail((_COMPRESSED_SIDE, _COMPRESSED_SIDE), Image.Resampling.LANCZOS)
        made += _saved(image, "compressed", quality=80, method=4)
    return made


def _saved(image: Image.Image, name: str, **options: Any) -> list[str]:
    try:
        image.save(name, "WEBP", **options)
    except ValueError as error:  # what the format has no room for
        sys.stderr.write(f"{name} is left out: {error}\n")
        return []
    return [name]


def _blurred(image: Image.Image) -> str:
    import blurhash  # type: ignore[import-untyped]

    image.thumbnail((_BLUR_SIDE, _BLUR_SIDE))
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return str(blurhash.encode(image.convert("RGB"), _BLUR_COMPONENTS, _BLUR_COMPONENTS))


if __name__ == "__main__":
    try:
        json.dump(main(**json.loads(sys.argv[1])), sys.stdout)
    except BadImageError as bad:
        sys.stderr.write(str(bad))
        sys.exit(BAD_IMAGE)
    except MemoryError:
        sys.stderr.write("more memory was needed than is allowed")
        sys.exit(NO_MEMORY)
