"""The customer's pages: My Schedule, visits, Modify, requests, contracts."""

from __future__ import annotations

from flask import Flask

from portal.customer import (
    calendar,
    confirm,
    live,
    messages,
    modify,
    new_service,
    papers,
    photos,
    requests,
    schedule,
    survey,
    track,
)
from portal.customer.blueprint import pages
from portal.web.http import allow_file
from portal.web.photos import MOST_SENT

# Once, when imported: a registered blueprint takes no more pages, and tests make several applications.
for part in (schedule, live, modify, requests, new_service, papers, photos, calendar, messages, survey):
    part.add_to(pages)


def register(app: Flask) -> None:
    """Register the customer's pages on ``app``."""
    app.register_blueprint(pages)
    for name in ("send_service", "add_request_photo"):
        allow_file(app, f"{pages.name}.{name}", MOST_SENT)
    app.register_blueprint(confirm.pages)
    app.register_blueprint(survey.links)
    app.register_blueprint(track.pages)
