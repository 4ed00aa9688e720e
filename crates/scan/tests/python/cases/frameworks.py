"""Frameworks, with the key that they are given and with the one that they take."""

# --- Flask, its key from the environment
import os

from flask import Flask

app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]  #! env_load module no SECRET_KEY

# --- Flask, a literal
from flask import Flask

app = Flask(__name__)
app.secret_key = "k3f9qz81mvb2"  #! hardcoded module no secret_key
app.config["JWT_SECRET_KEY"] = "k3f9qz81mvb2"  #! hardcoded module no JWT_SECRET_KEY

# --- Flask, from_mapping
from flask import Flask


def create_app():
    app = Flask(__name__)
    app.config.from_mapping(SECRET_KEY="dev", DATABASE="app.db")  #! hardcoded call no SECRET_KEY
    return app

# --- Flask, a class of settings
import os


class Config:
    SECRET_KEY = os.environ.get("SECRET_KEY") or "you-will-never-guess"  #! env_load class no; hardcoded class no
    SECURITY_PASSWORD_SALT = os.environ["SECURITY_PASSWORD_SALT"]  #! env_load class no
    JWT_ALGORITHM = "HS256"
    WTF_CSRF_ENABLED = True


class TestConfig(Config):
    SECRET_KEY = "test"  #! hardcoded class no SECRET_KEY

# --- Flask, read from the application at each use
from flask import current_app
from itsdangerous import URLSafeTimedSerializer


def confirm(token):
    serializer = URLSafeTimedSerializer(current_app.config["SECRET_KEY"])  #! key_use call yes SECRET_KEY
    return serializer.loads(token, salt="mail", max_age=3600)

# --- Flask, by the configuration | run flask
from flask import current_app
from itsdangerous import Signer
from web import app


def sign():
    return Signer(current_app.config["SECRET_KEY"]).sign("x")  #! key_use call yes SECRET_KEY


def use():
    with app.app_context():
        return sign()

# --- Flask, by the attribute | run flask
from flask import current_app
from itsdangerous import Signer
from web import app


def sign():
    return Signer(current_app.secret_key).sign("x")  #! key_use call yes secret_key


def use():
    with app.app_context():
        return sign()

# --- Flask, by its session interface | run flask
from flask.sessions import SecureCookieSessionInterface
from web import app


def use():
    serializer = SecureCookieSessionInterface().get_signing_serializer(app)  #! key_use call yes SECRET_KEY
    return serializer.dumps("x").partition(".")[0] + serializer.secret_keys[-1].decode()

# --- Flask, the attribute and the setting are one | run literal
from flask import Flask

app = Flask(__name__)
app.config["SECRET_KEY"] = "k3f9qz81mvb2"  #! hardcoded module no SECRET_KEY


def use():
    return len(app.secret_key)

# --- Flask-JWT-Extended takes its key
from flask_jwt_extended import create_access_token, jwt_required


@jwt_required()  #! key_use module unknown JWT_SECRET_KEY
def view():
    return create_access_token(identity="x")  #! key_use call yes JWT_SECRET_KEY

# --- Django, settings
import os

SECRET_KEY = os.environ["DJANGO_SECRET_KEY"]  #! env_load module no DJANGO_SECRET_KEY
SECRET_KEY_FALLBACKS = ["k3f9qz81mvb2"]  #! hardcoded module no SECRET_KEY_FALLBACKS
AUTH_PASSWORD_VALIDATORS = [{"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"}]
CSRF_COOKIE_NAME = "csrf"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Django, a placeholder
SECRET_KEY = "django-insecure-k3f9qz81mvb2"  #! hardcoded module no SECRET_KEY

# --- Django, SimpleJWT
from datetime import timedelta

SIMPLE_JWT = {
    "SIGNING_KEY": "k3f9qz81mvb2",  #! hardcoded module no SIGNING_KEY
    "ALGORITHM": "HS256",
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=5),
    "AUTH_HEADER_NAME": "HTTP_AUTHORIZATION",
}

# --- Django, its signer | run django
from django.core.signing import Signer


def use():
    return Signer().sign("x")  #! key_use call yes SECRET_KEY

# --- Django, a signer that is kept | run django
from django.core.signing import Signer

signer = Signer()  #! key_use module no SECRET_KEY


def use():
    return signer.sign("x")

# --- Django, the functions | run django
from django.core import signing


def use():
    signing.loads(signing.dumps("x"))  #! key_use call yes SECRET_KEY; key_use call yes SECRET_KEY
    return signing.Signer(salt="a").sign("x")  #! key_use call yes SECRET_KEY

# --- Django, salted_hmac | run django
from django.utils.crypto import salted_hmac


def use():
    return salted_hmac("salt", "x").hexdigest()  #! key_use call yes SECRET_KEY

# --- Django, salted_hmac with a key of its own | run settings settings.SECRET_KEY
import settings

from django.utils.crypto import salted_hmac


