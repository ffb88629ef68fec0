"""What can be done with a job: for each act its form, what fills it and the one use case it calls.

Whether an act is offered, and refused when posted all the same, the tables say.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, ClassVar, Generic, TypeVar

from flask import request
from flask_babel import gettext, lazy_gettext
from sqlalchemy.orm import Session

from portal.admin.base import Difference, differences_of, the_partner_id
from portal.admin.installations.forms import (
    AssignForm,
    CancelForm,
    CompleteForm,
    ContinueForm,
    EditForm,
    InstallationForm,
    PaperForm,
    PauseForm,
    ReasonForm,
    RejectForm,
    RescheduleForm,
    SetOffForm,
    StepForm,
    TurnBackForm,
    day_to_show,
    fill_items,
    lengths,
    offer_times,
    read_chosen_time,
    read_key,
    read_length,
    read_start,
    whole,
    wrong,
)
from portal.domain.actor import Actor
from portal.domain.branding.queries import partner_for_branding
from portal.domain.contracts import services as contracts
from portal.domain.contracts.services import MAX_PAPER_BYTES
from portal.domain.errors import Invalid, NotFound, Refusal, sentence
from portal.domain.jobs import fieldwork, queries, service_jobs, services
from portal.domain.jobs.models import Appointment
from portal.domain.jobs.queries import JobTarget
from portal.domain.jobs.states import APPOINTMENT, EDITABLE, INSTALLATION, SERVICE, job_refusal
from portal.domain.people.queries import find_technicians
from portal.domain.requests import services as requests
from portal.domain.requests.models import ChangeRequest
from portal.domain.requests.queries import pending_requests
from portal.domain.scheduling.queries import wanted_for
from portal.domain.scheduling.slots import Slot
from portal.domain.texts import shows
from portal.extensions import db
from portal.web import formats, papers
from portal.web.i18n import translate

F = TypeVar("F", bound=InstallationForm)
MINUTE = timedelta(minutes=1)
# More technicians than a select holds well; the type-ahead finds the others.
MOST_CHOICES = 100


class Act(Generic[F]):
    """One act on a job. ``name`` is its address and, where there is one, its transition's."""

    name: ClassVar[str]
    title: ClassVar[Any]
    button: ClassVar[Any]
    done: ClassVar[Any]
    lead: ClassVar[Any] = ""
    form: ClassVar[type[Any]] = InstallationForm
    template = "admin/installations/acts/plain.html"
    danger = False
    uploads = False

    def refusal(self, target: JobTarget) -> Refusal | None:
        """Say why this act is not possible now, in the table's own words."""
        return job_refusal(self.name, target.asked)

    def fill(self, form: F, target: JobTarget, fresh: bool) -> None:
        """Give ``form`` its choices and, when ``fresh``, what stands in it at first."""

    def context(self, form: F, target: JobTarget) -> dict[str, Any]:
        """Return what the template needs beside the form."""
        return {}

    def differences(self, form: F, target: JobTarget) -> list[Difference] | None:
        """Return what somebody else saved meanwhile beside what was typed, where that is to be decided on the form."""
        return None

    def button_for(self, form: F, target: JobTarget) -> str:
        """Return the words of the button that does it."""
        return str(self.button)

    def prepare(self, session: Session, actor: Actor, now: datetime, target: Target, form: F) -> None:
        """Do what takes long and writes nothing, before the unit of work that ``run`` is called in at ``now``."""

    def run(self, session: Session, actor: Actor, now: datetime, target: Target, form: F) -> object:
        """Call the use case. Reading errors are in ``form`` before; they end it with ``Invalid``."""
        raise NotImplementedError

    def told(self, number: str, result: Any) -> str:
        """Return what is said once it is done, from what ``run`` returned."""
        return str(self.done) % {"number": number}


class Target:
    """The keys that a use case wants, taken before the unit of work lets go what the page had read."""

    def __init__(self, target: JobTarget) -> None:
        self.job_id = target.job.id
        self._visit_id = target.visit.id if target.visit is not None else None
        # The visit that the act is about where it is not simply the job's.
        self.chosen_id = self._visit_id if target.chosen else None
        self.zone = target.asked.zone
        self.names_technician = services.names_technician(target.job)
        # The contract that the act sends, once it is drawn.
        self.drawn: papers.Drawn | None = None

    @property
    def visit_id(self) -> int:
        """The key of the visit that the page is about; ``NotFound`` where there is none."""
        if self._visit_id is None:
            raise NotFound
        return self._visit_id


