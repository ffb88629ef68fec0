"""Asking for new service, and what becomes of it: the form, the request's page, and answering another date (C5)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, abort, flash, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext, lazy_gettext
from sqlalchemy.orm import Session
from wtforms import BooleanField, FileField, HiddenField, RadioField, SelectField, StringField, TextAreaField

from portal.customer.blueprint import LONGEST_KEY, customer, go, session
from portal.domain.errors import Conflict, Invalid, NotFound, Refused
from portal.domain.jobs.happened import client_key
from portal.domain.offers.queries import taken_on
from portal.domain.people.services import AddressInput
from portal.domain.photos.pictures import Drawn
from portal.domain.photos.services import drawn_photo
from portal.domain.requests import new_service as services
from portal.domain.requests import queries
from portal.domain.requests.models import ServiceRequest
from portal.domain.requests.new_service import ServiceWish
from portal.domain.requests.queries import Place
from portal.domain.unit_of_work import unit_of_work
from portal.web import formats
from portal.web.errors import shows_again
from portal.web.forms import Form, add_errors
from portal.web.i18n import translate
from portal.web.partners import partner_info
from portal.web.photos import kept_file, sent_photo, serve, store
from portal.web.wishes import DatesMixin, dates_field

ELSEWHERE = "new"
FORM_KEY = re.compile(r"[0-9a-f]{32}")


class RequestForm(DatesMixin, Form):
    """What somebody would like done, where and when; the domain says what of it can be."""

    customer = HiddenField()
    form_key = HiddenField(default=lambda: uuid.uuid4().hex)
    service_type = SelectField(lazy_gettext("What would you like done?"), choices=[], validate_choice=False)
    address = RadioField(lazy_gettext("Where?"), choices=[], validate_choice=False)
    line = StringField(lazy_gettext("Street and number"), default="")
    city = StringField(lazy_gettext("Town or city"), default="")
    postcode = StringField(lazy_gettext("Postcode"), default="")
    dates = dates_field()
    notes = TextAreaField(lazy_gettext("Tell us more"), default="")
    photo = FileField(lazy_gettext("Photo"), render_kw={"accept": "image/*"})
    others_may = BooleanField(lazy_gettext("If you cannot do it, other companies may be asked"))

    def offer(self, place: Place) -> None:
        """Offer what can be chosen at ``place``; of the addresses the first is chosen, of the kinds of work none."""
        self.customer.data = str(place.customer.id)
        self.service_type.choices = [
            ("", gettext("Choose…")),
            *((str(kind.id), kind.name) for kind in place.service_types),
        ]
        self.address.choices = [
            *((str(address.id), address.one_line) for address in place.addresses),
            (ELSEWHERE, gettext("Another address")),
        ]
        if not self.address.data:
            self.address.data = self.address.choices[0][0]

    def wish(self, place: Place) -> ServiceWish | None:
        """Return what is asked for; ``None`` where not even the place can be read.

        What cannot be read is an error at its field.
        """
        elsewhere = self.address.data in {"", None, ELSEWHERE}
        address = None if elsewhere else _key(self.address.data)
        dates, key = self.read_dates(), self.form_key.data or ""
        if not elsewhere and address is None:
            self.address.errors = [gettext("Choose one of the addresses")]
            return None
        return ServiceWish(
            customer_id=place.customer.id,
            service_type_id=_key(self.service_type.data),
            address_id=address,
            place=AddressInput(None, self.line.data or "", self.city.data or "", self.postcode.data or ""),
            dates=dates,
            notes=self.notes.data or "",
            form_key=key if FORM_KEY.fullmatch(key) else uuid.uuid4().hex,
            others_may=bool(self.others_may.data),
        )


class RequestPhotoForm(Form):
    """One more photo; its key is made with the form, so that one sent twice counts once."""

    photo = FileField(lazy_gettext("Photo"), render_kw={"accept": "image/*"})
    client_key = HiddenField(default=lambda: client_key(""))


def ask() -> ResponseReturnValue:
    """Show the form; to somebody who is customer of several partners first, whom they mean."""
    places = _places()
    place = _place(places, request.args.get("customer"))
    if place is None:
        return render_template("customer/new_service_whom.html", places=places)
    form = RequestForm()
    form.offer(place)
    return _form_page(form, place)


@shows_again
def send() -> ResponseReturnValue:
    """Put the wish into the dispatcher's queue."""
    places = _places()
    place = _place(places, request.form.get("customer"))
    if place is None:
        return render_template("customer/new_service_whom.html", places=places), 422
    form = RequestForm(request.form)
    form.offer(place)
    form.validate()
    wish, drawn, of = form.wish(place), None, place.customer.partner_id
    try:
        drawn = sent_photo()
    except Invalid as invalid:
        add_errors(form, invalid.errors, of)
    if form.errors or wish is None:
        # Whatever else is wrong, so that nobody sends the form once for each.
        if wish is not None:
            add_errors(form, services.wish_errors(session(), formats.now(), place.customer, wish), of)
        return _form_page(form, place, drawn), 422
    try:
        request_id = _ask(wish, drawn)
    except Invalid as invalid:
        place = _place(_places(), str(wish.customer_id)) or place
        add_errors(form, invalid.errors, of)
        return _form_page(form, place, drawn), 422
    flash(gettext("We have your request and will write to you."), "ok")
    return go("my.service_request", request_id=request_id)


