"""Skills: the partner's own list, and the ticks by which service types and technicians get theirs (M4, P16)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask_babel import lazy_gettext
from sqlalchemy.orm import Session
from wtforms import SelectMultipleField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]

from portal.admin.base import (
    ActiveFilter,
    Asked,
    ScopedModelView,
    SwitchedView,
    VersionedForm,
    key_from,
    the_actor,
    the_partner_id,
)
from portal.domain.actor import Actor, Permission
from portal.domain.paging import PAGE_ROWS, Page
from portal.domain.scheduling import skills
from portal.domain.scheduling.models import Skill
from portal.domain.scheduling.queries import SKILLS_BY, list_skills, offered_skills
from portal.extensions import db
from portal.web import formats


class SkillTicks(SelectMultipleField):
    """A tick for each skill that is offered. A key that is none, or another partner's, is not found."""

    validate_choice = False

    def __init__(self, label: Any = None, **kwargs: Any) -> None:
        super().__init__(label, coerce=key_from, **kwargs)

    def offer(self) -> None:
        """Offer the partner's skills; to be called once the form is made."""
        self.choices = [SelectChoice(skill.id, skill.name) for skill in offered_skills(db.session())]

    def pre_validate(self, form: Any) -> None:
        """Leave it to the domain."""


class SkillForm(VersionedForm):
    """A skill."""

    name = StringField(lazy_gettext("Name"), default="", render_kw={"autocomplete": "off"})


class SkillView(SwitchedView, ScopedModelView):
    """The skills that work may need."""

    permission = Permission.MANAGE_SETTINGS
    add_label = lazy_gettext("Add skill")
    list_template = "admin/setup/skills.html"
    create_template = edit_template = "admin/setup/skill.html"
    column_list = ("name",)
    column_labels = {"name": lazy_gettext("Name")}
    sorts = SKILLS_BY
    # Too few for a search.
    filter_form = ActiveFilter
    form = SkillForm

    def get_list(self, asked: Asked, limit: int = PAGE_ROWS) -> Page[Skill]:
        return list_skills(db.session(), asked.filters["active"], asked.order, asked.cursor, limit)

    def create(self, session: Session, actor: Actor, now: datetime, form: Any) -> Skill:
        return skills.create_skill(session, actor, now, the_partner_id(actor), form.name.data)

    def update(self, session: Session, actor: Actor, now: datetime, key: int, form: Any) -> Skill:
        return skills.edit_skill(session, actor, now, key, form.version.data or 0, form.name.data)

    def set_active(self, session: Session, key: int, active: bool) -> Skill:
        return skills.set_skill_active(session, the_actor(), formats.now(), key, active)
