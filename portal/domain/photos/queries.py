"""Reading photos within the session's scope: those of a job, and one of them for whoever may see it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Select, select, union_all
from sqlalchemy.orm import Session, joinedload

from portal.domain.actor import Actor
from portal.domain.errors import NotFound
from portal.domain.jobs.models import Appointment
from portal.domain.lookup import MAX_KEY
from portal.domain.photos.models import Photo
from portal.domain.requests.models import RequestPhoto

IN_ORDER = (Photo.taken_at, Photo.id)


def photos_of(session: Session, job_id: int) -> Sequence[Photo]:
    """Return the photos of a job with their visits, in the order they were taken (P12)."""
    query = _there().where(Photo.job_id == job_id).options(joinedload(Photo.visit)).order_by(*IN_ORDER)
    return session.scalars(query).all()


def shared_photos(session: Session, visit_id: int) -> Sequence[Photo]:
    """Return the photos of a visit that its customer may see, in the order they were taken (C2)."""
    query = _there().where(Photo.appointment_id == visit_id, Photo.shared_at.is_not(None)).order_by(*IN_ORDER)
    return session.scalars(query).all()


def photo_for(session: Session, actor: Actor, photo_id: int) -> Photo:
    """Return a photo that ``actor`` may see; raises ``NotFound`` for every other, whether there is one or not.

    Staff see each of their partner's, a technician those of jobs with a visit of their own, a customer their own once
    they are shared.
    """
    if not 0 < photo_id <= MAX_KEY:
        raise NotFound
    query = _there().where(Photo.id == photo_id)
    if not actor.is_staff and actor.technician_id is None:
        query = query.where(Photo.shared_at.is_not(None), Photo.customer_id.in_(actor.customer_ids))
    elif not actor.is_staff:
        own = select(Appointment.id).where(
            Appointment.job_id == Photo.job_id, Appointment.technician_id == actor.technician_id
        )
        query = query.where(own.exists())
    photo = session.scalars(query).one_or_none()
    if photo is None:
        raise NotFound
    return photo


def named_photos(session: Session, names: Iterable[str]) -> frozenset[str]:
    """Return which of the names of files are those of photos."""
    wanted = list(names)
    known = (select(model.name).where(model.name.in_(wanted)) for model in (Photo, RequestPhoto))
    return frozenset(session.scalars(union_all(*known)))


def files_to_clear(session: Session) -> dict[int, str]:
    """Return the names of the files of removed photos that may still be there, by the photos' keys."""
    query = select(Photo.id, Photo.name).where(Photo.removed_at.is_not(None), Photo.name != "")
    return {row.id: row.name for row in session.execute(query)}


def _there() -> Select[Photo]:
    return select(Photo).where(Photo.removed_at.is_(None))
