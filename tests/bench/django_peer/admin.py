"""The admin's list with the columns of the office list, one partner's jobs, and its lookup of customers."""

from __future__ import annotations

from typing import Any

from django.contrib import admin

from tests.bench.django_peer.models import Customer, Job

# The one that is measured.
PARTNER = 1


@admin.register(Customer)
class CustomerAdmin(admin.ModelAdmin):
    """What the lookup searches."""

    search_fields = ("name", "email")

    def get_queryset(self, request: Any) -> Any:
        """Return the customers of the one partner."""
        return super().get_queryset(request).filter(partner_id=PARTNER)


@admin.register(Job)
class JobAdmin(admin.ModelAdmin):
    """The list as it comes: it joins the foreign keys among its columns by itself, but for one that may be empty."""

    list_display = ("number", "title", "customer", "address", "start_at", "technician", "service_type", "status")
    list_filter = ("status", "start_at")
    search_fields = ("number", "title", "customer__name")
    autocomplete_fields = ("customer",)
    list_per_page = 20

    def get_queryset(self, request: Any) -> Any:
        """Return the jobs of the one partner."""
        return super().get_queryset(request).filter(partner_id=PARTNER, workflow="installation")
