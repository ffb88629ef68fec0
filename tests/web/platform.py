"""A platform to test on: an operator, two partners with their people, and the post that leaves it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.messages.outbox import Letter
from portal.domain.people.models import Customer, Invitation, Membership, Partner, Technician, User
from portal.worker.relay import Relay, Tally
from portal.worker.store import Store
from tests.factories import Create
from tests.helpers import Site


@dataclass
class Postbox:
    """A channel that keeps the letters as they were sent."""

    letters: list[Letter] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def send(self, letter: Letter, now: datetime) -> None:
        self.letters.append(letter)


@dataclass
class Platform:
    """Robin runs it; Acme has Alma (admin), Dana (dispatcher), Tom (technician), Cleo (customer); Zenith has nobody."""

    app: Flask
    session: Session
    acme: Partner
    zenith: Partner
    robin: User
    alma: User
    dana: User
    tom: User
    cleo: User
    technician: Technician
    customer: Customer
    post: Postbox
    _relay: Relay

    def browser(self, who: User | None = None) -> Site:
        """Return a fresh browser, in which ``who`` is signed in."""
        site = Site(self.app.test_client())
        if who is not None:
            site.sign_in(who)
        return site

    def run_worker(self) -> Tally:
        """Send what is due now."""
        return self._relay.run()

    def link(self) -> str:
        """Send what is due and return the path of the latest invitation's link, as its reader gets it."""
        self.run_worker()
        found = re.search(r"/invitation/[\w-]+", self.post.letters[-1].body)
        assert found is not None
        assert found[0] in self.post.letters[-1].body_html
        return found[0]

    def memberships(self, user: User) -> list[tuple[int, str, bool]]:
        """Return partner, role and whether active of what ``user`` is or was on the staff of."""
        self.session.rollback()
        query = select(Membership.partner_id, Membership.role, Membership.active).where(Membership.user_id == user.id)
        return [tuple(row) for row in self.session.execute(query)]  # type: ignore[misc]

    def membership(self, user: User) -> Membership:
        """Return the one membership of ``user``."""
        self.session.rollback()
        return self.session.scalars(select(Membership).where(Membership.user_id == user.id)).one()

    def invitation(self, email: str) -> Invitation:
        """Return the latest invitation for ``email`` as it is now."""
        self.session.rollback()
        query = select(Invitation).where(Invitation.email == email).order_by(Invitation.id.desc())
        found = self.session.scalars(query).first()
        assert found is not None
        return found


@pytest.fixture
def platform(
    app: Flask,
    session: Session,
    create_partner: Create,
    create_user: Create,
    create_staff: Create,
    create_technician: Create,
    create_customer: Create,
) -> Iterator[Platform]:
    acme, zenith = create_partner(name="Acme", phone="0117 496 0100"), create_partner(name="Zenith")
    tom, cleo = create_user(name="Tom Reyes"), create_user(name="Cleo Raman")
    settings = app.config["SETTINGS"]
    store, post = Store(settings.database_url), Postbox()
    yield Platform(
        app=app,
        session=session,
        acme=acme,
        zenith=zenith,
        robin=create_user(name="Robin Vale", is_operator=True),
        alma=create_staff(acme, role="partner_admin", name="Alma Whitcombe"),
        dana=create_staff(acme, name="Dana Okafor"),
        tom=tom,
        cleo=cleo,
        technician=create_technician(acme, tom),
        customer=create_customer(acme, cleo),
        post=post,
        _relay=Relay(store, settings, post, clock=lambda: datetime.now(UTC)),
    )
    store.close()


def problems(site: Site) -> list[str]:
    """Return what the page in front says is wrong."""
    return [item.get_text() for item in site.page.select(".error-summary li")]
