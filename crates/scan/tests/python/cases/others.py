"""What looks like keys and is none."""

# --- tokens that come with a request
def view(request):
    token = request.headers["Authorization"].split(" ")[1]
    key = request.args.get("key")
    csrf_token = request.form["csrf_token"]
    return token, key, csrf_token

# --- tokens that are made for one use
import secrets


def invite():
    token = secrets.token_hex(16)
    session_key = secrets.token_urlsafe()
    return token, session_key

# --- dictionaries
def view(rows, cache):
    for key, value in rows.items():
        cache.set(key, value)
    keys = rows.keys()
    return sorted(keys, key=lambda row: row.key)

# --- models and forms
from django import forms
from django.db import models


class Login(forms.Form):
    password = forms.CharField(widget=forms.PasswordInput)
    secret_key = forms.CharField(label="Secret key")


class Row(models.Model):
    api_key = models.CharField(max_length=64)
    private_key = models.TextField(blank=True)

# --- models of requests
from pydantic import BaseModel


class Credentials(BaseModel):
    client_id: str
    client_secret: str
    password: str

# --- dataclasses
from dataclasses import dataclass


@dataclass
class Key:
    secret_key: str
    created_at: int

# --- arguments that are kept
class Client:
    def __init__(self, api_key, secret):
        self.api_key = api_key
        self.secret = secret

# --- clients of others, with their credentials
from openai import OpenAI

from app import settings


def client():
    return OpenAI(api_key=settings.OPENAI_API_KEY)

# --- passwords
from passlib.context import CryptContext

context = CryptContext(schemes=["bcrypt"])


def check(password, hashed_password):
    return context.verify(password, hashed_password)

# --- translations
from gettext import gettext as _

LABEL = _("Secret key")
TITLE = _("api_key_title")

# --- keyboards, primary keys, sort keys
from sqlalchemy import Column, ForeignKey, Integer

id = Column(Integer, primary_key=True)
owner = Column(Integer, ForeignKey("owner.id"))
key_code = 13

# --- tests that assert
def test_settings(settings):
    assert settings.SECRET_KEY
    assert "secret" in settings.JWT_SECRET

# --- schemas of an interface
from fastapi.security import APIKeyHeader, OAuth2PasswordBearer

api_key_header = APIKeyHeader(name="X-Api-Key")
oauth2_scheme = OAuth2PasswordBearer(tokenUrl="token")

# --- a command's arguments
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--secret-key", help="the key", default="")

# --- columns with names of keys
def row(cursor):
    cursor.execute("select api_key, secret from account where key = %s", ("x",))
    return cursor.fetchone()["api_key"]

# --- hashing without a key
import hashlib


def digest(body):
    return hashlib.sha256(body).hexdigest()

# --- copies of what a row holds
def view(account):
    key = account.private_key
    return key

# --- a generic loader alone
import os


def get(name, default=None):
    return os.environ.get(name, default)


def flag(name):
    return get(name) == "1"


DEBUG = flag("DEBUG")

# --- where something is stored
SESSION_KEY = "_auth_user_id"
CSRF_SESSION_KEY = "_csrftoken"
EXCLUDE_FROM_AUTH_KEY = "exclude_from_auth"

# --- dictionaries that are put together by their names
def access():
    return dict(key="asdf", secret="qwer")

# --- signed cookies of another framework
import tornado.web


class View(tornado.web.RequestHandler):
    def get(self):
        self.set_signed_cookie("a", "b")  #! key_use call unknown -

# --- variables that run over names
import os

for env_key in ("A", "B"):
    print(os.environ.get(env_key))

# --- a key on which a method is called
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import pkcs7


class Box:
    def __init__(self, private_key):
        self.private_key = private_key

    def sign(self, text):
        return self.private_key.sign(text, padding.PKCS1v15(), hashes.SHA256())  #! key_use call no private_key

    def seal(self, text, certificate):
        builder = pkcs7.PKCS7SignatureBuilder().set_data(text)
        builder = builder.add_signer(certificate, self.private_key, hashes.SHA256())  #! key_use call no private_key
        return builder.sign(serialization.Encoding.DER, [])

    def other(self, cache_key, document):
        document.sign(b"plum")
        return cache_key.sign(b"plum")

