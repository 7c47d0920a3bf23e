#!/usr/bin/env python3
"""Sends events by the official client (elasticsearch 7, 8 or 9) or by opensearch-py.

    pip install elasticsearch
    python3 bulk.py

Where a token is needed, it is the password in the URL: http://any:TOKEN@127.0.0.1:8000
"""
import datetime
import os

try:
    from elasticsearch import Elasticsearch, helpers
except ImportError:
    from opensearchpy import OpenSearch as Elasticsearch, helpers

client = Elasticsearch(os.environ.get("WINDTRAP_URL", "http://127.0.0.1:8000"))


def event(message, **more):
    now = datetime.datetime.now(datetime.timezone.utc).isoformat()
    return {"_op_type": "create", "_index": "shop", "@timestamp": now, "message": message, **more}


print(helpers.bulk(client, [event("user alice logged in"), event("Grüße, 世界 🚀", order={"id": 42})]))
