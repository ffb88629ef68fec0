"""The peer: Flask-Admin over the same tables as its documentation shows it, and once more tuned by what it offers.

Nobody signs in here, and there is no layout but Flask-Admin's own: all of that is in the peer's favour.
"""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any

from flask import Flask
from flask_admin import Admin
from flask_admin.contrib.sqla import ModelView
from flask_admin.theme import Bootstrap4Theme
from flask_babel import Babel
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from portal.domain.jobs.states import INSTALLATION

# The one that is measured.
PARTNER = 1


class Base(DeclarativeBase):
    """Base of the peer's models."""


db = SQLAlchemy(model_class=Base)


class Named:
    """A row that is shown by its name."""

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column()

    def __str__(self) -> str:
        return self.name


class Technician(Named, Base):
    """A technician."""

    __tablename__ = "technicians"


class ServiceType(Named, Base):
    """A service type."""

    __tablename__ = "service_types"


class Customer(Named, Base):
    """A customer."""

    __tablename__ = "customers"
    email: Mapped[str] = mapped_column()


class Address(Base):
    """A service address."""

    __tablename__ = "addresses"
    id: Mapped[int] = mapped_column(primary_key=True)
    line: Mapped[str] = mapped_column()
    postcode: Mapped[str] = mapped_column()


class Job(Base):
    """A job."""

    __tablename__ = "jobs"
    id: Mapped[int] = mapped_column(primary_key=True)
    partner_id: Mapped[int] = mapped_column()
    workflow: Mapped[str] = mapped_column()
    number: Mapped[str] = mapped_column()
    title: Mapped[str] = mapped_column()
    status: Mapped[str] = mapped_column()
    start_at: Mapped[datetime] = mapped_column()
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    address_id: Mapped[int] = mapped_column(ForeignKey("addresses.id"))
    technician_id: Mapped[int | None] = mapped_column(ForeignKey("technicians.id"))
    service_type_id: Mapped[int] = mapped_column(ForeignKey("service_types.id"))
    customer: Mapped[Customer] = relationship()
    address: Mapped[Address] = relationship()
    technician: Mapped[Technician | None] = relationship()
    service_type: Mapped[ServiceType] = relationship()


class StockView(ModelView):
    """The columns of the office list, one partner's jobs, filters for what the office filters by."""

    column_list = (
        "number",
        "title",
        "customer.name",
        "address.line",
        "start_at",
        "technician.name",
        "service_type.name",
        "status",
    )
    column_default_sort = "start_at"
    column_filters = ("status", "start_at", "technician.name", "service_type.name")
    column_searchable_list = ("number", "title", "customer.name")
    form_columns = ("title", "customer")
    form_ajax_refs = {"customer": {"fields": ("name", "email"), "page_size": 10}}
    page_size = 20

    def get_query(self) -> Any:
        """Return the jobs of the one partner."""
        return super().get_query().filter(Job.partner_id == PARTNER, Job.workflow == INSTALLATION.name)

    def get_count_query(self) -> Any:
        """Count the same."""
        return super().get_count_query().filter(Job.partner_id == PARTNER, Job.workflow == INSTALLATION.name)


class TunedView(StockView):
    """The same with joins instead of a query a cell, without a count, and the lookup held to the partner."""

    column_select_related_list = (Job.customer, Job.address, Job.technician, Job.service_type)
    simple_list_pager = True
    form_ajax_refs = {
        "customer": {"fields": ("name", "email"), "page_size": 10, "filters": [f"partner_id = {PARTNER}"]}
    }


def make(url: str) -> Flask:
    """Return the peer over the database at ``url``: `/stock/` and `/tuned/`."""
    app = Flask("peer")
    app.config.update(SECRET_KEY="bench", SQLALCHEMY_DATABASE_URI=url)
    db.init_app(app)
    # Where flask-babel is installed Flask-Admin needs it.
    Babel(app)
    admin = Admin(app, theme=Bootstrap4Theme())
    admin.add_view(StockView(Job, db, name="Stock", endpoint="stock", url="/stock"))
    admin.add_view(TunedView(Job, db, name="Tuned", endpoint="tuned", url="/tuned"))
    return app


def app() -> Flask:
    """Return the peer for gunicorn, from the environment."""
    return make(os.environ["BENCH_DATABASE"])
