"""The settings of the project."""

import os
from pathlib import Path

import keywheel.django

FOLDER = Path(os.environ.get("SHOP_FOLDER", "."))

SECRET_KEY, SECRET_KEY_FALLBACKS = keywheel.django.secret_key("web-session")
INSTALLED_APPS = ["django.contrib.sessions", "keywheel.django"]

ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]
# The sessions stand in signed cookies, so the example needs no database.
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
ROOT_URLCONF = "shop.urls"
USE_TZ = True

# A folder is the broker here, so the example needs no Redis.
CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL", "filesystem://")
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "data_folder_in": str(FOLDER / "queue"),
    "data_folder_out": str(FOLDER / "queue"),
    "control_folder": str(FOLDER / "control"),
}
