"""The columns of the view `ledger`; satdaemon.db.ledger_view makes it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Date, Float, Integer, MetaData, SmallInteger, String, Table, Text

from satdaemon.db.clock import UtcDateTime

LEDGER = Table(
    "ledger",
    MetaData(),  # of its own: the other one makes tables
    Column("frame_id", String, comment="frames.id"),
    Column("kind", String, comment="master, ifg or rsar_ifg: the table of the row."),
    Column("row_id", BigInteger),
    Column("date1", Date),
    Column("date2", Date, comment="Pairs only."),
    Column("stage", String),
    Column("stage_rank", SmallInteger, comment="Place of the stage in the chain, from 0."),
    Column("state", String, comment="done, ready, blocked, running, failed, excluded, stale or off."),
    Column("reason", Text, comment="By what it is blocked, where it runs, why it failed, was excluded, is stale."),
    Column("is_next", Boolean, comment="The stage that the row would do next; at most one a row."),
    Column("is_current", Boolean, comment="The one stage of a row that says where it stands."),
    Column("is_on", Boolean, comment="Frame and stage are switched on, the dates in range and scope."),
    Column("is_owed", Boolean, comment="Next, on, and all it needs is there: belongs into the queue."),
    Column("with_warnings", Boolean, comment="Done, with warnings in `reason`."),
    Column("priority", Integer, comment="The frame's."),
    Column("created_utc", UtcDateTime, comment="The frame's."),
    Column("job_id", BigInteger, comment="The job in the queue, or running."),
    Column("progress", Float, comment="0..1, of a running job."),
)
