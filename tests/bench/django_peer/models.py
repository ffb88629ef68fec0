"""The tables of the measured application as Django sees them, for its admin."""

from __future__ import annotations

from django.db import models


class Named(models.Model):
    """A row that is shown by its name."""

    name = models.TextField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name


class Technician(Named):
    """A technician."""

    class Meta:
        managed = False
        db_table = "technicians"


class ServiceType(Named):
    """A service type."""

    class Meta:
        managed = False
        db_table = "service_types"


class Customer(Named):
    """A customer."""

    partner_id = models.BigIntegerField()
    email = models.TextField()

    class Meta:
        managed = False
        db_table = "customers"
        ordering = ("name",)


class Address(models.Model):
    """A service address."""

    line = models.TextField()
    postcode = models.TextField()

    class Meta:
        managed = False
        db_table = "addresses"

    def __str__(self) -> str:
        return self.line


class Job(models.Model):
    """A job."""

    partner_id = models.BigIntegerField()
    workflow = models.TextField()
    number = models.TextField()
    title = models.TextField()
    status = models.TextField()
    start_at = models.DateTimeField()
    customer = models.ForeignKey(Customer, models.DO_NOTHING)
    address = models.ForeignKey(Address, models.DO_NOTHING)
    technician = models.ForeignKey(Technician, models.DO_NOTHING, null=True)
    service_type = models.ForeignKey(ServiceType, models.DO_NOTHING)

    class Meta:
        managed = False
        db_table = "jobs"
        ordering = ("start_at",)
