"""Runs commands on a MongoDB server for the tests (see Mongo.pm).

Reads one JSON object a line: {"uri": …, "database": …, "command": {…}}, and answers each
with one line, the reply, or {"error": …, "code": …}.  Values are MongoDB's extended JSON.
"""
import os
import sys

import pymongo
from bson import json_util
from bson.codec_options import CodecOptions
from bson.son import SON

clients = {}
# Of two members of one name, and of order, nothing is to be lost.
options = CodecOptions(document_class=SON)
reading = json_util.JSONOptions(document_class=SON, json_mode=json_util.JSONMode.RELAXED)

for line in sys.stdin:
    try:
        request = json_util.loads(line, json_options=reading)
        uri = request["uri"]
        if uri not in clients:
            clients[uri] = pymongo.MongoClient(uri, serverSelectionTimeoutMS=5000)
        answer = clients[uri][request["database"]].command(
            request["command"], codec_options=options)
    except Exception as error:  # whatever it is, it is the caller's to judge
        details = getattr(error, "details", None) or {}
        answer = {"error": str(error), "code": details.get("code")}
    print(json_util.dumps(answer, json_options=reading), flush=True)

# Not by way of the clients' destructors: they say good-bye to servers that may be gone.
os._exit(0)
