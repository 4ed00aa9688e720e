"""Settings that are declared: traits, models of configurations, variables and options."""

# --- traits
from traitlets import Bool, Bytes, Unicode, Union
from traitlets.config import Configurable


class Hub(Configurable):
    api_token = Unicode(help="token").tag(config=True)  #! env_load class no api_token
    cookie_secret = Bytes(b"k3f9qz81", config=True)  #! env_load class no cookie_secret; hardcoded class no cookie_secret
    build_secret = Union([Unicode(), Bytes()], config=True)  #! env_load class no build_secret
    name = Unicode("hub", config=True)
    requires_token = Bool(False, config=True)
    inner_secret = Unicode()

# --- models of a configuration
from pydantic import BaseModel, SecretStr


class BotConfig(BaseModel):
    token: SecretStr  #! env_load class no token
    api_key: SecretStr | None = None  #! env_load class no api_key
    page: int = 1


class PluginConfig(BotConfig):
    signing_key: str  #! env_load class no signing_key


class TokenRequest(BaseModel):
    token: str
    api_key: SecretStr


class UserConfigUpdate(BaseModel):
    secret_key: str

# --- a part of settings
from pydantic import BaseModel
from pydantic_settings import BaseSettings


class Jwt(BaseModel):
    secret_key: str = "k3f9qz81"  #! env_load class no secret_key; hardcoded class no secret_key
    algorithm: str = "HS256"


class Unused(BaseModel):
    secret_key: str


class Settings(BaseSettings):
    jwt: Jwt
    token: str  #! env_load class no token
    key: str = ""  #! env_load class no key

# --- an object of the environment
from shop.env import Environment

env = Environment(
    SHOP_SECRET_KEY=str,  #! env_load module no SHOP_SECRET_KEY
    SHOP_PAGE=int,
    SHOP_MAX_TOKENS=int,
)

# --- a schema of the environment
import environ

env = environ.Env(DEBUG=(bool, False), SECRET_KEY=(str, "k3f9qz81"), API_TOKEN=(str, ""))  #! hardcoded module no SECRET_KEY

# --- options that are secret
from oslo_config import cfg

from shop.options import Opt

options = [
    cfg.StrOpt("signing_key", secret=True),  #! env_load module no signing_key
    cfg.StrOpt("host", default="shop.example"),
    Opt("webhook_secret", secret=True),  #! env_load module no webhook_secret
    Opt("page", secret=False),
]

# --- defaults of a class of settings
class Config:
    default = {
        "client_id": "shop",
        "client_secret": "k3f9",  #! hardcoded class no client_secret
        "signing_key": "k3f9",  #! hardcoded class no signing_key
        "api_key": ["credentials", "api_key"],
    }

# --- fields that say their variable
from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Base(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SHOP_")


class Auth(Base):
    hash_salt: str  #! env_load class no hash_salt
    github: str = Field(alias="GITHUB_TOKEN")  #! env_load class no GITHUB_TOKEN
    host: str = Field(alias="SHOP_HOST")
    hook: SecretStr = Field(validation_alias=AliasChoices("HOOK_SECRET", "HOOK"))  #! env_load class no HOOK_SECRET
    client_secret_hash: str = ""
