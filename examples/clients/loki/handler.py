#!/usr/bin/env python3
"""Python's logging to WindTrap: pip install python-logging-loki && python3 handler.py

Where a token is needed, it is the password.  It sends while you log, and does not send again.
"""
import logging
import os

import logging_loki

url = os.environ.get("WINDTRAP_URL", "http://127.0.0.1:8000")
log = logging.getLogger("shop")
log.setLevel(logging.INFO)
log.addHandler(
    logging_loki.LokiHandler(
        url=url + "/loki/api/v1/push",
        auth=("any", os.environ.get("WINDTRAP_TOKEN", "")),
        tags={"app": "shop"},
        version="1",
    )
)

log.info("user alice logged in")
log.warning("Grüße, 世界 🚀", extra={"tags": {"order": "42"}})
try:
    raise ValueError("no funds")
except ValueError:
    log.exception("cannot charge card")
