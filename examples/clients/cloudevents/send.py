#!/usr/bin/env python3
"""CloudEvents' own SDK to WindTrap: pip install 'cloudevents<2' requests && python3 send.py

Where a token is needed, it is a header.  An event that is sent again with its id is stored once.
"""
import os

import requests
from cloudevents.conversion import to_binary, to_structured
from cloudevents.http import CloudEvent

url = os.environ.get("WINDTRAP_URL", "http://127.0.0.1:8000") + "/log"
token = {"Authorization": "Bearer " + os.environ.get("WINDTRAP_TOKEN", "")}


def send(data, form=to_structured):
    event = CloudEvent({"type": "com.example.log", "source": "/shop"}, data)
    headers, body = form(event)
    requests.post(url, data=body, headers={**headers, **token}, timeout=5).raise_for_status()


send({"level": "info", "message": "user alice logged in"})
send({"level": "warning", "message": "Grüße, 世界 🚀", "order": {"id": 42}})
send({"level": "error", "message": "cannot charge card"}, to_binary)
