"""Surveys: what customers are asked after a completed visit, and what they answered (C12, J6)."""
