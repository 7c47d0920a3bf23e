"""Section R of bench/ingest: windtrap beside what else collects events, for bench/run.

All get the same events, those of bench/corpus, in turns: of each repetition and each kind of load, each peer has one
round. After it the events that it has are counted.
"""
import json
import os
import platform
import statistics
import sys
import threading
import time
from dataclasses import dataclass

import charts
import encoders
from measure import (BENCH, DISTURBED, Failed, Others, find_victoria_logs, machine, median, ms, print_table, progress, run, spread,
                     thousands, undisturbed, wrk, write_requests)
from peers import flask_service, loki, postgres, rsyslog, victoria_logs, windtrap
from peers.peer import DURABLE, private_memory

CORPUS = 50000
COPIED = 200000
# Of fewer, pages and not rows are what a table's size says.
ENOUGH_ROWS = 1000


@dataclass(frozen=True)
class Kind:
    name: str
    title: str
    connections: int
    events: int  # in a request
    load: str    # what Peer.takes has for it


KINDS = (Kind("1", "One event a request, 1 connection", 1, 1, "one"),
         Kind("16", "One event a request, 16 connections", 16, 1, "one"),
         Kind("64", "One event a request, 64 connections", 64, 1, "one"),
         Kind("1,000", "1,000 events a request, 4 connections", 4, 1000, "many"),
         Kind("syslog", "Syslog by TCP, 16 connections", 16, 1, "syslog"))


class Requests:
    """The corpus as requests in files, and as messages of syslog."""

    def __init__(self, scratch, events):
        self.scratch, self.events, self.written = scratch, events, {}

    def write(self, name, n, headers, target, encode=encoders.ndjson):
        """The path of a file of requests with n events each."""
        if name not in self.written:
            self.written[name] = os.path.join(self.scratch, "requests-" + name)
            write_requests(self.written[name], [encode(self.events[i:i + n]) for i in range(0, len(self.events), n)], headers, target)
        return self.written[name]

    def frames(self):
        if "frames" not in self.written:
            self.written["frames"] = [b"<%d>1 %s %s %s - - - %s\n" % (
                16 * 8 + e.priority, e.iso().encode(), e.host.encode(), e.app.encode(), encoders.compact(e.fields).encode())
                for e in self.events]
        return self.written["frames"]


class Memory(threading.Thread):
    """The most memory that a peer has during a round, of what is seen every half second."""

    def __init__(self, peer):
        super().__init__()
        self.peer, self.most, self.over = peer, 0, threading.Event()

    def run(self):
        while not self.over.wait(0.5):
            self.most = max(self.most, private_memory(self.peer.pids()))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


def one_round(peer, kind, seconds, others):
    peer.store.clear()
    peer.settle()
    with others:
        cpu, wal = peer.cpu(), peer.store.wal()
        with Memory(peer) as memory:
            r = peer.load(kind, seconds)
        r["wal"] = None if wal is None else peer.store.wal() - wal
        peer.settle()
        cpu = peer.cpu() - cpu
    stored = peer.store.count()
    if not stored:
        raise Failed("none of %d events is stored" % r["events"])
    r["others"] = others.seen[-1]
    r["cpu"] = cpu * 1e6 / stored
    if r["wal"] is not None:
        r["wal"] /= stored
    r["table"] = peer.store.size() / stored if stored >= ENOUGH_ROWS else None
    r["memory"] = memory.most
    # Requests that were on their way when the time was over may be stored, and nobody took the answer.
    most = r["events"] + kind.connections * kind.events
    r["missing"] = max(0, r["events"] - stored) - max(0, stored - most)
    return r


