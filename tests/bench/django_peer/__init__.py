"""Peers on Django: its admin over the same rows, and django-appointment with the same technicians and visits.

Runs in a virtual environment of its own, so nothing here imports anything of the portal.
"""
