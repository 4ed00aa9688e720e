"""Celery's application. Its workers sign links, so they take part in each rotation."""

import os

from celery import Celery

import keywheel.celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
app = Celery("shop")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["shop"])
keywheel.celery.install(app)
