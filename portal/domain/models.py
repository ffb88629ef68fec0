"""Every model, imported once, so that the metadata is whole."""

from portal.domain.access import models as access
from portal.domain.background import models as background
from portal.domain.base import Base
from portal.domain.branding import models as branding
from portal.domain.changes import models as changes
from portal.domain.contracts import models as contracts
from portal.domain.delivery import models as delivery
from portal.domain.feeds import models as feeds
from portal.domain.jobs import models as jobs
from portal.domain.messages import models as messages
from portal.domain.notes import models as notes
from portal.domain.offers import models as offers
from portal.domain.people import models as people
from portal.domain.photos import models as photos
from portal.domain.requests import models as requests
from portal.domain.scheduling import models as scheduling
from portal.domain.settings_log import models as settings_log
from portal.domain.surveys import models as surveys
from portal.domain.tracking import models as tracking

__all__ = [
    "Base",
    "access",
    "background",
    "branding",
    "changes",
    "contracts",
    "delivery",
    "feeds",
    "jobs",
    "messages",
    "notes",
    "offers",
    "people",
    "photos",
    "requests",
    "scheduling",
    "settings_log",
    "surveys",
    "tracking",
]
