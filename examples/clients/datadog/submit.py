#!/usr/bin/env python3
"""Datadog's own client to WindTrap: pip install datadog-api-client && python3 submit.py

Where a token is needed, it is the key.  `timestamp`, in ms, is the event's own time.
"""
import os
import time

from datadog_api_client import ApiClient, Configuration
from datadog_api_client.v2.api.logs_api import LogsApi
from datadog_api_client.v2.model.http_log import HTTPLog
from datadog_api_client.v2.model.http_log_item import HTTPLogItem

scheme, name = os.environ.get("WINDTRAP_URL", "http://127.0.0.1:8000").split("://")
configuration = Configuration(
    api_key={"apiKeyAuth": os.environ.get("WINDTRAP_TOKEN", "none")},
    server_index=1,
    server_variables={"protocol": scheme, "name": name},
    enable_retry=True,
)


def item(message, status, **more):
    now = str(round(time.time() * 1000))
    return HTTPLogItem(message=message, status=status, service="shop", timestamp=now, **more)


with ApiClient(configuration) as client:
    LogsApi(client).submit_log(
        HTTPLog(
            [
                item("user alice logged in", "info"),
                item("Grüße, 世界 🚀", "warning", order="42"),
                item("cannot charge card", "error"),
            ]
        )
    )