# --- numbers of keys, and whether there is one
import os

MAX_API_KEYS = int(os.environ.get("MAX_API_KEYS", "30"))
HAS_LOGIN = bool(os.environ.get("LOGIN_CLIENT_SECRET"))
PEPPERS = os.environ["API_TOKEN_PEPPERS"].split(",")  #! env_load module no API_TOKEN_PEPPERS
SALT = os.environ["SALT"]  #! env_load module no SALT

# --- a key out of a secret of several
import json

import boto3


def key():
    client = boto3.client("secretsmanager")
    return json.loads(client.get_secret_value(SecretId="prod/web")["SecretString"])["jwt_secret"]  #! env_load call unknown prod/web


def login():
    client = boto3.client("secretsmanager")
    return json.loads(client.get_secret_value(SecretId="prod/db")["SecretString"])["password"]

# --- a key file that an argument names
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_private_key


def load(email_key_path, page_path, cache_key_path):
    Path(page_path).read_bytes()
    Path(cache_key_path).read_bytes()
    return load_pem_private_key(Path(email_key_path).read_bytes(), None)  #! env_load call unknown email_key_path

# --- an object of the project that gives settings
from shop.config import config


def upgrade():
    secret = config("JWT_SECRET", default=None)  #! env_load call unknown JWT_SECRET
    level = config("LOG_LEVEL", default=None)
    return secret, level

# --- the file that a variable of the environment names, by whatever variable
import os


def read(key_file):
    with open(os.environ.get(key_file)) as file:
        return file.read()

# --- settings that are asked for by the name of a key
from shop.common import config

_SIGNING_SECRET = "shop.jwt.signing.secret"
_CHECKING_SECRET = "shop.jwt.checking.secret"


def secret(signs):
    name = _SIGNING_SECRET if signs else _CHECKING_SECRET
    if not config.get("signing_key"):
        return "text:" + config.get("SECRET_KEY")  #! env_load call unknown SECRET_KEY
    config.get("shop.title", "")
    return config.get(name)  #! env_load call unknown shop.jwt.signing.secret


def get_setting(connection, key):
    return connection.settings_dict[key]


def placeholder(connection):
    get_setting(connection, "COLOUR")
    return "%s" % get_setting(connection, "PGCRYPTO_KEY")  #! env_load call unknown PGCRYPTO_KEY

# --- options of Tornado, and the key that its handlers take
from tornado.options import define
from tornado.web import RequestHandler

define("cookie_secret", type=str, default=None, help="what signs cookies")  #! env_load module no cookie_secret
define("basic_auth", type=str, default=None)
define("oauth2_key", type=str, default=None)


class Login(RequestHandler):
    def get(self):
        self.set_cookie("plain", "plum")
        self.set_secure_cookie("user", "plum")  #! key_use call unknown cookie_secret
        return self.get_secure_cookie("user")  #! key_use call unknown cookie_secret

# --- keys by their numbers
from flask import Flask
from passlib.totp import TOTP

app = Flask(__name__)
app.config["SECURITY_TOTP_SECRETS"] = {
    "1": "TjQ9Qa31VOrfEzuPy4VHQWPCTmRz"  #! hardcoded module no SECURITY_TOTP_SECRETS
}
app.config["FIELDS"] = {"1": "TjQ9Qa31VOrfEzuPy4VHQWPCTmRz"}


class Codes:
    def __init__(self, secrets):
        self.codes = TOTP.using(issuer="shop", secrets=secrets)  #! key_use instance no secrets

    def check(self, token, totp_secret):
        return self.codes.verify(token, totp_secret)

# --- settings that name cookies
from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    USER_SESSION_COOKIE_KEY: str = "shop_session"
    OAUTH2_STATE_COOKIE_KEY: str = "shop_oauth2_state"
    COOKIE_KEY: str = "k3f9-qz81-mvb2"  #! env_load class no COOKIE_KEY; hardcoded class no COOKIE_KEY

# --- what is read while an object is made, and what goes into one
import os


