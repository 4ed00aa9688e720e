"""Settings libraries, each through an import, an alias and a wrapper."""

# --- decouple
from decouple import config

SECRET_KEY = config("SECRET_KEY")  #! env_load module no SECRET_KEY
JWT_SECRET = config("JWT_SECRET", default="jwt-for-dev")  #! env_load module no; hardcoded module no JWT_SECRET
DEBUG = config("DEBUG", default=False, cast=bool)

# --- decouple under another name
import decouple

SECRET_KEY = decouple.config("SECRET_KEY")  #! env_load module no

# --- decouple renamed, in a function
from decouple import config as setting


def view():
    return setting("SIGNING_KEY")  #! env_load call unknown SIGNING_KEY

# --- decouple through a class of its own
from decouple import Config, RepositoryEnv

config = Config(RepositoryEnv(".env"))
SECRET_KEY = config("SECRET_KEY")  #! env_load module no
OTHER_SECRET = config.get("OTHER_SECRET", "k3f9qz81mvb2")  #! env_load module no; hardcoded module no

# --- django-environ
import environ

env = environ.Env(DEBUG=(bool, False))
SECRET_KEY = env("DJANGO_SECRET_KEY")  #! env_load module no DJANGO_SECRET_KEY
FIELD_ENCRYPTION_KEY = env.str("FIELD_ENCRYPTION_KEY", default="k3f9qz81mvb2")  #! env_load module no; hardcoded module no
DEBUG = env("DEBUG")

# --- django-environ through an alias
from environ import Env as Environment

read = Environment()
SECRET_KEY = read("SECRET_KEY")  #! env_load module no

# --- django-environ through a wrapper
import environ

env = environ.Env()


def setting(name, default=None):
    return env("MYAPP_" + name, default=default)


SECRET_KEY = setting("SECRET_KEY")  #! env_load module no SECRET_KEY
SITE = setting("SITE")

# --- environs
from environs import Env

env = Env()
env.read_env()
SECRET_KEY = env.str("SECRET_KEY")  #! env_load module no
JWT_SECRET = env("JWT_SECRET", "k3f9qz81mvb2")  #! env_load module no; hardcoded module no

# --- starlette
from starlette.config import Config
from starlette.datastructures import Secret

config = Config(".env")
SECRET_KEY = config("SECRET_KEY", cast=Secret)  #! env_load module no SECRET_KEY
JWT_SECRET = config("JWT_SECRET", cast=Secret, default="k3f9qz81mvb2")  #! env_load module no; hardcoded module no

# --- dynaconf
from dynaconf import Dynaconf

settings = Dynaconf(envvar_prefix="MYAPP")
SECRET_KEY = settings.SECRET_KEY  #! env_load module no SECRET_KEY
JWT_SECRET = settings["JWT_SECRET"]  #! env_load module no JWT_SECRET
TOKEN_SECRET = settings.get("TOKEN_SECRET")  #! env_load module no TOKEN_SECRET

# --- everett
from everett.manager import ConfigManager

config = ConfigManager.basic_config()
SECRET_KEY = config("SECRET_KEY", default="k3f9qz81mvb2")  #! env_load module no; hardcoded module no

# --- configparser
import configparser

parser = configparser.ConfigParser()
parser.read("app.ini")
SECRET_KEY = parser.get("server", "secret_key")  #! env_load module no secret_key
JWT_SECRET = parser["jwt"]["secret"]  #! env_load module no jwt.secret

# --- yaml
import yaml

with open("config.yaml") as file:
    config = yaml.safe_load(file)
SECRET_KEY = config["app"]["secret_key"]  #! env_load module no secret_key
HOST = config["app"]["host"]

# --- toml
import tomllib

with open("config.toml", "rb") as file:
    settings = tomllib.load(file)
JWT_SECRET = settings["jwt"]["secret"]  #! env_load module no jwt.secret

# --- json
import json

settings = json.load(open("config.json"))
SECRET_KEY = settings.get("secret_key", "k3f9qz81mvb2")  #! env_load module no secret_key; hardcoded module no secret_key

# --- streamlit
import streamlit as st

OPENAI_API_KEY = st.secrets["OPENAI_API_KEY"]  #! env_load module no OPENAI_API_KEY
SIGNING_KEY = st.secrets.signing_key  #! env_load module no signing_key

# --- pydantic, version two
from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="APP_")

    secret_key: SecretStr  #! env_load class no APP_secret_key
    jwt_secret: str = "changeme"  #! env_load class no APP_jwt_secret; hardcoded class no
    webhook_secret: SecretStr = SecretStr("k3f9qz81mvb2")  #! env_load class no; hardcoded class no
    session_secret: str = Field(..., validation_alias="COOKIE_SECRET")  #! env_load class no COOKIE_SECRET
    cipher_key: str = Field(default="k3f9qz81mvb2")  #! env_load class no; hardcoded class no
    openai_api_key: str | None = None  #! env_load class no
    jwt_algorithm: str = "HS256"
    secret_key_length: int = 32
    debug: bool = False


class Login(BaseModel):
    secret_key: str
    api_key: str = Field(..., description="your key")

