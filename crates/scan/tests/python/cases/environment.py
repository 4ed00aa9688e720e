"""Keys from the environment, by each way to spell it."""

# --- a constant of the module | run env SECRET_KEY
import hmac
import os

SECRET_KEY = os.environ["SECRET_KEY"]  #! env_load module no SECRET_KEY


def use():
    return hmac.new(SECRET_KEY.encode(), b"body", "sha256").hexdigest()  #! key_use call no SECRET_KEY

# --- read in the function | run env SIGNING_KEY
import hmac
import os


def use():
    key = os.environ["SIGNING_KEY"]  #! env_load call yes SIGNING_KEY
    return hmac.new(key.encode(), b"body", "sha256").hexdigest()  #! key_use call yes SIGNING_KEY

# --- read as an argument | run env SIGNING_KEY
import hmac
import os


def use():
    return hmac.new(os.environ["SIGNING_KEY"].encode(), b"", "md5").hexdigest()  #! env_load call yes SIGNING_KEY; key_use call yes SIGNING_KEY

# --- getenv, imported and renamed | run env SIGNING_KEY
import hmac
from os import getenv as env_of


def use():
    return hmac.new(env_of("SIGNING_KEY").encode(), b"", "md5").digest()  #! env_load call yes; key_use call yes

# --- environ, imported | run env SIGNING_KEY
import hmac
from os import environ


def use():
    return hmac.new(environ["SIGNING_KEY"].encode(), b"", "md5").digest()  #! env_load call yes; key_use call yes

# --- environ under another name
import os

env = os.environ
JWT_SECRET = env["JWT_SECRET"]  #! env_load module no JWT_SECRET
JWT_ISSUER = env["JWT_ISSUER"]

# --- get with a fallback
import os

SECRET_KEY = os.environ.get("SECRET_KEY", "k3f9qz81mvb2")  #! env_load module no SECRET_KEY; hardcoded module no SECRET_KEY

# --- getenv with a fallback by name
import os

SECRET_KEY = os.getenv("SECRET_KEY", default="changeme")  #! env_load module no; hardcoded module no

# --- empty fallbacks are none
import os

SECRET_KEY = os.getenv("SECRET_KEY", "")  #! env_load module no
JWT_SECRET = os.getenv("JWT_SECRET", None)  #! env_load module no
ENCRYPTION_KEY = os.getenv("ENCRYPTION_KEY") or None  #! env_load module no

# --- or with a literal
import os

SECRET_KEY = os.environ.get("SECRET_KEY") or "dev-only"  #! env_load module no; hardcoded module no SECRET_KEY

# --- or with a literal under another name
import os

PEN = os.environ.get("SECRET_KEY") or "dev-only"  #! env_load module no; hardcoded module no SECRET_KEY

# --- a choice
import os

SECRET_KEY = os.environ["SECRET_KEY"] if "SECRET_KEY" in os.environ else "dev-only"  #! env_load module no; hardcoded module no

# --- the fallback is another load
import os

SECRET_KEY = os.environ.get("APP_SECRET_KEY", os.environ.get("SECRET_KEY"))  #! env_load module no APP_SECRET_KEY; env_load module no SECRET_KEY

# --- bytes
import os

SECRET_KEY = os.environb[b"SECRET_KEY"]  #! env_load module no SECRET_KEY

# --- through base64
import base64
import os

ENCRYPTION_KEY = base64.b64decode(os.environ["ENCRYPTION_KEY"])  #! env_load module no ENCRYPTION_KEY

# --- in a class
import os


class Config:
    SECRET_KEY = os.environ["SECRET_KEY"]  #! env_load class no SECRET_KEY
    DEBUG = os.environ.get("DEBUG")

# --- in a constructor | run env SIGNING_KEY
import hmac
import os


class Signer:
    def __init__(self):
        self.key = os.environ["SIGNING_KEY"]  #! env_load instance no SIGNING_KEY

    def sign(self, body):
        return hmac.new(self.key.encode(), body, "md5").hexdigest()  #! key_use call no SIGNING_KEY


signer = Signer()


def use():
    return signer.sign(b"body")

# --- an attribute that another method sets
import os


class Store:
    def open(self):
        self.cipher_key = os.environ["CIPHER_KEY"]  #! env_load instance no CIPHER_KEY

# --- a local that ends on the object
import os


class Store:
    def open(self):
        cipher_key = os.environ["CIPHER_KEY"].strip()  #! env_load instance no CIPHER_KEY
        self.cipher = cipher_key

# --- a default of a parameter | run env SIGNING_KEY
import hmac
import os


def use(key=os.environ["SIGNING_KEY"]):  #! env_load module no SIGNING_KEY
    return hmac.new(key.encode(), b"", "md5").hexdigest()  #! key_use call unknown

# --- a cached function | run env SIGNING_KEY
import functools
import hmac
import os


@functools.lru_cache
def signing_key():
    return os.environ["SIGNING_KEY"]  #! env_load module no SIGNING_KEY


def use():
    return hmac.new(signing_key().encode(), b"", "md5").hexdigest()  #! key_use call no SIGNING_KEY

