#!/usr/bin/env python3
"""Python's logging to WindTrap: pip install splunk-handler && python3 handler.py

Where no token is needed, any text is good.  It sends in the background, and again on 503; what
is lost is said on standard output.
"""
import logging
import os
from urllib.parse import urlsplit

from splunk_handler import SplunkHandler

url = urlsplit(os.environ.get("WINDTRAP_URL", "http://127.0.0.1:8000"))
log = logging.getLogger("shop")
log.setLevel(logging.INFO)
log.addHandler(
    SplunkHandler(
        host=url.hostname,
        port=url.port,
        protocol=url.scheme,
        verify=url.scheme == "https",
        token=os.environ.get("WINDTRAP_TOKEN", "none"),
        index="main",
        source="shop",
        flush_interval=1,
    )
)

log.info("user alice logged in")
log.warning("Grüße, 世界 🚀")
try:
    raise ValueError("no funds")
except ValueError:
    log.exception("cannot charge card")
