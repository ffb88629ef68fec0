"""A browser without JavaScript that behaves as a person does, for tests through real forms."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin, urlsplit

from bs4 import BeautifulSoup, Tag
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

PASSWORD = "correct horse battery"
# What browsers know a session by.
COOKIE = "doorstep"


def soup(response: TestResponse) -> BeautifulSoup:
    """Return the page of ``response``."""
    return BeautifulSoup(response.get_data(as_text=True), "lxml")


def controls_of(form: Tag, selector: str) -> list[Tag]:
    """Return the controls of ``form`` in it and, by their ``form`` attribute, elsewhere on its page."""
    page = form.find_parents()[-1] if form.get("id") else None
    elsewhere = page.select(f'[form="{form["id"]}"]') if page is not None else []
    return [*form.select(selector), *(one for one in elsewhere if one in page.select(selector))]  # type: ignore[union-attr]


def fields_of(form: Tag) -> dict[str, list[str]]:
    """Return what a browser would send for ``form`` untouched and submitted by no particular button."""
    values: dict[str, list[str]] = {}
    for control in controls_of(form, "input[name], select[name], textarea[name]"):
        name, kind = str(control["name"]), control.get("type", "text")
        if control.has_attr("disabled") or kind in {"submit", "button", "file", "image", "reset"}:
            continue
        if kind in {"checkbox", "radio"}:
            if control.has_attr("checked"):
                values.setdefault(name, []).append(str(control.get("value", "on")))
        elif control.name == "select":
            options = control.select("option[selected]") or control.select("option")[:1]
            values.setdefault(name, []).extend(str(option.get("value", option.text)) for option in options)
        elif control.name == "textarea":
            # A browser leaves out the line break that a text area begins with.
            values.setdefault(name, []).append(control.text.removeprefix("\n"))
        else:
            values.setdefault(name, []).append(str(control.get("value", "")))
    return values


class Site:
    """Opens pages and sends their forms, token and all. ``last`` is the latest answer, ``url`` its address."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self._url = "/"
        self._last: TestResponse | None = None
        self._read: tuple[TestResponse, BeautifulSoup] | None = None

    @property
    def last(self) -> TestResponse | None:
        """The latest answer; where signing in leads is opened by the first who looks."""
        if self._last is not None and self._last.status_code == 302 and self._last.request.path == "/login":
            self.get(self._last.location)
        return self._last

    @last.setter
    def last(self, answer: TestResponse) -> None:
        self._last = answer

    @property
    def url(self) -> str:
        """The address of the page in front of the person."""
        return self._url if self.last is not None else "/"

    @url.setter
    def url(self, address: str) -> None:
        self._url = address

    @property
    def status(self) -> int:
        """The status code of the latest answer."""
        assert self.last is not None
        return self.last.status_code

    def get(self, url: str, **kwargs: Any) -> TestResponse:
        """Open ``url``, which may be relative to the page in front of the person, and follow redirects."""
        target = url if url.startswith("/") else urljoin(self.url, url)
        return self._came(self.client.get(target, follow_redirects=True, **kwargs))

    def _came(self, answer: TestResponse) -> TestResponse:
        self.last = answer
        self.url = answer.request.full_path.rstrip("?")
        return answer

    @property
    def page(self) -> BeautifulSoup:
        """The page in front of the person."""
        answer = self.last
        assert answer is not None
        if self._read is None or self._read[0] is not answer:
            self._read = (answer, soup(answer))
        return self._read[1]

    @property
    def text(self) -> str:
        """What the page in front of the person says."""
        return " ".join(self.page.get_text(" ").split())

    def form(self, action: str | None = None, button: str | None = None) -> Tag:
        """Return the form of the page that goes to a path ending in ``action``, or that has a button saying so.

        Without either, the one in ``main``. Fails unless exactly one fits.
        """
        forms: list[Tag] = self.page.select("form" if action or button else "main form, dialog form")
        # What only a script would make something of is no form yet.
        forms = [form for form in forms if form.find_parent("template") is None]
        if action:
            forms = [form for form in forms if urlsplit(str(form.get("action") or self.url)).path.endswith(action)]
        if button:
            forms = [form for form in forms if any(button in one.text for one in controls_of(form, "button"))]
        assert len(forms) == 1, f"{len(forms)} forms fit {action or button or 'main'} on {self.url}"
        return forms[0]

    def submit(
        self, data: dict[str, Any] | None = None, action: str | None = None, button: str | None = None, **kwargs: Any
    ) -> TestResponse:
        """Fill ``data`` into a form of the page (see ``form``), press ``button`` and follow where it leads."""
        form = self.form(action, button)
        values: dict[str, Any] = fields_of(form)
        for control in controls_of(form, "button[name]"):
            if button and button in control.text:
                values[str(control["name"])] = [str(control.get("value", ""))]
        values.update(data or {})
        target = urljoin(self.url, str(form.get("action") or self.url))
        if str(form.get("method", "get")).lower() == "get":
            return self.get(urlsplit(target).path, query_string=values, **kwargs)
        return self._came(self.client.post(target, data=values, **({"follow_redirects": True} | kwargs)))

    def open_beside_another(self, url: str) -> None:
        """Open ``url`` as a new browser that asks for two pages at once: of their two sessions the other one stays."""
        self.client.delete_cookie(COOKIE)
        self.get(url)
        other = self.client.application.test_client()
        other.get("/login")
        cookie = other.get_cookie(COOKIE)
        assert cookie is not None
        self.client.set_cookie(COOKIE, cookie.value)

    def token(self) -> str:
        """Return a CSRF token of this browser's session, for posts that no form on a page makes."""
        page = soup(self.client.get("/logout", follow_redirects=True))
        return str(page.select_one("input[name=csrf_token]")["value"])  # type: ignore[index]

    def post(self, url: str, data: dict[str, Any] | None = None, **kwargs: Any) -> TestResponse:
        """Send ``data`` to ``url`` by hand, with a good token, past whatever the screen offers."""
        values = {"csrf_token": self.token(), **(data or {})}
        answer = self.client.post(url, data=values, **kwargs)
        self.last = answer
        return answer

    def sign_in(self, who: Any, password: str = PASSWORD) -> None:
        """Sign in by the form as ``who``: a user or an e-mail address. ``last`` is where that leads."""
        self.get("/login")
        values = {"email": getattr(who, "email", who), "password": password}
        self.submit(values, action="/login", follow_redirects=False)

    def sign_out(self) -> TestResponse:
        """Sign out by the form."""
        self.get("/logout")
        return self.submit()
