"""A snapshot's files in a folder: the manifest and the chunks (docs/formats.md, section 11).

It must not know what the chunks hold, who made them or where they go. A file is either whole and synced or
not there, so whatever was interrupted can go on.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ledger.snapshot import (
    ChunkRef,
    Manifest,
    SnapshotInvalid,
    chunk_name,
    decode_manifest,
    encode_manifest,
    is_chunk,
)
from wallet.atomic_file import write_private

MANIFEST = "manifest"


class Chunk(NamedTuple):
    """One chunk of a snapshot: its section, its file's name, and what the manifest says of it."""

    section: str
    name: str
    ref: ChunkRef


def chunks_of(manifest: Manifest) -> Iterator[Chunk]:
    """Every chunk in the order in which a proof takes them."""
    for section in manifest.sections:
        for number, ref in enumerate(section.chunks):
            yield Chunk(section.name, chunk_name(section.name, number), ref)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, which makes the folder a snapshot: after all of its chunks."""
    write_private(folder / MANIFEST, encode_manifest(manifest))


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder; raises SnapshotInvalid where there is none, or another file."""
    try:
        raw = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise SnapshotInvalid("manifest", f"{folder / MANIFEST} can't be read: {error.strerror}") from error
    return decode_manifest(raw)


def read_chunk(folder: Path, chunk: Chunk) -> bytes:
    """The bytes of a chunk; raises SnapshotInvalid where the file can't be read."""
    try:
        return (folder / chunk.name).read_bytes()
    except OSError as error:
        raise SnapshotInvalid(chunk.name, f"it can't be read: {error.strerror}") from error


def has_chunk(folder: Path, chunk: Chunk) -> bool:
    """Whether the folder holds just these bytes under the chunk's name."""
    try:
        return is_chunk((folder / chunk.name).read_bytes(), chunk.ref)
    except OSError:
        return False


def remove_others(folder: Path, manifest: Manifest) -> None:
    """Make the folder, or remove from it every file that is no chunk of this manifest."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = {chunk.name for chunk in chunks_of(manifest)}
    for file in folder.iterdir():
        if file.name not in kept:
            file.unlink()


def make_empty(folder: Path) -> None:
    """An empty folder, readable by its owner alone, whatever was there."""
    remove(folder)
    folder.mkdir(mode=0o700, parents=True)


def remove(folder: Path) -> None:
    """Remove a folder with all that is in it; harmless where there is none."""
    if folder.exists():
        shutil.rmtree(folder)
