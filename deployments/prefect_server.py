"""The Prefect server, at home with SQLAlchemy 2.1.   python -m deployments.prefect_server --host HOST --port PORT

Prefect 3.8.8 enters scheduled flow runs by a bulk insert that carries a state beside the columns. SQLAlchemy 2.0 passed
over it; 2.1 refuses it where the model does not say what it means, and then no schedule ever starts a run. Here the
models say that it means nothing: the states are entered by a statement of their own.

SQLAlchemy 2.1 also wants to be told which operators a type knows. Prefect's UUID does not say, and each comparison of an id
looked through the whole stack for whom to warn: a tenth of what the server did.
"""

from __future__ import annotations

import runpy
import sys
from typing import Any

from prefect.server.database import orm_models


def accept_states_in_bulk() -> None:
    """Let bulk inserts of runs carry states again. KeyError where Prefect's models are others than expected."""
    for model in (orm_models.FlowRun, orm_models.TaskRun):
        vars(model)["state"].inplace.bulk_dml(_pass_over)


def compare_ids_quietly() -> None:
    """Prefect's UUID knows the operators of the text that it is compared like. KeyError where its models are others."""
    columns = orm_models.Flow.__table__.columns
    type(columns["id"].type).operator_classes = columns["name"].type.operator_classes


def _pass_over(_model: Any, _values: Any, _state: Any) -> None:
    """Nothing: the state has a table of its own."""


def main() -> None:
    """`prefect server start` with the same arguments."""
    accept_states_in_bulk()
    compare_ids_quietly()
    sys.argv = ["prefect", "server", "start", *sys.argv[1:]]
    runpy.run_module("prefect", run_name="__main__")


if __name__ == "__main__":
    main()