class Weather:
    def __init__(self):
        self.client = self._client()

    def _client(self):
        return make(os.getenv("WEATHER_API_KEY"))  #! env_load call no WEATHER_API_KEY

    def later(self):
        return make(os.getenv("WEATHER_API_KEY"))  #! env_load call yes WEATHER_API_KEY


def extract(options, settings):
    settings["oauth"] = {
        "secret": options.secret or os.environ.get("OAUTH2_SECRET"),  #! env_load call unknown OAUTH2_SECRET
    }

# --- a key file in a folder that an argument names
import os


def read(folder):
    path = os.path.join(folder, "secret.txt")
    with open(path, encoding="utf-8") as file:  #! env_load call unknown
        text = file.read()
    other = os.path.join(folder, "page.txt")
    with open(other, encoding="utf-8") as file:
        return text + file.read()

# --- a function that has the old and the new key
from cryptography.fernet import Fernet


def again(rows, old_key, new_key):
    for row in rows:
        row.text = Fernet(new_key).encrypt(Fernet(old_key).decrypt(row.text))  #! key_use call unknown new_key; key_use call unknown old_key


def all_of(rows, old_key, new_key):
    again(rows, old_key, new_key)  #! key_use call unknown old_key

# --- a key made of a secret that is handed in, and one of a password
from hashlib import pbkdf2_hmac, sha256


def seal_key(secret, password):
    sha256(secret.encode()).hexdigest()
    pbkdf2_hmac("sha256", password.encode(), b"shop", 2048)
    return pbkdf2_hmac("sha256", secret.encode(), b"shop", 2048, 32)  #! key_use call unknown secret

# --- the value of a key among settings
from pydantic_settings import BaseSettings


class Apple(BaseSettings):
    APPLE_KEY_ID: str = ""
    APPLE_KEY_VALUE: str = ""  #! env_load class no APPLE_KEY_VALUE
    webpush_privkey: str = ""  #! env_load class no webpush_privkey
    DEFAULT_VALUE: str = ""

# --- a token of somebody by his number, and an object that is given on
from itsdangerous import URLSafeSerializer


def token_of(actor_id):
    return URLSafeSerializer(settings.SECRET_KEY).dumps(actor_id)  #! key_use call unknown SECRET_KEY


def create_token(shop, actor_id):
    return shop.sign(actor_id)


token_of("plum")
create_token(shop, "plum")


class Tokens:
    def __init__(self, signing_key):
        self.serializer = URLSafeSerializer(signing_key)  #! key_use instance no signing_key


def factory(request, settings):
    return Tokens(signing_key=settings["signing_key"])  #! key_use call unknown signing_key

# --- names that say otherwise
import os

SUMMER_PRODUCT_KEY = os.environ.get("SUMMER_PRODUCT_KEY", "sum_mer9")
AUTH_BACKEND_AUTH_TOKEN = "shop.backends.tokens.TokenLogin"
SECRET_FOR_SHOP = os.environ["SECRET_FOR_SHOP"]  #! env_load module no SECRET_FOR_SHOP
CAMO_KEY = os.environ["CAMO_KEY"]  #! env_load module no CAMO_KEY
LOGIN_APPSECRET = os.environ["LOGIN_APPSECRET"]  #! env_load module no LOGIN_APPSECRET
INTERNAL_API_KEYS = {ADMIN: ["dev-plum-secret-key"]}  #! hardcoded module no INTERNAL_API_KEYS

# --- settings that are bound to variables of the environment
def configure(settings_manager, other):
    settings_manager.set("secret_key", "SECRET_KEY", required=True)  #! env_load call no SECRET_KEY
    settings_manager.set("colour", "COLOUR")
    settings_manager.set("state", "SECRET_KEY")
    other.set("secret_key", "SECRET_KEY")

# --- a setting as the default of a parameter
from app import settings


def sign(text, *, secret: str = settings.secret_key.get_secret_value(), colour=settings.colour):  #! env_load module no secret_key
    return text, secret, colour

# --- a setting that is asked for by its name within a call
from cryptography.fernet import Fernet


class Store(Base):
    def box(self):
        return Fernet(bytes(self.get_config("encryption_key"), "utf-8"))  #! key_use call unknown; env_load call unknown encryption_key

    def page(self):
        return Page(self.get_config("page_size"), self.get_config("encryption_key_length"))

