"""What the demo's partner admins have set up beyond the start: skills, reasons, a logo, own words and questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from io import BytesIO

from PIL import Image, ImageDraw
from sqlalchemy.orm import Session

from portal.domain.actor import Actor
from portal.domain.branding import services as branding
from portal.domain.branding.services import BrandingInput
from portal.domain.messages.models import Channel, MessageKind
from portal.domain.messages.queries import ENGLISH
from portal.domain.messages.rules import RuleInput, create_rule
from portal.domain.messages.templates import Place, Words, save_words
from portal.domain.people.models import Partner, Technician
from portal.domain.scheduling import reasons, skills
from portal.domain.scheduling import services as scheduling
from portal.domain.scheduling.models import RejectReason, ServiceType
from portal.domain.scheduling.services import SERVICE_TYPE_LIMITS, ServiceTypeInput
from portal.domain.surveys import setup as surveys
from portal.domain.surveys.models import QuestionKind
from portal.domain.surveys.setup import QuestionInput

DAY = timedelta(days=1)
# Drawn four times as large, so that its edges are smooth once shrunk.
SIDE = 1024
ON_THE_WAY = (
    "{{ partner.name }}: {{ technician.name }} is on the way to you"
    "{% if visit.expected %} and expected at about {{ visit.expected }}{% endif %}. {{ link.track }}"
)
ROOF, SUN = "#14506e", "#e8a33d"


def give_skills(
    session: Session,
    actor: Actor,
    now: datetime,
    needed_by: Mapping[str, Sequence[ServiceType]],
    lacking: Mapping[str, Sequence[str]],
    technicians: Sequence[Technician],
) -> None:
    """Add the skills that kinds of work need, and give each technician all of them but those they are ``lacking``."""
    keys = {
        name: skills.create_skill(session, actor, now, next(iter(actor.partner_ids)), name).id for name in needed_by
    }
    needs: dict[int, list[int]] = {}
    kinds = {kind.id: kind for several in needed_by.values() for kind in several}
    for name, several in needed_by.items():
        for kind in several:
            needs.setdefault(kind.id, []).append(keys[name])
    for kind in kinds.values():
        values = {name: getattr(kind, name) for name in SERVICE_TYPE_LIMITS}
        form = ServiceTypeInput(name=kind.name, **values, skill_ids=needs[kind.id])
        scheduling.edit_service_type(session, actor, now, kind.id, kind.version, form)
    for technician in technicians:
        has = [key for name, key in keys.items() if name not in lacking.get(technician.name, ())]
        skills.set_technician_skills(session, actor, now, technician.id, has)


def add_reject_reasons(session: Session, actor: Actor, now: datetime, *labels: str) -> None:
    """Add reasons for rejecting and move the last of them one up."""
    partner_id = next(iter(actor.partner_ids))
    keys = [reasons.create_reason(session, actor, now, RejectReason, partner_id, label).id for label in labels]
    reasons.move_reason(session, actor, now + DAY, RejectReason, keys[-1], down=False)


def reword(session: Session, actor: Actor, now: datetime, partner: Partner, **words: str) -> None:
    """Let a partner use words of its own: ``staff_term``, ``customer_term``, or a label by status."""
    form = BrandingInput(
        name=partner.name,
        phone=partner.phone,
        locale=partner.locale,
        colour=partner.brand_colour,
        staff_term=words.pop("staff_term", partner.staff_term),
        customer_term=words.pop("customer_term", partner.customer_term),
        status_labels=words,
    )
    branding.edit_branding(session, actor, now, partner.id, partner.version, form)


def ask_questions(
    session: Session, actor: Actor, now: datetime, partner: Partner, questions: Mapping[str, QuestionKind]
) -> None:
    """Let a partner's survey ask ``questions`` beside the overall rating: words, and how they are answered."""
    for words, kind in questions.items():
        surveys.create_question(session, actor, now, partner.id, QuestionInput(words, kind.value))


def write_messages(session: Session, actor: Actor, now: datetime, partner: Partner) -> None:
    """Let a partner announce its people in words of its own, at the second attempt, and thank after a visit."""
    place = Place(MessageKind.ON_THE_WAY, Channel.TEXT, ENGLISH)
    for version, body in enumerate((ON_THE_WAY.replace("{{ link.track }}", "See you soon!"), ON_THE_WAY)):
        save_words(session, actor, now + version * DAY, partner.id, place, version, Words(body=body))
    rule = RuleInput(days_before=2, local_time=time(10))
    create_rule(session, actor, now, partner.id, MessageKind.FOLLOW_UP.value, Channel.EMAIL.value, rule)


def upload_logo(session: Session, actor: Actor, now: datetime, partner: Partner) -> None:
    """Give a partner the logo of a roof under the sun."""
    branding.set_logo(session, actor, now, partner.id, branding.drawn_logo(_roof_under_the_sun()))


def _roof_under_the_sun() -> bytes:
    picture = Image.new("RGBA", (SIDE, SIDE))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((540, 60, 940, 460), fill=SUN)
    draw.polygon(((60, 560), (420, 200), (780, 560)), fill=ROOF)
    draw.rounded_rectangle((160, 520, 680, 940), radius=40, fill=ROOF)
    draw.polygon(((430, 600), (310, 760), (400, 760), (370, 890), (530, 700), (430, 700)), fill="#ffffff")
    picture.thumbnail((SIDE // 4, SIDE // 4))
    png = BytesIO()
    picture.save(png, "PNG")
    return png.getvalue()
