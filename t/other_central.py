"""A server that takes forwarded events as WindTrap does, or as the test wants it to.

other_central.py PORT DIRECTORY [CERTIFICATE KEY]

DIRECTORY/how.json, read at each request, says what it does otherwise:
  status, body, headers   the answer to each request, as they are
  token                   what must be shown, else 401
  refuse                  ids that are refused
  max_rows                of a request, else too_many: a code, 413
  hang                    s before it answers
  raw                     what it sends instead of an answer, before it closes
  count                   takes rows without looking at them
DIRECTORY/requests has a line of JSON for each request, DIRECTORY/rows each new row as it came, and
DIRECTORY/different those that came again and were not the same.  What is in rows was taken, also by one
that has been killed.
"""
import ctypes
import ctypes.util
import http.server
import json
import os
import ssl
import sys
import threading
import time

port, directory = int(sys.argv[1]), sys.argv[2]
zstd = ctypes.CDLL(ctypes.util.find_library("zstd") or "libzstd.so.1")
zstd.ZSTD_isError.restype = ctypes.c_uint
zstd.ZSTD_isError.argtypes = [ctypes.c_size_t]
zstd.ZSTD_createDStream.restype = ctypes.c_void_p
zstd.ZSTD_decompressStream.restype = ctypes.c_size_t
lock = threading.Lock()
taken = {}  # rows by their ids


class Buffer(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_void_p), ("size", ctypes.c_size_t), ("at", ctypes.c_size_t)]


def inflate(packed):
    stream = ctypes.c_void_p(zstd.ZSTD_createDStream())
    source = ctypes.create_string_buffer(packed, len(packed))
    room = ctypes.create_string_buffer(1 << 20)
    there = Buffer(ctypes.cast(source, ctypes.c_void_p), len(packed), 0)
    text = b""
    while True:
        here = Buffer(ctypes.cast(room, ctypes.c_void_p), len(room), 0)
        left = zstd.ZSTD_decompressStream(stream, ctypes.byref(here), ctypes.byref(there))
        if zstd.ZSTD_isError(left):
            raise ValueError("this is no zstd")
        text += room.raw[: here.at]
        if left == 0 or (there.at == there.size and here.at < here.size):
            break
    zstd.ZSTD_freeDStream(stream)
    return text


def append(name, lines):
    with open(os.path.join(directory, name), "ab", buffering=0) as f:
        f.write(b"".join(line + b"\n" for line in lines))


def take(rows, lines):
    new = []
    for row, line in zip(rows, lines):
        if row["data"]["id"] not in taken:
            new.append(line)
            taken[row["data"]["id"]] = line
        elif taken[row["data"]["id"]] != line:
            append("different", [line])
    append("rows", new)


def judge(handler, body, how):
    """What is answered: a code and a body, and headers."""
    if how.get("token") and handler.headers.get("Authorization") != "Bearer " + how["token"]:
        return 401, {"error": "unknown token " + str(handler.headers.get("Authorization"))}, {}
    if "status" in how:
        return how["status"], how.get("body", {}), how.get("headers", {})
    if how.get("count"):
        return 200, {"accepted": inflate(body).count(b"\n"), "quarantined": 0, "refused": 0, "errors": []}, {}
    lines = inflate(body).splitlines()
    rows = [json.loads(line) for line in lines]
    if len(rows) > how.get("max_rows", len(rows)):
        return how.get("too_many", 413), {"error": "too many"}, {}
    refused = [i for i, row in enumerate(rows) if row["data"].get("json", {}).get("id") in how.get("refuse", [])]
    good = [i for i in range(len(rows)) if i not in set(refused)]
    take([rows[i] for i in good], [lines[i] for i in good])
    return 200, {"accepted": len(good), "quarantined": 0, "refused": len(refused),
                 "errors": [{"index": i, "error": "not this one"} for i in refused], "collector": "other"}, {}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            with open(os.path.join(directory, "how.json")) as f:
                how = json.load(f)
        except FileNotFoundError:
            how = {}
        with lock:
            code, answer, headers = judge(self, body, how)
            append("requests", [json.dumps({
                "path": self.path, "code": code, "length": len(body), "time": time.time(),
                "headers": {k.lower(): v for k, v in self.headers.items()}}).encode()])
        time.sleep(how.get("hang", 0))
        if "raw" in how:
            self.wfile.write(how["raw"].encode())
            self.close_connection = True
            return
        text = answer if isinstance(answer, str) else json.dumps(answer)
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *arguments):
        pass


if os.path.exists(os.path.join(directory, "rows")):
    with open(os.path.join(directory, "rows"), "rb+") as f:
        text = f.read()
        # What follows had not been written when it was killed, nor answered.
        text = text[: text.rfind(b"\n") + 1]
        f.truncate(len(text))
        taken = {json.loads(line)["data"]["id"]: line for line in text.splitlines()}
# The second address is one whose name is in no certificate.
servers = [http.server.ThreadingHTTPServer((host, port), Handler) for host in ("127.0.0.1", "127.0.0.2")]
for server in servers:
    server.daemon_threads = True
    if len(sys.argv) > 3:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[3], sys.argv[4])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
threading.Event().wait()
