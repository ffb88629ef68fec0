"""The customer's pages: My Schedule, visits, Modify, requests, contracts."""

from __future__ import annotations

from flask import Flask

from portal.customer import calendar, confirm, live, messages, modify, papers, photos, requests, schedule, survey, track
from portal.customer.blueprint import pages

# Once, when imported: a registered blueprint takes no more pages, and tests make several applications.
for part in (schedule, live, modify, requests, papers, photos, calendar, messages, survey):
    part.add_to(pages)


def register(app: Flask) -> None:
    """Register the customer's pages on ``app``."""
    app.register_blueprint(pages)
    app.register_blueprint(confirm.pages)
    app.register_blueprint(survey.links)
    app.register_blueprint(track.pages)
