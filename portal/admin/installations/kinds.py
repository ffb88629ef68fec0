"""What the pages of jobs need beside the table of their workflow: addresses, words, what is done to many at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext

from portal.domain.jobs.states import INSTALLATION, SERVICE, Situation
from portal.domain.lifecycle import Workflow


@dataclass(frozen=True, slots=True)
class Kind:
    """The pages of the jobs of one workflow.

    ``begin`` is the page on which a new one begins. ``several`` visits may be planned at once. ``bulk`` are the acts on
    many rows: the first one stands in the form around the list.
    """

    workflow: Workflow[Situation]
    endpoint: str
    url: str
    name: Any
    begin: str
    begin_label: Any
    bulk: tuple[str, ...]
    words: Mapping[str, Any]
    several: bool = False
    has_contract: bool = False


INSTALLATIONS = Kind(
    workflow=INSTALLATION,
    endpoint="installations",
    url="/admin/installations",
    name=lazy_gettext("Installations"),
    begin="schedule",
    begin_label=lazy_gettext("Schedule installation"),
    bulk=("assign", "reject"),
    words={
        "overview": lazy_gettext("Overview of all installations, whatever the list is filtered by"),
        "all": lazy_gettext("All installations, not only those listed below."),
        "filter": lazy_gettext("Filter installations"),
        "selected": lazy_gettext("Selected installations"),
        "end_many": lazy_gettext("Reject with a reason"),
        "none_ahead": lazy_gettext("No installations from today on."),
        "none": lazy_gettext("No installations yet."),
        "begin_first": lazy_gettext("Schedule an installation"),
        "nothing_ticked": lazy_gettext("Nothing was done: tick at least one installation first."),
    },
    has_contract=True,
)
SERVICE_JOBS = Kind(
    workflow=SERVICE,
    endpoint="service_jobs",
    url="/admin/service-jobs",
    name=lazy_gettext("Service jobs"),
    begin="draft",
    begin_label=lazy_gettext("New service job"),
    bulk=("assign", "cancel"),
    words={
        "overview": lazy_gettext("Overview of all service jobs, whatever the list is filtered by"),
        "all": lazy_gettext("All service jobs, not only those listed below."),
        "filter": lazy_gettext("Filter service jobs"),
        "selected": lazy_gettext("Selected service jobs"),
        "end_many": lazy_gettext("Cancel with a reason"),
        "none_ahead": lazy_gettext("No service jobs from today on."),
        "none": lazy_gettext("No service jobs yet."),
        "begin_first": lazy_gettext("Draft a service job"),
        "nothing_ticked": lazy_gettext("Nothing was done: tick at least one service job first."),
    },
    several=True,
)
KINDS = (INSTALLATIONS, SERVICE_JOBS)
