"""As whom somebody acts who follows a link in a message without signing in."""

from __future__ import annotations

from portal.domain.actor import Actor, Role
from portal.domain.people.models import Customer, Partner


def holder_of(customer: Customer, partner: Partner) -> Actor:
    """Return the actor who holds a link about something of ``customer``, reaching no further than that customer.

    It has no user: whoever has the message has the link.
    """
    own = frozenset({partner.id})
    return Actor(
        id=None,
        role=Role.CUSTOMER,
        name=customer.name,
        partner_ids=own,
        customer_ids=frozenset({customer.id}),
        suspended=own if partner.suspended_at is not None else frozenset(),
    )