# --- a getter | run env SIGNING_KEY
import hmac
import os


def signing_key():
    return os.environ["SIGNING_KEY"]  #! env_load call yes SIGNING_KEY


def use():
    return hmac.new(signing_key().encode(), b"", "md5").hexdigest()  #! key_use call yes SIGNING_KEY

# --- a property | run env SIGNING_KEY
import hmac
import os


class Signer:
    @property
    def key(self):
        return os.environ["SIGNING_KEY"]  #! env_load call yes SIGNING_KEY

    def sign(self):
        return hmac.new(self.key.encode(), b"", "md5").hexdigest()  #! key_use call yes SIGNING_KEY


signer = Signer()
use = signer.sign

# --- a cached property | run env SIGNING_KEY
import functools
import hmac
import os


class Signer:
    @functools.cached_property
    def key(self):
        return os.environ["SIGNING_KEY"]  #! env_load module no SIGNING_KEY

    def sign(self):
        return hmac.new(self.key.encode(), b"", "md5").hexdigest()  #! key_use call no SIGNING_KEY


use = Signer().sign

# --- a closure | run env SIGNING_KEY
import hmac
import os


def signer():
    key = os.environ["SIGNING_KEY"].encode()  #! env_load call no SIGNING_KEY

    def sign():
        return hmac.new(key, b"", "md5").hexdigest()  #! key_use call no SIGNING_KEY

    return sign


use = signer()

# --- a lambda | run env SIGNING_KEY
import hmac
import os

use = lambda: hmac.new(os.environ["SIGNING_KEY"].encode(), b"", "md5").digest()  #! env_load call yes; key_use call yes

# --- a walrus | run env SIGNING_KEY
import hmac
import os


def use():
    if key := os.getenv("SIGNING_KEY"):  #! env_load call yes SIGNING_KEY
        return hmac.new(key.encode(), b"", "md5").hexdigest()  #! key_use call yes SIGNING_KEY

# --- a global that is kept
import os

_secret_key = None


def secret_key():
    global _secret_key
    if _secret_key is None:
        _secret_key = os.environ["SECRET_KEY"]  #! env_load call no SECRET_KEY
    return _secret_key

# --- the variable's name is a constant
import os

VARIABLE = "SESSION_SECRET"
SESSION = os.environ[VARIABLE]  #! env_load module no SESSION_SECRET

# --- the variable's name is put together
import os

PREFIX = "MYAPP_"
SESSION = os.environ[PREFIX + "SESSION_SECRET"]  #! env_load module no MYAPP_SESSION_SECRET
TOKENS = os.environ[f"{PREFIX}JWT_SECRET"]  #! env_load module no MYAPP_JWT_SECRET

# --- the name says nothing but the place does
import os

SIGNING_KEY = os.environ["PEN"]  #! env_load module no PEN

# --- credentials of others
import os

STRIPE_API_KEY = os.environ["STRIPE_API_KEY"]  #! env_load module no STRIPE_API_KEY
AWS_SECRET_ACCESS_KEY = os.getenv("AWS_SECRET_ACCESS_KEY")  #! env_load module no
AWS_ACCESS_KEY_ID = os.getenv("AWS_ACCESS_KEY_ID")
TELEGRAM_TOKEN = os.getenv("TELEGRAM_TOKEN")  #! env_load module no
METRICS_KEY = os.getenv("METRICS_KEY")  #! env_load module no

# --- what is about keys
import os

JWT_ALGORITHM = os.getenv("JWT_ALGORITHM", "HS256")
SECRET_KEY_LENGTH = int(os.getenv("SECRET_KEY_LENGTH", "32"))
API_KEY_HEADER = os.getenv("API_KEY_HEADER", "X-Api-Key")
TOKEN_URL = os.getenv("TOKEN_URL")
CACHE_KEY = os.getenv("CACHE_KEY")
LDAP_EMAIL_KEY = os.getenv("LDAP_EMAIL_KEY", "mail")
JWT_SECRET_NAME = os.getenv("JWT_SECRET_NAME")

# --- a dictionary of settings
import os

SETTINGS = {
    "SECRET_KEY": os.environ["SECRET_KEY"],  #! env_load module no SECRET_KEY
    "DEBUG": os.environ.get("DEBUG"),
}

# --- handed to the configuration of an application
import os

from flask import Flask

app = Flask(__name__)
app.config["SECRET_KEY"] = os.environ["SECRET_KEY"]  #! env_load module no SECRET_KEY
app.config.update(WTF_CSRF_SECRET_KEY=os.environ["CSRF_KEY"])  #! env_load module no CSRF_KEY

# --- in a function that makes the application
import os

from flask import Flask


def create_app():
    app = Flask(__name__)
    app.secret_key = os.environ["SECRET_KEY"]  #! env_load call no SECRET_KEY
    return app

# --- more than one target
import os

SECRET_KEY = JWT_SECRET = os.environ["SECRET_KEY"]  #! env_load module no SECRET_KEY

# --- unpacked
import os