def start_peers(server, requests, names, peers):
    """Adds all that are there and wanted to peers; why others are not."""
    peers.append(windtrap.Windtrap(server, requests))
    peers.append(windtrap.WindtrapSyslog(server, requests))
    # The documents for INSERT and \\copy: what windtrap has made of the same events.
    wrk(server, "bodies.lua", 4, 3, peers[0].takes["many"])
    copied = os.path.join(server.options.scratch, "documents")
    rows = min(COPIED, server.count("log"))
    server.sql("COPY (SELECT * FROM log LIMIT %d) TO '%s'" % (rows, copied))
    documents = server.sql("SELECT data FROM log LIMIT 5000").split("\n")
    root, logs, loki_binary = rsyslog.find(), find_victoria_logs(), loki.find()
    possible = (
        ("flask", True, "", lambda: flask_service.FlaskService(server, requests, False)),
        ("flask-kept", True, "", lambda: flask_service.FlaskService(server, requests, True)),
        ("insert", True, "", lambda: postgres.Insert(server, documents)),
        ("copy", True, "", lambda: postgres.Copy(server, copied, rows)),
        ("rsyslog", root, "could not be fetched", lambda: rsyslog.RsyslogTable(server, requests, root)),
        ("rsyslog-windtrap", root, "could not be fetched", lambda: rsyslog.RsyslogWindtrap(server, requests, root)),
        ("victoria-logs", logs, "is not installed (PATH, VICTORIA_LOGS=/path)", lambda: victoria_logs.VictoriaLogsPeer(server, requests, logs)),
        ("loki", loki_binary, "is not installed (PATH, LOKI=/path)", lambda: loki.Loki(server, requests, loki_binary)))
    unknown = set(names) - {key for key, *_ in possible}
    if unknown:
        raise Failed("no such peer: %s; there are %s" % (", ".join(unknown), ", ".join(key for key, *_ in possible)))
    absent = []
    for key, there, why, make in possible:
        if names and key not in names:
            continue
        if not there:
            absent.append("%s %s" % (key, why))
            continue
        progress("starting " + key)
        try:
            peers.append(make())
        except (Failed, OSError) as e:
            progress("%s: %s" % (key, e))
            absent.append("%s could not be started" % key)
    return absent


def measure_all(server, peers, repetitions, seconds, absent):
    """Of each kind and peer its rounds; a peer that fails is left out from then on."""
    found = {(k, p): [] for k in KINDS for p in peers if k.load in p.takes}
    others, failed = Others(server), set()
    for n in range(repetitions):
        for k in KINDS:
            # Who is first differs, and so does who comes after whom's afterpains.
            first = n * len(peers) // repetitions
            for p in peers[first:] + peers[:first]:
                if (k, p) not in found or p in failed:
                    continue
                try:
                    r = one_round(p, k, seconds, others)
                except (Failed, OSError) as e:
                    if p.key == "windtrap":
                        raise
                    progress("%s: %s" % (p.name, e))
                    failed.add(p)
                    absent.append("%s failed" % p.key)
                    continue
                found[k, p].append(r)
                progress("%d, %s, %s: %s/s, CPU %.0f us, %d missing, %d refused, others %.0f %%" % (
                    n + 1, k.name, p.name, thousands(r["rate"]), r["cpu"], r["missing"], r["refused"], r["others"]))
    return {key: rounds for key, rounds in found.items() if key[1] not in failed}, others


COLUMNS = ["", "ack", "events/s", "min..max", "ratio", "p50", "p99", "CPU", "WAL", "table", "memory", "missing", "refused", "calm"]


def results(found, kind):
    """Of each peer that takes it a row of the table, and its rate."""
    ours = next(rounds for (k, p), rounds in found.items() if k is kind and p.key == "windtrap")
    for (k, p), rounds in found.items():
        if k is not kind:
            continue
        beside, kept_ours, kept = undisturbed(rounds, ours)
        times = statistics.median(a["rate"] / b["rate"] for a, b in zip(beside, kept_ours))

        def shown(key, of):
            values = [r[key] for r in beside if r[key] is not None]
            return of(statistics.median(values)) if values else ""

        yield p, median(beside, "rate"), [
            p.name, p.ack, thousands(median(beside, "rate")), spread(beside), "" if p.key == "windtrap" else ratio_text(times),
            shown("p50", ms), shown("p99", ms), "%.0f" % median(beside, "cpu") if median(beside, "cpu") >= 10 else "%.1f" % median(beside, "cpu"),
            shown("wal", thousands), shown("table", thousands), "%.0f" % (max(r["memory"] for r in beside) / 1e6),
            *(thousands(sum(r[key] for r in rounds)) for key in ("missing", "refused")), kept]


