"""Tokens, keyed hashes and ciphers."""

# --- PyJWT | run env JWT_SECRET
import os

import jwt


def use():
    return jwt.encode({"sub": "1"}, os.environ["JWT_SECRET"], algorithm="HS256")  #! env_load call yes; key_use call yes JWT_SECRET

# --- PyJWT with a constant | run env JWT_SECRET
import os

import jwt

JWT_SECRET = os.environ["JWT_SECRET"]  #! env_load module no


def use():
    return jwt.encode({"sub": "1"}, JWT_SECRET, algorithm="HS256")  #! key_use call no JWT_SECRET

# --- PyJWT through an alias
from jwt import decode as read_token

import settings


def view(token):
    return read_token(token, settings.JWT_SECRET, algorithms=["HS256"])  #! key_use call yes JWT_SECRET

# --- PyJWT with a named argument over several lines
import jwt

from app import config


def view(token):
    return jwt.decode(  #! key_use call yes JWT_SECRET
        token,
        key=config.JWT_SECRET,
        algorithms=["HS256"],
    )

# --- decoding without verification is no use
import jwt


def view(token, key):
    a = jwt.decode(token, options={"verify_signature": False})
    b = jwt.decode(token, key, options={"verify_signature": False})
    c = jwt.decode(token, key, verify=False)
    d = jwt.get_unverified_header(token)
    return a, b, c, d

# --- options in a dictionary
import os

import jwt

OPTIONS = {"key": os.environ["JWT_SECRET"], "algorithm": "HS256"}  #! env_load module no JWT_SECRET


def view():
    return jwt.encode({}, **OPTIONS)  #! key_use call no JWT_SECRET

# --- a literal as a key
import jwt


def view():
    return jwt.encode({}, "k3f9qz81mvb2", algorithm="HS256")  #! key_use call no; hardcoded call no

# --- a literal in a constant | run literal
import jwt

SECRET = "k3f9qz81mvb2k3f9qz81mvb2k3f9qz81mvb2"  #! hardcoded module no SECRET


def use():
    return jwt.encode({}, SECRET, algorithm="HS256")  #! key_use call no SECRET

# --- a parameter
import jwt


def encode(claims, secret):
    return jwt.encode(claims, secret, algorithm="HS256")  #! key_use call unknown secret

# --- python-jose
from jose import jwt

from app.core.config import settings


def view(token):
    return jwt.decode(token, settings.SECRET_KEY, algorithms=["HS256"])  #! key_use call yes SECRET_KEY

# --- joserfc
import os

from joserfc import jwt
from joserfc.jwk import OctKey

key = OctKey.import_key(os.environ["JWT_SECRET"])  #! env_load module no JWT_SECRET; key_use module no JWT_SECRET


def view(claims):
    return jwt.encode({"alg": "HS256"}, claims, key)  #! key_use call no JWT_SECRET

# --- Authlib
from authlib.jose import jwt

import settings


def view(token):
    jwt.encode({"alg": "HS256"}, {}, settings.JWT_SECRET)  #! key_use call yes JWT_SECRET
    return jwt.decode(token, settings.JWT_SECRET)  #! key_use call yes JWT_SECRET

# --- jwcrypto
from jwcrypto import jwk, jwt

import settings


def view():
    key = jwk.JWK(kty="oct", k=settings.JWT_SECRET)  #! key_use call yes JWT_SECRET
    token = jwt.JWT(header={"alg": "HS256"}, claims={})
    token.make_signed_token(key)  #! key_use call yes JWT_SECRET

# --- hmac, by each of its ways | run settings settings.WEBHOOK_SECRET
import hmac

import settings


def use():
    a = hmac.new(settings.WEBHOOK_SECRET.encode(), b"", "md5").digest()  #! key_use call yes WEBHOOK_SECRET
    b = hmac.digest(settings.WEBHOOK_SECRET.encode(), b"", "md5")  #! key_use call yes WEBHOOK_SECRET
    return a + b

# --- hmac with text put together | run settings settings.WEBHOOK_SECRET
import hmac

import settings


def use():
    key = f"v1:{settings.WEBHOOK_SECRET}".encode()
    return hmac.new(key, b"", "md5").digest()  #! key_use call yes WEBHOOK_SECRET

# --- hashlib with a key | run settings settings.SIGNING_KEY
import hashlib

import settings


def use():
    hashlib.sha256(b"body")
    return hashlib.blake2b(b"", key=settings.SIGNING_KEY.encode()).digest()  #! key_use call yes SIGNING_KEY

# --- a shared token is compared
import secrets

import settings