def _ask(wish: ServiceWish, drawn: Drawn | None) -> int:
    """Ask for what is wished, with the photo if there is one, and return the key of the request."""
    if drawn is None:
        with unit_of_work(session()) as writing:
            return services.request_service(writing, customer(), formats.now(), wish).id
    with kept_file(drawn) as name:
        with unit_of_work(session()) as writing:
            made = services.request_service(writing, customer(), formats.now(), wish)
            photo = services.add_request_photo(writing, customer(), formats.now(), made.id, name, drawn, wish.form_key)
            request_id, is_new = made.id, photo.name == name
        if not is_new:
            store().remove(name)
    return request_id


def add_photo(request_id: int) -> ResponseReturnValue:
    """Add a photo to a request that waits."""
    queries.service_request(session(), request_id)
    form = RequestPhotoForm(request.form)
    try:
        drawn = sent_photo() or drawn_photo(b"")
        with kept_file(drawn) as name:
            with unit_of_work(session()) as writing:
                photo = services.add_request_photo(
                    writing, customer(), formats.now(), request_id, name, drawn, form.client_key.data or ""
                )
                is_new = photo.name == name
            if not is_new:
                store().remove(name)
    except Invalid as invalid:
        add_errors(form, invalid.errors)
        return _page(queries.service_request(session(), request_id), photo_form=form), 422
    except Refused as refused:
        wish = queries.service_request(session(), request_id)
        return _page(wish, translate(refused.refusal.sentence, wish.partner_id)), 409
    flash(gettext("Your photo is added."), "ok")
    return go("my.service_request", request_id=request_id)


def request_photo(request_photo_id: int) -> Response:
    """The whole of a photo of one's own request."""
    return serve(queries.request_photo(session(), request_photo_id), small=False)


def small_request_photo(request_photo_id: int) -> Response:
    """The small picture of it."""
    return serve(queries.request_photo(session(), request_photo_id), small=True)


def service_request(request_id: int) -> ResponseReturnValue:
    """Show one request and what can be done with it."""
    return _page(queries.service_request(session(), request_id))


def accept(request_id: int) -> ResponseReturnValue:
    """Accept the date that the office offered."""
    return _answer(
        request_id,
        "accept_proposal",
        lambda writing: services.accept_proposal(writing, customer(), formats.now(), request_id, _proposal()),
        lambda wish: gettext(
            "Thank you. We come on %(when)s.",
            when=formats.window(wish.proposed_at, wish.service_type.window_minutes, wish.partner_id),
        ),
    )


def decline(request_id: int) -> ResponseReturnValue:
    """Decline it, so that the office looks for another."""
    return _answer(
        request_id,
        "decline_proposal",
        lambda writing: services.decline_proposal(writing, customer(), formats.now(), request_id, _proposal()),
        lambda wish: gettext("We look for another date and write to you."),
    )


