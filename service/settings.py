"""Settings of the service: arguments, else `EARSHOT_*` variables, else defaults."""

import difflib
import ipaddress
import os
import re
import textwrap
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from asr import cache
from asr.errors import BadOption
from service.errors import complaint

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PREFIX = "EARSHOT_"
_SECRET = 24
"""Characters that a secret has at least."""
_HOST = re.compile(r"[\w-]+(\.[\w-]+)*")
_OTHERS = {"EARSHOT_DATA", cache.SETTING}
"""No settings of the service: the folder of the training corpus, and that of the cache."""


class Settings(BaseSettings):
    """The service's settings; `Settings.read` has errors for people."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 accepts requests from other machines too."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8000
    """Port to listen on; 0 chooses a free one."""
    bundle: Path | None = None
    """Folder of the bundle to serve; the default is the one that ships with earshot."""
    models_folder: Path | None = None
    """Folder of more bundles, which are served under the names of their folders; only these and
    the bundle of EARSHOT_BUNDLE can be reloaded."""
    model_aliases: str = ""
    """Aliases of models that requests may use, separated by commas: NAME stands for the first
    model, NAME=MODEL for another one."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the model runs; auto uses a GPU if there is one."""
    max_upload_bytes: Annotated[int, Field(gt=0)] = 26_214_400
    """Largest request body; 25 MiB is OpenAI's own limit."""
    max_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 7200.0
    """Longest recording: 25 MiB can hold eight hours, which decode to 2 GB of samples."""
    max_decoded_bytes: Annotated[int, Field(gt=0)] = 4 * 2**30
    """Bytes that a recording may decode to, as float32 in all its channels at its own rate: limits
    the cost of many channels or a high rate. Two hours of 48 kHz stereo take 2.8 GB."""
    decode_workers: Annotated[int | None, Field(ge=1, le=64)] = None
    """Processes that decode uploads, about 70 MB each; the default is the number of cores, at most
    16."""
    decode_timeout_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 30.0
    """Seconds that decoding a recording may take before it is given up and its process killed;
    decode_timeout_per_second gives long ones more time. Of jobs only seconds of work count, since
    requests go first."""
    decode_timeout_per_second: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.1
    """Seconds more that decoding may take for each second of audio decoded so far."""
    model_idle_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Seconds without a request, a job or speech after which a model is unloaded and its memory is
    free; the next request waits until it is loaded again. 0 keeps all models loaded."""
    load_timeout_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 300.0
    """Seconds that loading and warming up a model may take before its process is killed."""
    hang_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 10.0
    """Seconds without a sign of life, or beyond the time for its work, after which a process counts
    as hung: it is killed and replaced, and its work is done again."""
    deadline_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 30.0
    """A request must be answered within these seconds plus the length of its recording. If that is
    not possible, it is refused at once with 503; if it fails later, the answer is 504."""
    max_queue_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 14_400.0
    """Seconds of audio that may wait or be processed; more is refused with 503. A request that is
    alone is never refused for this."""
    max_held_bytes: Annotated[int, Field(gt=0)] = 2**30
    """Memory for uploads that are being received or wait for their answer; more are refused with
    503 before they are read. At least max_upload_bytes."""
    max_connections: Annotated[int, Field(ge=1)] = 4096
    """Connections at a time; one more is answered with 503 and closed. Fewer if the limit on open
    files (ulimit -n) does not allow as many."""
    max_connections_per_address: Annotated[int, Field(ge=1)] = 1024
    """Connections at a time from one address, except trusted proxies."""
    head_timeout_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 10.0
    """Seconds that the head of a request may take to arrive; then 408."""
    body_timeout_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 20.0
    """Seconds to wait for a body, plus one for each least_bytes_per_second of it that have arrived;
    then 408. If a client reads its answer more slowly, the connection is closed."""
    least_bytes_per_second: Annotated[int, Field(ge=1)] = 500
    """Bytes that a client must send or read per second; speech that is sent while it is spoken has
    1,000 or more."""
    trusted_proxies: str = ""
    """Addresses and networks, separated by commas, of proxies in front of the service: their
    X-Forwarded-For gives the client's address. * trusts everybody."""
    root_path: Annotated[str, Field(pattern="^(/[A-Za-z0-9._~-]+)*$")] = ""
    """Path under which a proxy shows the service, as /speech, whether or not the proxy removes
    it."""
    live_sessions: Annotated[int | None, Field(ge=0)] = None
    """Live sessions (/v1/realtime) at a time; more are refused with 503. By default as many as the
    measured throughput allows."""
    live_utterance_s: Annotated[float, Field(ge=5, le=60)] = 30.0
    """Longest turn of a live session, in seconds: a longer one is cut at its quietest place."""
    live_idle_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 60.0
    """Seconds without any sound after which a live session is closed."""
    jobs_folder: Path | None = None
    """Folder for jobs: their store, recordings and results. It must outlive the service, and belong
    to one service alone, or be shared by all replicas that have one EARSHOT_JOBS_URL. Without it
    nobody may post jobs."""
    jobs_uploads: str | None = None
    """Where recordings of jobs are kept instead of in jobs_folder, which then belongs to each
    replica alone: another folder, or an address that fsspec knows, as s3://bucket/folder (needs the
    extra `stores`). Credentials are taken from where the store's own tools have them."""
    jobs_url: SecretStr | None = None
    """Database in PostgreSQL, as postgresql://user:password@host/name, in which replicas share
    their jobs, what keys have used, and the limits of keys in audio and jobs; needs the extra
    `postgres`. Without it they lie in SQLite in jobs_folder, for one service."""
    jobs_lease_s: Annotated[float, Field(ge=2, allow_inf_nan=False)] = 30.0
    """Seconds without a sign of life of a replica after which others take its jobs over, where
    there is a jobs_url."""
    jobs_max_bytes: Annotated[int, Field(gt=0)] = 20 * 2**30
    """Bytes that the recordings of jobs may take there; more are refused with 503. A recording is
    removed once its job has ended."""
    jobs_max_days: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 7.0
    """Days after which a job is forgotten with its result. One that has not ended so many days
    after it was posted has failed."""
    jobs_max_upload_bytes: Annotated[int, Field(gt=0)] = 2**30
    """Largest body of a job's request."""
    jobs_max_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 14_400.0
    """Longest recording of a job. Jobs that are worked on may take 128 kB of memory for each of
    these seconds."""
    callback_hosts: str = ""
    """Hosts, separated by commas, that jobs may call when they end (callback_url). An address or a
    network that is not public may be called only if it is listed too. With none, nobody is
    called."""
    callback_secret: SecretStr = SecretStr("")
    """Signs these calls (HMAC-SHA256, as https://www.standardwebhooks.com says)."""
    drain_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 30.0
    """Seconds that requests under way have to finish when the service is told to stop (SIGTERM); a
    second signal ends it at once. The longest recording adds drain_per_second."""
    drain_per_second: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.02
    """Seconds more to finish for each second of the longest recording under way. Whatever stops the
    service must wait for drain_s plus this times max_seconds."""
    api_keys: SecretStr = SecretStr("")
    """API keys, as NAME:SHA256,NAME:SHA256 (`asr key NAME` makes them). If any is set, requests
    below /v1/ need one; if none is, every Authorization header is accepted and ignored."""
    api_keys_file: Path | None = None
    """File with more API keys, one per line; read at the start and after SIGHUP."""
    admin_keys: SecretStr = SecretStr("")
    """Keys that may reload models, written like EARSHOT_API_KEYS; with none, nobody may."""
    metrics_keys: SecretStr = SecretStr("")
    """Keys that may read /metrics, written like EARSHOT_API_KEYS; with none, everybody may."""
    key_requests_per_minute: Annotated[int, Field(ge=0)] = 0
    """Requests that each key may make in a minute; then 429. 0 sets no limit."""
    key_requests_at_once: Annotated[int, Field(ge=0)] = 0
    """Requests that each key may have under way; then 429. 0 sets no limit."""
    key_audio_seconds_per_day: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Seconds of audio that each key may have transcribed in a day (UTC), jobs included; then 429.
    0 sets no limit. What was used is kept where there is a folder for jobs; else it is forgotten
    when the service ends."""
    key_jobs_at_once: Annotated[int, Field(ge=0)] = 0
    """Jobs that each key may have waiting or running; then 429. 0 sets no limit."""
    cors_origins: str = ""
    """Origins, separated by commas, whose web pages may call the service; * stands for all."""
    log_format: Literal["plain", "json"] = "plain"
    """Form of log lines; json writes one object per line. No line holds what was said, or what a
    caller wrote in fields, file names, headers, queries, bodies or events; an error has its code
    and the name of its field. What callers may choose is the id in x-request-id."""
    trace_endpoint: str | None = None
    """Address of an OpenTelemetry collector, as http://collector:4318/v1/traces; needs the extra
    `trace`."""

    @field_validator("trace_endpoint")
    @classmethod
    def _traces_go_to_an_address(cls, value: str | None) -> str | None:
        if value is not None and _origin(value) is None:
            raise ValueError("it should be an address, as http://collector:4318/v1/traces")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins_are_origins(cls, value: str) -> str:
        for origin in filter(None, map(str.strip, value.split(","))):
            if origin != "*" and _origin(origin) != origin:
                raise ValueError(
                    f"{origin[:100]!r} should be an origin, as https://app.example:8443, or *"
                )
        return value

    @field_validator("callback_hosts")
    @classmethod
    def _hosts_are_hosts(cls, value: str) -> str:
        for host in filter(None, map(str.strip, value.split(","))):
            if not _HOST.fullmatch(host) and not _is_network(host):
                raise ValueError(
                    f"{host[:100]!r} should be a host, as hooks.example, or an address or network, "
                    "as 10.0.0.0/8"
                )
        return value

    @model_validator(mode="after")
    def _limits_need_keys(self) -> Self:
        limits = {name for name in type(self).model_fields if name.startswith("key_")}
        limited = any(getattr(self, name) for name in limits)
        if limited and not (self.api_keys.get_secret_value() or self.api_keys_file):
            raise ValueError(
                "The limits of a key (EARSHOT_KEY_…) need keys: set "
                "EARSHOT_API_KEYS or EARSHOT_API_KEYS_FILE."
            )
        return self

    @model_validator(mode="after")
    def _calls_are_signed(self) -> Self:
        if self.callback_hosts and len(self.callback_secret.get_secret_value()) < _SECRET:
            raise ValueError(
                "EARSHOT_CALLBACK_HOSTS needs EARSHOT_CALLBACK_SECRET, of at least "
                f"{_SECRET} characters, to sign the calls."
            )
        return self

    @model_validator(mode="after")
    def _shared_jobs_have_a_place(self) -> Self:
        if self.jobs_uploads is not None and self.jobs_folder is None:
            raise ValueError(
                "EARSHOT_JOBS_UPLOADS needs EARSHOT_JOBS_FOLDER, where the rest of jobs is kept."
            )
        if self.jobs_url is None:
            return self
        if not self.jobs_url.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError(  # without its value, which may have a password
                "EARSHOT_JOBS_URL should be an address, as postgresql://user:password@host/name."
            )
        if self.jobs_folder is None:
            raise ValueError(
                "EARSHOT_JOBS_URL needs EARSHOT_JOBS_FOLDER: a folder that all replicas share, or, "
                "with EARSHOT_JOBS_UPLOADS, one for each of them."
            )
        return self

    @model_validator(mode="after")
    def _an_upload_fits(self) -> Self:
        if self.max_held_bytes < self.max_upload_bytes:
            raise ValueError(
                f"EARSHOT_MAX_HELD_BYTES ({self.max_held_bytes}) must hold one upload at least: "
                f"EARSHOT_MAX_UPLOAD_BYTES is {self.max_upload_bytes}."
            )
        if self.jobs_max_bytes < self.jobs_max_upload_bytes:
            raise ValueError(
                f"EARSHOT_JOBS_MAX_BYTES ({self.jobs_max_bytes}) must hold one upload at least: "
                f"EARSHOT_JOBS_MAX_UPLOAD_BYTES is {self.jobs_max_upload_bytes}."
            )
        return self

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies_are_addresses(cls, value: str) -> str:
        _networks(value)  # ValueError names the wrong one
        return value

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_variables(cls, values: Any) -> Any:
        # pydantic-settings reads the variables that it knows and silently ignores the others.
        known = {_PREFIX + name.upper() for name in cls.model_fields} | _OTHERS
        for variable in os.environ:
            if variable.upper().startswith(_PREFIX) and variable.upper() not in known:
                near = difflib.get_close_matches(variable.upper(), known, n=1, cutoff=0)[0]
                raise ValueError(
                    f"The environment variable {variable} is not known; did you mean {near}?"
                )
        return values

    @classmethod
    def read(cls, **given: Any) -> Self:
        """Settings from `given`, then the environment, then defaults.

        Raises:
            BadOption: a setting is unknown or wrong.
        """
        try:
            return cls(**given)
        except ValidationError as error:
            raise BadOption(_sentence(error)) from error

    @property
    def open_to_strangers(self) -> bool:
        """Whether other machines may use the service without a key."""
        if self.api_keys.get_secret_value() or self.api_keys_file:
            return False
        try:
            return not ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host != "localhost"

    def aliases(self) -> dict[str, str]:
        """Alias -> id of its model; "" is the first model."""
        pairs = (pair.partition("=") for pair in self.model_aliases.split(",") if pair.strip())
        return {alias.strip(): name.strip() for alias, _, name in pairs}

    def proxies(self) -> list[Network]:
        """The networks of trusted proxies."""
        return _networks(self.trusted_proxies)

    def listed(self) -> str:
        """All settings as an environment file: for each its description, then its value.

        Secrets are hidden, and settings without a value are commented out.
        """
        lines = []
        for name, field in type(self).model_fields.items():
            value = self.model_dump(mode="json")[name]
            unset = "# " if value is None else ""
            shown = "" if value is None else value
            lines += [
                *(f"# {line}" for line in textwrap.wrap(field.description or "", 98)),
                f"{unset}{_PREFIX}{name.upper()}={shown}",
            ]
        return "\n".join(lines)


def _origin(address: str) -> str | None:
    """Scheme, host and port of an address as a browser writes them; None if it is not valid."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or " " in address:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")


def _networks(listed: str) -> list[Network]:
    if listed.strip() == "*":
        return [ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")]
    return [ipaddress.ip_network(item.strip()) for item in listed.split(",") if item.strip()]


def _is_network(text: str) -> bool:
    try:
        return ipaddress.ip_network(text.strip("[]")) is not None
    except ValueError:
        return False


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    if not first["loc"]:
        return first["msg"].removeprefix("Value error, ")
    name = str(first["loc"][0])
    return f"The setting {name} ({_PREFIX}{name.upper()}) does not fit: {complaint(first)}."
