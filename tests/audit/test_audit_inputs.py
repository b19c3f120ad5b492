"""Logs that are packed, linked, cut, absent or large."""

import bz2
import gzip
import lzma
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from audit_support import PASS, as_json, audited, closing, creating, found, listening, reopening, stopping, write

from drive.audit import inputs

RECORDS = [
    listening(1, 0, started_s=-1),
    creating(1, 1),
    creating(1, 2),
    stopping(1, 3),
    closing(1, 4, reason="shutdown"),
]
TWICE = [("NEVER_CLOSED", 3), ("CREATED_TWICE", 3)]


def packed_by_gzip(file: Path) -> Path:
    packed = file.with_name(f"{file.name}.gz")
    packed.write_bytes(gzip.compress(file.read_bytes()))
    return packed


def packed_by_zstd(file: Path) -> Path:
    if shutil.which("zstd") is None:
        pytest.skip("there is no zstd")
    subprocess.run(["zstd", "-q", file], check=True)
    return file.with_name(f"{file.name}.zst")


PACKERS = [packed_by_gzip, packed_by_zstd]


@pytest.mark.parametrize("pack", PACKERS)
def test_packed_logs_are_read_by_what_they_hold_not_by_their_names(
    pack: Callable[[Path], Path], tmp_path: Path
) -> None:
    packed = pack(write(tmp_path / "app.log", RECORDS))
    renamed = packed.rename(tmp_path / "renamed")
    assert sorted(found(audited(renamed))) == sorted((kind, f"renamed:{number}") for kind, number in TWICE)


@pytest.mark.parametrize("pack", PACKERS)
def test_several_packed_logs_in_one_file_are_read_to_the_end(pack: Callable[[Path], Path], tmp_path: Path) -> None:
    parts = [pack(write(tmp_path / f"{n}", [record])).read_bytes() for n, record in enumerate(RECORDS)]
    whole = tmp_path / "whole"
    whole.write_bytes(b"".join(parts))
    assert len(found(audited(whole))) == len(TWICE)


@pytest.mark.parametrize("pack", PACKERS)
def test_a_packed_log_that_was_cut_is_told_and_what_is_left_of_it_is_read(
    pack: Callable[[Path], Path], tmp_path: Path
) -> None:
    """It may not pass for clean: what is absent cannot be known."""
    log = tmp_path / "app.log"
    noise = "".join(f"{os.urandom(40).hex()}\n" for _ in range(20_000))
    log.write_text("".join(f"{as_json(record)}\n" for record in RECORDS) + noise)
    packed = pack(log)
    packed.write_bytes(packed.read_bytes()[:-1000])
    report = audited(packed)
    assert report.status == 2
    (problem,) = report.problems
    assert problem.startswith(f"{packed}: ")
    assert len(report.findings) == len(TWICE)


