"""A Celery application whose tasks use one client, made before the workers are forked. Its broker
and its results are directories.
"""

from __future__ import annotations

import os

from celery import Celery  # type: ignore[import-untyped]

import rolekeeper

room = os.environ["CELERY_ROOM"]
app = Celery("work", broker="filesystem://", backend=f"file://{room}/results")
app.conf.broker_transport_options = {
    "data_folder_in": f"{room}/queue",
    "data_folder_out": f"{room}/queue",
    "control_folder": f"{room}/control",
}
app.conf.worker_hijack_root_logger = False
app.conf.task_ignore_result = False

session = rolekeeper.Session(
    role_arn="arn:aws:iam::123456789012:role/demo", region_name="us-east-1"
)
client = session.client("sts")
session.refresh_now()


@app.task(name="who")  # type: ignore[untyped-decorator]
def who() -> list[str]:
    arn = client.get_caller_identity()["Arn"]
    key = session.get_credentials().get_frozen_credentials().access_key
    return [str(os.getpid()), key, arn]
