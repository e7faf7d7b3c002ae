"""A site in one file, and back: what cannot be made again from the offices' files.

The archive is a tar, compressed by zstd or gzip, whose last member is a manifest with the SHA-256 of every
file. It holds site.toml, reports.toml and calendar.toml, the contracts, secret.key, the journal, the register of reports and the warehouse
(the loader's database, the current version and those that reports refer to); not the inbox, the archive of
loaded files, the logs, nor printed reports, which are made again from their versions.
"""

from __future__ import annotations

import glob
import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal, cast

import pyarrow as pa

from pipelines.upkeep import versions_of_reports
from warehouse import layout
from warehouse.mistake import Mistake
from warehouse.site import Site

MANIFEST = "backup.json"
FORM = 1
"""The number of the archive's form; a restore refuses a greater one."""

Compression = Literal["zstd", "gzip"]

_ENDINGS: dict[str, Compression] = {".tar.zst": "zstd", ".tar.gz": "gzip", ".tgz": "gzip"}
_SETTINGS = ("site.toml", "reports.toml", "calendar.toml")
_TOP = frozenset({*_SETTINGS, "sources", "secret.key", "journal", "reports", "warehouse", MANIFEST})
_CHUNK = 1 << 20
_MANIFEST_BYTES = 64 << 20


@dataclass(frozen=True)
class BackedUp:
    """What an archive holds. `made_at`: the site's clock, ISO; `version`: the published version, None when
    nothing was published; `loader`: whether it holds the loader's own database; `bytes`: of the files."""

    made_at: str
    site: str
    version: str | None
    loader: bool
    files: int
    bytes: int


def write_backup(site: Site, out: Path, loader: bool) -> BackedUp:
    """Write the archive aside, then rename it; mode 600, for it holds secret.key.

    With `loader` the loader's database is in it: nobody may have it open, and it must be checkpointed.
    Without, this is safe at any time: a published version never changes. Raises Mistake.
    """
    compression = _compression(out)
    version = layout.read_pointer(site)
    files = _files(site, version, loader)
    aside = out.with_name(f".{out.name}.{os.getpid()}.part")
    sums: dict[str, dict[str, object]] = {}
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _clear_leftovers(out)
        handle = os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with (
            os.fdopen(handle, "wb") as file,
            _compressed(file, compression) as stream,
            tarfile.open(fileobj=stream, mode="w|") as tar,
        ):
            for name, path in files.items():
                sums[name] = _add(tar, name, path)
            if version is not None:
                # Not the file: it may name a newer version by now.
                pointer = layout.pointer(site).relative_to(site.folder).as_posix()
                sums[pointer] = _add_text(tar, pointer, f"{version}\n")
            about = {
                "form": FORM,
                "made_at": site.now().isoformat(timespec="seconds"),
                "site": site.name.zh,
                "version": version,
                "loader": layout.loader(site).relative_to(site.folder).as_posix() in sums,
                "files": sums,
            }
            _add_text(tar, MANIFEST, json.dumps(about, ensure_ascii=False, indent=1))
        layout.flush(aside)
        aside.replace(out)
        layout.flush(out.parent)
    except OSError as error:
        raise Mistake(
            str(out),
            f"cannot write: {error.strerror or error}",
            "choose a folder with space that you may write to",
        ) from error
    finally:
        aside.unlink(missing_ok=True)
    return _about(about)


def _files(site: Site, version: str | None, loader: bool) -> dict[str, Path]:
    """name in the archive → file. Raises Mistake when a file of a version is missing."""
    found: dict[str, Path] = {}
    singles = [site.folder / name for name in (*_SETTINGS, "secret.key")]
    folders = [(site.sources, "**/*"), (site.journal, "**/*"), (site.reports, "**/*.json*")]
    below = [path for folder, pattern in folders for path in sorted(folder.glob(pattern))]
    if loader:
        database = layout.loader(site)
        below += [database, database.with_name(database.name + ".wal")]
    for path in (*singles, *below):
        if path.is_file():
            found[path.relative_to(site.folder).as_posix()] = path
    kept = versions_of_reports(site) & set(layout.version_ids(site))
    for name in sorted(kept | ({version} if version else set())):
        manifest = layout.read_manifest(site, name)
        paths = [site.warehouse / file for file in manifest.files] + [layout.manifest(site, name)]
        for path in paths:
            if not path.is_file():
                raise Mistake(str(path), "a file of a published version is missing", "run 'nerve doctor'")
            found[path.relative_to(site.folder).as_posix()] = path
    return found


def _add(tar: tarfile.TarFile, name: str, path: Path) -> dict[str, object]:
    """Put a file in the archive as long as it is now (the journal may grow meanwhile); its size and sum."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        summed = _Summed(file)
        try:
            tar.addfile(_member(name, status.st_size, status.st_mtime), cast(IO[bytes], summed))
        except OSError as error:
            if error.errno is not None:
                raise
            raise Mistake(str(path), "became shorter while it was read", "run the backup again") from error
    return {"size": status.st_size, "sha256": summed.digest.hexdigest()}


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> dict[str, object]:
    content = text.encode()
    tar.addfile(_member(name, len(content), 0.0), io.BytesIO(content))
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _member(name: str, size: int, modified: float) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size, modified, 0o600
    return member


class _Summed:
    """A file that is summed as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self.digest.update(content)
        return content


# -- the way back -----------------------------------------------------------------------------------------


