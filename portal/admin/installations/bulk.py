"""What is done with many installations at once: those ticked in the list, or all that its filter matches (P15).

The buttons under the list bring what is ticked; a form asks for the handyman or the reason; then each row is tried on
its own and the page says what became of it. With JavaScript the rows of a long selection come a few at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlencode

from flask import flash, make_response, request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import gettext, lazy_gettext
from sqlalchemy.orm import Session

from portal.admin.base import Asked, the_actor, the_partner_id
from portal.admin.installations.acts import MOST_CHOICES, chosen_name, fill_reasons, read_reason
from portal.admin.installations.forms import MOST_DIGITS, AssignForm, ReasonForm, RejectForm, read_key
from portal.admin.installations.kinds import Kind
from portal.admin.installations.listing import wanted_of
from portal.domain.errors import Invalid, NotFound
from portal.domain.jobs import bulk, queries
from portal.domain.jobs.bulk import MOST_ROWS, Outcome
from portal.domain.jobs.queries import ListSort, Picked
from portal.domain.jobs.services import cancel_reason, rejection_reason
from portal.domain.people.queries import find_technicians
from portal.extensions import db
from portal.web import formats
from portal.web.i18n import translate

PICK, ALL, PART, SENT, MORE = "pick", "all", "part", "sent", "more"
# In the address of the list: the keys of rows that are ticked when it opens, and how many of them an address holds.
PICKED, PICKED_AT_ONCE = "picked", 50
# So many rows are done before the browser hears of it.
AT_ONCE = 20


class BulkAct:
    """One decision for many rows: its form, and the use case that tries each row."""

    title: ClassVar[Any]
    button: ClassVar[Any]
    lead: ClassVar[Any] = ""
    # Headings of the outcome.
    done: ClassVar[Any]
    not_done: ClassVar[Any]
    form: ClassVar[type[Any]]
    danger = False

    def fill(self, form: Any) -> None:
        """Give ``form`` its choices."""

    def button_for(self, form: Any) -> str:
        """Return the words of the button that does it."""
        return str(self.button)

    def check(self, session: Session, form: Any) -> None:
        """Raise ``Invalid`` for a form that could do no row at all."""
        raise NotImplementedError

    def run(self, session: Session, keys: Sequence[int], form: Any) -> list[Outcome]:
        """Try each row; raises as ``check`` does before any is touched."""
        raise NotImplementedError


class AssignMany(BulkAct):
    title = lazy_gettext("Assign many")
    button = lazy_gettext("Assign")
    done = lazy_gettext("Assigned")
    not_done = lazy_gettext("Not assigned")
    lead = lazy_gettext("Each is assigned if it still can be and nobody is booked twice; the others stay as they are.")
    form = AssignForm

    def fill(self, form: AssignForm) -> None:
        """Offer who is Available."""
        found = find_technicians(db.session(), the_partner_id(the_actor()), "", limit=MOST_CHOICES)
        form.technician.choices = [
            ("", gettext("Nobody yet")),
            *((str(one.technician_id), one.name) for one in found),
        ]
        form.technician_names = {str(one.technician_id): one.name for one in found}

    def button_for(self, form: AssignForm) -> str:
        """Name who is chosen."""
        name = chosen_name(form)
        return gettext("Assign to %(name)s", name=name) if name else str(self.button)

    def check(self, session: Session, form: AssignForm) -> None:
        bulk.check_technician(session, _technician(form))

    def run(self, session: Session, keys: Sequence[int], form: AssignForm) -> list[Outcome]:
        chosen = _technician(form)
        return bulk.assign_each(session, the_actor(), formats.now(), keys, chosen, form.despite_warnings.data)


class CancelMany(BulkAct):
    title = lazy_gettext("Cancel many")
    button = lazy_gettext("Cancel jobs")
    done = lazy_gettext("Cancelled")
    not_done = lazy_gettext("Not cancelled")
    lead = lazy_gettext("Each customer is told. What can no longer be cancelled stays as it is.")
    form = ReasonForm
    danger = True

    def check(self, session: Session, form: ReasonForm) -> None:
        cancel_reason(form.reason.data or "")

    def run(self, session: Session, keys: Sequence[int], form: ReasonForm) -> list[Outcome]:
        return bulk.cancel_each(session, the_actor(), formats.now(), keys, form.reason.data or "")


class RejectMany(BulkAct):
    title = lazy_gettext("Reject many")
    button = lazy_gettext("Reject installations")
    done = lazy_gettext("Rejected")
    not_done = lazy_gettext("Not rejected")
    lead = lazy_gettext(
        "Rejected installations cannot come back. Each customer is told that the visit is cancelled. "
        "What can no longer be rejected stays as it is."
    )
    form = RejectForm
    danger = True

    def fill(self, form: RejectForm) -> None:
        """Offer the partner's reasons."""
        fill_reasons(form)

    def check(self, session: Session, form: RejectForm) -> None:
        rejection_reason(session, *read_reason(form))

    def run(self, session: Session, keys: Sequence[int], form: RejectForm) -> list[Outcome]:
        return bulk.reject_each(session, the_actor(), formats.now(), keys, *read_reason(form))


BULK_ACTS: dict[str, BulkAct] = {"assign": AssignMany(), "reject": RejectMany(), "cancel": CancelMany()}


def _technician(form: AssignForm) -> int:
    key = read_key(form.technician, gettext("Choose who comes"))
    if key is None:
        raise Invalid({})
    return key


