"""The partners behind a page: name, zone, colour, logo and words, read once a request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask, g
from flask_babel import gettext
from sqlalchemy import Select, bindparam, select

from portal.domain.actor import Actor
from portal.domain.branding.models import PartnerLogo
from portal.domain.changes.queries import Mark, mark_column, mark_of
from portal.domain.errors import NotFound
from portal.domain.people.models import Partner
from portal.extensions import db


@dataclass(frozen=True, slots=True)
class PartnerInfo:
    """What pages show of a partner; ``logo`` is the digest of its picture, "" for none.

    ``mark`` is how far the partner's changes were known when it was read.
    """

    id: int
    name: str
    zone: ZoneInfo
    phone: str
    colour: str
    staff_term: str
    customer_term: str
    status_labels: Mapping[str, str]
    logo: str
    suspended: bool
    mark: Mark | None = None

    @property
    def handyman(self) -> str:
        """What the office calls a technician."""
        return self.staff_term or gettext("Handyman")

    @property
    def technician(self) -> str:
        """What customers read for a technician."""
        return self.customer_term or gettext("technician")


# What of a partner and its logo ``info_from`` reads.
COLUMNS = (
    Partner.id,
    Partner.name,
    Partner.timezone,
    Partner.phone,
    Partner.brand_colour,
    Partner.staff_term,
    Partner.customer_term,
    Partner.suspended_at,
    Partner.status_labels,
    PartnerLogo.digest,
)
KNOWN = "partner_infos"


@cache
def _partners(dialect: str) -> Select[*tuple[Any, ...]]:
    # Put together once: many pages run it.
    return (
        select(*COLUMNS, mark_column(dialect))
        .outerjoin(PartnerLogo, PartnerLogo.partner_id == Partner.id)
        .where(Partner.id.in_(bindparam("ids", expanding=True)))
    )


def partner_info(partner_id: int) -> PartnerInfo:
    """Return the partner of that id; ``NotFound`` outside the actor's reach. At most one statement a request."""
    known: dict[int, PartnerInfo] = g.setdefault(KNOWN, {})
    if partner_id not in known:
        actor: Actor | None = g.get("actor")
        wanted = {partner_id} | (actor.partner_ids if actor else set())
        for row in db.session.execute(_partners(db.engine.dialect.name), {"ids": sorted(wanted)}):
            known[row.id] = info_from(row[:-1], mark_of(row.mark))
    if partner_id not in known:
        raise NotFound
    return known[partner_id]


def info_from(values: Iterable[Any], mark: Mark) -> PartnerInfo:
    """Return what pages show of a partner, from the values of ``COLUMNS``, seen as far as ``mark``."""
    row = SimpleNamespace(**{column.key: value for column, value in zip(COLUMNS, values, strict=True)})
    return replace(info_of(row, row.digest or ""), mark=mark)


def info_of(row: Any, logo: str = "") -> PartnerInfo:
    """Return what pages show of ``row``, a partner or a row with its columns; ``logo`` is its picture's digest."""
    return PartnerInfo(
        row.id,
        row.name,
        ZoneInfo(row.timezone),
        row.phone,
        row.brand_colour,
        row.staff_term,
        row.customer_term,
        row.status_labels,
        logo,
        row.suspended_at is not None,
    )


def current_partner() -> PartnerInfo | None:
    """Return the actor's partner, whose name and colour the page carries; ``None`` if they have none or several."""
    actor: Actor | None = g.get("actor")
    if actor is None or len(actor.partner_ids) != 1:
        return None
    return partner_info(next(iter(actor.partner_ids)))


def suspended_names() -> str:
    """Return the names of those of the actor's partners that are suspended."""
    actor: Actor | None = g.get("actor")
    return ", ".join(partner_info(key).name for key in sorted(actor.suspended)) if actor is not None else ""


def init_app(app: Flask) -> None:
    """Make ``current_partner()`` and ``partner_info(id)`` known to the templates of ``app``."""
    app.jinja_env.globals.update(
        current_partner=current_partner, partner_info=partner_info, suspended_names=suspended_names
    )
