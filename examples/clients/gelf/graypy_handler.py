#!/usr/bin/env python3
"""Python's logging to WindTrap: pip install graypy && python3 graypy_handler.py

Where a token is needed, it stands in the path: the handler cannot send it otherwise.  It does
not look at the answer: what is refused is lost in silence.
"""
import logging
import os
from urllib.parse import urlsplit

import graypy

url = urlsplit(os.environ.get("WINDTRAP_URL", "http://127.0.0.1:8000"))
path = "/gelf?token=" + os.environ.get("WINDTRAP_TOKEN", "")
log = logging.getLogger("shop")
log.setLevel(logging.INFO)
log.addHandler(graypy.GELFHTTPHandler(url.hostname, url.port, path=path))

log.info("user alice logged in")
log.warning("Grüße, 世界 🚀", extra={"order": 42})
try:
    raise ValueError("no funds")
except ValueError:
    log.exception("cannot charge card")
