"""The tables of ``lifecycles.md``, transcribed by hand: what the code says of itself proves nothing."""

from __future__ import annotations

STAFF = ("dispatcher", "partner_admin")
FIELD = (*STAFF, "technician")
CUSTOMER = ("customer",)
SYSTEM = ("system",)
OPERATOR = ("operator",)
VISIT = ("visit",)
NEW = (None,)
STAYS = ()

# name -> (group, label, end)
INSTALLATION_STATUSES = {
    "SCHEDULED": ("Scheduled", "Scheduled", False),
    "INSTALLER_ASSIGNED": ("Scheduled", "Installer assigned", False),
    "EN_ROUTE": ("En Route", "En route", False),
    "INSTALLATION_IN_PROGRESS": ("In Progress", "Installation in progress", False),
    "INSTALLATION_COMPLETED": ("In Progress", "Installation completed", False),
    "CONTRACT_SENT": ("In Progress", "Contract sent", False),
    "CONTRACT_SIGNED": ("In Progress", "Contract signed", False),
    "CUSTOMER_APPROVED": ("Approved", "Customer approved", True),
    "CANCELLED": ("Rejected", "Cancelled", True),
    "REJECTED": ("Rejected", "Rejected", True),
}

# name -> (label, sources, targets, who, inputs, optional inputs)
INSTALLATION_TRANSITIONS = {
    "schedule": (
        "Schedule Installation",
        NEW,
        ("SCHEDULED",),
        STAFF,
        ("customer", "start", "items"),
        ("duration", "window", "notes", "technician"),
    ),
    "assign": ("Assign", ("SCHEDULED",), ("INSTALLER_ASSIGNED",), STAFF, ("technician",), ()),
    "reassign": (
        "Reassign",
        ("INSTALLER_ASSIGNED", "EN_ROUTE"),
        ("INSTALLER_ASSIGNED",),
        STAFF,
        ("technician",),
        (),
    ),
    "reject": ("Reject", ("SCHEDULED",), ("REJECTED",), STAFF, ("reason",), ()),
    "reschedule": (
        "Reschedule",
        ("SCHEDULED", "INSTALLER_ASSIGNED", "INSTALLATION_IN_PROGRESS"),
        STAYS,
        STAFF + CUSTOMER,
        ("start",),
        ("duration", "notify", "technician"),
    ),
    "cancel": (
        "Cancel",
        ("SCHEDULED", "INSTALLER_ASSIGNED", "INSTALLATION_IN_PROGRESS"),
        ("CANCELLED",),
        STAFF + CUSTOMER,
        ("reason",),
        (),
    ),
    "set_off": ("", ("INSTALLER_ASSIGNED",), ("EN_ROUTE",), VISIT, (), ()),
    "turn_back": ("", ("EN_ROUTE",), ("INSTALLER_ASSIGNED",), VISIT, (), ()),
    "start_work": ("", ("EN_ROUTE",), ("INSTALLATION_IN_PROGRESS",), VISIT, (), ()),
    "continue_later": ("", ("EN_ROUTE",), ("INSTALLER_ASSIGNED", "SCHEDULED"), VISIT, (), ()),
    "complete_work": ("", ("INSTALLATION_IN_PROGRESS",), ("INSTALLATION_COMPLETED",), VISIT, (), ()),
    "send_contract": ("Send contract", ("INSTALLATION_COMPLETED",), ("CONTRACT_SENT",), STAFF, (), ()),
    "send_corrected_contract": ("Send corrected contract", ("CONTRACT_SENT",), STAYS, STAFF, ("reason",), ()),
    "sign_contract": (
        "Sign",
        ("CONTRACT_SENT",),
        ("CONTRACT_SIGNED",),
        STAFF + CUSTOMER,
        ("consent", "signature"),
        ("file",),
    ),
    "approve": ("Approve", ("CONTRACT_SIGNED",), ("CUSTOMER_APPROVED",), STAFF + CUSTOMER, (), ()),
}

SERVICE_STATUSES = {
    "DRAFT": ("Draft", "Draft", False),
    "APPROVED": ("Draft", "Approved", False),
    "SCHEDULED": ("Scheduled", "Scheduled", False),
    "IN_PROGRESS": ("In Progress", "In progress", False),
    "PAUSED": ("In Progress", "Paused", False),
    "COMPLETED": ("Completed", "Completed", True),
    "CANCELLED": ("Cancelled", "Cancelled", False),
}

