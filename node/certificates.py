"""A running node's own certificates: taken up when their files change, and warned of before they expire.

It must not know what is served under them, nor who made them: whoever serves gives its TLS contexts.
"""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from node import tls
from node.ports import Log

LOOK_EVERY_S = 5.0
"""How long a certificate that was put in place waits at most until new connections show it."""
WARN_EVERY_S = 86_400.0
EXPIRY_WARNING_DAYS = 60

Stamp = tuple[tuple[int, int], ...]


@dataclass(slots=True)
class _Served:
    """A pair of files and the contexts under which it is shown; `stamp` is of the files last looked at."""

    files: tls.TlsFiles
    contexts: tuple[ssl.SSLContext, ...]
    stamp: Stamp


class Certificates:
    """The certificates of one node, by name: what it serves under, and the CA."""

    def __init__(self, ca: Path, log: Log, now: Callable[[], datetime.datetime]) -> None:
        """Raises TlsError where the CA's certificate can't be read. `now` is in UTC."""
        self._log = log
        self._now = now
        self._served: dict[str, _Served] = {}
        self._paths = {"ca": ca}
        self._loaded: dict[str, x509.Certificate] = {"ca": tls.read_certificate(ca)}

    def serve(self, name: str, files: tls.TlsFiles, contexts: Sequence[ssl.SSLContext]) -> None:
        """From now on those contexts follow the pair of files; raises TlsError where it can't be read."""
        self._served[name] = _Served(files, tuple(contexts), _stamp(files))
        self._paths[name] = files.certificate
        self._loaded[name] = tls.read_certificate(files.certificate)

    def days_left(self) -> Mapping[str, float]:
        """Days until each certificate in use expires, by its name; negative once it has."""
        now = self._now()
        return {name: tls.days_left(loaded, now) for name, loaded in self._loaded.items()}

    def look(self) -> None:
        """Take up what has changed on the disk since the last look. What can't be used changes nothing."""
        for name, served in self._served.items():
            stamp = _stamp(served.files)
            if stamp == served.stamp:
                continue
            served.stamp = stamp
            try:
                for context in served.contexts:
                    tls.reload(context, served.files)
                self._loaded[name] = tls.read_certificate(served.files.certificate)
            except tls.TlsError as error:
                self._log.warning("certificate_not_taken_up", certificate=name, reason=str(error))
            else:
                left = round(self.days_left()[name], 1)
                self._log.info("certificate_taken_up", certificate=name, days_left=left)

    def warn(self) -> None:
        """Log each certificate that expires within EXPIRY_WARNING_DAYS, and louder what has expired."""
        for name, days in self.days_left().items():
            if days < EXPIRY_WARNING_DAYS:
                tell = self._log.warning if days >= 0 else self._log.error
                tell(
                    "certificate_expires" if days >= 0 else "certificate_expired",
                    certificate=name,
                    file=str(self._paths[name]),
                    days_left=round(days, 1),
                    remedy=remedy(name, expired=days < 0),
                )

    async def keep(self) -> None:
        """Warn now and every day, and look at the files every few seconds, until cancelled."""
        loop = asyncio.get_running_loop()
        warned_at = loop.time()
        self.warn()
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.look()
            if loop.time() - warned_at >= WARN_EVERY_S:
                warned_at = loop.time()
                self.warn()


def remedy(name: str, *, expired: bool) -> str:
    """What the operator is to do about a certificate (node, api or ca) that expires or has expired."""
    if name == "ca":
        return "The network's CA must be replaced, and every certificate under it be issued anew."
    renew = "Run `nostro node renew` with this node's configuration; the running node takes it up by itself."
    if not expired:
        return renew
    lost = "Peers refuse new links with this node" if name == "node" else "Clients refuse its API"
    return f"{lost} until it is renewed. {renew}"


def _stamp(files: tls.TlsFiles) -> Stamp:
    """Which files lie there now, as far as a look can tell; a missing one counts as (0, 0)."""
    return tuple(_file_stamp(path) for path in (files.certificate, files.key))


def _file_stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_ino, status.st_mtime_ns
