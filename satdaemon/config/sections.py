"""[PARAMETERS], [PROC_MACHINES], [NETWORK] and [NOTIFY]."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from satdaemon.config.base import MUST_EXIST, CommaList, OptionalPath, OptionalText, Section


class Parameters(Section):
    """Databases, places and addresses."""

    database: str = Field(
        "sqlite:///work/satdaemon.sqlite",
        description="SQLAlchemy URL of the processing database: sqlite:///FILE or postgresql+psycopg2://USER@HOST/NAME.",
    )
    points_database: OptionalText = Field(
        None, description="URL of the points database; empty: the processing database."
    )
    data_path: Path = Field(
        Path("work/data"), description="Where product zips stand, in subdirectories named by track (T132)."
    )
    processing_path: Path = Field(
        Path("work/processing"), description="Where products are made, one directory a frame."
    )
    log_path: Path = Field(Path("work/logs"), description="Where each job's whole output is kept.")
    service_path: Path = Field(
        Path("work/services"),
        description="Where the services started by `satdaemon up` keep their logs, their status and Prefect's own database.",
    )
    orbit_path: Path = Field(Path("work/orbits"), description="Where orbit files (.EOF) stand.")
    dem: OptionalPath = Field(
        None, description="DEM raster of any coordinate system, heights in metres.", json_schema_extra={MUST_EXIST: True}
    )
    dem_source: Literal["file", "glo_30"] = Field(
        "file",
        description="file: `dem`; glo_30: Copernicus GLO-30, fetched once a frame (pip install satdaemon[dem]).",
    )
    dem_heights: Literal["ellipsoid", "EGM96", "EGM2008"] = Field(
        "ellipsoid", description="What the heights of `dem` are above: the WGS84 ellipsoid, or the geoid EGM96 or EGM2008."
    )
    geoid: OptionalPath = Field(
        None,
        description="Grid of the geoid's heights above the ellipsoid (GeoTIFF, GTX); empty: PROJ's own, where it is installed.",
        json_schema_extra={MUST_EXIST: True},
    )
    software_path: CommaList = Field(
        (), description="Directories put in front of PATH for the programs of `processor = command`."
    )
    polarisation: Literal["vv", "hh"] = Field("vv", description="Polarisation that is processed.")
    prefect_api: str = Field("http://127.0.0.1:4200/api", description="Address of the Prefect server's API.")
    dask_scheduler: str = Field("tcp://127.0.0.1:8786", description="Address of the Dask scheduler.")
    dask_ca: OptionalPath = Field(
        None,
        description="Certificate of the private authority (`satdaemon certificates`): Dask then speaks TLS; empty: it does not.",
        json_schema_extra={MUST_EXIST: True},
    )
    dask_cert: OptionalPath = Field(
        None, description="This host's certificate for TLS on Dask.", json_schema_extra={MUST_EXIST: True}
    )
    dask_key: OptionalPath = Field(
        None, description="The key of that certificate, readable by this user alone.", json_schema_extra={MUST_EXIST: True}
    )
    prefect_database: OptionalText = Field(
        None,
        description="URL of Prefect's own database: postgresql+asyncpg://USER@HOST/NAME; empty: SQLite below service_path.",
    )
    work_pool: str = Field("satdaemon", description="Name of the Prefect work pool that frame flows run in.")
    planner_interval_s: float = Field(300.0, ge=5, le=86400, description="Seconds between two scheduled plans.")
    watch_interval_s: float = Field(
        0.0, ge=0, le=86400, description="Seconds between two looks of Prefect's `watch` for new zips in data_path; 0: by hand."
    )
    heartbeat_s: float = Field(10.0, ge=0.2, le=120, description="Seconds between two beats of a running job.")
    lease_s: float = Field(
        60.0, ge=1, le=3600, description="A job that has not beaten for so many seconds is lost and planned again."
    )
    retry_first_s: float = Field(
        15.0, ge=0, le=3600, description="Seconds until a job is tried again after an error that may pass; doubles a try."
    )
    retry_most_s: float = Field(3600.0, ge=0, le=86400, description="Longest wait between two tries, seconds.")
    reserve_after_s: float = Field(
        600.0, ge=0, description="A job that fits nowhere while others pass it for so many seconds gets a machine kept free."
    )
    least_free_gb: float = Field(
        2.0, ge=0, le=1e6, description="Disk space that jobs leave free at processing_path and data_path, GB."
    )
    quarantine_after: int = Field(
        5,
        ge=0,
        le=1000,
        description="A machine where so many jobs failed in a row that succeed elsewhere is quarantined; 0: never.",
    )
    learn_resources: bool = Field(
        True, description="Ask for the memory that such jobs were seen to need, where that is less than configured."
    )
    quicklooks: bool = Field(
        True, description="Make small pictures of products (amplitude, phase, coherence, velocity), which the web pages show."
    )
    log_days: float = Field(90.0, ge=1, le=36500, description="Days that the output of jobs is kept.")
    history_days: float = Field(
        365.0, ge=1, le=36500, description="Days that events of jobs, frames and the daemon are kept; what made a product stays."
    )
    prefect_days: float = Field(14.0, ge=0.1, le=36500, description="Days that Prefect keeps ended flow runs and their logs.")
    flow_concurrency: int = Field(
        4,
        ge=1,
        le=500,
        description="Frames at work at a time on a host, and two urgent ones beside them; above 4 with Prefect on PostgreSQL.",
    )
    frame_concurrency: int = Field(
        32, ge=1, le=500, description="Jobs of one frame that its flow run submits or holds waiting at a time."
    )

    @field_validator("prefect_database")
    @classmethod
    def _prefect_dialect(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("postgresql+asyncpg:"):
            raise ValueError("a URL that starts with postgresql+asyncpg:, or nothing")
        return value

    @model_validator(mode="after")
    def _tls_as_a_whole(self) -> Self:
        given = [name for name in ("dask_ca", "dask_cert", "dask_key") if getattr(self, name) is not None]
        if len(given) not in (0, 3):
            raise ValueError(f"dask_ca, dask_cert and dask_key together or none of them, got {', '.join(given)} alone")
        scheme = self.dask_scheduler.partition("://")[0]
        if scheme != ("tls" if given else "tcp"):
            how = "with dask_ca, dask_cert and dask_key" if given else "without certificates (dask_ca)"
            raise ValueError(f"dask_scheduler = {'tls' if given else 'tcp'}://HOST:PORT {how}, got {self.dask_scheduler}")
        return self

    @field_validator("database", "points_database")
    @classmethod
    def _known_dialect(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("sqlite:", "postgresql:", "postgresql+psycopg2:")):
            raise ValueError("a URL that starts with sqlite: or postgresql+psycopg2:")
        return value


class Machine(Section):
    """One processing machine: a Dask worker with resources."""

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9._-]+$")
    host: str = "127.0.0.1"
    port: int = Field(0, ge=0, le=65535)
    cpu: float = Field(gt=0)
    memory_gb: float = Field(gt=0)
    disk: float = Field(100.0, gt=0)
    start: Literal["local", "ssh", "systemd", "manual"] = "local"


class MachineTable(Section):
    """Parallel lists, one place a machine; a single value counts for all."""

    names: CommaList = Field(("local1", "local2"), description="Names of the processing machines.")
    hosts: CommaList = Field(("127.0.0.1",), description="Host name or address of each machine.")
    ports: CommaList = Field(("0",), description="Port of each machine's Dask worker; 0: any free port.")
    cpu: CommaList = Field(("1",), description="CPU cores that jobs may use on each machine.")
    memory_gb: CommaList = Field(("4",), description="Memory that jobs may use on each machine, GB.")
    disk: CommaList = Field(("100",), description="Disk I/O units of each machine, out of 100.")
    start: CommaList = Field(
        ("local",),
        description="How each worker is started: local or ssh (by `satdaemon up`, here or there), systemd or manual.",
    )
    ssh: str = Field(
        "ssh", min_length=1, description="Program and options that reach a machine with `start = ssh`; its host is added."
    )
    ssh_python: OptionalText = Field(
        None, description="What runs SatDaemon's Python there, as the shell there takes it; empty: the same path as here."
    )
    ssh_config: OptionalText = Field(None, description="The configuration file there; empty: the same path as here.")


class NetworkSettings(Section):
    """Which dates become interferograms. A frame may override each."""

    previous: int = Field(3, ge=1, le=20, description="Each date is paired with so many dates before it.")
    annual_pairs: int = Field(2, ge=0, le=10, description="Long pairs close to one year, at most so many a date.")
    annual_tolerance_days: int = Field(30, ge=1, le=120, description="How far from one year a long pair may be, days.")
    max_days: int = Field(0, ge=0, description="Longest span of a short pair, days; 0: no limit.")
    min_coverage: float = Field(
        0.8, gt=0, le=1, description="Smallest share of the frame's bursts that a date must have to be used."
    )
    initial_stack: int = Field(
        12, ge=3, le=200, description="Dates of the initial stack from which siblings are chosen."
    )
    reference_after_days: int = Field(
        0, ge=0, description="The master is taken among dates at least so old, days; 0: any age."
    )


class NotifySettings(Section):
    """Messages to people."""

    urls: CommaList = Field((), description="Apprise URLs (Teams workflow, e-mail, ...) that get messages.")
    group_s: float = Field(
        60.0, ge=0, le=86400, description="A message waits so many seconds for others of its cause, which become one with it."
    )
    repeat_s: float = Field(
        3600.0, ge=0, le=604800, description="Once told, a cause is told again after so many seconds at the earliest, counted."
    )
    per_minute: int = Field(
        20, ge=1, le=1000, description="Most messages sent in a minute by all processes; one lists what is more."
    )
    level: Literal["info", "warning", "error"] = Field("warning", description="Least level of message that is sent.")
    late_days: float = Field(
        7.0, ge=0, le=3650, description="A date that has been on disk for so many days and is in no points is late; 0: never."
    )
    give_up_h: float = Field(
        72.0, ge=0.01, le=8760, description="Hours for which an address that takes no message is tried; the message is kept."
    )
    keep_days: float = Field(90.0, ge=1, le=36500, description="Days that messages are kept once they are done with.")


class WebSettings(Section):
    """The processing controller: web pages and API."""

    host: str = Field("127.0.0.1", description="Address that the web server listens at; 0.0.0.0: all of this host.")
    port: int = Field(8420, ge=1, le=65535, description="Port that it listens at.")
    start: bool = Field(True, description="`satdaemon up` starts it too.")
    public: bool = Field(False, description="Anybody may look without logging in; to change anything one has to.")
    session_h: float = Field(12.0, ge=0.1, le=8760, description="Hours that a login lasts.")
    secure_cookies: bool = Field(
        False, description="Cookies go over HTTPS alone: yes wherever a proxy in front speaks HTTPS with the browser."
    )
    proxies: CommaList = Field(
        (), description="Addresses of proxies in front, whose X-Forwarded-For and X-Forwarded-Proto are believed."
    )
    login_tries: int = Field(
        10, ge=1, le=1000, description="Refused logins of a name or an address within 15 minutes before it has to wait."
    )
    prefect_ui: OptionalText = Field(
        None, description="Where people's browsers reach the Prefect UI; empty: at the address of prefect_api."
    )
    oidc_issuer: OptionalText = Field(
        None, description="OpenID Connect issuer (https://...) through which users may log in; empty: by password alone."
    )
    oidc_client: OptionalText = Field(
        None, description="Client id there; its secret is read from the environment, SATDAEMON_OIDC_SECRET."
    )
    oidc_claim: str = Field("email", description="Claim of OpenID Connect that names the user.")
    oidc_viewers: bool = Field(
        False, description="Whoever logs in there for the first time becomes a viewer; no: an admin has to make the user first."
    )
