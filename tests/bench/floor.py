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

from portal.domain.jobs.states import ACTIVE, OPEN

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
CHOICE = """
SELECT c.id, a.id, c.name, c.email, a.line, a.city, a.postcode
FROM customers c JOIN addresses a ON a.partner_id = c.partner_id AND a.customer_id = c.id
WHERE c.partner_id = %(partner)s AND c.active IS TRUE AND a.active AND
"""
BEGINS = """lower(c.name) COLLATE "C" BETWEEN %(text)s AND %(text)s || '\U0010ffff'"""
CALLED = "lower(c.name || ' ' || c.email) LIKE %(within)s"
LIVES = "lower(a.line || ' ' || a.city || ' ' || a.postcode) LIKE %(within)s"
# Whose name begins so, else who is called so, else who lives there: over the same indexes, no further than it has to.
FOUND = f"""
(SELECT * FROM ({CHOICE} {BEGINS} ORDER BY lower(c.name) COLLATE "C", c.id LIMIT 10) AS one)
UNION ALL (SELECT * FROM ({CHOICE} NOT {BEGINS} AND {CALLED} LIMIT 100) AS two ORDER BY 3, 1, 2 LIMIT 10)
UNION ALL (SELECT * FROM ({CHOICE} NOT {BEGINS} AND NOT {CALLED} AND {LIVES} LIMIT 100) AS three
    ORDER BY 3, 1, 2 LIMIT 10)
LIMIT 10
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

VISIT = """
SELECT v.id, j.number, j.title, v.status, v.start_at, c.name AS customer, a.line, a.postcode, t.name AS technician
FROM appointments v JOIN jobs j ON j.id = v.job_id JOIN customers c ON c.id = v.customer_id
JOIN addresses a ON a.id = j.address_id LEFT JOIN technicians t ON t.id = v.technician_id
WHERE v.partner_id = %(owner)s AND v.customer_id = %(customer)s
"""
SCHEDULE = f"""
({VISIT} AND v.status = ANY(%(open)s) ORDER BY v.start_at, v.id)
UNION ALL ({VISIT} AND v.status <> ALL(%(open)s) ORDER BY v.start_at DESC, v.id DESC LIMIT 6)
"""
DAY = f"""{VISIT.partition("WHERE")[0]}
WHERE v.partner_id = %(owner)s AND v.technician_id = %(technician)s
AND v.start_at >= %(first)s AND v.start_at < %(last)s
ORDER BY v.start_at, v.id
"""
MARKS = """
SELECT v.id, v.version FROM appointments v
WHERE v.partner_id = %(owner)s AND v.customer_id = %(customer)s AND v.status = ANY(%(open)s) ORDER BY v.id
"""
# All work the partner's week, and no service type has buffers. A start is taken where it is taken for everybody.
FREE = """
WITH candidates AS (
    SELECT start FROM partners p
    CROSS JOIN generate_series(%(first)s::timestamp, %(last)s::timestamp, interval '1 day') AS day
    JOIN working_hours h ON h.partner_id = p.id AND h.technician_id IS NULL
        AND h.weekday = extract(isodow FROM day) - 1
    JOIN service_types s ON s.partner_id = p.id AND s.id = %(kind)s
    CROSS JOIN generate_series(
        (day + h.start_minute * interval '1 minute') AT TIME ZONE p.timezone,
        (day + (h.end_minute - s.duration_minutes) * interval '1 minute') AT TIME ZONE p.timezone,
        s.step_minutes * interval '1 minute'
    ) AS start
    WHERE p.id = %(owner)s AND start > now()
        AND NOT EXISTS (SELECT FROM holidays o WHERE o.partner_id = p.id AND o.day = day::date)
), known AS (
    SELECT t.id FROM technicians t
    WHERE t.partner_id = %(owner)s AND t.active AND t.status = 'AVAILABLE'
        AND (%(technician)s::bigint IS NULL OR t.id = %(technician)s::bigint)
        AND NOT EXISTS (
            SELECT FROM service_type_skills n WHERE n.partner_id = t.partner_id AND n.service_type_id = %(kind)s
                AND n.skill_id NOT IN (SELECT k.skill_id FROM technician_skills k WHERE k.technician_id = t.id)
        )
), taken AS (
    SELECT technician_id, start_at, end_at FROM appointments
    WHERE partner_id = %(owner)s AND technician_id = ANY(ARRAY(SELECT id FROM known)) AND status = ANY(%(active)s)
        AND id <> %(visit)s AND start_at < %(last)s::timestamp + interval '2 days'
        AND end_at > %(first)s::timestamp - interval '2 days'
    UNION ALL SELECT technician_id, start_at, end_at FROM time_off WHERE partner_id = %(owner)s
), busy AS (
    SELECT coalesce(range_agg(tstzrange(b.start_at - s.duration_minutes * interval '1 minute', b.end_at, '()')), '{}')
        AS spans
    FROM known JOIN service_types s ON s.id = %(kind)s LEFT JOIN taken b ON b.technician_id = known.id
    GROUP BY known.id
)
SELECT start FROM candidates WHERE NOT start <@ (SELECT range_intersect_agg(spans) FROM busy) ORDER BY start
"""
TAKE = """
INSERT INTO appointments (partner_id, customer_id, job_id, technician_id, status, start_at, end_at, window_minutes,
    planned_at, confirmed_by, customer_moves, move_number, occurrence, pause_reason, service_notes, cancel_reason,
    version)
VALUES (%(owner)s, %(customer)s, %(job)s, %(technician)s, 'SCHEDULED', %(start)s,
    %(start)s::timestamptz + interval '2 hours', 120, now(), '', 0, 0, 1, '', '', '', 1)
RETURNING id
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
        text = request.args["q"].lower()
        return jsonify(rows(FOUND, text=text, within=f"%{text}%"))

    @app.get("/detail")
    def detail() -> str:
        return _cells.render(rows=rows(DETAIL, id=request.args["id"]))

    @app.get("/month")
    def month() -> str:
        return _days.render(rows=rows(MONTH, first=request.args["first"], last=request.args["last"]))

    @app.get("/schedule")
    def schedule() -> str:
        return _template.render(rows=rows(SCHEDULE, open=sorted(OPEN), **request.args))

    @app.get("/day")
    def day() -> str:
        return _template.render(rows=rows(DAY, **request.args))

    @app.get("/marks")
    def marks() -> Any:
        rows(MARKS, open=sorted(OPEN), **request.args)
        return "", 304

    @app.get("/free")
    def free() -> Any:
        found = rows(FREE, active=sorted(ACTIVE), **{"technician": None, **request.args})
        return jsonify([start.isoformat() for (start,) in found])

    @app.post("/take")
    def take() -> Any:
        return jsonify(rows(TAKE, **request.form))

    return app


def app() -> Flask:
    """Return the floor for gunicorn, from the environment."""
    return make(os.environ["BENCH_DATABASE"])