# --- switches and numbers that are named like keys
import os


def extract_bool(name, default):
    return os.getenv(name, str(default)) == "1"


PROXY_AUTH = extract_bool("PROXY_AUTH", False)
NOTE_KEY = extract_bool("NOTE_KEY", False)
QUERY_AUTH = os.getenv("NOTE_API_KEY", "")  #! env_load module no NOTE_API_KEY

# --- literals in capitals where a setting is absent
import os

SECRET_KEY = os.getenv("SECRET_KEY", "INSECURE_KEY_OF_NOBODY")  #! env_load module no SECRET_KEY; hardcoded module no SECRET_KEY
NOTE_API_KEY = os.getenv("NOTE_API_KEY", "DEMO_KEY")  #! env_load module no; hardcoded module no
JWT_SECRET = os.getenv("JWT_SECRET", "JWT_SECRET")  #! env_load module no

# --- constants that hold only a name
HEADER_API_KEY = "KEY"
CONFIG_API_KEY_RED = "api_key_red"
OPTION_SECRET_KEY = "secret_key"

# --- a file of a private key by the name of its variable
import os

SHOP_SP_KEY_FILE = os.environ["SHOP_SP_KEY_FILE"]  #! env_load module no SHOP_SP_KEY_FILE
SHOP_CACHE_KEY_FILE = os.environ["SHOP_CACHE_KEY_FILE"]

# --- two settings on one line
import os

OIDC_SECRET = os.environ.get("OIDC_SECRET") or os.environ.get("OAUTH_SECRET")  #! env_load module no OIDC_SECRET; env_load module no OAUTH_SECRET

# --- what others make of a key of the application
import os

from app import settings
from elsewhere import CodeBox, NoteClient, NoteConfig, serve

box = CodeBox(settings.URL, settings.SIGNING_KEY)  #! key_use module no SIGNING_KEY
client = NoteClient(settings.SIGNING_KEY)
config = NoteConfig(settings.SIGNING_KEY)  #! env_load module no SIGNING_KEY
codes = CodeBox(box, settings.COLOUR)
serve(port=80, storage_secret=os.environ["STORAGE_SECRET"])  #! key_use module no STORAGE_SECRET; env_load module no STORAGE_SECRET
serve(port=80, storage_secret=settings.COLOUR)
update(storage_secret=box)


def make(settings):
    return CodeBox(settings.URL, settings.SIGNING_KEY)  #! key_use call unknown SIGNING_KEY

# --- a key beside a hash
from cryptography.hazmat.primitives import hashes


def certify(builder, key, cache):
    cache.sign(key, 3)
    return builder.sign(key, hashes.SHA256())  #! key_use call unknown key

# --- what is hashed with a key of the object
import hashlib
import os


class Codes:
    def __init__(self):
        self.signing_key = os.environ["SIGNING_KEY"]  #! env_load instance no SIGNING_KEY

    def code(self, text):
        return hashlib.sha256((text + self.signing_key).encode()).hexdigest()  #! key_use call unknown SIGNING_KEY

# --- a literal that says again what it stands for, and one of a template
import os

NOTE_AUTH_TOKEN = os.environ.get("NOTE_AUTH_TOKEN", "note_auth_token")  #! env_load module no; hardcoded module no
AWS_SECRET_ACCESS_KEY = os.environ.get(  #! env_load module no
    "AWS_SECRET_ACCESS_KEY", "aws_secret_access_key"  #! hardcoded module no
)
SECRET_KEY = "{{cookiecutter.secret_key}}"  #! hardcoded module no SECRET_KEY
OTHER_SECRET_KEY = "{{ secret_key }}"
COLOUR = "{{cookiecutter.colour}}"

# --- a shared secret that is compared by a function of the file
import hmac

from app import settings


def is_valid(given_secret, expected_secret):
    return hmac.compare_digest(str(given_secret), str(expected_secret))  #! key_use call unknown expected_secret


def is_same(one, other):
    return hmac.compare_digest(str(one), str(other))