def view(request):
    return secrets.compare_digest(request.headers["X-Token"], settings.WEBHOOK_SECRET)  #! key_use call yes WEBHOOK_SECRET

# --- signatures are compared
import hmac


def same(signature, expected, password_hash):
    return hmac.compare_digest(signature, expected) or hmac.compare_digest(password_hash, expected)

# --- Fernet built once | run env PII_KEY fernet
import os

from cryptography.fernet import Fernet

cipher = Fernet(os.environ["PII_KEY"])  #! env_load module no PII_KEY; key_use module no PII_KEY
TOKEN = cipher.encrypt(b"x")


def use():
    return cipher.decrypt(TOKEN)

# --- Fernet built for each use | run env PII_ENCRYPTION_KEY fernet
import os

from cryptography.fernet import Fernet


def use():
    return Fernet(os.environ["PII_ENCRYPTION_KEY"])._signing_key  #! env_load call yes; key_use call yes

# --- MultiFernet
from cryptography.fernet import Fernet, MultiFernet

from app import settings


def cipher():
    return MultiFernet([Fernet(key) for key in settings.FERNET_KEYS])  #! key_use call yes FERNET_KEYS; key_use call yes FERNET_KEYS

# --- AEAD | run settings settings.AES_KEY short
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import settings


def use():
    return AESGCM(settings.AES_KEY.encode()).encrypt(b"0" * 12, b"", None)  #! key_use call yes AES_KEY

# --- AEAD kept in a constant | run settings settings.AES_KEY short
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import settings

box = AESGCM(settings.AES_KEY.encode())  #! key_use module no AES_KEY


def use():
    return box.encrypt(b"0" * 12, b"", None)

# --- a block cipher
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

import settings


def cipher(iv):
    return Cipher(algorithms.AES(settings.AES_KEY), modes.CBC(iv))  #! key_use call yes AES_KEY

# --- derivation
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

import settings


def derive(info):
    return HKDF(None, 32, None, info).derive(settings.MASTER_KEY)  #! key_use call yes MASTER_KEY

# --- a password that is hashed is none
import hashlib


def stored(password, salt):
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 600_000)

# --- PyNaCl
import os

import nacl.secret
import nacl.signing

box = nacl.secret.SecretBox(bytes.fromhex(os.environ["BOX_SECRET"]))  #! env_load module no BOX_SECRET; key_use module no BOX_SECRET


def sign(seed, body):
    return nacl.signing.SigningKey(seed).sign(body)  #! key_use call unknown seed

# --- pycryptodome
from Crypto.Cipher import AES
from Crypto.Hash import HMAC, SHA256
from Crypto.PublicKey import RSA
from Crypto.Signature import pkcs1_15

import settings


def view(body):
    cipher = AES.new(settings.AES_KEY, AES.MODE_GCM)  #! key_use call yes AES_KEY
    tag = HMAC.new(settings.HMAC_KEY, body)  #! key_use call yes HMAC_KEY
    key = RSA.import_key(settings.RSA_PRIVATE_KEY)
    return cipher, tag, pkcs1_15.new(key).sign(SHA256.new(body))  #! key_use call yes RSA_PRIVATE_KEY

# --- itsdangerous | run settings settings.SECRET_KEY
from itsdangerous import URLSafeSerializer

import settings


def use():
    return URLSafeSerializer(settings.SECRET_KEY, salt="mail").dumps("x")  #! key_use call yes SECRET_KEY

# --- itsdangerous built once | run settings settings.SECRET_KEY
import itsdangerous

import settings

serializer = itsdangerous.URLSafeSerializer(settings.SECRET_KEY)  #! key_use module no SECRET_KEY


def use():
    return serializer.dumps("x")

# --- itsdangerous kept by an object | run settings settings.SECRET_KEY
from itsdangerous.signer import Signer as Pen

import settings


class Links:
    def __init__(self):
        self.signer = Pen(settings.SECRET_KEY)  #! key_use instance no SECRET_KEY

    def sign(self):
        return self.signer.sign("x")


use = Links().sign

# --- rsa and ecdsa
import ecdsa
import rsa

import settings


def sign(body, private_key):
    a = rsa.sign(body, private_key, "SHA-256")  #! key_use call unknown private_key
    b = ecdsa.SigningKey.from_pem(settings.EC_PRIVATE_KEY)  #! key_use call yes EC_PRIVATE_KEY
    return a, b

# --- a certificate is signed
from cryptography import x509
from cryptography.hazmat.primitives import hashes


def issue(private_key):
    return x509.CertificateBuilder().sign(private_key, hashes.SHA256())  #! key_use call unknown private_key

# --- keywheel is live
import keywheel
import keywheel.jwt