@pytest.mark.parametrize("content", [b"\x1f\x8b", b"\x1f\x8b\x08garbage", b"\x28\xb5\x2f\xfd\xff\xffgarbage"])
def test_what_only_looks_packed_is_told(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "app.log"
    file.write_bytes(content)
    report = audited(file)
    assert report.status == 2
    assert len(report.problems) == 1


OTHERS: dict[str, tuple[bytes, str]] = {
    "xz": (lzma.compress(b"text"), "xz -dc"),
    "bzip2": (bz2.compress(b"text"), "bzip2 -dc"),
    "lz4": (b"\x04\x22\x4d\x18text", "lz4 -dc"),
    "zip": (b"PK\x03\x04text", "unzip -p"),
    "journal": (b"LPKSHHRHtext", "journalctl -o json --file"),
    "UTF-16": ("text".encode("utf-16"), "iconv -f UTF-16"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_no_text_is_told_once_and_with_what_reads_it(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would pass for the log of another program, which is clean."""
    content, reader = OTHERS[kind]
    file = tmp_path / "app.log"
    file.write_bytes(content)
    monkeypatch.setattr(inputs, "RANGE_BYTES", 1)
    report = audited(file)
    assert report.status == 2
    assert report.problems == [
        f"{file}: it is no text: `{reader}` makes one of it, which can be piped into `drive audit`"
    ]


def test_a_log_in_plain_text_may_begin_with_whatever_a_packed_one_nearly_does(tmp_path: Path) -> None:
    for start in (b"BZh9 is no bzip2", b"PK", b"_*M", b"\xef\xbb\xbf"):
        file = write(tmp_path / "app.log", RECORDS)
        file.write_bytes(start + b"\n" + file.read_bytes())
        assert len(found(audited(file))) == len(TWICE)


def test_zstd_that_begins_with_what_is_to_be_skipped_is_read(tmp_path: Path) -> None:
    """As pzstd writes it."""
    packed = packed_by_zstd(write(tmp_path / "app.log", RECORDS))
    packed.write_bytes(b"\x50\x2a\x4d\x18\x04\0\0\0size" + packed.read_bytes())
    assert len(found(audited(packed))) == len(TWICE)


def test_a_small_log_by_gzip_that_was_cut_is_read_to_where_it_was(tmp_path: Path) -> None:
    packed = packed_by_gzip(write(tmp_path / "app.log", RECORDS))
    for content in (packed.read_bytes()[:-8], packed.read_bytes()[:-8] + bytes(8)):
        packed.write_bytes(content)
        report = audited(packed)
        assert (report.status, len(report.problems), len(report.findings)) == (2, 1, len(TWICE))


def test_without_the_program_zstd_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "app.log.zst"
    file.write_bytes(b"\x28\xb5\x2f\xfd")
    monkeypatch.setenv("PATH", str(tmp_path))
    (problem,) = audited(file).problems
    assert "apt install zstd" in problem


def test_what_cannot_be_read_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    good = write(tmp_path / "app.log", RECORDS)
    report = audited(tmp_path, tmp_path / "absent", good)
    assert report.status == 2
    assert report.problems == [
        f"{tmp_path}: it is a folder: name the files in it",
        f"{tmp_path / 'absent'}: No such file or directory",
    ]
    assert len(report.findings) == len(TWICE)


def test_a_file_that_is_named_twice_or_by_a_link_is_read_once(tmp_path: Path) -> None:
    """Else each channel would have been created twice."""
    file = write(tmp_path / "app.log", [listening(1, 0, started_s=-1), creating(1, 1)])
    (tmp_path / "link.log").symlink_to(file)
    (tmp_path / "hard.log").hardlink_to(file)
    report = audited(file, file, tmp_path / "link.log", tmp_path / "hard.log")
    assert (found(report), report.status) == ([], 0)


def test_a_file_without_a_newline_at_its_end_and_an_empty_one_are_read(tmp_path: Path) -> None:
    file = tmp_path / "app.log"
    file.write_text("\n".join(as_json(record) for record in RECORDS[:3]))
    (tmp_path / "empty.log").touch()
    assert found(audited(file, tmp_path / "empty.log")) == [("CREATED_TWICE", "app.log:3")]


def test_lines_may_end_as_those_of_windows_do(tmp_path: Path) -> None:
    file = write(tmp_path / "app.log", RECORDS)
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    report = audited(file)
    assert (len(found(report)), report.unreadable) == (len(TWICE), 0)


def test_large_files_are_read_in_parts_that_lose_and_double_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the size of the parts."""
    records = [RECORDS[0], *[record for n in range(40) for record in (creating(1, n + 1), closing(1, n + 1))]]
    file = write(tmp_path / "app.log", records)
    for range_bytes in (1, 7, 100, 4096, 10**6):
        monkeypatch.setattr(inputs, "RANGE_BYTES", range_bytes)
        report = audited(file)
        assert found(report) == [("CREATED_TWICE", f"app.log:{2 * n + 2}") for n in range(1, 40)]
        assert report.read_bytes == file.stat().st_size


_PEAK = """
import resource, sys
from pathlib import Path
from audit_support import audited
report = audited(*map(Path, sys.argv[1:]))
print(len(report.findings), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_mib(*files: Path) -> tuple[int, float]:
    """Return how many findings there are, and what the audit of these files took, in a process of its own."""
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[2])])
    told = subprocess.run(
        [sys.executable, "-c", _PEAK, *files], env=os.environ | {"PYTHONPATH": path}, capture_output=True, check=True
    )
    count, kib = told.stdout.split()
    return int(count), int(kib) / 1024


def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    """Neither with what is skipped, nor with what is read, nor with one endless line, nor when it is unpacked."""
    start = f"{as_json(RECORDS[0])}\n{as_json(creating(1, 1))}\n"
    pair = f"{as_json(closing(1, 1))}\n{as_json(reopening(1, 1, PASS))}\n"
    small, events, others, endless = (tmp_path / f"{name}.log" for name in ("small", "events", "others", "endless"))
    small.write_text(start + pair)
    events.write_text(start + pair * (16 * 1024 * 1024 // len(pair)))
    others.write_text(start + "a line of another program, as there are so many\n" * 2_000_000)
    endless.write_text(start + "x" * (96 * 1024 * 1024))
    packed = tmp_path / "packed.gz"
    packed.write_bytes(gzip.compress(endless.read_bytes(), compresslevel=1))
    _, least_mib = peak_mib(small)
    for file in (events, others, endless, packed):
        count, mib = peak_mib(file)
        assert count == 0
        assert mib < least_mib + 20, file.name
