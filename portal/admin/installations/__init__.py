"""Installations in the office (P1-P14)."""

from __future__ import annotations

from portal.admin.installations.views import InstallationView


def views() -> list[InstallationView]:
    """Return the views of this subject for the admin's menu."""
    return [InstallationView()]
