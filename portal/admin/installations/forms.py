"""The forms of installations: the shape of what people type, and reading it with errors at its field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import gettext, lazy_gettext
from wtforms import (
    BooleanField,
    Field,
    FileField,
    FormField,
    HiddenField,
    RadioField,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.widgets import DateInput, NumberInput, TimeInput

from portal.domain.errors import Invalid, Warned
from portal.domain.jobs.models import JobItem
from portal.domain.jobs.services import ItemInput
from portal.domain.scheduling.slots import Slot
from portal.domain.scheduling.zones import MissingHour, instant_of
from portal.web import formats
from portal.web.forms import Form, Lines, add_errors

# No number that anybody means has more digits.
MOST_DIGITS = 18
# More is no duration at all; what is too long the domain says.
MOST_MINUTES = 1_000_000
USUAL_LENGTHS = (30, 45, 60, 90, 120, 150, 180, 240, 300, 360, 420, 480, 600, 720)
# How far from today free times are looked up; beyond it the domain refuses anyway.
FAR_DAYS = 5 * 366
# What a form's button says besides sending it: add a line, look somebody up. These only show the form again.
ONLY_SHOW = ("add_item", "remove_item", "find_customer", "change_customer", "show_times")


def only_show(sent: Mapping[str, str]) -> bool:
    """Whether the button pressed asks to see the form again rather than to act."""
    return any(name in sent for name in ONLY_SHOW)


class LooseSelect(SelectField):
    """A select whose value is judged by the domain: what is not among the choices may still exist."""

    def pre_validate(self, form: Any) -> None:
        """Leave it to the domain."""


class LooseRadio(RadioField):
    """Radios whose value is judged by the domain, as with ``LooseSelect``."""

    validate_choice = False

    def pre_validate(self, form: Any) -> None:
        """Leave it to the domain."""


class InstallationForm(Form):
    """What the forms of installations share: errors of the domain, and a way past its warnings."""

    despite_warnings = BooleanField(lazy_gettext("Do it anyway"))
    # Where a service names a field that this form calls otherwise.
    error_names: Mapping[str, str] = {}
    warned = False

    @property
    def has_errors(self) -> bool:
        """Whether anything was found wrong so far."""
        return bool(self.errors)

    def refuse(self, error: Invalid) -> None:
        """Show what a service found wrong; after a warning the form offers to insist."""
        self.warned = isinstance(error, Warned)
        names = self.names()
        add_errors(self, {names.get(name, name): sentence for name, sentence in error.errors.items()})

    def names(self) -> Mapping[str, str]:
        """Return which field of this form each name of the services stands for, where they differ."""
        return self.error_names


class ItemForm(Form):
    """One line: product name and quantity (P4)."""

    name = StringField(lazy_gettext("Product"))
    quantity = StringField(lazy_gettext("Quantity"), default="1", widget=NumberInput(min=1))


class ItemsMixin:
    """Lines of items, with lines added and removed by buttons of the form."""

    items: Any

    def rearrange(self, sent: Mapping[str, str]) -> None:
        """Add a line or take one away, as the button pressed says."""
        if "add_item" in sent:
            self.items.append_entry()
        gone = whole(sent.get("remove_item", ""))
        kept = [entry.data for index, entry in enumerate(self.items.entries) if index != gone]
        if gone is not None and len(kept) < len(self.items.entries):
            while self.items.entries:
                self.items.pop_entry()
            for data in kept or [{}]:
                self.items.append_entry(data)

    def read_items(self) -> list[ItemInput]:
        """Return the lines that say something; what is no number is an error at its field."""
        found = []
        self._kept: list[Any] = []
        for entry in self.items.entries:
            name, quantity = (entry.form.name.data or "").strip(), (entry.form.quantity.data or "").strip()
            if not name and quantity in {"", "1"}:
                continue
            number = whole(quantity)
            if number is None:
                text = (
                    gettext("Enter the quantity of “%(name)s”", name=name)
                    if not quantity
                    else gettext("Quantity of “%(name)s” must be a whole number", name=name)
                )
                wrong(entry.form.quantity, text)
            self._kept.append(entry)
            found.append(ItemInput(name, 1 if number is None else number))
        return found

    def item_names(self) -> dict[str, str]:
        """Return the field that each item of the last ``read_items`` came from, by the service's name for it."""
        names = {"items": self.items.entries[0].form.name.name} if self.items.entries else {}
        for index, entry in enumerate(getattr(self, "_kept", ())):
            for part in entry.form:
                names[f"items-{index}-{part.short_name}"] = part.name
        return names