SERVICE_TRANSITIONS = {
    "create": ("New service job", NEW, ("DRAFT",), STAFF + SYSTEM, ("customer", "service_type"), ()),
    "approve": ("Approve", ("DRAFT",), ("APPROVED",), STAFF, (), ()),
    "schedule": (
        "Schedule visit",
        ("APPROVED", "SCHEDULED", "PAUSED"),
        ("SCHEDULED",),
        STAFF,
        ("start",),
        ("duration", "technician"),
    ),
    "assign": ("Assign", ("APPROVED",), ("SCHEDULED",), STAFF, ("technician",), ()),
    "reassign": ("Reassign", ("SCHEDULED", "IN_PROGRESS"), ("SCHEDULED",), STAFF, ("technician",), ()),
    "reschedule": (
        "Reschedule",
        ("APPROVED", "SCHEDULED", "PAUSED"),
        STAYS,
        STAFF + CUSTOMER,
        ("start",),
        ("duration", "notify"),
    ),
    # "with the visit": the sources follow from the table of pairs, a second visit may set off while one is paused
    "set_off": ("", ("SCHEDULED", "PAUSED"), ("IN_PROGRESS",), VISIT, (), ()),
    "turn_back": ("", ("IN_PROGRESS",), ("SCHEDULED",), VISIT, (), ()),
    "pause": ("", ("IN_PROGRESS",), ("PAUSED",), VISIT, (), ()),
    "resume": ("", ("PAUSED",), ("IN_PROGRESS",), VISIT, (), ()),
    "continue_later": ("", ("PAUSED",), ("SCHEDULED", "APPROVED"), VISIT, (), ()),
    "complete": ("", ("IN_PROGRESS",), ("COMPLETED", "SCHEDULED"), VISIT, (), ()),
    "cancel": (
        "Cancel job",
        ("DRAFT", "APPROVED", "SCHEDULED", "PAUSED"),
        ("CANCELLED",),
        STAFF + CUSTOMER,
        ("reason",),
        (),
    ),
    "reactivate": ("Set back to scheduled", ("CANCELLED",), ("SCHEDULED", "APPROVED", "DRAFT"), STAFF, (), ()),
}

APPOINTMENT_STATUSES = {
    "SCHEDULED": (None, "Appointment Confirmed", False),
    "PREPARING": (None, "Getting Ready", False),
    "ON_THE_WAY": (None, "On the Way 🚗", False),
    "ARRIVED": (None, "Technician Arrived", False),
    "WORK_IN_PROGRESS": (None, "Work in Progress", False),
    "PAUSED": (None, "Paused", False),
    "COMPLETE": (None, "Visit Complete ✅", True),
    "INCOMPLETE": (None, "Visit ended, to be continued", True),
    "CANCELLED": (None, "Cancelled", True),
}

# name -> (step of six, Track, holds its time)
APPOINTMENT_MARKS = {
    "SCHEDULED": (1, False, True),
    "PREPARING": (2, False, True),
    "ON_THE_WAY": (3, True, True),
    "ARRIVED": (4, True, True),
    "WORK_IN_PROGRESS": (5, False, True),
    "PAUSED": (5, False, False),
    "COMPLETE": (6, False, False),
    "INCOMPLETE": (None, False, False),
    "CANCELLED": (None, False, False),
}

BEFORE_WORK = ("SCHEDULED", "PREPARING", "ON_THE_WAY", "ARRIVED", "PAUSED")
APPOINTMENT_TRANSITIONS = {
    "book": ("", NEW, ("SCHEDULED",), STAFF + SYSTEM, ("start",), ()),
    "confirm": ("Confirm", ("SCHEDULED", "PREPARING"), STAYS, CUSTOMER + STAFF, (), ()),
    "prepare": ("Preparing", ("SCHEDULED",), ("PREPARING",), FIELD, (), ()),
    "set_off": ("On my way", ("SCHEDULED", "PREPARING"), ("ON_THE_WAY",), FIELD, (), ("minutes",)),
    "arrive": ("Arrived", ("ON_THE_WAY",), ("ARRIVED",), FIELD, (), ()),
    "start_work": ("Start work", ("ARRIVED",), ("WORK_IN_PROGRESS",), FIELD, (), ()),
    "pause": ("Pause", ("ARRIVED", "WORK_IN_PROGRESS"), ("PAUSED",), FIELD, ("pause_reason",), ("note",)),
    "resume": ("Resume", ("PAUSED",), ("WORK_IN_PROGRESS",), FIELD, (), ()),
    "continue_later": ("Continue another day", ("PAUSED",), ("INCOMPLETE",), FIELD, ("start",), ()),
    "complete": ("Complete", ("WORK_IN_PROGRESS",), ("COMPLETE",), FIELD, (), ("service_notes", "signature")),
    "turn_back": ("Turn back", ("ON_THE_WAY", "ARRIVED"), ("SCHEDULED",), FIELD, ("reason",), ()),
    "reschedule": ("Move", ("SCHEDULED", "PREPARING"), ("SCHEDULED",), STAFF + CUSTOMER, ("start",), ()),
    "assign": ("", BEFORE_WORK, ("SCHEDULED",), STAFF, ("technician",), ()),
    "reassign": ("", BEFORE_WORK, ("SCHEDULED",), STAFF, ("technician",), ()),
    "cancel": (
        "Cancel",
        ("SCHEDULED", "PREPARING", "PAUSED"),
        ("CANCELLED",),
        STAFF + CUSTOMER,
        ("reason",),
        (),
    ),
    # "with the job", which staff set back
    "reactivate": ("", ("CANCELLED",), ("SCHEDULED",), STAFF, (), ()),
}

