"""What every page of the admin derives from: who may enter, and lists and forms held to the actor's partner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from flask import abort, flash, g, redirect, request
from flask.typing import ResponseReturnValue
from flask_admin import BaseView, expose
from flask_admin.contrib.sqla import ModelView
from flask_babel import gettext, lazy_gettext
from wtforms import IntegerField, SelectField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.widgets import HiddenInput, SearchInput

from portal.admin.export import CSV, TYPES, XLSX, file_of
from portal.domain.actor import Actor, Permission
from portal.domain.errors import Conflict, Invalid, NotFound
from portal.domain.lookup import find
from portal.domain.paging import PAGE_ROWS, Cursor, Order, Page
from portal.domain.tenancy import set_scope
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import db
from portal.web import formats
from portal.web.auth import check, current_actor
from portal.web.cursors import cursor_args, cursor_from
from portal.web.errors import shows_again
from portal.web.forms import Form, add_errors
from portal.web.kept import kept
from portal.web.partners import current_partner

EXPORT_ROWS = 500
EXPORT_NAMES = {CSV: lazy_gettext("CSV"), XLSX: lazy_gettext("Excel (XLSX)")}


class Guarded:
    """A view for actors with ``permission``: strangers are sent to sign in, the wrong role gets 403."""

    permission = Permission.ADMIN
    endpoint: str

    def is_accessible(self) -> bool:
        # A page's mark is older than all it shows, so that no change falls between the two.
        current_partner()
        actor = current_actor()
        return actor is not None and actor.may(self.permission)

    def inaccessible_callback(self, name: str, **kwargs: Any) -> ResponseReturnValue | None:
        return check(self.permission)

    def get_url(self, endpoint: str, **kwargs: Any) -> str:
        """Return the address of a page; a bare one is worked out once a request, since a list names it all over."""
        known: dict[tuple[str, str], str] = g.setdefault("bare_urls", {})
        if kwargs:
            return str(super().get_url(endpoint, **kwargs))  # type: ignore[misc]
        key = (self.endpoint, endpoint)
        if key not in known:
            known[key] = str(super().get_url(endpoint))  # type: ignore[misc]
        return known[key]

    def _run_view(self, view: Any, *args: Any, **kwargs: Any) -> Any:
        # Flask-Admin's own calls a view again after any TypeError and so hides what went wrong.
        return view(self, *args, **kwargs)


class AdminPage(Guarded, BaseView):
    """A page of the admin that is no list of rows."""


class Filters(Form):
    """The filters of a list, read from the address; every field has a default that filters nothing."""

    def read(self) -> tuple[dict[str, Any], list[str]]:
        """Return the value of each filter, and the labels of those that made no sense and are ignored."""
        ignored = []
        if not self.validate():
            for bad in self:
                if bad.errors:
                    ignored.append(str(bad.label.text))
                    bad.process(None)
        return {one.name: one.data for one in self}, ignored


class FilterForm(Filters):
    """Filters with a search for text."""

    q = StringField(lazy_gettext("Text"), default="", widget=SearchInput(), filters=[lambda text: (text or "").strip()])


class ActiveFilter(Filters):
    """Whether deactivated rows are shown: ``True`` and ``False`` for active or not, ``None`` for all."""

    active = SelectField(
        lazy_gettext("Show"),
        default="yes",
        choices=[
            SelectChoice("yes", lazy_gettext("Active")),
            SelectChoice("no", lazy_gettext("Deactivated")),
            SelectChoice("all", lazy_gettext("All")),
        ],
    )

    def read(self) -> tuple[dict[str, Any], list[str]]:
        """Return the values of the filters and the labels of those ignored."""
        values, ignored = super().read()
        return {**values, "active": {"yes": True, "no": False, "all": None}[values["active"]]}, ignored


class VersionedForm(Form):
    """A form that knows which version of its row it was made from."""

    version = IntegerField(widget=HiddenInput(), default=0)

    def renew(self, version: int) -> None:
        """Carry the version stored now, so that sending the form once more is a decision for what it holds."""
        self.version.process(None, version)
        # Else the field would show again what was sent.
        self.version.raw_data = None


@dataclass(frozen=True)
class Asked:
    """What the address of a list asks for: ``sort`` is a key of the view's ``sorts``.

    ``form`` is the filter form that it was read by, where all of it made sense.
    """

    filters: Mapping[str, Any]
    sort: str
    order: Order
    cursor: Cursor | None
    ignored: list[str] = field(default_factory=list)
    args: Mapping[str, str] = field(default_factory=dict)
    form: Any = None

    @property
    def is_filtered(self) -> bool:
        """Whether the address says more than the bare list."""
        return bool(set(self.args) - {"sort"})


@dataclass(frozen=True, slots=True)
class Difference:
    """A field of a form that was open too long: what was typed, and what somebody else saved meanwhile."""

    label: str
    yours: str
    theirs: str


class ScopedModelView(Guarded, ModelView):
    """A list with its forms over one model; every row it reads or writes is one of the actor's partner.

    Reads go through ``get_list`` and ``get_one``, writes through use cases of the domain in one unit of work. A
    subclass names its columns and forms and fills in ``get_list``, ``create`` and ``update``.
    """

    list_template = "admin/model/list.html"
    create_template = "admin/model/form.html"
    edit_template = "admin/model/form.html"
    column_auto_select_related = False
    can_delete = False
    can_export = False
    page_size = PAGE_ROWS

    # What the button says that adds a row.
    add_label: Any = ""
    # Words of sorting in the address; the first is the usual one. Each order ends with a unique column.
    sorts: dict[str, tuple[Any, ...]]
    usual_sort = ""
    # Whether pages are called earlier and later, or previous and next.
    sorted_by_time = False
    filter_form: type[Filters] = FilterForm
    form: type[VersionedForm] = VersionedForm

    # Stock pages that this product does not have: without @expose they have no address.
    delete_view = details_view = action_view = ajax_lookup = ajax_update = None

    def __init__(self, model: type, **kwargs: Any) -> None:
        super().__init__(model, db, **kwargs)

    # What a subclass fills in

    def get_list(self, asked: Asked, limit: int = PAGE_ROWS) -> Page[Any]:
        """Return a page of the rows asked for, by a query of the domain."""
        raise NotImplementedError

    def create(self, session: Any, actor: Actor, now: datetime, form: Any) -> Any:
        """Create a row from a valid form by a use case of the domain and return it."""
        raise NotImplementedError

    def update(self, session: Any, actor: Actor, now: datetime, key: int, form: Any) -> Any:
        """Change the row ``key`` by a use case, which raises ``Conflict`` if ``form.version`` is an old one."""
        raise NotImplementedError

    def form_of(self, row: Any) -> Any:
        """Return the form filled with what ``row`` holds now."""
        return self._edit_form_class(obj=row)

    def export_columns(self) -> dict[str, Any]:
        """Return the columns of the export: heading, and the function that takes the value out of a row.

        Numbers, dates and instants are written as such, everything else as text.
        """
        raise NotImplementedError

    def rearranged(self, form: Any) -> bool:
        """Do what a button inside the form asks for, such as another line; whether one was pressed."""
        return False

    def label_of(self, row: Any) -> str:
        """Return the name by which people know ``row``."""
        return str(row.name)

    # Reading

    def get_one(self, key: Any) -> Any:
        """Return the row of that key; ``NotFound`` for one that is unknown, another partner's, or no key at all."""
        return find(db.session(), self.model, key_from(key))

    def asked(self) -> Asked:
        """Read filters, sorting and page from the address; what makes no sense there is ignored."""
        usual = self.usual_sort or next(iter(self.sorts))
        form = self.filter_form(request.args)
        filters, ignored = form.read()
        sort = request.args.get("sort", usual)
        if sort.removeprefix("-") not in self.sorts:
            sort = usual
        order = Order(self.sorts[sort.removeprefix("-")], descending=sort.startswith("-"))
        args = {one.name: text for one in form if (text := request.args.get(one.name)) and text != one.default}
        if "sort" in request.args:
            args["sort"] = sort
        cursor = cursor_from(request.args, order)
        return Asked(filters, sort, order, cursor, ignored, args, None if ignored else form)

    def list_url(self, asked: Asked, cursor: Cursor | None = None, **changes: str | None) -> str:
        """Return the address of this list as asked for, from its start or ``cursor``; ``None`` drops an argument."""
        args = {**asked.args, **changes, **(cursor_args(cursor) if cursor else {})}
        return str(self.get_url(".index_view", **{name: value for name, value in args.items() if value}))

    def near(self, url: str) -> str:
        """Return an address of this view as its list says it, relative to itself: a page names a dozen."""
        return url.removeprefix(self.get_url(".index_view")) or "./"

    def clear_url(self, asked: Asked) -> str:
        """Return the address of this list without filters, sorted as it is."""
        return self.list_url(asked, **dict.fromkeys(asked.filters))

    def export_links(self, asked: Asked) -> dict[str, str]:
        """Return the addresses of exactly this list as a file, by what each kind of file is called."""
        urls = {name: self.get_url(".export", kind=kind, **asked.args) for kind, name in EXPORT_NAMES.items()}
        return {str(name): self.near(url) for name, url in urls.items()}

    def sort_links(self, asked: Asked) -> dict[str, tuple[str, str | None]]:
        """Return for each sort its address and, for the present one, ``ascending`` or ``descending``."""
        links: dict[str, tuple[str, str | None]] = {}
        for name in self.sorts:
            present = asked.sort.removeprefix("-") == name
            wanted = f"-{name}" if asked.sort == name else name
            state = ("descending" if asked.order.descending else "ascending") if present else None
            links[name] = (self.list_url(asked, sort=wanted), state)
        return links

    @expose("/")
    def index_view(self) -> ResponseReturnValue:
        return kept(self._list_page) if self.keeps_page() else self._list_page()

    def keeps_page(self) -> bool:
        """Whether the page asked for may be given out again as it is, until something is written (``web.kept``)."""
        return False

    def _list_page(self) -> str:
        asked = self.asked()
        page = self.get_list(asked)
        return str(self.render(self.list_template, **self.list_context(asked, page)))

    def list_context(self, asked: Asked, page: Page[Any]) -> dict[str, Any]:
        """Return what the list's template needs."""
        return {
            "asked": asked,
            "rows": page.rows,
            "filters": asked.form or self.filter_form(request.args),
            "sort_links": {name: (self.near(url), state) for name, (url, state) in self.sort_links(asked).items()},
            "back_url": self.near(self.list_url(asked, page.back)) if page.back else None,
            "forward_url": self.near(self.list_url(asked, page.forward)) if page.forward else None,
            "here": request.full_path.rstrip("?"),
        }

    # Writing

    @expose("/new/", methods=("GET", "POST"))
    @shows_again
    def create_view(self) -> ResponseReturnValue:
        if not self.can_create:
            raise NotFound
        sent = request.method == "POST"
        form = self._create_form_class(request.form) if sent else self._create_form_class(data=self.first_values())
        if sent and not self.rearranged(form) and form.validate():
            row = self.create_model(form)
            if row is not None:
                flash(gettext("%(name)s is added.", name=self.label_of(row)), "ok")
                return redirect(self.created_url(row))
        return self.form_page(self.create_template, form)

    @expose("/edit/", methods=("GET", "POST"))
    @shows_again
    def edit_view(self) -> ResponseReturnValue:
        if not self.can_edit:
            raise NotFound
        row = self.get_one(request.args.get("id"))
        if request.method != "POST":
            return self.form_page(self.edit_template, self.form_of(row), row)
        form = self._edit_form_class(request.form)
        if not self.rearranged(form) and form.validate():
            try:
                saved = self.update_model(form, row)
            except Conflict:
                return self.conflict_page(form, row.id)
            if saved is not None:
                flash(gettext("%(name)s is saved.", name=self.label_of(saved)), "ok")
                return redirect(self.return_url())
        return self.form_page(self.edit_template, form, self.get_one(row.id))

    def create_model(self, form: Any) -> Any:
        """Create a row in one unit of work; ``None``, with errors at the fields, if the domain refuses the input."""
        return self._write(form, lambda session, actor, now: self.create(session, actor, now, form))

    def update_model(self, form: Any, row: Any) -> Any:
        """Change ``row`` in one unit of work; ``None``, with errors at the fields, if the domain refuses the input."""
        key = row.id
        return self._write(form, lambda session, actor, now: self.update(session, actor, now, key, form))

    def _write(self, form: Any, use_case: Any) -> Any:
        try:
            with unit_of_work(db.session()) as session:
                return use_case(session, the_actor(), formats.now())
        except Invalid as refused:
            add_errors(form, refused.errors)
            return None

    def form_context(self, row: Any) -> dict[str, Any]:
        """Return what the form's template needs besides the form; ``row`` is ``None`` for a new one."""
        return {}

    def form_page(
        self, template: str, form: Any, row: Any = None, differences: list[Difference] | None = None
    ) -> ResponseReturnValue:
        """Return the page of a form; 422 with errors, 409 when somebody else saved meanwhile."""
        page = self.render(
            template,
            form=form,
            row=row,
            differences=differences,
            form_has_errors=bool(form.errors) or differences is not None,
            list_url=self.list_left(),
            return_url=self.return_url(),
            **self.form_context(row),
        )
        return page, 409 if differences is not None else 422 if form.errors else 200

    def conflict_page(self, form: Any, key: int) -> ResponseReturnValue:
        """Return the form as typed with both versions beside it; saving it again is a decision for the typed one."""
        row = self.get_one(key)
        stored = self.form_of(row)
        found = differences_of(form, stored)
        form.renew(row.version)
        return self.form_page(self.edit_template, form, row, found)

    def first_values(self) -> dict[str, Any]:
        """Return what the form of a new row begins with, by the names of its fields."""
        return {}

    def return_url(self) -> str:
        """Return where the person came from: the list, unless a view knows better."""
        return self.list_left()

    def list_left(self) -> str:
        """Return where in this list the person was, else the list."""
        start = str(self.get_url(".index_view"))
        target = request.values.get("url", "")
        # A path below our own leads to no other host; a line break would end the header.
        return target if target.startswith(start) and target.isprintable() else start

    def created_url(self, row: Any) -> str:
        """Return where the person goes on who has just added ``row``."""
        return self.return_url()

    # Export

    @expose("/export/<kind>/")
    def export(self, kind: str) -> ResponseReturnValue:
        """Return exactly what is filtered as a file."""
        if not self.can_export or kind not in TYPES:
            raise NotFound
        asked = self.asked()
        name = f"{self.endpoint.replace('_', '-')}-{formats.today().isoformat()}.{kind}"
        columns = {str(heading): value_of for heading, value_of in self.export_columns().items()}
        return file_of(kind, name, columns, self.export_batches(asked))

    def export_page(self, asked: Asked) -> Page[Any]:
        """Return some rows of the export from where ``asked`` is."""
        return self.get_list(asked, EXPORT_ROWS)

    def export_batches(self, asked: Asked) -> Iterator[Sequence[Any]]:
        """Yield everything that is filtered, some rows at a time."""
        # What is streamed is read after the request, whose session is gone with its scope: a new one gets the same.
        set_scope(db.session(), the_actor().scope)
        cursor: Cursor | None = None
        while True:
            page = self.export_page(replace(asked, cursor=cursor))
            yield page.rows
            # Whoever downloads slowly keeps no connection to the database.
            db.session.rollback()
            cursor = page.forward
            if cursor is None:
                return