def ratio_text(times):
    return "%.2f" % times if times >= 0.1 else "%.3f" % times


NOTES = (
    "ratio: events/s to windtrap's of the same turn. p50, p99: of a request, in ms. CPU: microseconds an event of all processes but the",
    "sender's, with what was left to be done afterwards (PostgreSQL: a checkpoint). WAL, table: bytes an event on disk, with indexes.",
    "memory: MB of heaps and stacks of the peer's processes at most, for PostgreSQL's clients of their backends; beside it PostgreSQL has",
    "its shared_buffers, and all have the kernel's cache. missing: events that were acknowledged (by syslog: sent) and were not there",
    "afterwards, of all rounds (below 0: so many are there twice); refused: those of requests that were not answered 2xx.",
    "calm: rounds that count, of how many.",
    "ack: an answer says that the event is durable, or that it is in memory; syslog has none.")


def chart(found):
    groups = []
    for kind in KINDS:
        bars = [charts.Bar(rate, "#1f77b4" if p.key == "windtrap" else "#9aa5b1" if p.ack == DURABLE else "#e3a857",
                           "%s %s" % (thousands(rate), p.name)) for p, rate, _ in results(found, kind)]
        groups.append((kind.title, bars))
    return charts.bars("Events a second (more is better), on a scale of powers of ten", [
        ("windtrap", "#1f77b4"), ("others, durable when they answer", "#9aa5b1"), ("from memory, or no answer", "#e3a857")], groups, 190, 12)


def markdown(heading, tables):
    lines = []
    for line in heading:
        lines += [line + "  "]
    for title, rows in tables:
        lines += ["", "**%s**" % title, "", "| " + " | ".join(COLUMNS) + " |", "|" + " --- |" * 2 + " ---: |" * (len(COLUMNS) - 2)]
        lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def section_r(server, repetitions, seconds, names):
    began = time.time()
    progress("making %s events" % thousands(CORPUS))
    corpus = run([sys.executable, os.path.join(BENCH, "corpus"), "--events", str(CORPUS)], 120).encode().splitlines()
    # As if they came just now; some peers do not take those of a year ago.
    shift = time.time() - 60 - json.loads(corpus[0])["time"]
    events = [encoders.Event(line, shift) for line in corpus]
    peers = []
    try:
        absent = start_peers(server, Requests(server.options.scratch, events), names, peers)
        found, others = measure_all(server, peers, repetitions, seconds, absent)
        versions = dict.fromkeys(v for v in (p.version() for p in peers) if v)
    finally:
        for p in peers:
            p.stop()
    heading = [
        "%s: %s, Linux %s; %s" % (time.strftime("%Y-%m-%d", time.gmtime(began)), machine(server), ".".join(platform.release().split(".")[:2]), ", ".join(versions)),
        "%s events of %.0f bytes on average; medians of %d rounds of %d s, in turns; %s" % (
            thousands(CORPUS), sum(map(len, corpus)) / len(corpus), repetitions, seconds, others)]
    if statistics.median(others.seen) > DISTURBED:
        heading.append("THE MACHINE WAS BUSY with other things: rates and latencies may be far from what it can do")
    if absent:
        heading.append("left out: " + "; ".join(absent))
    tables = [(k.title, [row for _, _, row in results(found, k)]) for k in KINDS]
    print("\n" + "\n".join(heading))
    for title, rows in tables:
        print_table(title, [], COLUMNS, rows)
    print("\n  " + "\n  ".join(NOTES))
    progress("it took %.0f s" % (time.time() - began))
    where = os.environ.get("WT_BENCH_RESULTS")
    if where:
        with open(os.path.join(where, "performance.svg"), "w") as f:
            f.write(chart(found))
        with open(os.path.join(where, "performance.md"), "w") as f:
            f.write(markdown(heading, tables))