def stop_at_errors(form: InstallationForm) -> None:
    """Raise ``Invalid`` if reading ``form`` found anything wrong."""
    if form.has_errors:
        raise Invalid({})


class WithTechnician(Act[AssignForm]):
    """Assign and reassign: who comes."""

    form = AssignForm
    template = "admin/installations/acts/technician.html"

    def fill(self, form: AssignForm, target: JobTarget, fresh: bool) -> None:
        """Offer who is Available, and say whether they are free then."""
        visit = target.visit
        fill_technicians(form, target, visit.start_at if visit is not None else None)

    def context(self, form: AssignForm, target: JobTarget) -> dict[str, Any]:
        """Tell the type-ahead when the visit is."""
        visit = target.visit
        if visit is None:
            return {}
        local = visit.start_at.astimezone(target.asked.zone)
        return {"start": local.strftime("%Y-%m-%dT%H:%M"), "minutes": (visit.end_at - visit.start_at) // MINUTE}

    def button_for(self, form: AssignForm, target: JobTarget) -> str:
        """Name who is chosen."""
        name = chosen_name(form)
        return gettext("%(act)s %(name)s", act=self.button, name=name) if name else str(self.button)


class Assign(WithTechnician):
    name = "assign"
    title = lazy_gettext("Assign")
    button = lazy_gettext("Assign")
    done = lazy_gettext("%(number)s is assigned.")

    def run(self, session: Session, actor: Actor, now: datetime, target: Target, form: AssignForm) -> object:
        chosen = read_key(form.technician, gettext("Choose who comes"))
        stop_at_errors(form)
        return services.assign(
            session, actor, now, target.job_id, chosen or 0, form.despite_warnings.data, target.chosen_id
        )


class Reassign(WithTechnician):
    name = "reassign"
    title = lazy_gettext("Reassign")
    button = lazy_gettext("Reassign to")
    done = lazy_gettext("%(number)s is reassigned.")

    def run(self, session: Session, actor: Actor, now: datetime, target: Target, form: AssignForm) -> object:
        chosen = read_key(form.technician, gettext("Choose who comes"))
        stop_at_errors(form)
        return services.reassign(
            session, actor, now, target.job_id, chosen or 0, form.despite_warnings.data, target.chosen_id
        )

    def button_for(self, form: AssignForm, target: JobTarget) -> str:
        """Name who is chosen."""
        name = chosen_name(form)
        return f"{self.button} {name}" if name else gettext("Reassign")


class Reject(Act[RejectForm]):
    name = "reject"
    title = lazy_gettext("Reject")
    button = lazy_gettext("Reject installation")
    done = lazy_gettext("%(number)s is rejected.")
    lead = lazy_gettext("A rejected installation cannot come back. The customer is told that the visit is cancelled.")
    form = RejectForm
    template = "admin/installations/acts/reject.html"
    danger = True

    def fill(self, form: RejectForm, target: JobTarget, fresh: bool) -> None:
        """Offer the partner's reasons."""
        fill_reasons(form)

    def run(self, session: Session, actor: Actor, now: datetime, target: Target, form: RejectForm) -> object:
        return services.reject(session, actor, now, target.job_id, *read_reason(form))


class Cancel(Act[CancelForm]):
    name = "cancel"
    title = lazy_gettext("Cancel installation")
    button = lazy_gettext("Cancel installation")
    done = lazy_gettext("%(number)s is cancelled.")
    lead = lazy_gettext("A cancelled installation cannot come back. The customer is told; the record stays.")
    form = CancelForm
    danger = True

    def fill(self, form: CancelForm, target: JobTarget, fresh: bool) -> None:
        """Take the reason from the customer's own words, where this answers them."""
        wish = wish_of(self.name, target)
        if fresh and wish is not None:
            form.answers.data, form.reason.data = str(wish.id), wish.words

    def context(self, form: CancelForm, target: JobTarget) -> dict[str, Any]:
        """Show what this answers."""
        return {"wish": wish_of(self.name, target)}

    def run(self, session: Session, actor: Actor, now: datetime, target: Target, form: CancelForm) -> object:
        reason, answers = form.reason.data or "", whole(form.answers.data)
        if answers is not None:
            return requests.apply_by_cancelling(session, actor, now, target.job_id, answers, reason)
        return services.cancel(session, actor, now, target.job_id, reason)


class CancelJob(Cancel):
    title = lazy_gettext("Cancel job")
    button = lazy_gettext("Cancel job")
    lead = lazy_gettext(
        "Every visit that is planned or paused is cancelled and the customer told. "
        "The job can be set back to scheduled."
    )

    def fill(self, form: CancelForm, target: JobTarget, fresh: bool) -> None:
        """What a customer asks for is about one visit, which has an act of its own."""

    def context(self, form: CancelForm, target: JobTarget) -> dict[str, Any]:
        """Nothing to show besides."""
        return {}

    def run(self, session: Session, actor: Actor, now: datetime, target: Target, form: CancelForm) -> object:
        return services.cancel(session, actor, now, target.job_id, form.reason.data or "")


class CancelVisit(Cancel):
    name = "cancel_visit"
    title = lazy_gettext("Cancel visit")
    button = lazy_gettext("Cancel visit")
    done = lazy_gettext("The visit of %(number)s is cancelled.")
    lead = lazy_gettext("The customer is told. Where no other visit is planned the job is cancelled with it.")

    def refusal(self, target: JobTarget) -> Refusal | None:
        """Ask about the visit, not the job."""
        if target.planned is None:
            raise NotFound
        return services.visit_cancel_refusal(target.asked)

    def run(self, session: Session, actor: Actor, now: datetime, target: Target, form: CancelForm) -> object:
        reason, answers = form.reason.data or "", whole(form.answers.data)
        if answers is not None:
            return requests.apply_by_cancelling(session, actor, now, target.job_id, answers, reason)
        return services.cancel_visit(session, actor, now, target.visit_id, reason)


class Reschedule(Act[RescheduleForm]):
    name = "reschedule"
    title = lazy_gettext("Reschedule")
    button = lazy_gettext("Move")
    done = lazy_gettext("%(number)s has a new time.")
    form = RescheduleForm
    template = "admin/installations/acts/reschedule.html"

    def moved(self, target: JobTarget) -> Appointment | None:
        """Return the visit that gets another time; ``None`` where one is planned anew."""
        return target.planned

    def names_technician(self, target: JobTarget) -> bool:
        """Whether the form asks who comes."""
        return services.names_technician(target.job)

    def fill(self, form: RescheduleForm, target: JobTarget, fresh: bool) -> None:
        """Begin with the day of the visit, or tomorrow, and offer that day's free times."""
        visit, zone = self.moved(target), target.asked.zone
        job = target.job
        usual = (visit.end_at - visit.start_at) // MINUTE if visit is not None else job.service_type.duration_minutes
        if fresh:
            form.duration.data = str(usual)
            form.technician.data = str(job.technician_id or "")
            wish = wish_of(self.name, target) if visit is not None else None
            if wish is not None:
                # Somebody waits for this answer.
                form.answers.data, form.notify.data = str(wish.id), True
        form.duration.choices = lengths([usual, job.service_type.duration_minutes])
        fill_technicians(form, target, None)
        today = formats.today(zone)
        if fresh:
            planned = formats.local_day(visit.start_at, zone) if visit is not None else today
            first = max(planned, today)
            days = [first + timedelta(days=ahead) for ahead in range(DAYS_TRIED)]
        else:
            day = day_to_show(form.date.data, zone)
            days = [day] if day is not None else []
        by_day = self._slots(form, target, days)
        # The first day that has a free time, so that the form opens with something to choose.
        shown = next((day for day in days if any(slot.refusal is None for slot in by_day[day])), next(iter(days), None))
        if fresh and shown is not None:
            form.date.data = shown.isoformat()
        offer_times(form, shown, by_day[shown] if shown is not None else [], zone)

    def _slots(self, form: RescheduleForm, target: JobTarget, days: list[date]) -> dict[date, list[Slot]]:
        visit = self.moved(target)
        length = read_length(RescheduleForm(data={"duration": form.duration.data}).duration)
        technician_id = whole(form.technician.data) if self.names_technician(target) else None
        if technician_id is None and visit is not None:
            technician_id = visit.technician_id
        if not days:
            return {}
        try:
            return queries.staff_times(db.session(), target.job, visit, technician_id, days, target.asked.now, length)
        except NotFound:
            return {day: [] for day in days}

    def context(self, form: RescheduleForm, target: JobTarget) -> dict[str, Any]:
        """Say whose times are offered, and why the others are not."""
        visit = self.moved(target)
        return {
            "wish": wish_of(self.name, target) if visit is not None else None,
            "follow_up": visit is None,
            "lead": self.lead,
            "names_technician": self.names_technician(target),
            "visit": visit,
            "slots_shown": "show_times" in request.form,
            "whose": visit.technician.name if visit is not None and visit.technician is not None else None,
        }

    def button_for(self, form: RescheduleForm, target: JobTarget) -> str:
        """Name the act."""
        return gettext("Plan the visit") if self.moved(target) is None else gettext("Move the visit")

    def read(self, form: RescheduleForm, target: Target) -> tuple[datetime, timedelta | None]:
        """Return start and duration that ``form`` asks for; raises ``Invalid``."""
        start = read_chosen_time(form, target.zone)
        if start is None:
            if not (form.time.data or "").strip():
                wrong(form.time, gettext("Choose one of the free times, or enter another time"))
            else:
                start = read_start(form.date, form.time, target.zone)
        length = read_length(form.duration)
        stop_at_errors(form)
        if start is None:
            raise RuntimeError("a start without errors")
        return start, length

    def run(self, session: Session, actor: Actor, now: datetime, target: Target, form: RescheduleForm) -> object:
        start, length = self.read(form, target)
        answers = whole(form.answers.data)
        if answers is not None:
            return requests.apply_by_moving(
                session,
                actor,
                now,
                target.job_id,
                answers,
                start,
                length,
                notify=form.notify.data,
                agreed_with_customer=form.agreed.data,
                despite_warnings=form.despite_warnings.data,
            )
        return services.reschedule(
            session,
            actor,
            now,
            target.job_id,
            start,
            length,
            whole(form.technician.data) if target.names_technician else None,
            notify=form.notify.data,
            agreed_with_customer=form.agreed.data,
            despite_warnings=form.despite_warnings.data,
            visit_id=target.chosen_id,
        )


class ScheduleVisit(Reschedule):
    name = "schedule"
    title = lazy_gettext("Schedule visit")
    button = lazy_gettext("Schedule visit")
    done = lazy_gettext("The visit of %(number)s is planned.")
    lead = lazy_gettext("The customer is told. Without anybody chosen it waits for somebody to be assigned.")

    def moved(self, target: JobTarget) -> Appointment | None:
        """A visit of its own, whatever others there are."""
        return None

    def names_technician(self, target: JobTarget) -> bool:
        """Whoever comes may be chosen at once."""
        return True

    def run(self, session: Session, actor: Actor, now: datetime, target: Target, form: RescheduleForm) -> object:
        start, length = self.read(form, target)
        chosen = whole(form.technician.data)
        insists = form.despite_warnings.data
        return service_jobs.schedule_visit(session, actor, now, target.job_id, start, length, chosen, insists)


class ApproveDraft(Act[InstallationForm]):
    name = "approve"
    title = lazy_gettext("Approve")
    button = lazy_gettext("Approve job")
    done = lazy_gettext("%(number)s is approved. Visits can be scheduled now.")
    lead = lazy_gettext("Visits can be scheduled from then on.")

    def run(self, session: Session, actor: Actor, now: datetime, target: Target, form: InstallationForm) -> object:
        return service_jobs.approve(session, actor, now, target.job_id)


class Reactivate(Act[InstallationForm]):
    name = "reactivate"
    title = lazy_gettext("Set back to scheduled")
    button = lazy_gettext("Set back to scheduled")
    lead = lazy_gettext(
        "Visits that were cancelled with the job come back if they are still ahead and their time is still free. "
        "The customer is told of each."
    )
    template = "admin/installations/acts/reactivate.html"

    def context(self, form: InstallationForm, target: JobTarget) -> dict[str, Any]:
        """Name the visits that may come back."""
        return {"gone": [visit for visit in target.visits if visit.cancelled_with_job]}

    def run(self, session: Session, actor: Actor, now: datetime, target: Target, form: InstallationForm) -> object:
        found = service_jobs.reactivate(session, actor, now, target.job_id)
        back = [_window(visit) for visit in found.back]
        return back, [(_window(visit), translate(refusal.sentence)) for visit, refusal in found.left]

    def told(self, number: str, result: Any) -> str:
        """Say visit by visit what came back, and of the others why not."""
        back, left = result
        words = [gettext("%(number)s is set back.", number=number)]
        if back:
            words.append(gettext("Planned again: %(visits)s.", visits="; ".join(back)))
        words.extend(gettext("Not planned again: %(visit)s. %(why)s", visit=visit, why=why) for visit, why in left)
        if not back and not left:
            words.append(gettext("It had no visit that was cancelled with it."))
        return " ".join(words)


def _window(visit: Appointment) -> str:
    return formats.window(visit.start_at, visit.window_minutes)


class Edit(Act[EditForm]):
    name = "edit"
    title = lazy_gettext("Edit")
    button = lazy_gettext("Save")
    done = lazy_gettext("%(number)s is saved.")
    form = EditForm
    template = "admin/installations/acts/edit.html"

    def refusal(self, target: JobTarget) -> Refusal | None:
        """Editing is always open to staff: at the end to notes only."""
        if target.asked.actor.is_staff:
            return None
        return Refusal("not_your_role", sentence("This is not yours to do."))

    def fill(self, form: EditForm, target: JobTarget, fresh: bool) -> None:
        """Begin with what is stored, in the version it is in."""
        if fresh:
            form.version.data = str(target.job.version)
            form.address.data = str(target.job.address_id)
            form.notes.data = target.job.notes
            fill_items(form, target.job.items)
        form.address.choices = [
            (str(address.id), address.one_line) for address in queries.addresses_for(db.session(), target.job)
        ]

    def differences(self, form: EditForm, target: JobTarget) -> list[Difference] | None:
        """Compare with what is stored now; saving again is then a decision for what was typed."""
        stored = EditForm()
        self.fill(stored, target, fresh=True)
        self.fill(form, target, fresh=False)
        form.version.data = stored.version.data
        return differences_of(form, stored)

    def context(self, form: EditForm, target: JobTarget) -> dict[str, Any]:
        """Tell whether only the notes are open."""
        return {"frozen": target.job.status not in EDITABLE}

    def run(self, session: Session, actor: Actor, now: datetime, target: Target, form: EditForm) -> object:
        items = form.read_items()
        address_id = read_key(form.address, gettext("Choose an address"))
        stop_at_errors(form)
        version = whole(form.version.data)
        edit = services.JobEdit(-1 if version is None else version, address_id or 0, form.notes.data or "", items)
        return services.edit(session, actor, now, target.job_id, edit)


class SendsContract(Act[F]):
    """What sends a version of the contract."""

    def prepare(self, session: Session, actor: Actor, now: datetime, target: Target, form: F) -> None:
        """Draw it as it stands, while nobody has to wait for it."""
        contract = contracts.contract_to_be(session, now, target.job_id, partners_words(session, actor))
        target.drawn = papers.draw_ahead(session, contract)


class SendContract(SendsContract[InstallationForm]):
    name = "send_contract"
    title = lazy_gettext("Send contract")
    button = lazy_gettext("Send contract")
    done = lazy_gettext("The contract of %(number)s is on its way.")
    lead = lazy_gettext("The contract is drawn up from items and address as they are now. Both are fixed from then on.")

    def run(self, session: Session, actor: Actor, now: datetime, target: Target, form: InstallationForm) -> object:
        contract = contracts.send_contract(session, actor, now, target.job_id, partners_words(session, actor))
        papers.keep_drawn(session, contract.id, target.drawn)
        return contract


class SendCorrectedContract(SendsContract[ReasonForm]):
    name = "send_corrected_contract"
    title = lazy_gettext("Send corrected contract")
    button = lazy_gettext("Send corrected contract")
    done = lazy_gettext("The corrected contract of %(number)s is on its way.")
    lead = lazy_gettext("The version that is out becomes void and can no longer be signed.")
    form = ReasonForm

    def prepare(self, session: Session, actor: Actor, now: datetime, target: Target, form: ReasonForm) -> None:
        """Draw nothing that is not sent without a reason."""
        if shows(form.reason.data or ""):
            super().prepare(session, actor, now, target, form)

    def run(self, session: Session, actor: Actor, now: datetime, target: Target, form: ReasonForm) -> object:
        reason, say = form.reason.data or "", partners_words(session, actor)
        contract = contracts.send_corrected_contract(session, actor, now, target.job_id, reason, say)
        papers.keep_drawn(session, contract.id, target.drawn)
        return contract


class RecordSignature(Act[PaperForm]):
    name = "sign_contract"
    title = lazy_gettext("Record paper signature")
    button = lazy_gettext("Record signature")
    done = lazy_gettext("The signature on %(number)s is recorded.")
    form = PaperForm
    template = "admin/installations/acts/paper.html"
    uploads = True

    def run(self, session: Session, actor: Actor, now: datetime, target: Target, form: PaperForm) -> object:
        scan = request.files.get("file")
        # One byte more than allowed is enough for the domain to see that it is too much.
        data = scan.stream.read(MAX_PAPER_BYTES + 1) if scan is not None else b""
        name = (scan.filename or "") if scan is not None else ""
        return contracts.record_paper_signature(session, actor, now, target.job_id, name, data)


class RecordApproval(Act[InstallationForm]):
    name = "approve"
    title = lazy_gettext("Record approval")
    button = lazy_gettext("Record approval")
    done = lazy_gettext("%(number)s is approved by the customer.")
    lead = lazy_gettext("For an approval given on paper or by telephone. The installation is finished then.")

    def run(self, session: Session, actor: Actor, now: datetime, target: Target, form: InstallationForm) -> object:
        return contracts.approve(session, actor, now, target.job_id)


class PendingCancel(Act[InstallationForm]):
    """What staff may do with a customer's cancel that has not taken effect."""

    final = False

    def refusal(self, target: JobTarget) -> Refusal | None:
        """Ask about the visit, not the job."""
        if target.visit is None:
            raise NotFound
        return services.pending_cancel_refusal(target.visit, target.asked.actor, target.asked.now, self.final)


class UndoCancel(PendingCancel):
    name = "undo_cancel"
    title = lazy_gettext("Undo the customer’s cancel")
    button = lazy_gettext("Undo cancel")
    done = lazy_gettext("The cancel of %(number)s is undone.")
    lead = lazy_gettext("The visit stays as it was planned.")

    def run(self, session: Session, actor: Actor, now: datetime, target: Target, form: InstallationForm) -> object:
        return services.undo_cancel(session, actor, now, target.visit_id)


class FinaliseCancel(PendingCancel):
    name = "finalise_cancel"
    title = lazy_gettext("Make the customer’s cancel final")
    button = lazy_gettext("Make final")
    done = lazy_gettext("The cancel of %(number)s is final.")
    lead = lazy_gettext("It takes effect now instead of at the end of the time for undoing it.")
    final = True
    danger = True

    def run(self, session: Session, actor: Actor, now: datetime, target: Target, form: InstallationForm) -> object:
        return services.finalise_cancel(session, actor, now, target.visit_id)


class Step(Act[F]):
    """A step of the visit, taken by staff for the technician or customer who called."""

    form: ClassVar[type[Any]] = StepForm
    done = lazy_gettext("%(number)s: the step is recorded.")

    def refusal(self, target: JobTarget) -> Refusal | None:
        """Ask the visit's table."""
        if target.visit is None:
            raise NotFound
        return APPOINTMENT.refusal(self.name, target.visit.status, target.asked)

    def fill(self, form: F, target: JobTarget, fresh: bool) -> None:
        """Remember the plan that the page shows."""
        if fresh and target.visit is not None:
            form.move_number.data = str(target.visit.move_number)  # type: ignore[attr-defined]

    def moves(self, form: StepForm) -> int:
        """Return the move number sent; one that is none fits no visit."""
        number = whole(form.move_number.data)
        return -1 if number is None else number


class Confirm(Step[StepForm]):
    name = "confirm"
    title = lazy_gettext("Confirm visit")
    button = lazy_gettext("Confirm")
    done = lazy_gettext("The visit of %(number)s is confirmed.")
    lead = lazy_gettext("For a customer who confirmed by telephone.")

    def run(self, session: Session, actor: Actor, now: datetime, target: Target, form: StepForm) -> object:
        return fieldwork.confirm(session, actor, now, target.visit_id, self.moves(form))


class Prepare(Step[StepForm]):
    name = "prepare"
    title = lazy_gettext("Preparing")
    button = lazy_gettext("Preparing")

    def run(self, session: Session, actor: Actor, now: datetime, target: Target, form: StepForm) -> object:
        return fieldwork.prepare(session, actor, now, target.visit_id, self.moves(form))


class SetOff(Step[SetOffForm]):
    name = "set_off"
    title = lazy_gettext("On my way")
    button = lazy_gettext("On the way now")
    lead = lazy_gettext("The customer gets a message with the estimate.")
    form = SetOffForm
    template = "admin/installations/acts/set_off.html"

    def run(self, session: Session, actor: Actor, now: datetime, target: Target, form: SetOffForm) -> object:
        minutes = None
        if (form.minutes.data or "").strip():
            minutes = read_key(form.minutes, gettext("Enter whole minutes"))
        stop_at_errors(form)
        return fieldwork.set_off(session, actor, now, target.visit_id, self.moves(form), minutes)


class Arrive(Step[StepForm]):
    name = "arrive"
    title = lazy_gettext("Arrived")
    button = lazy_gettext("Arrived")

    def run(self, session: Session, actor: Actor, now: datetime, target: Target, form: StepForm) -> object:
        return fieldwork.arrive(session, actor, now, target.visit_id, self.moves(form))


class StartWork(Step[StepForm]):
    name = "start_work"
    title = lazy_gettext("Start work")
    button = lazy_gettext("Start work")

    def run(self, session: Session, actor: Actor, now: datetime, target: Target, form: StepForm) -> object:
        return fieldwork.start_work(session, actor, now, target.visit_id, self.moves(form))


class Pause(Step[PauseForm]):
    name = "pause"
    title = lazy_gettext("Pause")
    button = lazy_gettext("Pause")
    form = PauseForm
    template = "admin/installations/acts/pause.html"

    def fill(self, form: PauseForm, target: JobTarget, fresh: bool) -> None:
        """Offer the partner's reasons."""
        super().fill(form, target, fresh)
        form.pause_reason.choices = [(str(row.id), row.label) for row in queries.pause_reasons(db.session())]

    def run(self, session: Session, actor: Actor, now: datetime, target: Target, form: PauseForm) -> object:
        reason_id = read_key(form.pause_reason, gettext("Choose one of the reasons"))
        stop_at_errors(form)
        note = form.note.data or ""
        return fieldwork.pause(session, actor, now, target.visit_id, self.moves(form), reason_id or 0, note)


class Resume(Step[StepForm]):
    name = "resume"
    title = lazy_gettext("Resume")
    button = lazy_gettext("Resume")

    def run(self, session: Session, actor: Actor, now: datetime, target: Target, form: StepForm) -> object:
        return fieldwork.resume(session, actor, now, target.visit_id, self.moves(form))


class ContinueLater(Step[ContinueForm]):
    name = "continue_later"
    title = lazy_gettext("Continue another day")
    button = lazy_gettext("Continue another day")
    form = ContinueForm
    template = "admin/installations/acts/continue_later.html"

    def context(self, form: ContinueForm, target: JobTarget) -> dict[str, Any]:
        """Once work has begun the next visit may be planned later."""
        return {"may_stay_open": target.job.work_began_at is not None}

    def run(self, session: Session, actor: Actor, now: datetime, target: Target, form: ContinueForm) -> object:
        start = None
        if (form.date.data or "").strip() or (form.time.data or "").strip():
            start = read_start(form.date, form.time, target.zone)
        stop_at_errors(form)
        return fieldwork.continue_later(session, actor, now, target.visit_id, self.moves(form), start)


class Complete(Step[CompleteForm]):
    name = "complete"
    title = lazy_gettext("Complete")
    button = lazy_gettext("Complete the visit")
    form = CompleteForm
    template = "admin/installations/acts/complete.html"

    def run(self, session: Session, actor: Actor, now: datetime, target: Target, form: CompleteForm) -> object:
        notes, signature = form.service_notes.data or "", fieldwork.Signature(form.signed_name.data or "")
        moves = self.moves(form)
        return fieldwork.complete(session, actor, now, target.visit_id, moves, notes, signature=signature)


class TurnBack(Step[TurnBackForm]):
    name = "turn_back"
    title = lazy_gettext("Turn back")
    button = lazy_gettext("Turn back")
    lead = lazy_gettext("The visit is planned again as it was.")
    form = TurnBackForm

    def run(self, session: Session, actor: Actor, now: datetime, target: Target, form: TurnBackForm) -> object:
        return fieldwork.turn_back(session, actor, now, target.visit_id, self.moves(form), form.reason.data or "")


# How many days the form looks through for one with a free time.
DAYS_TRIED = 14


def fill_technicians(form: Any, target: JobTarget, start: datetime | None) -> None:
    """Give ``form`` the technicians who are Available; with ``start`` each says whether they are free then."""
    job = target.job
    wanted = None
    if start is not None and target.visit is not None:
        wanted = wanted_for(job.service_type, target.visit.end_at - target.visit.start_at)
    found = find_technicians(db.session(), job.partner_id, "", start, wanted, limit=MOST_CHOICES)
    form.technician.choices = [
        ("", gettext("Nobody yet")),
        *(
            (str(one.technician_id), f"{one.name} ({translate(one.refusal.sentence)})" if one.refusal else one.name)
            for one in found
        ),
    ]
    form.technician_names = {str(one.technician_id): one.name for one in found}


def wish_of(name: str, target: JobTarget) -> ChangeRequest | None:
    """Return the change request that the act ``name`` would answer: the one in the address, else one that fits."""
    asked = (request.values.get("answers") or "").strip()
    waiting = pending_requests(db.session(), target.job.id)
    meant = "cancel" if name == CancelVisit.name else name
    visit_id = target.visit.id if target.visit is not None else None
    theirs = [wish for wish in waiting if not target.chosen or wish.appointment_id == visit_id]
    return next((wish for wish in theirs if str(wish.id) == asked or wish.wish == meant), None)


def partners_words(session: Session, actor: Actor) -> contracts.Say:
    """Return how the usual contract text is said in the partner's language."""
    return papers.say_for(partner_for_branding(session, the_partner_id(actor)))


def fill_reasons(form: RejectForm) -> None:
    """Give ``form`` the partner's reasons for rejecting."""
    reasons = queries.reject_reasons(db.session())
    form.chosen.choices = [("", gettext("Another reason")), *((str(reason.id), reason.label) for reason in reasons)]


def read_reason(form: RejectForm) -> tuple[str, int | None]:
    """Return the words and the partner's reason that ``form`` holds; raises ``Invalid`` for no key at all."""
    chosen = None
    if (form.chosen.data or "").strip():
        chosen = read_key(form.chosen, gettext("Choose one of the reasons"))
    stop_at_errors(form)
    return form.reason.data or "", chosen


def chosen_name(form: Any) -> str | None:
    """Return the name of the technician chosen in ``form``."""
    name: str | None = form.technician_names.get(form.technician.data)
    return name


def _by_name(*acts: Act[Any]) -> dict[str, Act[Any]]:
    return {act.name: act for act in acts}


# What there is to do with a job of whatever kind.
COMMON = (
    Assign(),
    Reassign(),
    Reschedule(),
    Edit(),
    UndoCancel(),
    FinaliseCancel(),
    Confirm(),
    Prepare(),
    SetOff(),
    Arrive(),
    StartWork(),
    Pause(),
    Resume(),
    ContinueLater(),
    Complete(),
    TurnBack(),
)
# By the name of the workflow.
ACTS: dict[str, dict[str, Act[Any]]] = {
    INSTALLATION.name: _by_name(
        *COMMON, Reject(), Cancel(), SendContract(), SendCorrectedContract(), RecordSignature(), RecordApproval()
    ),
    SERVICE.name: _by_name(*COMMON, ApproveDraft(), ScheduleVisit(), CancelJob(), CancelVisit(), Reactivate()),
}
# In the order of a visit; each shown on the detail page while the table allows it.
STEPS = ("prepare", "set_off", "arrive", "start_work", "resume", "complete", "pause", "continue_later", "turn_back")
# What is done to one of several visits.
ON_A_VISIT = ("confirm", "assign", "reschedule", "reassign", *STEPS, "cancel_visit")
# The buttons of the head: the first one that is possible stands out.
HEAD = {
    INSTALLATION.name: (
        *("assign", "send_contract", "sign_contract", "approve"),
        *("reschedule", "reassign", "send_corrected_contract"),
    ),
    SERVICE.name: ("approve", "assign", "reactivate", "schedule", "reschedule", "reassign"),
}
GRAVE = ("cancel", "reject")