class SwitchedView:
    """A view whose rows are deactivated and reactivated, since what has history is never deleted."""

    get_url: Any
    return_url: Any

    def set_active(self, session: Any, key: int, active: bool) -> Any:
        """Deactivate or reactivate a row by a use case of the domain and return it."""
        raise NotImplementedError

    @expose("/<int:key>/deactivate", methods=("POST",))
    def deactivate_view(self, key: int) -> ResponseReturnValue:
        return self._switch(key, False)

    @expose("/<int:key>/reactivate", methods=("POST",))
    def reactivate_view(self, key: int) -> ResponseReturnValue:
        return self._switch(key, True)

    def _switch(self, key: int, active: bool) -> ResponseReturnValue:
        with unit_of_work(db.session()) as session:
            name = self.set_active(session, key, active).name
        again, no_more = gettext("%(name)s is active again.", name=name), gettext("%(name)s is deactivated.", name=name)
        flash(again if active else no_more, "ok")
        return redirect(self.return_url())


class OrderedView:
    """A view whose rows stand in an order of the partner's own, changed a place at a time."""

    return_url: Any

    def move(self, session: Any, key: int, down: bool) -> Any:
        """Let a row change places with its neighbour by a use case of the domain."""
        raise NotImplementedError

    @expose("/<int:key>/up", methods=("POST",))
    def up_view(self, key: int) -> ResponseReturnValue:
        return self._move(key, down=False)

    @expose("/<int:key>/down", methods=("POST",))
    def down_view(self, key: int) -> ResponseReturnValue:
        return self._move(key, down=True)

    def _move(self, key: int, down: bool) -> ResponseReturnValue:
        with unit_of_work(db.session()) as session:
            self.move(session, key, down)
        return redirect(self.return_url())


