"""The admin, django-appointment's own pages, and the search that it has no page for."""

from __future__ import annotations

from datetime import date
from typing import Any

from appointment.models import Service, StaffMember
from appointment.services import get_available_slots_for_staff
from appointment.utils.db_helpers import get_weekday_num_from_date
from django.contrib import admin
from django.http import JsonResponse
from django.urls import include, path


def anybody(request: Any) -> Any:
    """Return what is free on a day of anybody who does the work: its own call, once for each of them."""
    day, service = date.fromisoformat(request.GET["selected_date"]), Service.objects.get(id=request.GET["service_id"])
    weekday, found = get_weekday_num_from_date(day), set()
    for member in StaffMember.objects.filter(services_offered=service):
        found |= set(get_available_slots_for_staff(day, member, weekday, service=service))
    return JsonResponse([slot.isoformat() for slot in sorted(found)], safe=False)


urlpatterns = [
    path("admin/", admin.site.urls),
    path("appointment/", include("appointment.urls")),
    path("anybody/", anybody),
]