# --- pydantic, version one
from pydantic import BaseSettings, Field


class Settings(BaseSettings):
    SECRET_KEY: str  #! env_load class no SECRET_KEY
    JWT_SECRET: str = Field("k3f9qz81mvb2", env="MY_JWT_SECRET")  #! env_load class no MY_JWT_SECRET; hardcoded class no

    class Config:
        env_prefix = ""

# --- pydantic through a class of the project
from pydantic_settings import BaseSettings as Base


class Common(Base):
    debug: bool = False


class Settings(Common):
    secret_key: str  #! env_load class no secret_key

# --- settings that are read at each use | run settings settings.SECRET_KEY
import hmac

import settings


def use():
    return hmac.new(settings.SECRET_KEY.encode(), b"", "md5").hexdigest()  #! key_use call yes SECRET_KEY

# --- a setting that is imported by its name | run settings settings.SECRET_KEY
import hmac

from settings import SECRET_KEY


def use():
    return hmac.new(SECRET_KEY.encode(), b"", "md5").hexdigest()  #! key_use call no SECRET_KEY

# --- a setting that is copied | run settings settings.SECRET_KEY
import hmac

import settings

KEY = settings.SECRET_KEY  #! env_load module no SECRET_KEY


def use():
    return hmac.new(KEY.encode(), b"", "md5").hexdigest()  #! key_use call no SECRET_KEY

# --- a setting that an object keeps | run settings settings.SECRET_KEY
import hmac

import settings


class Signer:
    def __init__(self):
        self.key = settings.SECRET_KEY  #! env_load instance no SECRET_KEY

    def sign(self):
        return hmac.new(self.key.encode(), b"", "md5").hexdigest()  #! key_use call no SECRET_KEY


use = Signer().sign

# --- getattr | run settings settings.SECRET_KEY
import hmac

import settings


def use():
    return hmac.new(getattr(settings, "SECRET_KEY").encode(), b"", "md5").digest()  #! key_use call yes SECRET_KEY

# --- a local of a function is none
from app import settings


def view():
    secret = settings.SECRET_KEY
    return len(secret)

# --- a section and an option of settings that come from elsewhere
class Signer:
    def __init__(self, config):
        self.key = config.get("server", "secret_key")  #! env_load instance no secret_key
        self.host = config.get("server", "host")

# --- settings in a dictionary | run entry values.settings secret_key
import hmac

from values import settings


def use():
    return hmac.new(settings["secret_key"].encode(), b"", "md5").digest()  #! key_use call yes secret_key

# --- settings asked with get | run entry values.settings secret_key
import hmac

from values import settings


def use():
    return hmac.new(settings.get("secret_key").encode(), b"", "md5").digest()  #! env_load call unknown secret_key; key_use call yes secret_key

# --- an entry that is copied | run entry values.settings secret_key
import hmac

from values import settings

KEY = settings["secret_key"]  #! env_load module no secret_key


def use():
    return hmac.new(KEY.encode(), b"", "md5").digest()  #! key_use call no secret_key

# --- a setting that the function imports | run settings settings.SECRET_KEY
import hmac


def use():
    from settings import SECRET_KEY

    return hmac.new(SECRET_KEY.encode(), b"", "md5").digest()  #! key_use call yes SECRET_KEY

# --- a setting that a class keeps | run settings settings.SECRET_KEY
import hmac

import settings


class Signer:
    key = settings.SECRET_KEY  #! env_load class no SECRET_KEY

    def sign(self):
        return hmac.new(self.key.encode(), b"", "md5").digest()  #! key_use call no SECRET_KEY


use = Signer().sign

# --- a setting that a global keeps | run settings settings.SECRET_KEY
import itsdangerous

import settings

_signer = None


def use():
    global _signer
    if _signer is None:
        _signer = itsdangerous.Signer(settings.SECRET_KEY)  #! key_use call no SECRET_KEY
    return _signer.sign(b"x")

# --- a setting in a loop | run settings settings.SECRET_KEYS
import hmac

import settings


def use():
    return [hmac.new(key.encode(), b"", "md5").digest() for key in settings.SECRET_KEYS]  #! key_use call yes SECRET_KEYS

# --- a setting in a cached factory | run settings settings.SECRET_KEY
import functools

import itsdangerous

import settings


@functools.cache
def signer():
    return itsdangerous.Signer(settings.SECRET_KEY)  #! key_use module no SECRET_KEY


def use():
    return signer().sign(b"x")

# --- a setting in a factory of objects | run settings settings.SECRET_KEY
import itsdangerous

import settings


def signer():
    return itsdangerous.Signer(settings.SECRET_KEY)  #! key_use call yes SECRET_KEY


def use():
    return signer().sign(b"x")

# --- a loader of another file with a name of its own
from app.lib import from_outside, from_anywhere

SECRET_KEY = from_outside("SECRET_KEY")  #! env_load module no SECRET_KEY
WELCOME = from_outside("WELCOME")
API_KEY = from_anywhere("no such thing")

# --- settings that are chosen
class Signer:
    def __init__(self, app, settings=None):
        self.key = (settings or app.settings).secret_key  #! env_load instance no secret_key