class ScheduleForm(ItemsMixin, InstallationForm):
    """Schedule Installation (P1-P6)."""

    # The request for new service that this converts.
    request = HiddenField()
    customer = HiddenField(lazy_gettext("Customer"))
    customer_text = StringField(lazy_gettext("Customer"))
    service_type = LooseSelect(lazy_gettext("Service type"), choices=[])
    date = StringField(lazy_gettext("Date"), widget=DateInput())
    time = StringField(lazy_gettext("Start"), widget=TimeInput())
    slot = LooseRadio(lazy_gettext("Free times"), choices=[])
    duration = LooseSelect(lazy_gettext("Duration"), choices=[])
    items = Lines(FormField(ItemForm), lazy_gettext("Items"), min_entries=1)
    technician = LooseSelect(choices=[])
    technician_names: Mapping[str, str] = {}
    notes = TextAreaField(lazy_gettext("Notes"))
    slots_day: Any = None
    refused_times: Sequence[Slot] = ()

    def names(self) -> Mapping[str, str]:
        """The start is typed as date and time; items may have had blank lines between them."""
        return {"start": "date", "customer": "customer_text", **self.item_names()}


class DraftForm(ItemsMixin, InstallationForm):
    """New service job (J2)."""

    customer = HiddenField(lazy_gettext("Customer"))
    customer_text = StringField(lazy_gettext("Customer"))
    service_type = LooseSelect(lazy_gettext("Service type"), choices=[])
    items = Lines(FormField(ItemForm), lazy_gettext("Items"), min_entries=1)
    notes = TextAreaField(lazy_gettext("Notes"))

    def names(self) -> Mapping[str, str]:
        """Items may have had blank lines between them."""
        return {"customer": "customer_text", **self.item_names()}


class AssignForm(InstallationForm):
    """Who comes."""

    technician = LooseSelect(choices=[])
    technician_names: Mapping[str, str] = {}


class ReasonForm(InstallationForm):
    """Why."""

    reason = TextAreaField(lazy_gettext("Reason"))


class CancelForm(ReasonForm):
    """Why an installation is cancelled; ``answers`` is the change request that this applies."""

    answers = HiddenField()


class RejectForm(ReasonForm):
    """Why: one of the partner's reasons, words of one's own, or both (P10)."""

    chosen = LooseSelect(lazy_gettext("One of your reasons"), choices=[])
    reason = TextAreaField(lazy_gettext("In your own words"))


class RescheduleForm(InstallationForm):
    """When instead (P13): a day, then one of the free times of that day or any other.

    ``answers`` is the change request that this applies.
    """

    answers = HiddenField()

    date = StringField(lazy_gettext("Date"), widget=DateInput())
    slot = LooseRadio(lazy_gettext("Free times"), choices=[])
    time = StringField(lazy_gettext("Another time"), widget=TimeInput())
    duration = LooseSelect(lazy_gettext("Duration"), choices=[])
    technician = LooseSelect(choices=[])
    notify = BooleanField(lazy_gettext("Notify customer and handyman"))
    agreed = BooleanField(lazy_gettext("Agreed with the customer: the visit counts as confirmed"))
    error_names = {"start": "date"}
    slots_day: Any = None
    refused_times: Sequence[Slot] = ()


class EditForm(ItemsMixin, InstallationForm):
    """Items, address and notes, and the version they were read from."""

    version = HiddenField()
    items = Lines(FormField(ItemForm), lazy_gettext("Items"), min_entries=1)
    address = LooseSelect(lazy_gettext("Address"), choices=[])
    notes = TextAreaField(lazy_gettext("Notes"))

    def names(self) -> Mapping[str, str]:
        """Items may have had blank lines between them."""
        return self.item_names()


class PaperForm(InstallationForm):
    """The scan of a contract signed on paper."""

    file = FileField(lazy_gettext("Scan of the signed contract"))


class StepForm(InstallationForm):
    """A step of a visit; ``move_number`` is the one of the page that offered it."""

    move_number = HiddenField()


class SetOffForm(StepForm):
    """Departure, with an estimate."""

    minutes = StringField(lazy_gettext("Minutes to arrival"), widget=NumberInput(min=0))


class PauseForm(StepForm):
    """Why the visit pauses."""

    pause_reason = LooseSelect(lazy_gettext("Reason"), choices=[])
    note = TextAreaField(lazy_gettext("Note"))


class ContinueForm(StepForm):
    """When a paused visit goes on; may stay open once work has begun."""

    date = StringField(lazy_gettext("Date"), widget=DateInput())
    time = StringField(lazy_gettext("Start"), widget=TimeInput())
    error_names = {"start": "date"}


class CompleteForm(StepForm):
    """What was done."""

    service_notes = TextAreaField(lazy_gettext("Service notes"))
    signed_name = StringField(lazy_gettext("Name of who signs"), default="", render_kw={"autocomplete": "off"})