OFFER_STATUSES = {
    "OFFERED": False,
    "ACCEPTED": True,
    "DECLINED": True,
    "EXPIRED": True,
    "TAKEN": True,
    "WITHDRAWN": True,
}
# (source, target, inputs) of each arrow, and the way in
OFFER_ARROWS = {
    (None, "OFFERED", ()),
    ("OFFERED", "ACCEPTED", ()),
    ("OFFERED", "DECLINED", ("reason",)),
    ("OFFERED", "EXPIRED", ()),
    ("OFFERED", "TAKEN", ()),
    ("OFFERED", "WITHDRAWN", ()),
}

REQUEST_STATUSES = {"NEW": False, "COUNTER_PROPOSED": False, "CONVERTED": True, "DECLINED": True, "CANCELLED": True}
REQUEST_ARROWS = {
    (None, "NEW", ("service_type",)),
    ("NEW", "COUNTER_PROPOSED", ("start",)),
    ("COUNTER_PROPOSED", "CONVERTED", ()),
    ("COUNTER_PROPOSED", "NEW", ()),
    ("NEW", "CONVERTED", ()),
    ("NEW", "DECLINED", ("reason",)),
    ("NEW", "CANCELLED", ()),
    ("COUNTER_PROPOSED", "CANCELLED", ()),
}

CHANGE_STATUSES = {"PENDING": False, "APPLIED": True, "DECLINED": True, "LAPSED": True}
CHANGE_ARROWS = {
    (None, "PENDING", ("wish",)),
    ("PENDING", "APPLIED", ()),
    ("PENDING", "DECLINED", ("reason",)),
    ("PENDING", "LAPSED", ()),
}

HOLDS_ITS_TIME = {"SCHEDULED", "PREPARING", "ON_THE_WAY", "ARRIVED", "WORK_IN_PROGRESS"}
UNDER_WAY = {"ON_THE_WAY", "ARRIVED", "WORK_IN_PROGRESS"}
NOT_ENDED = HOLDS_ITS_TIME | {"PAUSED"}

# "How the two move together": (the visit is, has a technician, work begun) -> what the installation may be.
# Cancelling ends an installation that was begun and has no visit under way; what follows complete work is the contract.
CONTRACT_PHASE = {"INSTALLATION_COMPLETED", "CONTRACT_SENT", "CONTRACT_SIGNED", "CUSTOMER_APPROVED"}
PAIRS = {
    ("SCHEDULED", False, False): {"SCHEDULED"},
    ("SCHEDULED", True, False): {"INSTALLER_ASSIGNED"},
    ("SCHEDULED", False, True): {"INSTALLATION_IN_PROGRESS"},
    ("SCHEDULED", True, True): {"INSTALLATION_IN_PROGRESS"},
    ("PREPARING", True, False): {"INSTALLER_ASSIGNED"},
    ("PREPARING", True, True): {"INSTALLATION_IN_PROGRESS"},
    ("ON_THE_WAY", True, False): {"EN_ROUTE"},
    ("ON_THE_WAY", True, True): {"INSTALLATION_IN_PROGRESS"},
    ("ARRIVED", True, False): {"EN_ROUTE"},
    ("ARRIVED", True, True): {"INSTALLATION_IN_PROGRESS"},
    ("WORK_IN_PROGRESS", True, True): {"INSTALLATION_IN_PROGRESS"},
    ("PAUSED", True, False): {"EN_ROUTE"},
    ("PAUSED", True, True): {"INSTALLATION_IN_PROGRESS"},
    ("COMPLETE", True, True): CONTRACT_PHASE,
    ("INCOMPLETE", False, True): {"INSTALLATION_IN_PROGRESS", "CANCELLED"},
    ("INCOMPLETE", True, True): {"INSTALLATION_IN_PROGRESS", "CANCELLED"},
    ("INCOMPLETE", True, False): {"CANCELLED"},
    ("CANCELLED", False, False): {"CANCELLED", "REJECTED"},
    ("CANCELLED", True, False): {"CANCELLED"},
    ("CANCELLED", False, True): {"INSTALLATION_IN_PROGRESS", "CANCELLED"},
    ("CANCELLED", True, True): {"INSTALLATION_IN_PROGRESS", "CANCELLED"},
}

# The feature controls of M2, with those that the arithmetic of scheduling.md and the undo time of lifecycles.md name.
CONTROLS = (
    "self_service",
    "reschedule_unconfirmed",
    "reschedule_confirmed",
    "cancel_unconfirmed",
    "cancel_confirmed",
    "reschedule_cutoff_hours",
    "cancel_cutoff_hours",
    "max_moves",
    "notice_hours",
    "horizon_days",
    "cancel_undo_minutes",
    "own_choice_confirms",
)
