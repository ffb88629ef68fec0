"""Jobs in the office: installations (P1-P14) and service jobs (J2, J3, J7), each by its table."""

from __future__ import annotations

from portal.admin.installations.kinds import INSTALLATIONS, KINDS, SERVICE_JOBS
from portal.admin.installations.views import JobView

__all__ = ["KINDS", "service_views", "views"]


def views() -> list[JobView]:
    """Return the view of installations for the admin's menu."""
    return [JobView(INSTALLATIONS)]


def service_views() -> list[JobView]:
    """Return the view of service jobs for the admin's menu."""
    return [JobView(SERVICE_JOBS)]
