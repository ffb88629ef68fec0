"""The log of messages in the office is narrowed to what they are about (N6)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from portal.domain.jobs import services
from portal.domain.messages.models import MessageKind
from tests.web.office import TUESDAY, Office, clock, office

__all__ = ["clock", "office"]

LOG = "/admin/messages/"


def shown(office: Office, query: str = "") -> list[str]:
    """Return what the messages in the log are about."""
    assert office.site.get(LOG + query).status_code == 200
    return [cell.text for cell in office.site.page.select("tbody th a")]


@pytest.mark.row("N6")
def test_the_log_is_narrowed_to_a_kind_of_message(office: Office, clock: Any) -> None:
    job = office.create(technician=office.ines)
    office.do(services.reschedule, job.id, TUESDAY + timedelta(hours=4), notify=True)
    everything = set(shown(office))
    assert everything > {"Visit booked", "Visit moved"}
    for kind, words in ((MessageKind.BOOKED, "Visit booked"), (MessageKind.MOVED, "Visit moved")):
        assert set(shown(office, f"?about={kind.value}")) == {words}
        chosen = office.site.page.select_one("select[name=about] [selected]")
        assert chosen is not None
        assert chosen.text == words
    assert shown(office, f"?about={MessageKind.SURVEY.value}") == []
    assert shown(office, f"?about={MessageKind.BOOKED.value}&status=SENT") == []
    # Nonsense narrows nothing, and the file is of exactly what is shown.
    assert set(shown(office, "?about=xyz")) == everything
    file = office.site.client.get(f"{LOG}export/csv/?about={MessageKind.BOOKED.value}").get_data(as_text=True)
    assert "Visit booked" in file
    assert "Visit moved" not in file
