"""The project. Celery's application is loaded with it, as Celery's documentation has it."""

from shop.celery import app as celery

__all__ = ["celery"]