class SettingsPage(AdminPage):
    """The form of settings of which a partner has one row, effective at once."""

    permission = Permission.MANAGE_SETTINGS
    template = ""
    form: type[VersionedForm] = VersionedForm
    # What is said after saving.
    saved: Any = ""

    def stored(self, session: Any, partner_id: int) -> Any:
        """Return the settings as they hold now."""
        raise NotImplementedError

    def save(self, session: Any, actor: Actor, now: datetime, partner_id: int, form: Any) -> Any:
        """Change them by a use case of the domain, which raises ``Conflict`` if ``form.version`` is an old one."""
        raise NotImplementedError

    @expose("/", methods=("GET", "POST"))
    @shows_again
    def index(self) -> ResponseReturnValue:
        partner_id = the_partner_id(the_actor())
        form: Any = self.form(request.form) if request.method == "POST" else None
        if form is not None and form.validate():
            try:
                with unit_of_work(db.session()) as session:
                    self.save(session, the_actor(), formats.now(), partner_id, form)
            except Invalid as refused:
                add_errors(form, refused.errors)
            except Conflict:
                return self._conflict(partner_id, form)
            else:
                flash(str(self.saved), "ok")
                return redirect(self.get_url(".index"))
        if form is None:
            form = self.form(obj=self.stored(db.session(), partner_id))
        return self._page(partner_id, form), 422 if form.errors else 200

    def _conflict(self, partner_id: int, form: Any) -> ResponseReturnValue:
        stored = self.stored(db.session(), partner_id)
        differences = differences_of(form, self.form(obj=stored))
        form.renew(stored.version)
        return self._page(partner_id, form, differences), 409

    def _page(self, partner_id: int, form: Any, differences: Any = None) -> str:
        return str(
            self.render(
                self.template,
                form=form,
                stored=self.stored(db.session(), partner_id),
                differences=differences,
                form_has_errors=bool(form.errors) or differences is not None,
            )
        )


