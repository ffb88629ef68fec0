"""Pictures of a job in the office: photos to add, share with the customer or remove (P12), and signatures (J8)."""

from __future__ import annotations

from typing import Any

from flask import Response, flash, request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import gettext, lazy_gettext
from wtforms import SelectField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]

from portal.admin.base import the_actor
from portal.domain.errors import Invalid, Refused
from portal.domain.jobs.queries import JobTarget
from portal.domain.photos import services
from portal.domain.photos.models import Photo
from portal.domain.photos.queries import photo_for
from portal.domain.photos.services import photo_refusal
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import db
from portal.web import drawings, formats, photos
from portal.web.forms import add_errors
from portal.web.statuses import visit_badge

# As the frames of forms ask an act.
UPLOADING = {"uploads": True, "danger": False}


class OfficePhotoForm(photos.PhotoForm):
    """A photo, and which visit it belongs to."""

    visit = SelectField(lazy_gettext("Visit"), choices=[])

    def offer(self, target: JobTarget) -> None:
        """Offer the visits of ``target``, the latest first."""
        self.visit.choices = [
            SelectChoice(str(one.id), f"{formats.window(one.start_at, one.window_minutes)}, {visit_badge(one).label}")
            for one in reversed(target.visits)
        ]


class PhotoActions:
    """The part of the installation's view that has to do with photos."""

    get_url: Any
    _target: Any
    _form_page: Any
    _done: Any
    _go: Any

    @expose("/<int:job_id>/photos", methods=("GET", "POST"))
    def photos_view(self, job_id: int) -> ResponseReturnValue:
        """Add a photo to one of the visits."""
        target = self._target(job_id)
        refusal = photo_refusal(target.job)
        if refusal is not None:
            raise Refused(refusal)
        form = OfficePhotoForm(request.form)
        form.offer(target)
        number = target.job.number
        if request.method == "POST" and form.validate():
            try:
                photos.take_in(db.session(), the_actor(), int(form.visit.data), form)
            except Invalid as error:
                add_errors(form, error.errors)
                target = self._target(job_id)
            else:
                flash(gettext("The photo is added to %(number)s.", number=number), "ok")
                return self._done(job_id)
        return self._form_page(
            "admin/installations/photo.html",
            422 if form.errors else 200,
            act=UPLOADING,
            form=form,
            job=target.job,
            title=gettext("Add a photo to %(number)s", number=number),
            button=gettext("Add photo"),
            close=self.get_url(".detail_view", job_id=job_id),
        )

    @expose("/photos/<int:photo_id>")
    def photo_view(self, photo_id: int) -> Response:
        """The whole of a photo."""
        return photos.serve(photo_for(db.session(), the_actor(), photo_id), small=False)

    @expose("/photos/<int:photo_id>/small")
    def small_photo_view(self, photo_id: int) -> Response:
        """The small picture of a photo."""
        return photos.serve(photo_for(db.session(), the_actor(), photo_id), small=True)

    @expose("/visits/<int:visit_id>/signature")
    def signature_view(self, visit_id: int) -> Response:
        """What the customer drew when the work of a visit was done."""
        return drawings.serve(db.session(), visit_id)

    @expose("/photos/<int:photo_id>/share", methods=("POST",))
    def share_photo_view(self, photo_id: int) -> ResponseReturnValue:
        """Share a photo with the customer."""
        self._share(photo_id, True)
        flash(gettext("The customer sees the photo now."), "ok")
        return self._back(photo_id)

    @expose("/photos/<int:photo_id>/unshare", methods=("POST",))
    def unshare_photo_view(self, photo_id: int) -> ResponseReturnValue:
        """Share a photo no longer; the customer does not see it from now on."""
        self._share(photo_id, False)
        flash(gettext("The customer no longer sees the photo."), "ok")
        return self._back(photo_id)

    @expose("/photos/<int:photo_id>/remove", methods=("POST",))
    def remove_photo_view(self, photo_id: int) -> ResponseReturnValue:
        """Remove a photo for good."""
        job_id = photo_for(db.session(), the_actor(), photo_id).job_id
        photos.remove(db.session(), the_actor(), photo_id)
        flash(gettext("The photo is removed."), "ok")
        return self._go(self.get_url(".detail_view", job_id=job_id))

    def _share(self, photo_id: int, shared: bool) -> None:
        with unit_of_work(db.session()) as session:
            services.share_photo(session, the_actor(), formats.now(), photo_id, shared)

    def _back(self, photo_id: int) -> ResponseReturnValue:
        photo: Photo = photo_for(db.session(), the_actor(), photo_id)
        return self._go(self.get_url(".detail_view", job_id=photo.job_id, _anchor="photos"))
