"""Settings that are asked for by their names, in ways that no rule knows."""

# --- a function of any name that is given that of a constant
from shop.lib import P, cfg_value, opt

SIGN = cfg_value("SHOP_SIGNING_KEY")  #! env_load module no SHOP_SIGNING_KEY


def keys(app):
    found = opt("SHOP_ENCRYPTION_KEY", app)  #! env_load call unknown SHOP_ENCRYPTION_KEY
    return found


class Shop:
    def __init__(self):
        self.secret = P("JWT_SECRET_KEY")  #! env_load instance no JWT_SECRET_KEY

# --- what is said of a constant is none
import logging

log = logging.getLogger("shop")


def check(app, form):
    log.info("SECRET_KEY")
    if "SECRET_KEY" not in app.config:
        raise ValueError("SECRET_KEY")
    found = form.add_error("SECRET_KEY", "bad")
    told = check_present("SECRET_KEY")
    label = gettext_label("SECRET_KEY")
    return hasattr(app, "SECRET_KEY"), found, told, label

# --- a path of several names
from shop.config import get_config

SECRET_KEY = get_config("django", "secret_key", default="k3f9")  #! env_load module no secret_key; hardcoded module no secret_key
HOOK_TOKEN = get_config("hook", "token")  #! env_load module no hook.token
DOMAIN = get_config("http", "cookie_domain", default="shop.example")
HIDE_TOKENS = get_config("setup", "hide_all_tokens", default=False)
COOKIE = get_config("COOKIE_NAME", "XSRF-TOKEN")


class View:
    service = "shop"

    def key(self):
        found = get_config(self.service, "webhook_secret", default=b"k3f9qz81")  #! env_load call unknown webhook_secret; hardcoded call no webhook_secret
        return found

# --- a method of the class itself
class Configuration:
    @classmethod
    def read_setting(cls, section, item, default):
        return cls.parser.get(section, item) or default

    @classmethod
    def client_secret(cls):
        return cls.read_setting("Web", "CLIENT_SECRET", cls.default["client_secret"])  #! env_load call unknown CLIENT_SECRET

    @classmethod
    def client_id(cls):
        return cls.read_setting("Web", "CLIENT_ID", cls.default["client_id"])

# --- a store of secrets
from shop.stores import read_secret, secret_store, vault


def keys():
    signing = read_secret("jwt/signing_key")  #! env_load call unknown jwt/signing_key
    mail = vault.get("mail_api_key")  #! env_load call unknown mail_api_key
    hook = secret_store.fetch("webhook_secret")  #! env_load call unknown webhook_secret
    return signing, mail, hook, vault.get("page_size"), read_secret(signing)

# --- a switch and a number have names of keys
from decouple import config

STORE_ACCESS_TOKEN = config("STORE_ACCESS_TOKEN", default=True, cast=bool)
MAX_TOKEN = config("AGE_OF_BOT_TOKEN", cast=int)
BOT_TOKEN = config("BOT_TOKEN", default="")  #! env_load module no BOT_TOKEN

# --- what only asks whether there is one
import os


def missing():
    if not os.environ.get("SHOP_SECRET_KEY"):
        return True
    if os.environ.get("SHOP_API_KEY") and os.environ.get("SHOP_NAME"):
        return False
    return None

# --- names of variables in constants | run env JWT_SECRET
import hmac
import os

JWT_SECRET_ENV_VAR = "JWT_SECRET"


def use():
    key = os.environ[JWT_SECRET_ENV_VAR]  #! env_load call yes JWT_SECRET
    return hmac.new(key.encode(), b"", "sha256").hexdigest()  #! key_use call yes JWT_SECRET

# --- names of variables in constants of others
import os

from shop import names
from shop.names import ENV_SIGNING_KEY, JWT_SECRET_ENV_VAR, PAGE_ENV_VAR, SHOP_ENV_VAR

SECRET = os.environ.get(names.SECRET_KEY_ENV)  #! env_load module no SECRET_KEY
JWT = os.environ.get(JWT_SECRET_ENV_VAR)  #! env_load module no JWT_SECRET
SIGNING = os.getenv(ENV_SIGNING_KEY)  #! env_load module no SIGNING_KEY
PAGE = os.getenv(PAGE_ENV_VAR)


