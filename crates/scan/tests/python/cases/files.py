"""Key files and secret stores."""

# --- at import | run file jwt_secret.key
import hmac

with open("jwt_secret.key") as file:  #! env_load module no jwt_secret.key
    KEY = file.read()


def use():
    return hmac.new(KEY.encode(), b"", "md5").hexdigest()  #! key_use call no jwt_secret.key

# --- in the function | run file jwt_secret.key
def use():
    return open("jwt_secret.key").read().strip()  #! env_load call yes jwt_secret.key

# --- pathlib at import | run file signing_key.txt
from pathlib import Path

SIGNING_KEY = Path("signing_key.txt").read_text()  #! env_load module no signing_key.txt


def use():
    return SIGNING_KEY

# --- pathlib in the function | run file signing_key.txt
import pathlib


def use():
    return pathlib.Path("signing_key.txt").read_text()  #! env_load call yes signing_key.txt

# --- a variable that is named as a key file
from pathlib import Path

PRIVATE_KEY_FILE = Path("/etc/app/private.pem")


def sign():
    return PRIVATE_KEY_FILE.read_bytes()  #! env_load call yes

# --- secrets of the orchestrator
with open("/run/secrets/session") as file:  #! env_load module no /run/secrets/session
    SESSION = file.read()

# --- named by the environment
import os


def key():
    return open(os.environ["SECRET_KEY_FILE"]).read()  #! env_load call yes SECRET_KEY_FILE

# --- files that hold no key
from pathlib import Path

README = open("README.md").read()
CERTIFICATE = Path("server.crt").read_text()
KEYBOARDS = open("keyboards.json").read()
TEMPLATE = Path("templates/reset_password.html").read_text()

# --- a file that is written
def write(key):
    with open("secret.key", "w") as file:
        file.write(key)

# --- a private key
from cryptography.hazmat.primitives import serialization


def load():
    with open("private_key.pem", "rb") as file:  #! env_load call yes private_key.pem
        return serialization.load_pem_private_key(file.read(), password=None)

# --- a public key
with open("jwt_public.pem") as file:  #! env_load module no jwt_public.pem
    VERIFIER = file.read()

# --- a loader of files
from pathlib import Path


def secret(name):
    return Path(f"/run/secrets/{name}").read_text().strip()


SECRET_KEY = secret("secret_key")  #! env_load module no secret_key
BANNER = secret("banner")

# --- a loader with a suffix
import os


def env_or_file(name, default=None):
    path = os.environ.get(name + "_FILE")
    if path:
        with open(path) as file:
            return file.read().strip()
    return os.environ.get(name, default)


SECRET_KEY = env_or_file("SECRET_KEY")  #! env_load module no SECRET_KEY
DATABASE_HOST = env_or_file("DATABASE_HOST")

# --- AWS
import boto3

client = boto3.client("secretsmanager")
SIGNING_KEY = client.get_secret_value(SecretId="prod/signing_key")["SecretString"]  #! env_load module no prod/signing_key

# --- parameters of AWS
import boto3

ssm = boto3.client("ssm")
JWT_SECRET = ssm.get_parameter(Name="/app/jwt-secret", WithDecryption=True)["Parameter"]["Value"]  #! env_load module no /app/jwt-secret

# --- Vault
import hvac

client = hvac.Client(url="http://localhost:8200")
SECRET_KEY = client.secrets.kv.v2.read_secret_version(path="app/secret_key")["data"]["data"]["key"]  #! env_load module no app/secret_key

# --- Google
from google.cloud import secretmanager

client = secretmanager.SecretManagerServiceClient()
SIGNING_KEY = client.access_secret_version(name="projects/x/secrets/signing_key").payload.data  #! env_load module no

# --- Azure
from azure.keyvault.secrets import SecretClient

vault = SecretClient("https://x", None)
JWT_SECRET = vault.get_secret("jwt-secret").value  #! env_load module no jwt-secret

# --- the keyring
import keyring

SIGNING_KEY = keyring.get_password("app", "signing_key")  #! env_load module no

# --- a loader of another file
from app.lib import get_secret

SECRET_KEY = get_secret("SECRET_KEY")  #! env_load module no SECRET_KEY

# --- a loader of another file, in a function, for the moment
from app.lib import get_config


def view():
    key = get_config("api_key_header")
    return key

# --- a path that is put together before
import os


def load(names):
    for name in names:
        path = "/data/%s.key" % name
        with open(path) as handle:  #! env_load call unknown
            value = handle.read()
        notes = f"/data/{name}.md"
        with open(notes) as handle:
            text = handle.read()

# --- a file that is opened as that of a key
import jwt


def load(url):
    path = url[7:]
    with open(path) as key_file:  #! env_load call unknown
        return key_file.read()


def either(first, second):
    with open(first or second, "rb") as key_file:  #! env_load call unknown key_file
        return key_file.read()


def table(url):
    path = url[7:]
    with open(path) as key_table:
        return key_table.read()
# --- mounted secrets that a constant names
import os
from pathlib import Path

from shop.names import JWT_SECRET_ENV_VAR


def jwt_secret():
    return Path(os.path.join("/run/secrets", JWT_SECRET_ENV_VAR)).read_text().strip()  #! env_load call yes /run/secrets/JWT_SECRET


def other():
    return Path("/run/secrets", JWT_SECRET_ENV_VAR).read_text()  #! env_load call yes /run/secrets/JWT_SECRET


def any_of(name):
    return Path(os.path.join("/run/secrets", name)).read_text()

# --- key files that others read
import os

from shop.keys import Vapid, create_key, read_crypto_key
from shop.config import conf


class Push:
    def __init__(self, folder):
        self.vapid = Vapid.from_file(os.path.join(folder, "push.pem"))  #! env_load instance no push.pem
        self.page = Vapid.from_file(os.path.join(folder, "push.html"))


def keys():
    made = create_key("made.pem")
    return made, read_crypto_key(key_path=conf.encryption_key_path)  #! env_load call unknown encryption_key_path

# --- a file of the private key and the certificate
from shop.config import conf


def certificate():
    privKeyAndCertFilename = conf.http.cert_file
    with open(privKeyAndCertFilename) as file:  #! env_load call yes privKeyAndCertFilename
        return file.read()


def part(certificate):
    with open(certificate["keyFile"]) as file, open(certificate["certFile"]) as other:  #! env_load call unknown keyFile
        return file.read(), other.read()

# --- a reader of the file itself
from pathlib import Path


def _read_secret_file(key_path):
    return key_path.read_text().strip()


def _create_secret_file(key_path):
    try:
        return _read_secret_file(key_path)  #! env_load call unknown key_path
    except FileNotFoundError:
        return None


def secret(key_file=".jwt_secret_key"):
    key_path = Path(key_file)
    return _create_secret_file(key_path)

# --- a path that whoever calls has in settings
def secret_key(settings):
    secret_key_file = settings.get("SECRET_KEY_FILE")  #! env_load call unknown SECRET_KEY_FILE
    with open(secret_key_file) as file:  #! env_load call unknown secret_key_file
        return file.read()