class TurnBackForm(StepForm):
    """Why the technician turned back."""

    reason = TextAreaField(lazy_gettext("Reason"))


def wrong(field: Field, text: str) -> None:
    """Put one more error at ``field``."""
    field.errors = [*field.errors, text]


def whole(text: str | None) -> int | None:
    """Return the whole number in ``text``, or ``None``."""
    text = (text or "").strip()
    try:
        return int(text) if len(text) <= MOST_DIGITS else None
    except ValueError:
        return None


def read_key(field: Field, missing: str) -> int | None:
    """Return the key that ``field`` holds; with ``missing`` as its error otherwise."""
    key = whole(field.data)
    if key is None:
        wrong(field, missing)
    return key


def read_pair(field: Field) -> tuple[int, int] | None:
    """Return the keys of customer and address in ``field``, or ``None``."""
    first, _, second = (field.data or "").partition(":")
    customer_id, address_id = whole(first), whole(second)
    return None if customer_id is None or address_id is None else (customer_id, address_id)


def read_day(field: Field) -> date | None:
    """Return the date in ``field``; an error there for one that does not exist."""
    try:
        return date.fromisoformat((field.data or "").strip())
    except ValueError:
        wrong(field, gettext("Enter a date that exists, such as %(example)s", example=formats.today().isoformat()))
        return None


def read_clock(field: Field) -> time | None:
    """Return the time of day in ``field``, 9:00 as well as 09:00; an error there otherwise."""
    try:
        return datetime.strptime((field.data or "").strip()[:5], "%H:%M").time()  # noqa: DTZ007
    except ValueError:
        wrong(field, gettext("Enter a time such as 9:00"))
        return None


def read_start(day: Field, clock: Field, zone: ZoneInfo) -> datetime | None:
    """Return the instant of a typed date and time in ``zone``, the first of two in a repeated hour."""
    local, at = read_day(day), read_clock(clock)
    if local is None or at is None:
        return None
    try:
        return instant_of(local, at, zone)
    except MissingHour:
        wrong(clock, gettext("That time does not exist on %(day)s: the clocks go forward", day=formats.day(local)))
    except OverflowError:
        wrong(day, gettext("Enter a date that exists, such as %(example)s", example=formats.today().isoformat()))
    return None


def read_instant(text: str | None) -> datetime | None:
    """Return the instant that one of the offered times stands for, or ``None``."""
    try:
        instant = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return instant if instant.tzinfo is not None else None


def offer_times(form: Any, day: date | None, slots: Sequence[Slot], zone: ZoneInfo) -> None:
    """Let ``form`` offer the free ones of a day's times, and say why the others are not."""
    form.slots_day = day
    form.slot.choices = [
        (slot.start.isoformat(), formats.clock(slot.start, zone)) for slot in slots if not slot.refusal
    ]
    form.refused_times = [slot for slot in slots if slot.refusal is not None]


def day_to_show(text: str | None, zone: ZoneInfo) -> date | None:
    """Return the date in ``text`` if its times can be looked up; what is wrong with it is said when it is sent."""
    day = read_day(RescheduleForm(data={"date": text}).date)
    return day if day is not None and abs((day - formats.today(zone)).days) <= FAR_DAYS else None


def read_chosen_time(form: Any, zone: ZoneInfo) -> datetime | None:
    """Return the instant of the offered time that was chosen, if one was; one of another day is an error."""
    start = read_instant(form.slot.data)
    if start is not None and start.astimezone(zone).date().isoformat() != (form.date.data or "").strip():
        wrong(form.slot, gettext("Those were the times of another day; choose one of this day"))
    return start


def read_length(field: Field) -> timedelta | None:
    """Return the duration chosen, ``None`` for the usual one; nonsense is an error at ``field``."""
    if not (field.data or "").strip():
        return None
    minutes = whole(field.data)
    if minutes is None or abs(minutes) > MOST_MINUTES:
        wrong(field, gettext("Choose a duration"))
        return None
    return timedelta(minutes=minutes)


def lengths(present: Iterable[int] = ()) -> list[tuple[str, str]]:
    """Return the durations to choose from, among them those ``present`` already, in minutes."""
    return [(str(minutes), formats.length(minutes)) for minutes in sorted({*USUAL_LENGTHS, *present})]


def fill_items(form: ItemsMixin, items: Sequence[JobItem]) -> None:
    """Fill the lines of ``form`` with what an installation holds."""
    while form.items.entries:
        form.items.pop_entry()
    for item in items:
        form.items.append_entry({"name": item.name, "quantity": str(item.quantity)})