SECRET_KEY, DEBUG = os.environ["SECRET_KEY"], os.environ["DEBUG"]  #! env_load module no SECRET_KEY

# --- a function that runs only while the module is loaded
import os


def load():
    return os.environ["SECRET_KEY"]  #! env_load call no SECRET_KEY


PEN = load()

# --- a test that asks whether there is one
import os

if "SECRET_KEY" in os.environ:
    print("there is one")
if not os.environ.keys():
    raise SystemExit

# --- passwords are of their own class
import os

DB_PASSWORD = os.environ["DB_PASSWORD"]  #! env_load module no DB_PASSWORD

# --- an option of a command
import click


@click.command()
@click.option("--secret-key", envvar="APP_SECRET_KEY")  #! env_load module no APP_SECRET_KEY
@click.option("--host", envvar="APP_HOST")
def run(secret_key, host):
    pass

# --- a default that is set for tests
import os

os.environ.setdefault("SECRET_KEY", "k3f9qz81mvb2")  #! hardcoded module no SECRET_KEY
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.settings")

# --- the default of a trait
import os
from traitlets import Unicode, default
from traitlets.config import Configurable


class Proxy(Configurable):
    auth_token = Unicode().tag(config=True)  #! env_load class no auth_token
    crypt_key = Unicode().tag(config=True)  #! env_load class no crypt_key

    @default("auth_token")
    def _make_token(self):
        return os.environ["PROXY_AUTH_TOKEN"]  #! env_load call no PROXY_AUTH_TOKEN

    def _crypt_key_default(self):
        return os.environ["CRYPT_KEY"]  #! env_load call no CRYPT_KEY

# --- settings that functions of others give by their names
from shop.conf import get_app_config_value, set_app_config_value, Config, Keys


def digest(text):
    pepper = get_app_config_value("SHOP_PEPPER", "plum9")  #! env_load call unknown SHOP_PEPPER; hardcoded call no SHOP_PEPPER
    page = get_app_config_value("SHOP_PAGE", "plum9")
    token = get_app_config_value(Keys.SHOP_ADMIN_TOKEN)  #! env_load call unknown SHOP_ADMIN_TOKEN
    set_app_config_value("SHOP_PEPPER", "plum9")
    return pepper + page + token + text


Config.define("SHOP_SIGNING_KEY", "plum9", "what signs")  #! hardcoded module no SHOP_SIGNING_KEY
Config.define("SHOP_COLOUR", "plum9", "what shines")

# --- settings that a cached function gives on
from functools import lru_cache
from django.conf import settings
import json


@lru_cache(maxsize=1)
def shop_jwk():
    return json.loads(settings.SHOP_PRIVATE_KEY)  #! env_load module no SHOP_PRIVATE_KEY


@lru_cache(maxsize=1)
def shop_client():
    return Client(settings.SHOP_PRIVATE_KEY)


def shop_jwks():
    return json.loads(settings.SHOP_PRIVATE_KEY)

# --- a name of the module, which is filled by whoever comes first
from shop.conf import settings

_kept = None


def kept():
    global _kept
    if _kept is None:
        _kept = settings.security.signing_key  #! env_load module no signing_key
    return _kept


def not_kept():
    mine = settings.security.signing_key
    return len(mine)

# --- what a database keeps, and what is asked for by its name behind something else
import shop
from django.conf import settings


def settings_of_shop(session, name):
    key = shop.db.get_single_value("Shop Settings", "signing_key")  #! env_load call unknown signing_key
    hook = get_decrypted_password("Shop Settings", name, "webhook_secret")  #! env_load call unknown webhook_secret
    colour = shop.db.get_single_value("Shop Settings", "colour")
    column = shop.db.get_value("Person", name, "signing_key")
    tag = getattr(settings, "HMAC_SECRET", "")  #! env_load call unknown HMAC_SECRET
    other = getattr(name, "HMAC_SECRET", "")
    return read_configuration(session, "ENCRYPTION_KEY")  #! env_load call unknown ENCRYPTION_KEY

# --- fields of typedconfig
from typedconfig import Config, key, section


@section("shop")
class ShopConfig(Config):
    signing_key = key(cast=str, required=True)  #! env_load class no signing_key
    page_size = key(cast=int, required=False, default=3)

# --- a configuration that is one of many
import jwt


def made(gateway_config, payload):
    return jwt.encode(payload, gateway_config.get("jwt_secret"))  #! env_load call unknown; key_use call unknown

# --- an object of settings that is made to be asked, and a part of the settings
def asked(shop_config):
    first = Setting().get("oauth_signing_key")  #! env_load call unknown oauth_signing_key
    colour = Setting().get("colour")
    return shop_config.get("shop", "signing_key")  #! env_load call unknown signing_key

# --- a table that says what sort of settings there are
DEFINED = {
    "JWT_SECRET": (str, "General", ""),
    "PAGE_SIZE": (int, "General", 3),
}

# --- settings that a function is handed
import hmac


def tag(settings, uri):
    return hmac.new(settings["signing_key"].encode(), uri, "sha256")  #! key_use call unknown