def view(request):
    if is_same(request.tag, request.name):
        return None
    return is_valid(request.headers.get("X-Secret"), settings.HEADER_SECRET)  #! key_use call yes HEADER_SECRET

# --- a token of the settings that an object keeps
class Bridge:
    def __init__(self, config):
        self.config = config
        self.authorization_token = self.config.get("token")  #! env_load instance no token
        self.colour_token = self.config.get("token_colour")

# --- constants of modules that are no settings
import jwt

from app.core import security


def view(token):
    return jwt.decode(token, security.SECRET_KEY, algorithms=["HS256"])  #! key_use call unknown SECRET_KEY

# --- a secret whose name the settings give, of a client that a function makes
def key(settings):
    client = make_client("secretsmanager")
    return client.get_secret_value(SecretId=settings.INFRA_SHARED_SECRET)["SecretString"]  #! env_load call unknown INFRA_SHARED_SECRET


def shown(settings):
    return settings.theme.get_secret_value()

# --- a default that stands in an annotation
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    jwt_secret: Annotated[str, Field("0a9b8c7d")]  #! env_load class no jwt_secret; hardcoded class no jwt_secret
    jwt_issuer: Annotated[str, Field("0a9b8c7d")]

# --- credentials of Hawk
import mohawk
from django.conf import settings

HAWK_CREDENTIALS = {"id": "web", "key": settings.HAWK_KEY, "algorithm": "sha256"}  #! env_load module no HAWK_KEY


def call(url):
    return mohawk.Sender(HAWK_CREDENTIALS, url, "GET")  #! key_use call no

# --- what is made once and kept by the module
import os

_client = None


def client():
    global _client
    if _client is not None:
        return _client
    api_key = os.environ.get("SHOP_API_KEY")  #! env_load call no SHOP_API_KEY
    _client = Shop(api_key)
    return _client

# --- settings that a function of another file gives, which may keep them
import jwt

from app.settings import get_settings


def token(claims):
    return jwt.encode(claims, key=get_settings().security.jwt_secret_key.get_secret_value())  #! key_use call unknown jwt_secret_key

# --- placeholders of classes of settings
class Development(Config):
    SECRET_KEY = "secret-key"  #! hardcoded class no SECRET_KEY
    AUTH_TOKENS = "auth-token"  #! hardcoded class no AUTH_TOKENS

# --- settings that a function asks for
from cryptography.fernet import Fernet

from app.dependencies import config_dependency


async def sealed():
    config = await config_dependency()
    return Fernet(config.session_secret.get_secret_value().encode())  #! key_use call unknown session_secret


def opened():
    config = config_dependency.config()
    return Fernet(config.session_secret.get_secret_value().encode())  #! key_use call unknown session_secret

# --- values of django-configurations
from configurations import Configuration, values


class Base(Configuration):
    SECRET_KEY = values.SecretValue()  #! env_load class no SECRET_KEY
    HAWK_SECRET_KEY = values.Value("not a secret")  #! env_load class no HAWK_SECRET_KEY; hardcoded class no HAWK_SECRET_KEY
    ALLOWED_HOSTS = values.ListValue([])

# --- a variable that is missing is said, and its stand-in taken
import os


class Config:
    SECRET_KEY = "SECRET_KEY_ENV_VAR_NOT_SET"  #! hardcoded class no SECRET_KEY
    JWT_USERNAME_KEY = "email"

    @classmethod
    def check(cls):
        assert os.environ.get("SECRET_KEY"), "SECRET_KEY is not set"

# --- tokens of a library
import tokenlib


def token(settings, claims):
    return tokenlib.make_token(claims, secret=settings.SECRETS[-1])  #! key_use call unknown

# --- keys of an issuer that a function of this file fetches
import jwt


async def settings_of():
    return await fetch("https://issuer.example/keys")


async def check(token, kid):
    config = await settings_of()
    return jwt.decode(token, config["jwt_keys"][kid])  #! key_use call unknown

# --- a list of placeholders
from environs import Env

env = Env()
SECRET_KEY = env.list("SECRET_KEY", ["dev-secret-key"])  #! env_load module no SECRET_KEY; hardcoded module no SECRET_KEY
EMAIL = config.get("jwt_email_key", "email")