@dataclass(frozen=True, slots=True)
class Told:
    """One row of the outcome as it is shown."""

    id: int
    number: str
    customer: str
    why: str


class BulkActions:
    """The part of the list's view that acts on many rows."""

    kind: Kind
    asked: Any
    get_url: Any
    near: Any
    render: Any
    _go: Any

    def picked_context(self) -> dict[str, Any]:
        """Return what the list's template needs for its ticks and buttons."""
        query = f"?{request.query_string.decode()}".rstrip("?")
        return {
            "picked": frozenset(_keys(request.args.get(PICKED, "").split("."))),
            "all_picked": request.args.get(PICKED) == ALL,
            "most_rows": MOST_ROWS,
            "bulk_urls": {act: f"bulk/{act}{query}" for act in self.kind.bulk},
            "unpicked_url": self.near(self.list_with()),
        }

    @expose("/bulk/<act>", methods=("POST",))
    def bulk_view(self, act: str) -> ResponseReturnValue:
        """Ask what the act needs to know for the rows ticked, or try each of them."""
        if act not in self.kind.bulk:
            raise NotFound
        picked = self.picked(self.asked())
        if not picked.rows:
            return self.nothing_picked()
        one, sent = BULK_ACTS[act], SENT in request.form
        form = one.form(request.form if sent else None)
        if sent:
            try:
                if _comes_in_parts() and len(picked.rows) > AT_ONCE:
                    one.check(db.session(), form)
                    return self._bulk_page("progress", one, form, picked)
                outcomes = one.run(db.session(), [row.id for row in picked.rows], form)
                return self._bulk_page("outcome", one, form, picked, **_told(picked, outcomes))
            except Invalid as error:
                form.refuse(error)
        return self._bulk_page("form", one, form, picked)

    def picked(self, asked: Asked) -> Picked:
        """Return the jobs that the form brings: those ticked, or what the list's filter matches."""
        session = db.session()
        if self.picks_everything():
            wanted, sort = wanted_of(asked.filters, self.kind.workflow.name), ListSort(asked.sort)
            return queries.picked_by(session, formats.now(), formats.zone_of(), wanted, sort, MOST_ROWS)
        return queries.picked(session, self.picked_keys(), MOST_ROWS, self.kind.workflow.name)

    def picks_everything(self) -> bool:
        """Whether the form means all that the filter matches, whatever else is ticked."""
        return ALL in request.form

    def picked_keys(self) -> list[int]:
        """Return the keys of the rows ticked, without what is no key."""
        return _keys(request.form.getlist(PICK))

    def nothing_picked(self) -> ResponseReturnValue:
        """Lead back to the list of somebody who ticked nothing that is there."""
        flash(str(self.kind.words["nothing_ticked"]), "warn")
        answer: ResponseReturnValue = self._go(self.list_with())
        return answer

    def list_with(self, keys: Sequence[int] = (), every: bool = False) -> str:
        """Return the address of the list as the person left it, with ``keys`` or everything ticked."""
        args = [(name, text) for name, text in request.args.items(multi=True) if name != PICKED]
        if every:
            args.append((PICKED, ALL))
        elif 0 < len(keys) <= PICKED_AT_ONCE:
            args.append((PICKED, ".".join(map(str, keys))))
        start = str(self.get_url(".index_view"))
        return f"{start}?{urlencode(args)}" if args else start

    def _bulk_page(self, name: str, act: BulkAct, form: Any, picked: Picked, **told: Any) -> ResponseReturnValue:
        act.fill(form)
        left = [row.id for kind in ("refused", "warned") for row in told.get(kind, ())]
        close = (
            self.list_with(left) if told else self.list_with([row.id for row in picked.rows], self.picks_everything())
        )
        # The form stands in the frame of the forms of one installation; what comes after it has frames of its own.
        frames = "admin/installations/" if name == "form" else "admin/installations/bulk/"
        page = self.render(
            f"admin/installations/bulk/{name}.html",
            frame=f"{frames}{'dialog' if request.headers.get('HX-Request') else 'page'}.html",
            kind=self.kind,
            act=act,
            form=form,
            form_has_errors=form.has_errors,
            picked=picked,
            # Only the first of them are carried on, so what is sent after that says it itself.
            more=picked.more or MORE in request.form,
            action=request.full_path.rstrip("?"),
            close=close,
            title=act.title,
            button=act.button_for(form),
            most=MOST_ROWS,
            at_once=AT_ONCE,
            kept=PICKED_AT_ONCE,
            **told,
        )
        response = make_response(page, 422 if form.has_errors else 200)
        response.vary.add("HX-Request")
        return response


def _comes_in_parts() -> bool:
    """Whether a script waits for the answer and has not begun to send the rows a few at a time."""
    return bool(request.headers.get("HX-Request")) and PART not in request.form


def _keys(texts: Sequence[str]) -> list[int]:
    return [int(text) for text in texts if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS]


def _told(picked: Picked, outcomes: Sequence[Outcome]) -> dict[str, list[Told]]:
    """Return the outcomes as they are shown: done, refused, and refused with a warning only."""
    rows = {row.id: row for row in picked.rows}
    told: dict[str, list[Told]] = {"done": [], "refused": [], "warned": []}
    for one in outcomes:
        kind = "done" if one.done else "warned" if one.warned else "refused"
        row = rows[one.job_id]
        told[kind].append(Told(row.id, row.number, row.customer, translate(one.why) if one.why else ""))
    return told
