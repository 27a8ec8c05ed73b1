"""Everything an operator can set, from the environment. `signpost settings` prints this table."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Mapping

ROOT = Path(__file__).resolve().parent.parent


_ORIGIN = re.compile(r"https?://(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::\d{1,5})?")


class SettingProblem(Exception):
    """A setting has a value that cannot be used; the message names it and says what is expected."""


def _setting(default: object, about: str):
    return field(default=default, metadata={"about": about})


@dataclass(frozen=True)
class Settings:
    """One field for each environment variable `SIGNPOST_<NAME>`."""

    host: str = _setting("127.0.0.1", "address to listen on")
    port: int = _setting(8000, "port of pages and API")
    engine_port: int = _setting(5005, "port of the engine, always on loopback when `signpost run` starts it")
    engine_url: str = _setting("", "where the engine answers; empty: the one that `signpost run` starts")
    engine_token: str = _setting("", "secret between app and engine; empty: made anew at each start of `signpost run`")
    engine_timeout: float = _setting(20.0, "seconds until a turn of the engine counts as hanging")
    reply_wait: float = _setting(8.0, "seconds a posted message waits for its answer before 202 is given")
    data_dir: str = _setting("", "where database, model and files live; empty: var/ beside the code")
    database_url: str = _setting("", "SQLAlchemy address; empty: SQLite in the data directory")
    keys: str = _setting("", "keys of what is encrypted at rest, id:base64 with commas between, the newest first; empty: the key file")
    key_file: str = _setting("", "file of those keys; empty: keys/signpost.keys beside the SQLite database or in the data directory")
    metrics_port: int = _setting(0, "port of /metrics for Prometheus, for the operator's network only; 0: none")
    metrics_host: str = _setting("127.0.0.1", "address that /metrics listens on")
    most_connections: int = _setting(1000, "connections at once, beyond which the service answers 503")
    log_level: str = _setting("WARNING", "least level of what is logged")
    security_log: str = _setting("", "file of the security events; empty: among the other logs")
    area: str = _setting("somerset", "council area of a conversation that names none (a file in data/areas/)")
    rate_limits: str = _setting("on", "`off` lifts the limits per address and session, for tests and evaluation")
    train: str = _setting("on", "`off` serves the model that is there although the data has changed since")
    public_url: str = _setting("", "address under which people reach this service; empty: http://host:port")
    secure_cookies: str = _setting("off", "`on` where people reach the service by https")
    embed_origins: str = _setting("", "websites that may embed the chat, with spaces between: https://www.example.sch.uk https://*.example.org")
    undo_seconds: int = _setting(15, "seconds in which a staff reply can be taken back; 0 sends at once")
    worker: str = _setting("on", "`off`: `signpost run` starts no worker; run `signpost worker` elsewhere, as many as you like")
    smtp_host: str = _setting("", "mail server for alerts to staff; empty: alerts are in the console only")
    smtp_port: int = _setting(587, "its port")
    smtp_security: str = _setting("starttls", "starttls, tls or none (loopback only)")
    smtp_user: str = _setting("", "account at the mail server, if it wants one")
    smtp_password: str = _setting("", "its password")
    smtp_from: str = _setting("signpost@localhost", "address that alerts come from")
    second_step: str = _setting("offered", "`required`: every member of staff signs in with a code from an app too; `offered`: those who set it up")
    staff_idle_minutes: int = _setting(0, "minutes without any act after which staff are signed out (what they type is given back); 0: only after 20 hours")
    oidc_issuer: str = _setting("", "address of the organisation's OpenID Connect sign-in for staff; empty: none")
    oidc_client_id: str = _setting("", "what it knows Signpost as")
    oidc_client_secret: str = _setting("", "the secret that goes with it")
    oidc_label: str = _setting("your organisation", "what it is called on the sign-in page")
    telegram_token: str = _setting("", "token of the Telegram bot; empty: Telegram is off (docs/telegram.md says what to think of first)")
    telegram_mode: str = _setting("polling", "polling asks Telegram for messages; webhook has Telegram call SIGNPOST_PUBLIC_URL")
    telegram_staff_replies: str = _setting("on", "`off` keeps what staff write off Telegram: a notice says where to read it")
    telegram_dpia: str = _setting("", "your data protection impact assessment of Telegram (where it is, its date); the webhook needs it")
    telegram_api_url: str = _setting("https://api.telegram.org", "the Bot API; another one for a local Bot API server or the demo")
    demo: str = _setting("", "`on` seeds a demo staff directory into an empty database, `off` does not; empty: on, but off with secure cookies")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read `SIGNPOST_*`. Raises SettingProblem for a value of the wrong kind."""
        values = {}
        for entry in fields(cls):
            name = variable(entry.name)
            if environment.get(name, "") != "":
                kind = type(entry.default)
                try:
                    values[entry.name] = kind(environment[name])
                except ValueError as problem:
                    raise SettingProblem(f"{name} must be a {kind.__name__}, not {environment[name]!r}") from problem
        return cls(**values)

    @property
    def data_path(self) -> Path:
        """Folder of everything that is written."""
        return Path(self.data_dir).resolve() if self.data_dir else ROOT / "var"

    @property
    def database(self) -> str:
        """The SQLAlchemy address in use."""
        return self.database_url or f"sqlite:///{self.data_path / 'signpost.db'}"

    @property
    def engine(self) -> str:
        """Base address of the engine."""
        return (self.engine_url or f"http://127.0.0.1:{self.engine_port}").rstrip("/")

    @property
    def site(self) -> str:
        """Base address that people see."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def embedders(self) -> tuple[str, ...]:
        """The websites that may embed the chat. Raises SettingProblem for what is no origin."""
        origins = tuple(self.embed_origins.split())
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise SettingProblem(f"{variable('embed_origins')} must hold origins like https://www.example.org, not {origin!r}")
        return origins

    @property
    def demo_on(self) -> bool:
        """Whether an empty database is given the demo's staff: made-up accounts are not for a service that families reach."""
        return (self.demo or ("off" if self.secure_cookies == "on" else "on")).lower() == "on"

    @property
    def limits_on(self) -> bool:
        """Whether rate limits are enforced."""
        return self.rate_limits.lower() != "off"


def variable(name: str) -> str:
    """The environment variable of a field."""
    return f"SIGNPOST_{name.upper()}"