def cancel(request_id: int) -> ResponseReturnValue:
    """Take the request back."""
    return _answer(
        request_id,
        "cancel",
        lambda writing: services.cancel_request(writing, customer(), formats.now(), request_id),
        lambda wish: gettext("Your request is cancelled."),
    )


def _answer(
    request_id: int, name: str, act: Callable[[Session], Any], done: Callable[[Any], str]
) -> ResponseReturnValue:
    # What is not theirs is not there, whatever the form says.
    queries.service_request(session(), request_id)
    try:
        with unit_of_work(session()) as writing:
            act(writing)
    except (Refused, Conflict) as refused:
        wish = queries.service_request(session(), request_id)
        # The same button pressed twice: the first press did it.
        if not services.is_done(customer(), wish, name, None if name == "cancel" else _proposal()):
            return _page(wish, translate(refused.refusal.sentence, wish.partner_id)), 409
    flash(done(queries.service_request(session(), request_id)), "ok")
    return go("my.service_request", request_id=request_id)


def _page(wish: ServiceRequest, stopped: str = "", photo_form: RequestPhotoForm | None = None) -> str:
    passed = services.proposal_refusal(wish, formats.now()) if wish.is_proposed else None
    return render_template(
        "customer/service_request.html",
        wish=wish,
        may=services.open_answers(customer(), wish),
        passed=passed,
        elsewhere=taken_on(session(), wish.id) if wish.may_go_to_others else None,
        stopped=stopped,
        photo_form=photo_form or RequestPhotoForm(),
        may_add_photo=services.photo_refusal(customer(), wish) is None and len(wish.photos) < services.MOST_PHOTOS,
        page_partner=partner_info(wish.partner_id),
    )


def _form_page(form: RequestForm, place: Place, drawn: Drawn | None = None) -> str:
    return render_template(
        "customer/new_service.html",
        form=form,
        # Browsers keep no file that was chosen before.
        lost_photo=drawn is not None,
        place=place,
        elsewhere=ELSEWHERE,
        page_partner=partner_info(place.customer.partner_id),
    )


def _places() -> list[Place]:
    """Return where something can be asked for: not of a suspended partner, nor of one that offers nothing."""
    found = queries.places_to_ask_for(session())
    suspended = customer().suspended
    return [place for place in found if place.service_types and place.customer.partner_id not in suspended]


def _place(places: list[Place], asked: str | None) -> Place | None:
    """Return the place that is meant, or the only one; ``NotFound`` for somebody else's."""
    key = _key(asked)
    if key is None:
        return places[0] if len(places) == 1 else None
    for place in places:
        if place.customer.id == key:
            return place
    raise NotFound


def _proposal() -> int:
    """Return the number of the offer that the page showed; 400 for a form that is not ours."""
    number = _key(request.form.get("proposal"))
    if number is None:
        abort(400)
    return number


def _key(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < LONGEST_KEY else None


def add_to(blueprint: Blueprint) -> None:
    """Put these pages into the customer's blueprint."""
    blueprint.add_url_rule("/requests/new", view_func=ask, endpoint="new_service")
    blueprint.add_url_rule("/requests/new", view_func=send, endpoint="send_service", methods=["POST"])
    blueprint.add_url_rule("/requests/<int:request_id>", view_func=service_request)
    blueprint.add_url_rule(
        "/requests/<int:request_id>/photos", view_func=add_photo, endpoint="add_request_photo", methods=["POST"]
    )
    blueprint.add_url_rule("/request-photos/<int:request_photo_id>", view_func=request_photo)
    blueprint.add_url_rule("/request-photos/<int:request_photo_id>/small", view_func=small_request_photo)
    blueprint.add_url_rule(
        "/requests/<int:request_id>/accept", view_func=accept, endpoint="accept_proposal", methods=["POST"]
    )
    blueprint.add_url_rule(
        "/requests/<int:request_id>/decline", view_func=decline, endpoint="decline_proposal", methods=["POST"]
    )
    blueprint.add_url_rule(
        "/requests/<int:request_id>/cancel", view_func=cancel, endpoint="cancel_request", methods=["POST"]
    )
