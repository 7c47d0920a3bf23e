#!/usr/bin/env python3
"""Python's own logging, sent to WindTrap by the handler of the standard library.

The handler posts a form; each log record becomes one event, an object of its fields.
"""
import logging
import logging.handlers

handler = logging.handlers.HTTPHandler("127.0.0.1:8000", "/log", method="POST")
log = logging.getLogger("shop")
log.setLevel(logging.INFO)
log.addHandler(handler)

log.info("order %s paid", 4711)
