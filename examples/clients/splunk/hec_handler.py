#!/usr/bin/env python3
"""Python's logging to WindTrap: pip install splunk-hec-handler && python3 hec_handler.py

Where no token is needed, any text is good.  It sends while you log, and does not send again.
"""
import logging
import os
from urllib.parse import urlsplit

from splunk_hec_handler import SplunkHecHandler

url = urlsplit(os.environ.get("WINDTRAP_URL", "http://127.0.0.1:8000"))
log = logging.getLogger("shop")
log.setLevel(logging.INFO)
log.propagate = False  # it logs itself by logging.debug(), which makes Python print all records
log.addHandler(
    SplunkHecHandler(
        url.hostname,
        os.environ.get("WINDTRAP_TOKEN", "none"),
        port=url.port,
        proto=url.scheme,
        source="shop",
    )
)

log.info("user alice logged in")
log.warning({"message": "Grüße, 世界 🚀", "order": {"id": 42}})
log.error("cannot charge card")