def key_from(text: Any) -> int:
    """Return the key that an address names; ``NotFound`` for what is none."""
    if isinstance(text, int):
        return text
    if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 20:
        return int(text)
    raise NotFound


def the_actor() -> Actor:
    """Return who acts; 403 where nobody does."""
    actor = current_actor()
    if actor is None:
        abort(403)
    return actor


def the_partner_id(actor: Actor) -> int:
    """Return the one partner the actor works for; 403 for an operator who has switched none on."""
    if len(actor.partner_ids) != 1:
        abort(403)
    return next(iter(actor.partner_ids))


def differences_of(form: Any, stored: Any) -> list[Difference]:
    """Return the fields in which two forms of the same kind differ, but for hidden ones such as the version."""
    return [
        Difference(str(mine.label.text), readable(mine), readable(stored[mine.name]))
        for mine in form
        if not isinstance(mine.widget, HiddenInput) and readable(mine) != readable(stored[mine.name])
    ]


def readable(one: Any) -> str:
    """Return what a field holds as a person reads it: words for choices and ticks, lines for lists."""
    if hasattr(one, "entries"):
        return "\n".join(filter(None, (readable(entry) for entry in one.entries)))
    if hasattr(one, "form"):
        return ", ".join(
            filter(None, (_readable_part(inner) for inner in one.form if not isinstance(inner.widget, HiddenInput)))
        )
    if getattr(one, "choices", None) and isinstance(one.data, list):
        return ", ".join(str(label) for value, label, *_ in one.iter_choices() if value in one.data)
    if getattr(one, "choices", None):
        return next((str(label) for value, label, *_ in one.iter_choices() if value == one.data), str(one.data))
    if isinstance(one.data, bool):
        return str(gettext("yes") if one.data else gettext("no"))
    return "" if one.data is None else str(one.data).strip()


def _readable_part(inner: Any) -> str:
    # In a row of values a tick is its words, and none is nothing.
    if isinstance(inner.data, bool):
        return str(inner.label.text) if inner.data else ""
    return readable(inner)