def unpack(archive: Path, folder: Path) -> BackedUp:
    """Unpack an archive as a site folder: into an empty or new one, whole or not at all.

    Every file must be named in the archive's manifest with the size and sum it has. Raises Mistake when the
    folder is not empty, the archive is damaged, cut short or altered, a name leads outside, a member is no
    plain file, or the disk is too small.
    """
    compression = _compression(archive)
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise Mistake(str(folder), "is not an empty folder", "give a new one: nothing is overwritten")
    folder = folder.resolve()
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _clear_leftovers(folder)
        aside.mkdir(mode=0o700)
        about = _unpack_aside(archive, compression, aside)
        for path in sorted(aside.rglob("*")):
            if path.is_dir():
                path.chmod(0o755)
        (aside / "inbox").mkdir()
        aside.chmod(0o755)
        # An empty folder gives way to a rename.
        aside.replace(folder)
        layout.flush(folder.parent)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, pa.ArrowException) as error:
        raise _damaged(archive, str(error).splitlines()[0]) from error
    except OSError as error:
        if error.errno is None:  # what pyarrow says of a damaged stream
            raise _damaged(archive, str(error).splitlines()[0]) from error
        raise Mistake(
            error.filename or str(archive), error.strerror or "fault", "check the disk and the rights"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return about


def _unpack_aside(archive: Path, compression: Compression, aside: Path) -> BackedUp:
    found: dict[str, dict[str, object]] = {}
    about: dict[str, Any] | None = None
    with _decompressed(archive, compression) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            name = _safe_name(archive, member)
            content = tar.extractfile(member)
            if content is None or about is not None or name in found:
                raise _damaged(archive, f"member '{name[:80]}' is out of place")
            if name == MANIFEST:
                if member.size > _MANIFEST_BYTES:
                    raise _damaged(archive, f"its {MANIFEST} is too long")
                try:
                    about = json.loads(content.read())
                except ValueError as error:
                    raise _damaged(archive, f"its {MANIFEST} is no JSON") from error
                continue
            if member.size > shutil.disk_usage(aside).free:
                raise Mistake(
                    str(aside.parent), f"no space for '{name}' ({member.size:,} bytes)", "free space"
                )
            found[name] = _extract(content, aside / name, member)
    if not isinstance(about, dict):
        raise _damaged(archive, f"it ends without its {MANIFEST}: it was cut short")
    if not isinstance(about.get("form"), int) or about["form"] > FORM:
        raise Mistake(
            str(archive), f"form {about.get('form')!r} is not known", "restore it by a later release"
        )
    said = about.get("files")
    if said != found:
        said = said if isinstance(said, dict) else {}
        wrong = sorted(name for name in {*found, *said} if found.get(name) != said.get(name))
        raise _damaged(archive, f"'{wrong[0] if wrong else MANIFEST}' is not as its manifest says")
    return _about(about)


def _safe_name(archive: Path, member: tarfile.TarInfo) -> str:
    """The name of a member that stays inside the folder. Raises Mistake."""
    path = PurePosixPath(member.name)
    plain = member.isreg() and not path.is_absolute() and "\\" not in member.name and "\0" not in member.name
    if not plain or ".." in path.parts or not path.parts or path.parts[0] not in _TOP:
        raise Mistake(
            str(archive),
            f"holds '{member.name[:80]}', which no backup has",
            "do not trust it: nothing was restored",
        )
    return path.as_posix()


def _extract(content: IO[bytes], path: Path, member: tarfile.TarInfo) -> dict[str, object]:
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    size = 0
    mode = 0o600 if path.name == "secret.key" else 0o644
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    with os.fdopen(handle, "wb") as out:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    os.utime(path, (member.mtime, member.mtime))
    return {"size": size, "sha256": digest.hexdigest()}


def _clear_leftovers(path: Path) -> None:
    """Remove what a killed backup or restore to the same place left; those of living processes stay."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        pid = leftover.name.split(".")[-2]
        if pid.isdigit() and not _lives(int(pid)):
            if leftover.is_dir() and not leftover.is_symlink():
                shutil.rmtree(leftover)
            else:
                leftover.unlink()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _about(about: Mapping[str, Any]) -> BackedUp:
    files = about["files"]
    return BackedUp(
        made_at=datetime.fromisoformat(about["made_at"]).isoformat(timespec="seconds"),
        site=str(about["site"]),
        version=about["version"],
        loader=bool(about["loader"]),
        files=len(files),
        bytes=sum(int(file["size"]) for file in files.values()),
    )


def _compression(path: Path) -> Compression:
    for ending, compression in _ENDINGS.items():
        if path.name.lower().endswith(ending):
            return compression
    raise Mistake(str(path), "unknown ending", f"name it {' or '.join(_ENDINGS)}")


@contextmanager
def _compressed(file: IO[bytes], compression: Compression) -> Iterator[IO[bytes]]:
    with pa.CompressedOutputStream(pa.PythonFile(cast(io.IOBase, file), mode="w"), compression) as stream:
        yield cast(IO[bytes], stream)


@contextmanager
def _decompressed(path: Path, compression: Compression) -> Iterator[IO[bytes]]:
    if not path.is_file():
        raise Mistake(str(path), "no such file", "give the archive that 'nerve backup' wrote")
    with pa.CompressedInputStream(pa.OSFile(str(path), "rb"), compression) as stream:
        yield cast(IO[bytes], stream)


def _damaged(archive: Path, what: str) -> Mistake:
    return Mistake(str(archive), f"damaged: {what}", "take another backup: nothing was restored")
