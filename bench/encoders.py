"""Log events as the requests of senders' protocols: what their clients would make of them.

Protobuf is written by hand, from the published numbers of fields, so that nothing but snappy
is needed.  The events are those of bench/corpus.
"""
import json
import struct
from dataclasses import dataclass
from datetime import datetime, timezone

import snappy

JSON = {"Content-Type": "application/json"}
PROTOBUF = {"Content-Type": "application/x-protobuf"}


@dataclass(eq=False)
class Protocol:
    name: str
    path: str
    headers: dict
    encode: object  # makes a body of a list of events
    beside: str  # where VictoriaLogs takes the same body; None: it does not


# Of a level: the severity of OpenTelemetry, the priority of syslog.
LEVELS = {"debug": (5, 7), "info": (9, 6), "warning": (13, 4), "error": (17, 3), "critical": (21, 2)}
TIMES = ("ts", "time", "at")
MESSAGES = ("message", "msg", "event")


class Event:
    """An event, and what clients have in fields of their own."""

    def __init__(self, line, shift):
        """Of a line of the corpus, its time moved on by so many seconds."""
        self.fields = json.loads(line)
        key = next(k for k in TIMES if k in self.fields)
        self.us = round((self.fields[key] + shift) * 1e6)
        self.fields[key] = self.us / 1e6
        self.rest = dict(self.fields)  # but for what stands in the attributes below
        del self.rest[key]
        self.level = self.take(("level", "severity"), "info")
        self.app = self.take(("service",), "gateway")
        self.host = self.take(("host",), "gateway-01")
        self.message = self.take(MESSAGES, None)
        if self.message is None:
            self.message = ("%(method)s %(path)s %(status)d" % self.rest if "path" in self.rest
                            else "metrics of " + self.app)
        self.severity, self.priority = LEVELS[self.level]

    def take(self, names, otherwise):
        for name in names:
            if name in self.rest:
                return self.rest.pop(name)
        return otherwise

    def ns(self):
        return self.us * 1000

    def iso(self):
        return datetime.fromtimestamp(self.us / 1e6, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def lines_of(values):
    return "".join(compact(v) + "\n" for v in values).encode()


def grouped(events, key):
    groups = {}
    for e in events:
        groups.setdefault(key(e), []).append(e)
    return groups.items()


# Protobuf: fields by their number

def varint(n):
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def field_int(number, value):
    return varint(number << 3) + varint(value & (1 << 64) - 1)


def field_fixed64(number, value):
    return varint(number << 3 | 1) + struct.pack("<Q", value)


def field_bytes(number, value):
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


# OpenTelemetry: a resource for each service

def any_value(v):
    if v is None:
        return b""
    if isinstance(v, bool):
        return field_int(2, v)
    if isinstance(v, str):
        return field_bytes(1, v)
    if isinstance(v, int):
        return field_int(3, v)
    if isinstance(v, float):
        return varint(4 << 3 | 1) + struct.pack("<d", v)
    if isinstance(v, list):
        return field_bytes(5, b"".join(field_bytes(1, any_value(x)) for x in v))
    return field_bytes(6, attributes(1, v))


def attributes(number, members):
    return b"".join(field_bytes(number, field_bytes(1, k) + field_bytes(2, any_value(v)))
                    for k, v in members.items())


def split_trace(e):
    """Attributes, and the ids of trace and span, which have fields of their own."""
    rest = dict(e.rest, **{"host.name": e.host})
    trace = rest.pop("trace", None)
    return rest, (trace["id"], trace["span"]) if trace else None


def otlp_record(e):
    rest, trace = split_trace(e)
    record = (field_fixed64(1, e.ns()) + field_int(2, e.severity) + field_bytes(3, e.level.upper()) +
              field_bytes(5, any_value(e.message)) + attributes(6, rest))
    if trace:
        record += field_bytes(9, bytes.fromhex(trace[0])) + field_bytes(10, bytes.fromhex(trace[1]))
    return record + field_fixed64(11, e.ns())


def otlp_protobuf(events):
    body = b""
    for app, group in grouped(events, lambda e: e.app):
        resource = attributes(1, {"service.name": app, "telemetry.sdk.language": "python"})
        scope = field_bytes(1, app + ".log")
        records = b"".join(field_bytes(2, otlp_record(e)) for e in group)
        body += field_bytes(1, field_bytes(1, resource) + field_bytes(2, field_bytes(1, scope) + records))
    return body


def any_json(v):
    if v is None:
        return {}
    if isinstance(v, bool):
        return {"boolValue": v}
    if isinstance(v, str):
        return {"stringValue": v}
    if isinstance(v, int):
        return {"intValue": str(v)}
    if isinstance(v, float):
        return {"doubleValue": v}
    if isinstance(v, list):
        return {"arrayValue": {"values": [any_json(x) for x in v]}}
    return {"kvlistValue": {"values": attributes_json(v)}}


def attributes_json(members):
    return [{"key": k, "value": any_json(v)} for k, v in members.items()]


def otlp_record_json(e):
    rest, trace = split_trace(e)
    record = {"timeUnixNano": str(e.ns()), "observedTimeUnixNano": str(e.ns()),
              "severityNumber": e.severity, "severityText": e.level.upper(),
              "body": any_json(e.message), "attributes": attributes_json(rest)}
    if trace:
        record["traceId"], record["spanId"] = trace
    return record


def otlp_json(events):
    return compact({"resourceLogs": [
        {"resource": {"attributes": attributes_json({"service.name": app,
                                                     "telemetry.sdk.language": "python"})},
         "scopeLogs": [{"scope": {"name": app + ".log"},
                        "logRecords": [otlp_record_json(e) for e in group]}]}
        for app, group in grouped(events, lambda e: e.app)]}).encode()


# Loki: a stream for each level of each service; the line is the event

def loki_protobuf(events):
    body = b""
    for (app, level), group in grouped(events, lambda e: (e.app, e.level)):
        entries = b"".join(field_bytes(2, field_bytes(1, field_int(1, e.us // 10 ** 6) +
                                                      field_int(2, e.us % 10 ** 6 * 1000)) +
                                       field_bytes(2, compact(e.fields))) for e in group)
        body += field_bytes(1, field_bytes(1, '{app="%s", level="%s"}' % (app, level)) + entries)
    return snappy.compress(body)


def loki_json(events):
    return compact({"streams": [
        {"stream": {"app": app, "level": level},
         "values": [[str(e.ns()), compact(e.fields)] for e in group]}
        for (app, level), group in grouped(events, lambda e: (e.app, e.level))]}).encode()


# The others: JSON, and journald's export format

def ndjson(events):
    return lines_of(e.fields for e in events)


def bulk(events):
    """Its own fields, the time in the one that all clients have it in."""
    return lines_of(line for e in events for line in (
        {"create": {}},
        dict({"@timestamp": e.iso()}, **{k: v for k, v in e.fields.items() if k not in TIMES})))


def hec(events):
    return lines_of({"time": e.us / 1e6, "host": e.host, "source": e.app, "sourcetype": "_json",
                     "event": dict(e.rest, message=e.message, severity=e.level)} for e in events)


def datadog(events):
    """As the Agent sends lines of JSON."""
    return compact([{"message": compact(e.fields), "status": e.level, "timestamp": e.us // 1000,
                     "hostname": e.host, "service": e.app, "ddsource": "python",
                     "ddtags": "env:prod,team:a"} for e in events]).encode()


def flat(members, prefix):
    """Members of members with a longer name; values are text or numbers, as GELF has them."""
    for k, v in members.items():
        if isinstance(v, dict):
            yield from flat(v, prefix + k + "_")
        elif isinstance(v, list):
            yield prefix + k, compact(v)
        elif v is not None:
            yield prefix + k, str(v).lower() if isinstance(v, bool) else v


def gelf(events):
    return lines_of(dict({"version": "1.1", "host": e.host, "short_message": e.message,
                          "timestamp": e.us / 1e6, "level": e.priority, "_app": e.app},
                         **dict(flat({k: v for k, v in e.rest.items() if k != "id"}, "_")))
                    for e in events)


def journald_field(name, value):
    value = str(value).encode()
    if b"\n" in value:
        return name.encode() + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
    return name.encode() + b"=" + value + b"\n"


def journald(events):
    out = []
    for e in events:
        fields = {"__REALTIME_TIMESTAMP": e.us, "_HOSTNAME": e.host, "_TRANSPORT": "journal",
                  "SYSLOG_IDENTIFIER": e.app, "PRIORITY": e.priority, "MESSAGE": e.message}
        fields.update((k.upper(), v) for k, v in flat(e.rest, ""))
        out.append(b"".join(journald_field(k, v) for k, v in fields.items()) + b"\n")
    return b"".join(out)


def cloudevents(events):
    return compact([{"specversion": "1.0", "id": "%s-%d" % (e.host, e.us), "source": "/" + e.app,
                     "type": "com.example.log", "time": e.iso(), "datacontenttype": "application/json",
                     "data": dict(e.rest, message=e.message, level=e.level)} for e in events]).encode()


NDJSON = Protocol("NDJSON", "/log", {"Content-Type": "application/x-ndjson"}, ndjson,
                  "/insert/jsonline?_stream_fields=service&_msg_field=message,msg,event")

PROTOCOLS = (
    Protocol("OTLP protobuf", "/v1/logs", PROTOBUF, otlp_protobuf, "/insert/opentelemetry/v1/logs"),
    Protocol("OTLP JSON", "/v1/logs", JSON, otlp_json, "/insert/opentelemetry/v1/logs"),
    Protocol("_bulk", "/logs/_bulk", {"Content-Type": "application/x-ndjson"}, bulk,
             "/insert/elasticsearch/_bulk?_time_field=@timestamp&_msg_field=message,msg,event"
             "&_stream_fields=service"),
    Protocol("Loki protobuf", "/loki/api/v1/push", PROTOBUF, loki_protobuf,
             "/insert/loki/api/v1/push"),
    Protocol("Loki JSON", "/loki/api/v1/push", JSON, loki_json, "/insert/loki/api/v1/push"),
    Protocol("HEC", "/services/collector/event", JSON, hec,
             "/insert/splunk/services/collector/event?_stream_fields=source"),
    Protocol("Datadog", "/api/v2/logs", JSON, datadog, "/insert/datadog/api/v2/logs"),
    Protocol("GELF", "/gelf", JSON, gelf, None),
    Protocol("journald", "/upload", {"Content-Type": "application/vnd.fdo.journal"}, journald,
             "/insert/journald/upload"),
    Protocol("CloudEvents", "/log", {"Content-Type": "application/cloudevents-batch+json"},
             cloudevents, None),
)
