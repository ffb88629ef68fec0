"""What the address of the list says: its filters, and what makes no sense there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from flask import g
from flask_babel import gettext, lazy_gettext, lazy_pgettext
from wtforms import DateField, ValidationError
from wtforms.validators import Optional

from portal.admin.base import FilterForm
from portal.domain.jobs.queries import ListFilter, ListOptions, groups_of, list_options
from portal.extensions import db
from portal.web.forms import ManySelectField
from portal.web.partners import current_partner

NOBODY = "none"
YEARS = range(1970, 2200)
BOUNDS = {"min": f"{YEARS.start}-01-01", "max": f"{YEARS.stop - 1}-12-31"}
GROUP_NAMES = {
    "Draft": lazy_gettext("Draft"),
    "Scheduled": lazy_gettext("Scheduled"),
    "En Route": lazy_gettext("En route"),
    "In Progress": lazy_gettext("In progress"),
    "Approved": lazy_pgettext("installation", "Approved"),
    "Completed": lazy_gettext("Completed"),
    "Rejected": lazy_gettext("Rejected"),
    "Cancelled": lazy_gettext("Cancelled"),
}


def existing_day(form: Any, field: Any) -> None:
    """Keep to years whose days have instants."""
    if field.data is not None and field.data.year not in YEARS:
        raise ValidationError(gettext("Enter a date that exists"))


class JobFilter(FilterForm):
    """The filters of the list (P8)."""

    group = ManySelectField(lazy_gettext("Status group"), default="")
    first = DateField(lazy_gettext("From"), validators=[Optional(), existing_day], render_kw=BOUNDS)
    last = DateField(lazy_gettext("To"), validators=[Optional(), existing_day], render_kw=BOUNDS)
    technician = ManySelectField(default="")
    type = ManySelectField(lazy_gettext("Service type"), default="")


def filter_form(args: Any, workflow: str) -> JobFilter:
    """Return the filter of jobs of ``workflow`` as an address fills it in, with everything there is to choose from."""
    form = JobFilter(args)
    options = _options()
    form.q.label.text = gettext("Text")
    form.technician.label.text = term()
    for field in form:
        # The forms that a dialog brings onto the same page have fields of the same names.
        field.id = field.label.field_id = f"filter-{field.name}"
    groups = groups_of(workflow)
    form.group.choices = [("", gettext("All groups")), *((group, str(GROUP_NAMES[group])) for group in groups)]
    form.technician.choices = [
        ("", gettext("Anyone")),
        (NOBODY, gettext("Nobody yet")),
        *((str(choice.id), choice.name) for choice in options.technicians),
    ]
    form.type.choices = [("", gettext("All types")), *((str(one.id), one.name) for one in options.service_types)]
    return form


def term() -> str:
    """Return what the partner calls a technician."""
    partner = current_partner()
    return partner.handyman if partner is not None else gettext("Handyman")


def _options() -> ListOptions:
    if "installation_options" not in g:
        g.installation_options = list_options(db.session())
    options: ListOptions = g.installation_options
    return options


def wanted_of(filters: Mapping[str, Any], workflow: str) -> ListFilter:
    """Return the domain's filter for the form's values; a single date stands for that day, swapped ends are turned."""
    technician = filters["technician"]
    days: list[date] = sorted(day for day in (filters["first"], filters["last"]) if day is not None)
    return ListFilter(
        group=filters["group"] or None,
        first=days[0] if days else None,
        last=days[-1] if days else None,
        technician_id=int(technician) if technician not in {"", NOBODY} else None,
        unassigned=technician == NOBODY,
        service_type_id=int(filters["type"]) if filters["type"] else None,
        text=filters["q"],
        workflow=workflow,
    )
