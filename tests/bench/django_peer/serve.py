"""The application for gunicorn, from the environment; as a command: its tables and rows."""

from __future__ import annotations

import os
from datetime import time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.bench.django_peer.settings")

LONDON = ZoneInfo("Europe/London")
BEGIN, END = time(8), time(18)
HOURS = timedelta(hours=2)
STEP_MINUTES = 30
CHUNK = 2_000


def app() -> Any:
    """Return the WSGI application."""
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()


def fill(owner: int, email: str, password: str) -> None:
    """Make the tables, somebody who may see everything, and the technicians and coming visits of partner ``owner``."""
    import django

    django.setup()
    from appointment.models import Config, DayOff, Service, StaffMember, WorkingHours
    from django.contrib.auth.models import User
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    # django-appointment's release may carry no migrations; its tables refer to those made above.
    call_command("migrate", run_syncdb=True, verbosity=0)
    client = User.objects.create_superuser(email, email, password, first_name="Dana")
    Config.objects.create(
        slot_duration=STEP_MINUTES, lead_time=BEGIN, finish_time=END, appointment_buffer_time=0, website_name="Bench"
    )
    service = Service.objects.create(name="Heat pump", duration=HOURS, price=0)
    people = _rows("SELECT id, name FROM technicians WHERE partner_id = %s", owner)
    # The same keys as over there.
    users = [
        User(
            id=1_000_000 + key, username=f"technician-{key}", first_name=name, email=f"{key}@bench.test", is_staff=True
        )
        for key, name in people
    ]
    User.objects.bulk_create(users)
    members = [StaffMember(id=user.id - 1_000_000, user=user) for user in users]
    StaffMember.objects.bulk_create(members)
    offers = StaffMember.services_offered.through
    offers.objects.bulk_create([offers(staffmember_id=one.id, service_id=service.id) for one in members])
    WorkingHours.objects.bulk_create(
        [
            WorkingHours(staff_member=one, day_of_week=day, start_time=BEGIN, end_time=END)
            for one in members
            for day in range(1, 6)
        ]
    )
    DayOff.objects.bulk_create(
        DayOff(
            staff_member_id=technician,
            start_date=begin.astimezone(LONDON).date(),
            end_date=(end - timedelta(seconds=1)).astimezone(LONDON).date(),
        )
        for technician, begin, end in _rows(
            "SELECT technician_id, start_at, end_at FROM time_off WHERE partner_id = %s", owner
        )
    )
    _fill_visits(owner, service, client)
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _fill_visits(owner: int, service: Any, client: Any) -> None:
    from appointment.models import Appointment, AppointmentRequest

    visits = _rows(
        "SELECT technician_id, start_at, end_at FROM appointments WHERE partner_id = %s AND technician_id IS NOT NULL"
        " AND status = 'SCHEDULED' AND start_at > now() ORDER BY id",
        owner,
    )
    requests = AppointmentRequest.objects.bulk_create(
        [
            AppointmentRequest(
                date=start.astimezone(LONDON).date(),
                start_time=start.astimezone(LONDON).time(),
                end_time=end.astimezone(LONDON).time(),
                service=service,
                staff_member_id=technician,
                id_request=f"bench-{number}",
            )
            for number, (technician, start, end) in enumerate(visits)
        ],
        CHUNK,
    )
    Appointment.objects.bulk_create(
        [
            Appointment(client=client, appointment_request=one, id_request=one.id_request, amount_to_pay=0)
            for one in requests
        ],
        CHUNK,
    )


def _rows(query: str, owner: int) -> list[Any]:
    from django.db import connections

    with connections["doorstep"].cursor() as cursor:
        cursor.execute(query, [owner])
        return cursor.fetchall()


if __name__ == "__main__":
    fill(int(os.environ["BENCH_OWNER"]), os.environ["BENCH_EMAIL"], os.environ["BENCH_PASSWORD"])
