"""Functions of a project that hand a key on."""

# --- a loader | run env SIGNING_KEY
import hmac
import os


def required(name):
    return os.environ[name]


def use():
    return hmac.new(required("SIGNING_KEY").encode(), b"", "md5").digest()  #! env_load call yes SIGNING_KEY; key_use call yes

# --- a loader that keeps | run env SIGNING_KEY
import functools
import hmac
import os


@functools.cache
def required(name):
    return os.environ[name]


def use():
    return hmac.new(required("SIGNING_KEY").encode(), b"", "md5").digest()  #! env_load call unknown SIGNING_KEY; key_use call no

# --- a loader with a fallback
import os


def env(name, default=None):
    return os.getenv(name, default)


SECRET_KEY = env("SECRET_KEY", "k3f9qz81mvb2")  #! env_load module no SECRET_KEY; hardcoded module no SECRET_KEY
HOST = env("HOST", "localhost")

# --- a loader of a loader
import os


def raw(name):
    return os.environ.get(name)


def required(name):
    value = raw(name)
    if not value:
        raise KeyError(name)
    return value


SECRET_KEY = required("SECRET_KEY")  #! env_load module no SECRET_KEY

# --- a loader with a prefix
import os


def setting(name):
    return os.environ[f"MYAPP_{name}"]


JWT_SECRET = setting("JWT_SECRET")  #! env_load module no JWT_SECRET

# --- a method that loads
import os


class Environment:
    def read(self, name):
        return os.environ[name]

    def load(self):
        self.signing_key = self.read("SIGNING_KEY")  #! env_load instance no SIGNING_KEY

# --- a sink | run settings settings.SIGNING_KEY
import hmac

import settings


def signature(body, key):
    return hmac.new(key.encode(), body, "md5").digest()  #! key_use call unknown key


def use():
    return signature(b"", settings.SIGNING_KEY)  #! key_use call yes SIGNING_KEY

# --- a sink, by its name
import hmac

import settings


def signature(body, *, secret):
    return hmac.new(secret, body, "sha256").hexdigest()  #! key_use call unknown secret


def view(body):
    return signature(body, secret=settings.SIGNING_KEY)  #! key_use call yes SIGNING_KEY

# --- a sink of a sink
import hmac

import settings


def raw(key, body):
    return hmac.new(key, body, "sha256").digest()  #! key_use call unknown key


def signature(body, key):
    return raw(key, body).hex()  #! key_use call unknown key


def view(body):
    return signature(body, settings.SIGNING_KEY)  #! key_use call yes SIGNING_KEY

# --- a class that is given its key
import hmac

import settings


class Signer:
    def __init__(self, secret):
        self._secret = secret

    def sign(self, body):
        return hmac.new(self._secret, body, "sha256").digest()  #! key_use call no secret


signer = Signer(settings.SIGNING_KEY)  #! key_use module no SIGNING_KEY

# --- a literal for a wrapper
import hmac


def signature(body, secret):
    return hmac.new(secret, body, "sha256").digest()  #! key_use call unknown secret


signature(b"", b"k3f9qz81mvb2")  #! key_use module no; hardcoded module no secret

# --- a wrapper around a hash of something else
import hmac


def shortened(username, body):
    return hmac.new(username, body, "sha256").digest()


def view(request):
    return shortened(request.user.name, request.body)

# --- a function that is handed what it signs
import hmac

from app import settings


def tag(name):
    return hmac.new(name + settings.SECRET_KEY, digestmod="sha256")  #! key_use call unknown SECRET_KEY


def view(request):
    return tag(request.headers.get("User-Agent"))

# --- functions of others that sign or encrypt by their names
from shop.crypto import aes_cbc_encrypt, SealedCipher, jwt_tools, verify_signature


def seal_note(data, nkey, iv):
    return aes_cbc_encrypt(nkey, iv, data)  #! key_use call unknown nkey


def open_token(token, public_key):
    return jwt_tools.decode(token, public_key)  #! key_use call unknown public_key


def hook(body, header, endpoint):
    return verify_signature(body, header, endpoint.signing_secret)  #! key_use call unknown signing_secret


class Notes:
    def __init__(self, key):
        self.cipher = SealedCipher(key)  #! key_use instance no key
        self.cipher.set_key(key, 3)  #! key_use instance no key


class Box(Base):
    def __init__(self, key):
        self.notes = Store(key)


class BoxCipher(Base):
    pass


def box(settings):
    return BoxCipher(settings.BOX_SECRET_KEY)  #! key_use call unknown BOX_SECRET_KEY

# --- functions whose names only look so
from shop.crypto import encrypt, decrypt, create_token, sign_in, verify_api_key


def other(secret, client_secret, api_key, key, key_id, cache, secret_key):
    encrypt(secret)
    decrypt(client_secret)
    encrypt(secret, 3)
    encrypt("text", key_id)
    create_token(key=key)
    sign_in(secret_key)
    verify_api_key(api_key)
    cache.set_key(key, 3)
    raise EncryptionError("none", key=key)
