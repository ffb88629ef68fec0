"""The use cases of photos: adding one to a visit, sharing it with the customer or not, removing it (J8, C2).

Each runs within one ``unit_of_work`` and writes history. ``now`` is an instant, ``actor`` the visit's technician or
staff. They raise ``NotFound``, ``Refused`` or ``Invalid`` and then change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor
from portal.domain.errors import Invalid, NotFound, Refusal, Refused, sentence, too_long
from portal.domain.jobs.happened import client_key, told_late, when_it_happened
from portal.domain.jobs.history import record
from portal.domain.jobs.mechanics import demand, demand_role, lock_visit
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.states import INSTALLATION, SERVICE
from portal.domain.lookup import find
from portal.domain.photos.models import Photo
from portal.domain.photos.pictures import Drawn, draw
from portal.domain.photos.storage import DAY, PhotoStore
from portal.domain.texts import one_line

MAX_CAPTION = 200
# Enough for the longest job; what keeps a broken phone from filling the disk.
MOST_OF_A_JOB = 200
# How far back leftovers are looked for, and how old a file has to be so that no request is still at work with it.
LOOKED_BACK = 8
LEFT_OVER_AFTER = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class PhotoInput:
    """What is said of a photo: its ``key`` from where it was taken, a caption, whether the customer sees it.

    ``happened_at`` is the instant it was taken at, where it is sent later than that.
    """

    key: str = ""
    caption: str = ""
    shared: bool = False
    happened_at: datetime | None = None


def drawn_photo(data: bytes) -> Drawn:
    """Return the photo in ``data`` as it is kept (``pictures.draw``); ``Invalid`` at ``photo`` says why not.

    Apart from ``add_photo``, so that nobody waits for the database meanwhile.
    """
    drawn = draw(data)
    if isinstance(drawn, Refusal):
        raise Invalid({"photo": drawn.sentence})
    return drawn


def photo_refusal(job: Job) -> Refusal | None:
    """Say why no photo can be added to ``job``, or ``None`` if one can."""
    flow = INSTALLATION if job.workflow == INSTALLATION.name else SERVICE
    if flow.is_end(job.status):
        return Refusal("job_ended", sentence("This job has ended; no photos can be added any more."))
    return None


def add_photo(
    session: Session, actor: Actor, now: datetime, visit_id: int, name: str, drawn: Drawn, given: PhotoInput
) -> Photo:
    """Add the photo whose files are kept under ``name`` to a visit and return it.

    One with the same key is not added again: the first is returned, and the new files are nobody's.
    """
    visit, job, _ = lock_visit(session, visit_id)
    demand_hand_in(actor, visit)
    key = client_key(given.key)
    query = select(Photo).where(Photo.appointment_id == visit.id, Photo.client_key == key)
    known = session.scalars(query).one_or_none()
    if known is not None:
        return known
    demand(photo_refusal(job))
    caption = one_line(given.caption)
    if len(caption) > MAX_CAPTION:
        raise Invalid({"caption": too_long(MAX_CAPTION)})
    held = session.scalar(select(func.count()).where(Photo.job_id == job.id, Photo.removed_at.is_(None)))
    if held is not None and held >= MOST_OF_A_JOB:
        raise Refused(
            Refusal("too_many", sentence("This job has %(limit)s photos already; no more fit", limit=MOST_OF_A_JOB))
        )
    taken = when_it_happened(given.happened_at, now)
    photo = Photo(
        partner_id=job.partner_id,
        customer_id=job.customer_id,
        job_id=job.id,
        appointment_id=visit.id,
        client_key=key,
        name=name,
        caption=caption,
        width=drawn.width,
        height=drawn.height,
        taken_at=taken,
        added_at=now,
        added_by_id=actor.id,
        added_by_name=actor.name,
        shared_at=now if given.shared else None,
    )
    session.add(photo)
    session.flush()
    after = {"photo": caption or None, "shared": photo.is_shared or None, "happened_at": told_late(taken, now)}
    record(session, actor, now, "add_photo", job, visit, after=after)
    return photo


def demand_hand_in(actor: Actor, visit: Appointment) -> None:
    """Raise ``NotFound`` unless ``actor`` is staff or the technician of ``visit``."""
    demand_role(actor.is_staff or actor.technician_id is not None)
    if not actor.is_staff and visit.technician_id != actor.technician_id:
        raise NotFound


def share_photo(session: Session, actor: Actor, now: datetime, photo_id: int, shared: bool) -> Photo:
    """Share a photo with the customer, or take that back at once; nothing happens where it is so already."""
    photo, job, visit = _locked(session, actor, photo_id)
    if photo.is_shared is not shared:
        photo.shared_at = now if shared else None
        action = "share_photo" if shared else "unshare_photo"
        record(session, actor, now, action, job, visit, {"shared": not shared}, {"shared": shared}, photo.caption)
    return photo


def remove_photo(session: Session, actor: Actor, now: datetime, photo_id: int) -> Photo:
    """Remove a photo, for staff: it is gone for everybody, and its files may be removed once this is committed."""
    demand_role(actor.is_staff)
    photo, job, visit = _locked(session, actor, photo_id)
    photo.removed_at, photo.shared_at = now, None
    record(session, actor, now, "remove_photo", job, visit, reason=photo.caption)
    return photo


def _locked(session: Session, actor: Actor, photo_id: int) -> tuple[Photo, Job, Appointment]:
    found = find(session, Photo, photo_id)
    visit, job, _ = lock_visit(session, found.appointment_id)
    session.refresh(found)
    if found.removed_at is not None:
        raise NotFound
    demand_hand_in(actor, visit)
    return found, job, visit


def note_cleared(session: Session, photo_ids: Iterable[int]) -> None:
    """Note that the files of removed photos are gone."""
    for photo in session.scalars(select(Photo).where(Photo.id.in_(list(photo_ids)), Photo.removed_at.is_not(None))):
        photo.name = ""


def sweep_left_over(named: Callable[[Iterable[str]], frozenset[str]], store: PhotoStore, now: datetime) -> int:
    """Remove the files of the last days that no photo names and return how many photos' that were.

    They are left by requests that were refused or died between file and row. ``named`` says which of some names the
    database knows. What is young may still be getting its row.
    """
    swept = 0
    for back in range(LOOKED_BACK):
        day = (now - back * DAY).date()
        names = list(store.written_on(day))
        known = named(names) if names else frozenset()
        for name in names:
            if name not in known and store.is_older(name, now - LEFT_OVER_AFTER):
                swept += store.remove(name)
    return swept
