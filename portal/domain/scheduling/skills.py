"""The use cases of skills: what some work needs and some technicians can (M4).

Each runs within one ``unit_of_work`` on rows of the session's scope and writes the audit trail. They raise ``NotFound``
for what is out of the scope, ``Invalid`` for input, and ``Conflict`` for a form from before somebody else's change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from portal.domain.actor import Actor
from portal.domain.errors import Conflict, Invalid, NotFound, changed_meanwhile, sentence, too_long
from portal.domain.lookup import MAX_KEY, lock, lock_technicians
from portal.domain.people.models import Technician
from portal.domain.scheduling.models import Skill, TechnicianSkill
from portal.domain.scheduling.queries import skills_of_technicians
from portal.domain.settings_log.services import SettingKind, Subject, record_setting_change, values_of
from portal.domain.texts import one_line

MAX_NAME = 80
LOGGED = ("name", "active")
NAME_TAKEN = sentence("There is a skill of this name already")


def create_skill(session: Session, actor: Actor, now: datetime, partner_id: int, name: str) -> Skill:
    """Add a skill called ``name`` and return it."""
    skill = Skill(partner_id=partner_id, name=_clean_name(session, partner_id, None, name))
    session.add(skill)
    _flush(session)
    record_setting_change(session, actor, now, _subject(skill), {}, values_of(skill, LOGGED))
    return skill


def edit_skill(session: Session, actor: Actor, now: datetime, skill_id: int, version: int, name: str) -> Skill:
    """Rename a skill, for everything that needs it and everybody who has it; ``version`` is the form's."""
    skill = lock(session, Skill, skill_id)
    if skill.version != version:
        raise Conflict(changed_meanwhile())
    before = values_of(skill, LOGGED)
    skill.name = _clean_name(session, skill.partner_id, skill.id, name)
    _flush(session)
    record_setting_change(session, actor, now, _subject(skill), before, values_of(skill, LOGGED))
    return skill


def set_skill_active(session: Session, actor: Actor, now: datetime, skill_id: int, active: bool) -> Skill:
    """Let a skill be needed no more, or again; who has it and what needs it stays noted."""
    skill = lock(session, Skill, skill_id)
    before = values_of(skill, LOGGED)
    skill.active = active
    record_setting_change(session, actor, now, _subject(skill), before, values_of(skill, LOGGED))
    return skill


def set_technician_skills(
    session: Session, actor: Actor, now: datetime, technician_id: int, skill_ids: Iterable[int]
) -> Technician:
    """Let a technician have exactly the skills with those keys; deactivated ones that they have stay with them.

    The lock on the technician is the one that booking takes, so that nobody is booked by a skill just taken away.
    """
    found = lock_technicians(session, [technician_id]) if 0 < technician_id <= MAX_KEY else []
    if not found:
        raise NotFound
    technician = found[0]
    had = skills_of_technicians(session, [technician.id])[technician.id]
    chosen = chosen_skills(session, skill_ids, had)
    gone = {skill.id for skill in had} - {skill.id for skill in chosen}
    added = [skill for skill in chosen if skill not in had]
    if gone:
        session.execute(
            delete(TechnicianSkill).where(
                TechnicianSkill.technician_id == technician.id, TechnicianSkill.skill_id.in_(gone)
            )
        )
    session.add_all(
        TechnicianSkill(partner_id=technician.partner_id, technician_id=technician.id, skill_id=skill.id)
        for skill in added
    )
    if gone or added:
        # One form, one version.
        flag_modified(technician, "name")
    session.flush()
    subject = Subject(SettingKind.TECHNICIAN, technician.partner_id, technician.id, technician.name)
    record_setting_change(session, actor, now, subject, {"skills": names_of(had)}, {"skills": names_of(chosen)})
    return technician


def chosen_skills(session: Session, skill_ids: Iterable[int], present: Sequence[Skill]) -> list[Skill]:
    """Return the skills with those keys, by name; raises ``NotFound`` for one out of scope.

    ``Invalid`` at ``skill_ids`` for one that is no longer offered, unless it is among those ``present``.
    """
    wanted = set(skill_ids)
    if any(not 0 < key <= MAX_KEY for key in wanted):
        raise NotFound
    query = select(Skill).where(Skill.id.in_(wanted)).order_by(Skill.name, Skill.id)
    found = list(session.scalars(query))
    if len(found) != len(wanted):
        raise NotFound
    retired = next((skill for skill in found if not skill.active and skill not in present), None)
    if retired is not None:
        raise Invalid({"skill_ids": sentence("%(name)s is no longer offered.", name=retired.name)})
    return found


def names_of(skills: Sequence[Skill]) -> list[str]:
    """Return the names of ``skills`` as the audit trail keeps them."""
    return [skill.name for skill in skills]


def _subject(skill: Skill) -> Subject:
    return Subject(SettingKind.SKILL, skill.partner_id, skill.id, skill.name)


def _clean_name(session: Session, partner_id: int, key: int | None, name: str) -> str:
    clean = one_line(name)
    if not clean:
        raise Invalid({"name": sentence("Enter a name")})
    if len(clean) > MAX_NAME:
        raise Invalid({"name": too_long(MAX_NAME)})
    same = select(Skill.id).where(Skill.partner_id == partner_id, Skill.name == clean)
    if session.scalars(same).first() not in (None, key):
        raise Invalid({"name": NAME_TAKEN})
    return clean


def _flush(session: Session) -> None:
    try:
        session.flush()
    except IntegrityError as error:
        # Somebody else was quicker with the same name; nothing else here can collide.
        raise Invalid({"name": NAME_TAKEN}) from error
