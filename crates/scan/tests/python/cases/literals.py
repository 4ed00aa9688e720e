"""Literals where a key belongs, and those that are none."""

# --- constants
SECRET_KEY = "k3f9qz81mvb2"  #! hardcoded module no SECRET_KEY
JWT_SECRET: str = "k3f9qz81mvb2"  #! hardcoded module no JWT_SECRET
ENCRYPTION_KEY = b"k3f9qz81mvb2"  #! hardcoded module no ENCRYPTION_KEY
SESSION_SECRET = "changeme"  #! hardcoded module no SESSION_SECRET
STRIPE_API_KEY = "sk_live_k3f9qz81mvb2"  #! hardcoded module no STRIPE_API_KEY

# --- through a call
import base64

SIGNING_KEY = base64.b64decode("azNmOXF6ODFtdmIy")  #! hardcoded module no SIGNING_KEY
COOKIE_SECRET = "k3f9qz81mvb2".encode("utf-8")  #! hardcoded module no COOKIE_SECRET
AES_KEY = bytes.fromhex("6b33663971")  #! hardcoded module no AES_KEY

# --- a PEM block
PRIVATE_KEY = (
    "-----BEGIN PRIVATE KEY-----\n"  #! hardcoded module no PRIVATE_KEY
    "MIIEvQ\n-----END PRIVATE KEY-----"
)
PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
MIIBIj
-----END PUBLIC KEY-----"""

# --- a type that wraps secrets
from pydantic import SecretStr

TOKEN = SecretStr("k3f9qz81mvb2")

# --- a type that wraps secrets, for a key
from pydantic import SecretStr

JWT_SECRET = SecretStr("k3f9qz81mvb2")  #! hardcoded module no JWT_SECRET

# --- an attribute
class Signer:
    secret_key = "k3f9qz81mvb2"  #! hardcoded class no secret_key

    def __init__(self):
        self.signing_key = "k3f9qz81mvb2"  #! hardcoded instance no signing_key

# --- a default of a parameter
def sign(body, secret_key="k3f9qz81mvb2"):  #! hardcoded module no secret_key
    return body

# --- an argument
from app.lib import Client

client = Client(api_key="sk-k3f9qz81mvb2", timeout=3)  #! hardcoded module no api_key

# --- what a function gives
def get_jwt_secret():
    return "k3f9qz81mvb2"  #! hardcoded call no jwt_secret

# --- names of settings, headers and fields
SECRET_KEY = "SECRET_KEY"
API_KEY_HEADER = "X-Api-Key"
API_KEY = "x-api-key"
JWT_SECRET = "APP_JWT_SECRET"
CLIENT_SECRET = "client_secret"
PRIVATE_KEY_PATH = "/etc/app/private.pem"
SECRET_KEY_FILE = "secret.key"
AUTH_TOKEN = ""

# --- what is about keys
SECRET_KEY_LENGTH = "32"
JWT_ALGORITHM = "HS256"
TOKEN_TYPE = "bearer"
PRIMARY_KEY = "id"
CACHE_KEY = "users"
SORT_KEY = "created_at"
KEY = "value"
KEYBOARD = "qwerty"
SECRET_NAME = "prod/db"

# --- enumerations
import enum


class Grant(enum.Enum):
    CLIENT_SECRET = "post"
    API_KEY = "apiKey"

# --- choices of a form
from django.db import models


class Kind(models.TextChoices):
    SECRET_KEY = "sk", "Secret key"

# --- texts for people
HELP = "Set SECRET_KEY to a random value"
ERRORS = {"secret_key": "The secret key is missing", "api_key": "No API key was given"}
message = "Your API key is wrong"

# --- bodies of requests
def payload(user):
    return {"secret": "x", "api_key": user.key, "token": "abc", "password": "pw"}

# --- templates
SECRET_KEY = "{{ secret_key }}"
JWT_SECRET = "${JWT_SECRET}"
API_KEY = "%(api_key)s"

# --- compared against
from app import settings

if settings.SECRET_KEY == "changeme":
    raise SystemExit("change it")
assert settings.JWT_SECRET != "secret"

# --- docstrings and comments
"""SECRET_KEY = "k3f9qz81mvb2" is how it was once."""
# SECRET_KEY = "k3f9qz81mvb2"


def view():
    """Needs JWT_SECRET="x" in the environment."""

# --- a dictionary of settings
import os

config = {
    "jwt": {"secret_key": "k3f9qz81mvb2", "algorithm": "HS256"},  #! hardcoded module no secret_key
    "session": {"secret": os.environ.get("SESSION_SECRET") or "dev"},  #! env_load module no; hardcoded module no
    "title": "secret",
}

# --- a secret within a named part
def view(client):
    client.post("/shops", {"shop": {"secret": "plum9", "title": "plum9"}})  #! hardcoded call no secret
    return client.post("/shops", {"secret": "plum9"})

# --- a secret among settings that are handed on
Shop.make(config={"secret": "plum9", "name": "plum9"})  #! hardcoded module no secret

# --- names of slots and switches
import os

TOKEN_KEY = "Shop.limiter.token"
SESSION_KEY = "shop:session"
_login_secret_key = "_login_secret"
ENABLE_SHOP_AUTH = os.getenv("ENABLE_SHOP_AUTH", "False") == "True"

# --- what asks to be replaced
SECRET_KEY = "insert your long random secret key here !"  #! hardcoded module no SECRET_KEY
SECRET_KEY_HELP = "insert your long random secret key into the file of settings"
