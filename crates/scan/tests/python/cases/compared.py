"""Secrets that are compared, and objects that have their key."""

# --- a token that is compared | run settings settings.HOOK_SECRET
import settings


def use():
    given = "first-key-of-the-case-with-some-length-first-key-of-the-case"
    return given == settings.HOOK_SECRET  #! key_use call yes HOOK_SECRET

# --- a token of the environment that is compared | run env HOOK_TOKEN
import os


def use():
    given = "first-key-of-the-case-with-some-length-first-key-of-the-case"
    return os.environ["HOOK_TOKEN"] != given  #! key_use call yes HOOK_TOKEN; env_load call yes HOOK_TOKEN

# --- a token that was imported is compared | run settings settings.HOOK_SECRET
from settings import HOOK_SECRET


def use():
    given = "first-key-of-the-case-with-some-length-first-key-of-the-case"
    return given == HOOK_SECRET  #! key_use call no HOOK_SECRET

# --- a setting that is hashed | run settings settings.SIGN_SECRET
import hashlib

import settings


def use():
    return hashlib.blake2b(settings.SIGN_SECRET.encode()).hexdigest()  #! key_use call yes SIGN_SECRET

# --- what is compared with a loaded secret
import os

from shop.config import proxy_config, settings


def check(request, key):
    if request.headers.get("X-Secret", "") != proxy_config.auth_secret:  #! key_use call yes auth_secret
        return 401
    if request.headers.get("Authorization") != f"Bearer {settings.CRON_SECRET}":  #! key_use call yes CRON_SECRET
        return 401
    return key == os.environ["SHOP_API_TOKEN"]  #! key_use call yes SHOP_API_TOKEN; env_load call yes SHOP_API_TOKEN

# --- comparisons that are none
from shop.config import settings
from shop.kinds import LoginKind


def check(user, other, token, kind):
    if user.api_key == other.api_key or kind == LoginKind.API_KEY:
        return 1
    if settings.SECRET_KEY == "changeme" or settings.SECRET_KEY == None:
        return 2
    if settings.SECRET_KEY == settings.OLD_SECRET_KEY or user.token == token:
        return 3
    assert token == settings.API_TOKEN
    return settings.TOKEN_LENGTH == 3

# --- a parameter that is compared
from django.utils.crypto import constant_time_compare


def valid(request, webhook_secret):
    return constant_time_compare(webhook_secret, request.META.get("X-Token"))  #! key_use call unknown webhook_secret


def handle(request, repo):
    return valid(request, repo.webhook_secret)  #! key_use call unknown webhook_secret


def same(given_secret, text):
    return constant_time_compare(given_secret, text)

# --- methods of what has its key
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def encrypt(value, key, nonce):
    box = AESGCM(key)  #! key_use call unknown key
    return box.encrypt(nonce, value, nonce)


def decrypt(value, key):
    box = AESGCM(key)  #! key_use call unknown key
    return box.decrypt(value[:12], value[12:], None)

# --- a key that is derived of a setting
import base64

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from shop.config import settings


def derived(user, salt):
    secret = settings.ENCRYPTION_SECRET_KEY
    password = f"{secret}#{user}".encode()
    kdf = PBKDF2HMAC(algorithm=hashes.SHA256(), length=32, salt=salt, iterations=1)
    return kdf.derive(password)  #! key_use call unknown ENCRYPTION_SECRET_KEY


def encrypted(user, text):
    key = derived(user, b"salt")
    return Fernet(base64.urlsafe_b64encode(key)).encrypt(text)  #! key_use call unknown ENCRYPTION_SECRET_KEY

# --- a key that is derived as if it were a password
import hashlib
import os

from cryptography.fernet import Fernet


class Preferences:
    def __init__(self):
        self.preferences_key = os.getenv("SHOP_PREFERENCES_KEY", "")  #! env_load instance no SHOP_PREFERENCES_KEY

    @staticmethod
    def _fernet_key(password):
        return hashlib.pbkdf2_hmac("sha256", password.encode(), b"salt", 1)

    def encoded(self, text):
        key = self._fernet_key(self.preferences_key)  #! key_use call no SHOP_PREFERENCES_KEY
        return Fernet(key).encrypt(text)  #! key_use call unknown fernet_key


def login(user, password):
    return Preferences._fernet_key(password) == user.hash

# --- keys that are hashed
from hashlib import sha256

import nacl.encoding
import nacl.hash

from shop.config import get_secret_key, settings


def signed(text):
    return sha256((text + get_secret_key()).encode()).hexdigest()  #! key_use call unknown secret_key


def key():
    return nacl.hash.blake2b(settings.SECRET_KEY.encode(), encoder=nacl.encoding.RawEncoder)  #! key_use call yes SECRET_KEY


def icon(mail):
    return sha256(mail.encode()).hexdigest()

# --- options that are put together in a call
import tornado.web

from shop import config


class Application(tornado.web.Application):
    def __init__(self):
        options = dict(
            debug=True,
            cookie_secret=config.cookie_secret,  #! key_use instance no cookie_secret
        )
        super().__init__([], **options)

# --- a generic class that is given a key
from litestar.security.jwt import JWTAuth

from shop.config import settings
from shop.models import User

auth = JWTAuth[User](  #! key_use module no SECRET_KEY
    retrieve_user_handler=None,
    token_secret=settings.SECRET_KEY,
)

# --- tokens that are made with the key of the settings
from rest_framework_simplejwt.tokens import RefreshToken


def tokens(user):
    return str(RefreshToken.for_user(user))  #! key_use call unknown SIGNING_KEY

# --- a key that is handed on under its own name
from Crypto.Cipher import AES


def __encode__(text, iv, key):
    return AES.new(key, AES.MODE_CBC, iv).encrypt(text)  #! key_use call unknown key


def checksum(text, merchant_key, salt=None):
    return __encode__(text + salt, b"iv", merchant_key)  #! key_use call unknown merchant_key


def check(text, merchant_key):
    return checksum(text, merchant_key, salt="s")  #! key_use call unknown merchant_key
