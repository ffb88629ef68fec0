"""The floor: one bare SQL statement a page, keyset paged, and one small template compiled beforehand.

No sign-in, no permission, no tenancy, no words in two languages, no layout. Nothing that does the work can be faster.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import Any

import psycopg
from flask import Flask, jsonify, request
from jinja2 import Environment
from sqlalchemy import make_url

# The one that is measured.
PARTNER = 1

COLUMNS = """
SELECT j.id, j.number, j.title, j.status, j.start_at, c.name AS customer, a.line, a.postcode, t.name AS technician
FROM jobs j JOIN customers c ON c.id = j.customer_id JOIN addresses a ON a.id = j.address_id
LEFT JOIN technicians t ON t.id = j.technician_id
WHERE j.partner_id = %(partner)s AND j.workflow = 'installation'
"""
FILTERED = f"""{COLUMNS} AND j.status = ANY(%(statuses)s) AND j.start_at >= %(first)s AND j.start_at < %(last)s
ORDER BY j.start_at, j.id LIMIT 21"""
BEYOND = f"{COLUMNS} AND (j.start_at, j.id) > (%(at)s, %(id)s) ORDER BY j.start_at, j.id LIMIT 21"
FOUND = """
SELECT c.id, a.id, c.name, c.email, a.line, a.city, a.postcode
FROM customers c JOIN addresses a ON a.customer_id = c.id
WHERE c.partner_id = %(partner)s AND c.active AND (c.name ILIKE %(text)s OR c.email ILIKE %(text)s
    OR a.line ILIKE %(text)s OR a.city ILIKE %(text)s OR a.postcode ILIKE %(text)s)
ORDER BY c.name, c.id, a.id LIMIT 10
"""
DETAIL = """
SELECT j.*, c.name, c.email, a.line, t.name AS technician,
    (SELECT json_agg(i) FROM job_items i WHERE i.job_id = j.id) AS items,
    (SELECT json_agg(v) FROM appointments v WHERE v.partner_id = j.partner_id AND v.job_id = j.id) AS visits,
    (SELECT json_agg(h ORDER BY h.id DESC) FROM history h WHERE h.partner_id = j.partner_id AND h.job_id = j.id)
        AS history,
    (SELECT json_agg(m) FROM messages m WHERE m.partner_id = j.partner_id AND m.job_id = j.id) AS messages
FROM jobs j JOIN customers c ON c.id = j.customer_id JOIN addresses a ON a.id = j.address_id
LEFT JOIN technicians t ON t.id = j.technician_id
WHERE j.partner_id = %(partner)s AND j.id = %(id)s
"""
MONTH = """
SELECT j.start_at::date AS day, j.status, count(*) FROM jobs j
WHERE j.partner_id = %(partner)s AND j.workflow = 'installation'
AND j.start_at >= %(first)s AND j.start_at < %(last)s GROUP BY 1, 2 ORDER BY 1
"""

_template = Environment(autoescape=True).from_string(
    """<!DOCTYPE html><title>Jobs</title><table>{% for row in rows %}
<tr><td>{{ row[1] }}<td><a href="/jobs/{{ row[0] }}">{{ row[2] }}</a><td>{{ row[5] }}<td>{{ row[6] }}, {{ row[7] }}
<td>{{ row[4] }}<td>{{ row[8] or "" }}<td>{{ row[3] }}
<td><a class="btn" href="/jobs/{{ row[0] }}/assign">Assign</a>
<a class="btn" href="/jobs/{{ row[0] }}/reject">Reject</a>
{% endfor %}</table>"""
)
_cells = Environment(autoescape=True).from_string(
    "<!DOCTYPE html><title>One</title><dl>{% for value in rows[0] %}<dd>{{ value }}{% endfor %}</dl>"
)
_days = Environment(autoescape=True).from_string(
    "<!DOCTYPE html><title>Month</title>{% for row in rows %}<p>{{ row[0] }} {{ row[1] }} {{ row[2] }}{% endfor %}"
)


def make(url: str) -> Flask:
    """Return the floor over the database at ``url``.

    ``app.config["ASKED"]`` holds the statements it ran of late, ``app.config["OPEN"]`` its connections.
    """
    app = Flask("floor")
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    kept = threading.local()
    # Of the latest requests; only its length is asked for.
    asked: deque[str] = deque(maxlen=100)
    app.config["ASKED"], app.config["OPEN"] = asked, []

    def rows(query: str, **values: Any) -> list[Any]:
        if not hasattr(kept, "connection"):
            kept.connection = psycopg.connect(address, autocommit=True)
            app.config["OPEN"].append(kept.connection)
        asked.append(query)
        found: list[Any] = kept.connection.execute(query, {"partner": PARTNER, **values}).fetchall()
        return found

    @app.get("/hello")
    def hello() -> str:
        return "hello, world"

    @app.get("/filtered")
    def filtered() -> str:
        args = request.args
        return _template.render(
            rows=rows(FILTERED, statuses=args.getlist("status"), first=args["first"], last=args["last"])[:20]
        )

    @app.get("/beyond")
    def beyond() -> str:
        return _template.render(rows=rows(BEYOND, at=request.args["at"], id=request.args["id"])[:20])

    @app.get("/customers")
    def customers() -> Any:
        return jsonify(rows(FOUND, text=f"%{request.args['q']}%"))

    @app.get("/detail")
    def detail() -> str:
        return _cells.render(rows=rows(DETAIL, id=request.args["id"]))

    @app.get("/month")
    def month() -> str:
        return _days.render(rows=rows(MONTH, first=request.args["first"], last=request.args["last"]))

    return app


def app() -> Flask:
    """Return the floor for gunicorn, from the environment."""
    return make(os.environ["BENCH_DATABASE"])
