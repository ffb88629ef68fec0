"""Where the files of photos are: a folder, or whatever else fsspec reaches by an address, such as an S3 bucket.

A photo is two files under one random name in a folder of the day they were written on, so that what was left over by a
failure is found among the last days alone. Files are written before the row that names them and removed after it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any

import fsspec
import structlog

from portal.domain.errors import Invalid, NotFound, sentence
from portal.domain.photos.pictures import Drawn

log = structlog.get_logger("portal.photos")

WHOLE, SMALL = ".jpg", "-small.jpg"
DAY = timedelta(days=1)


class PhotoStore:
    """The files of photos at ``url`` (a folder or an address fsspec knows), opened with fsspec's ``options``."""

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        self._url = url
        self._options = dict(options or {})

    @cached_property
    def _place(self) -> tuple[Any, str]:
        # Opened when first needed: what speaks to S3 takes its time to be loaded.
        filesystem, root = fsspec.url_to_fs(self._url, **self._options)
        return filesystem, root.rstrip("/")

    def keep(self, drawn: Drawn, now: datetime) -> str:
        """Write the files of a photo and return their name; ``Invalid`` at ``photo`` where the place is not there."""
        name = f"{now.astimezone(UTC):%Y-%m-%d}/{secrets.token_hex(16)}"
        filesystem, root = self._place
        try:
            filesystem.makedirs(f"{root}/{name.partition('/')[0]}", exist_ok=True)
            for ending, data in ((WHOLE, drawn.whole), (SMALL, drawn.small)):
                filesystem.pipe_file(f"{root}/{name}{ending}", data)
        except Exception as error:
            # Each kind of place fails in its own way.
            log.exception("photo_not_kept", error=type(error).__name__)
            raise Invalid(
                {"photo": sentence("The photo could not be stored just now; try again in a few minutes")}
            ) from error
        return name

    def read(self, name: str, small: bool = False) -> bytes:
        """Return the whole or the small file of a photo; raises ``NotFound`` where it is gone."""
        filesystem, root = self._place
        try:
            data: bytes = filesystem.cat_file(f"{root}/{name}{SMALL if small else WHOLE}")
        except FileNotFoundError:
            raise NotFound from None
        return data

    def remove(self, name: str) -> bool:
        """Remove the files of a photo; whether they are gone now."""
        filesystem, root = self._place
        try:
            for ending in (WHOLE, SMALL):
                with suppress(FileNotFoundError):
                    filesystem.rm_file(f"{root}/{name}{ending}")
        except Exception as error:
            log.warning("photo_not_removed", error=type(error).__name__)
            return False
        return True

    def written_on(self, day: date) -> Iterator[str]:
        """Yield the names of the photos that were written on ``day`` (in UTC)."""
        filesystem, root = self._place
        # Asked anew: another process writes there.
        filesystem.invalidate_cache()
        try:
            found = filesystem.ls(f"{root}/{day:%Y-%m-%d}", detail=False)
        except FileNotFoundError:
            return
        for path in found:
            file = path.rpartition("/")[2]
            if file.endswith(WHOLE) and not file.endswith(SMALL):
                yield f"{day:%Y-%m-%d}/{file.removesuffix(WHOLE)}"

    def is_older(self, name: str, than: datetime) -> bool:
        """Whether the file of a photo was written before ``than``; one that is gone is not."""
        filesystem, root = self._place
        try:
            written: datetime = filesystem.modified(f"{root}/{name}{WHOLE}")
        except FileNotFoundError:
            return False
        return (written if written.tzinfo else written.replace(tzinfo=UTC)) < than