web = keywheel.ring("web")
pii = keywheel.fernet("pii")  #! key_use module yes pii


tokens = keywheel.ring("access-token")  #! env_load module yes access-token


def view(claims):
    return keywheel.jwt.encode(claims, web)  #! key_use call yes

# --- SQL through SQLAlchemy
from sqlalchemy import func, select

from app import settings


def rows(table):
    return select(func.pgp_sym_decrypt(table.c.name, settings.PGP_SECRET))  #! sql call yes PGP_SECRET

# --- an encrypted column
from sqlalchemy import Column, String
from sqlalchemy_utils import StringEncryptedType

from app import settings


class Person:
    name = Column(StringEncryptedType(String, settings.PII_SECRET_KEY))  #! key_use class no PII_SECRET_KEY

# --- webhooks
import stripe

from app import settings


def view(request):
    return stripe.Webhook.construct_event(request.body, request.headers["S"], settings.STRIPE_WEBHOOK_SECRET)  #! key_use call yes STRIPE_WEBHOOK_SECRET

# --- webhooks by hand
import hashlib
import hmac
import os


def is_ours(body, given):
    secret = os.environ["GITHUB_WEBHOOK_SECRET"].encode()  #! env_load call yes
    expected = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()  #! key_use call yes GITHUB_WEBHOOK_SECRET
    return hmac.compare_digest(expected, given)

# --- a webhook library
from svix.webhooks import Webhook

from app import settings

verifier = Webhook(settings.SVIX_SECRET)  #! key_use module no SVIX_SECRET

# --- a function of another file that says what it does
from app.lib import hmac_of

from app import settings


def view(body):
    return hmac_of(body, settings.WEBHOOK_SECRET)  #! key_use call yes WEBHOOK_SECRET

# --- a plain hash with a key in it | run settings settings.SECRET_KEY
import hashlib

import settings


def use():
    return hashlib.sha256(("x" + settings.SECRET_KEY).encode()).hexdigest()  #! key_use call yes SECRET_KEY

# --- a plain hash of a key of somebody else
import hashlib


def stored(api_key):
    return hashlib.sha256(api_key.encode()).hexdigest()

# --- a function that gives the key of a column
from sqlalchemy import Column, String
from sqlalchemy_utils import EncryptedType

from app import settings


def column_key():
    return settings.COLUMN_SECRET_KEY


class Person:
    name = Column(EncryptedType(String, column_key))  #! key_use class unknown
    mail = Column(EncryptedType(String, lambda: settings.COLUMN_SECRET_KEY))  #! key_use class unknown

# --- a signer of the project
from app.lib import crypto

from app import settings


def view():
    return crypto.TimestampSigner(settings.SESSION_SECRET, salt="session")  #! key_use call yes SESSION_SECRET

# --- a cipher of the project
from app.lib import PersonCipher

from app import settings

cipher = PersonCipher(settings.CIPHER_KEY)  #! key_use module no CIPHER_KEY

# --- settings that a function is handed with its object
import hmac


def check(shop, body):
    secret = shop.modules.config.get("hooks", {}).get("secret", "")
    return hmac.new(secret.encode(), body, "sha256")  #! key_use call unknown secret


def check_app(app, body):
    return hmac.new(app.config["SECRET_KEY"], body, "sha256")  #! key_use call yes SECRET_KEY

# --- settings that the module makes anew
import hmac

CONFIG = None


def init(values):
    global CONFIG
    CONFIG = values


def sign(body):
    return hmac.new(CONFIG.secret_key, body, "sha256")  #! key_use call unknown secret_key

# --- a shared token that an object holds
import hmac


class Gate:
    def __init__(self, app, token):
        self.app = app
        self.token = token

    def __call__(self, environ, start):
        given = environ.get("HTTP_X_TOKEN")
        if hmac.compare_digest(self.token, given):  #! key_use call no
            return self.app(environ, start)
        return hmac.compare_digest(self.seen, given)

# --- a key that is hashed with what it protects
import hashlib
import hmac

from app import settings


def tag(name):
    made = hmac.new(name.encode(), digestmod="sha256")
    made.update(settings.SECRET_KEY.encode())  #! key_use call yes SECRET_KEY
    made.update(name)
    plain = hashlib.sha256()
    plain.update(name)
    return made.hexdigest()

# --- a type of columns that nobody knows, which is handed a key
from shop.types import PGPString, StringList
from shop.settings import PII_SECRET_KEY


class Person(Base):
    name = Column(PGPString(PII_SECRET_KEY, length=200))  #! key_use class no PII_SECRET_KEY
    mail = Column(StringList(length=200))