def use():
    return salted_hmac("salt", "x", secret=settings.SECRET_KEY).hexdigest()  #! key_use call yes SECRET_KEY

# --- Django, a signer of the project | run django
from django.core.signing import Signer


class ShortSigner(Signer):
    def signature(self, value, key=None):
        return super().signature(value, key)[:8]


def use():
    return ShortSigner().sign("x")  #! key_use call yes SECRET_KEY

# --- Django, cookies and reset links
from django.contrib.auth.tokens import default_token_generator


def view(request, user, response):
    response.set_signed_cookie("a", "b")  #! key_use call yes SECRET_KEY
    a = request.get_signed_cookie("a")  #! key_use call yes SECRET_KEY
    return a, default_token_generator.make_token(user)  #! key_use call yes SECRET_KEY

# --- Django, the settings read in a view
import jwt
from django.conf import settings


def view(request):
    return jwt.encode({}, settings.SECRET_KEY)  #! key_use call yes SECRET_KEY

# --- Starlette
from starlette.applications import Starlette
from starlette.middleware.sessions import SessionMiddleware

import settings

app = Starlette()
app.add_middleware(SessionMiddleware, secret_key=settings.SECRET_KEY)  #! key_use module no SECRET_KEY

# --- Starlette, a list of middleware
import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware

app = Starlette(
    middleware=[
        Middleware(SessionMiddleware, secret_key=os.environ["SESSION_SECRET"]),  #! env_load module no; key_use module no SESSION_SECRET
    ]
)

# --- FastAPI, in a factory
from fastapi import FastAPI
from starlette.middleware.sessions import SessionMiddleware

from app.core import settings


def create_app():
    app = FastAPI()
    app.add_middleware(SessionMiddleware, secret_key=settings.SESSION_SECRET)  #! key_use call no SESSION_SECRET
    return app

# --- FastAPI, a literal
from fastapi import FastAPI
from starlette.middleware.sessions import SessionMiddleware

app = FastAPI()
app.add_middleware(SessionMiddleware, secret_key="k3f9qz81mvb2")  #! key_use module no; hardcoded module no

# --- FastAPI, settings as a dependency
from fastapi import Depends, FastAPI
from jose import jwt

from app.core.config import Settings, get_settings

app = FastAPI()


@app.get("/")
def view(token: str, settings: Settings = Depends(get_settings)):
    return jwt.decode(token, settings.jwt_secret, algorithms=["HS256"])  #! key_use call yes jwt_secret

# --- FastAPI, the getter called
from jose import jwt

from app.core.config import get_settings


def view(token):
    return jwt.decode(token, get_settings().jwt_secret, algorithms=["HS256"])  #! key_use call unknown jwt_secret

# --- fastapi-users
from fastapi_users.authentication import JWTStrategy

SECRET = "k3f9qz81mvb2"  #! hardcoded module no SECRET


def get_jwt_strategy():
    return JWTStrategy(secret=SECRET, lifetime_seconds=3600)  #! key_use call no SECRET

# --- Tornado
import os

import tornado.web

app = tornado.web.Application([], cookie_secret=os.environ["COOKIE_SECRET"])  #! env_load module no; key_use module no COOKIE_SECRET

# --- Pyramid
from pyramid.config import Configurator
from pyramid.session import SignedCookieSessionFactory


def main(global_config, **settings):
    factory = SignedCookieSessionFactory(settings["session.secret"])  #! key_use call no session.secret
    return Configurator(session_factory=factory)

# --- aiohttp
import os

from aiohttp_session import setup
from aiohttp_session.cookie_storage import EncryptedCookieStorage


def init(app):
    setup(app, EncryptedCookieStorage(os.environ["COOKIE_KEY"]))  #! env_load call unknown; key_use call no COOKIE_KEY

# --- Litestar
from litestar.config.csrf import CSRFConfig

from app import settings

csrf = CSRFConfig(secret=settings.CSRF_SECRET)  #! key_use module no CSRF_SECRET

# --- a migration with a key from the settings
import sqlalchemy as sa
from sqlalchemy_utils.types.encrypted.encrypted_type import EncryptedType

from app import settings


def upgrade():
    return sa.Column("secret", EncryptedType(sa.Text, settings.DATA_SECRET_KEY))  #! key_use call yes DATA_SECRET_KEY

# --- Django, reset links of a class of the project
from django.contrib.auth.tokens import PasswordResetTokenGenerator


class Activation(PasswordResetTokenGenerator):
    pass


activation = Activation()  #! key_use module unknown SECRET_KEY


def view(user, token):
    return activation.check_token(user, token)  #! key_use call yes SECRET_KEY

# --- a dictionary of settings that copies one
from django.conf import settings

TOKENS = {
    "ALGORITHM": "HS256",
    "SIGNING_KEY": settings.SECRET_KEY,  #! env_load module no SECRET_KEY
    "VERIFYING_KEY": None,
    "TITLE": settings.TITLE,
}
