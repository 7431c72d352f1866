"""The tables, as SQLAlchemy models."""

from satdaemon.db.models.access import ApiToken, AuditEntry, LoginFailure, WebSession, WebUser
from satdaemon.db.models.base import Base
from satdaemon.db.models.catalogue import (
    Burst,
    File,
    FileOrbit,
    Frame,
    Orbit,
    StrayFile,
    files2bursts,
    frames2bursts,
    frames2files,
)
from satdaemon.db.models.jobs import (
    DaemonTools,
    FailedJob,
    FrameChange,
    FrameRun,
    JobEvent,
    JobKey,
    Machine,
    MachineFailure,
    PendingJob,
    RunningJob,
)
from satdaemon.db.models.latency import DateLatency
from satdaemon.db.models.learned import LearnedCost
from satdaemon.db.models.ledger import LEDGER
from satdaemon.db.models.messages import Condition, Message, MessageTarget
from satdaemon.db.models.parts import DaemonPart
from satdaemon.db.models.points import DeletedFrame, Point, PointSeries, PointsVersion
from satdaemon.db.models.products import JudgedFrame, Product, StaleProduct
from satdaemon.db.models.rows import (
    MODEL_OF,
    Ifg,
    IfgProcStage,
    Master,
    MasterProcStage,
    RsarIfg,
    RsarIfgProcStage,
    StageRow,
    stage_id,
    stage_of,
)
from satdaemon.db.models.sources import ArchiveLook, FileSource

__all__ = [
    "LEDGER",
    "MODEL_OF",
    "ApiToken",
    "ArchiveLook",
    "AuditEntry",
    "Base",
    "Burst",
    "Condition",
    "DaemonPart",
    "DaemonTools",
    "DateLatency",
    "DeletedFrame",
    "FailedJob",
    "File",
    "FileOrbit",
    "FileSource",
    "Frame",
    "FrameChange",
    "FrameRun",
    "Ifg",
    "IfgProcStage",
    "JobEvent",
    "JobKey",
    "JudgedFrame",
    "LearnedCost",
    "LoginFailure",
    "Machine",
    "MachineFailure",
    "Master",
    "MasterProcStage",
    "Message",
    "MessageTarget",
    "Orbit",
    "PendingJob",
    "Point",
    "PointSeries",
    "PointsVersion",
    "Product",
    "RsarIfg",
    "RsarIfgProcStage",
    "RunningJob",
    "StageRow",
    "StaleProduct",
    "StrayFile",
    "WebSession",
    "WebUser",
    "files2bursts",
    "frames2bursts",
    "frames2files",
    "stage_id",
    "stage_of",
]