class Client:
    def __init__(self):
        self.key = os.environ.get(SHOP_ENV_VAR)  #! env_load instance no SHOP
        self.page = os.environ.get(SHOP_ENV_VAR)

# --- names of variables in a class
import os


class Variables:
    SECRET = "SHOP_JWT_SECRET"
    PORT = "SHOP_PORT"


def key():
    return os.environ[Variables.SECRET], os.environ[Variables.PORT]  #! env_load call yes SHOP_JWT_SECRET

# --- a getter of settings by a prefix
from django.conf import settings


class AppSettings:
    def _setting(self, name, default):
        return getattr(settings, "SHOP_" + name, default)

    @property
    def signing_key(self):
        return self._setting("SIGNING_KEY", "")  #! env_load call unknown SIGNING_KEY

    @property
    def timeout(self):
        return self._setting("TIMEOUT", 3)

# --- what a function of others gives by its name
from shop.keys import get_encryption_key, get_random_secret_key, get_user

SECRET_KEY = get_random_secret_key()


class Box:
    def __init__(self):
        self._encryption_key = get_encryption_key()  #! env_load instance no encryption_key
        self._user = get_user()

# --- sections of a configuration
import configparser

config = configparser.ConfigParser()
config.read("shop.ini")
TOKEN = config.get("bot", "token")  #! env_load module no bot.token
OTHER = config["mail"]["token"]
PAGE = config.get("bot", "page")
SECRET = config["web"]["secret_key"]  #! env_load module no secret_key

# --- a key that is asked for of a key ring
import keyring


def keys():
    return keyring.get_password("shop", "signing_key"), keyring.get_password("shop", "alice")  #! env_load call unknown signing_key

# --- a secret in the path of a version
from google.cloud import secretmanager


def key(project):
    client = secretmanager.SecretManagerServiceClient()
    name = f"projects/{project}/secrets/jwt-secret/versions/latest"
    return client.access_secret_version(request={"name": name}).payload.data  #! env_load call unknown projects//secrets/jwt-secret/versions/latest


def any_of(secret_id):
    client = secretmanager.SecretManagerServiceClient()
    path = f"projects/shop/secrets/{secret_id}/versions/latest"
    return client.access_secret_version(request={"name": path}).payload.data


JWT_SECRET = any_of("jwt-secret")  #! env_load module no jwt-secret

# --- settings that are rows
class Model:
    def keys(self):
        rows = self.env["ir.config_parameter"].sudo()
        return rows.get_param("shop.signing_secret"), rows.get_param("shop.page")  #! env_load call unknown shop.signing_secret


def view(request):
    return request.get_param("api_key")

# --- bare names of the environment
import os

TOKEN = os.getenv("TOKEN")  #! env_load module no TOKEN
KEY = os.getenv("KEY")
api_key = os.environ["KEY"]  #! env_load module no KEY
PAT = os.environ["GITHUB_PAT"]  #! env_load module no GITHUB_PAT
path = os.environ["SHOP_PATH"]

# --- parts of a configuration
from shop.config import config

SECRET = config.get("auth", {}).get("jwt_secret")  #! env_load module no jwt_secret


class Shop:
    def __init__(self, settings):
        auth = settings.get("auth", {})
        self.secret = auth.get("signing_key")  #! env_load instance no signing_key
        self.page = auth.get("page")

# --- what any dictionary has is none
def claims(values):
    found = values.get("SECRET_BLOCK")
    return found, values.getlist("SECRET_KEY")

# --- clients of services
from shop.clients import Store, Vault
from shop.config import conf

store = Store(conf.host, access_key=conf.access_key, secret_key=conf.secret_key)
vault = Vault(conf.host, secret_key=conf.secret_key)  #! key_use module no secret_key

# --- names that are put together and end as those of keys
import os

from shop.files import read_secret_file


def of(prefix):
    return {
        "secret": os.environ.get(f"{prefix}_SECRET"),  #! env_load call yes _SECRET
        "token": os.environ[prefix + "_TOKEN"],  #! env_load call yes _TOKEN
        "page": os.environ.get(f"{prefix}_PAGE"),
    }


def any_of(name):
    return os.environ.get(name + "_FILE")


JWT = read_secret_file("/run/secrets/jwt")  #! env_load module no /run/secrets/jwt
