"""Section C of bench/ingest: what an event costs on this machine, for bench/capacity to reckon with.

Costs are CPU time, bytes of write-ahead log and bytes on disk, of one event. Rates are not: what else the
machine does changes them, and two cores' rates say little of sixteen. Events have two sizes, the corpus's and the
same with more in them, so that others can be reckoned between and beyond.
"""
import json
import os
import statistics
import sys
import time

import central
import logs
import sealed
from measure import (BENCH, EVENT, NDJSON, Failed, Others, cpu_seconds, fsync_us, memory, progress, read_stat, run, thousands,
                     wait_until, write_requests, wrk)

IN_BODY = 1000
CORPUS = 20000
SEALED = 100000
PADDING = 600


def padded(lines):
    """The lines with more text in each, of other lines, as messages that are longer have."""
    texts = [json.loads(line).get("event", "") + " " + line[40:PADDING].decode(errors="replace") for line in lines]
    out = []
    for i, line in enumerate(lines):
        more = "".join(texts[(i * 7 + k) % len(texts)] for k in range(1, 5))[:PADDING]
        out.append(line.rstrip()[:-1] + b',"more":' + json.dumps(more).encode() + b"}\n")
    return out


def write_bodies(server, name, lines, n):
    path = os.path.join(server.options.scratch, name)
    write_requests(path, [b"".join(lines[i:i + n]) for i in range(0, len(lines), n)], NDJSON)
    return path


def of_process(pids):
    return sum(cpu_seconds(read_stat(pid)) for pid in pids)


class Costs:
    """What happens between two moments, for each event that is stored meanwhile; CPU in us."""

    def __init__(self, server, others, pids=()):
        self.server, self.others, self.pids = server, others, list(pids)

    def __enter__(self):
        self.others.__enter__()
        self.cpu, self.own, self.lsn = self.server.cpu(), of_process(self.pids), self.server.lsn()
        return self

    def __exit__(self, *failed):
        self.cpu = self.server.cpu() - self.cpu
        self.own = of_process(self.pids) - self.own
        self.lsn = self.server.lsn() - self.lsn
        self.others.__exit__(*failed)

    def each(self, events):
        return {"cpu": self.cpu * 1e6 / events, "own": self.own * 1e6 / events, "wal": self.lsn / events}


def load(server, script, path, connections, seconds, others, count, pids=()):
    server.clear("log")
    with Costs(server, others, pids or server.workers()) as costs:
        r = wrk(server, script, connections, seconds, path)
        # What is dirty has to be written, sooner or later.
        server.sql("CHECKPOINT")
    found = costs.each(count())
    found["rate"] = r["rate"]
    return found


def medians(rounds):
    return {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}


def make_shard(server):
    """The log table with one partition, which is in another database, by TCP as on another server."""
    o = server.options
    server.sql("CREATE DATABASE shard", "CREATE EXTENSION IF NOT EXISTS postgres_fdw")
    columns = "(event_timestamp timestamptz NOT NULL, data jsonb NOT NULL, status int NOT NULL DEFAULT 0, shard int NOT NULL DEFAULT %s)"
    server.psql("-d", "shard", "-c", "CREATE TABLE log " + columns % "0", "-c", "CREATE INDEX ON log USING brin (event_timestamp)")
    server.sql("CREATE SERVER shard FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '%d', "
               "dbname 'shard', batch_size '1000')" % o.pg_port,
               "CREATE USER MAPPING FOR CURRENT_USER SERVER shard",
               "CREATE TABLE sharded " + columns % "(pg_current_xact_id()::text::bigint % 1)::int" + " PARTITION BY LIST (shard)",
               "CREATE FOREIGN TABLE sharded_0 PARTITION OF sharded FOR VALUES IN (0) SERVER shard OPTIONS (table_name 'log')")


def at_shard(server):
    return int(server.psql("-d", "shard", "-c", "SELECT count(*) FROM log"))


def measure_shard(server, path, seconds, others):
    make_shard(server)
    server.sql("ALTER SYSTEM SET windtrap.\"table\" = 'sharded'", "SELECT pg_reload_conf()")
    deadline = time.monotonic() + 20
    while at_shard(server) == 0:
        server.post(EVENT, {"Content-Type": "application/json"})
        if time.monotonic() > deadline:
            raise Failed("no event reaches the other server")
        time.sleep(0.1)
    before = at_shard(server)
    found = load(server, "bodies.lua", path, 4, seconds, others, lambda: at_shard(server) - before)
    server.sql("ALTER SYSTEM RESET windtrap.\"table\"", "SELECT pg_reload_conf()")
    return found


def measure_forward(server, path, seconds, others):
    """A collector that keeps no rows, and the archive that it forwards to over HTTP, each for itself."""
    archive = central.Central(server)
    try:
        server.servers.append(archive)
        server.sql("ALTER SYSTEM SET windtrap.forward_to = 'http://127.0.0.1:%d/log'" % archive.options.http_port,
                   "ALTER SYSTEM SET windtrap.postgres = off", "SELECT pg_reload_conf()")
        wait_until(server, "SELECT count(*) = 1 AND count(*) FILTER (WHERE pid IS NULL OR state = 'starting') = 0 FROM windtrap.forwarding", 30)
        pids = server.workers() + [int(server.sql("SELECT pid FROM windtrap.forwarding"))]
        archive.clear("log", "windtrap.idempotency_key")
        with Costs(archive, others) as there, Costs(server, others, pids) as here:
            wrk(server, "bodies.lua", 4, seconds, path)
            wait_until(server, "SELECT sum(lag_events) = 0 FROM windtrap.forwarding", 120)
            archive.sql("CHECKPOINT")
        events = archive.count("log")
        return {"collector": here.each(events), "archive": there.each(events)}
    finally:
        server.sql("ALTER SYSTEM RESET windtrap.forward_to", "ALTER SYSTEM RESET windtrap.postgres", "SELECT pg_reload_conf()")
        server.servers.remove(archive)
        archive.stop()


def measure_sealed(server, events, more):
    """Bytes of an event in the heap and sealed, and what sealing costs."""
    day = sealed.the_day()
    partition, _, begin = sealed.prepare(server, day)

    def make(n, first, last):
        lines = list(logs.systems(n, first, last))
        return [line.rstrip() for line in padded([bytes(line) + b"\n" for line in lines])] if more else lines

    _, size = sealed.post_events(server, None, ("calibration", make, (), "message", "host"), events, begin, begin + 86400)
    stored = server.count(partition)
    if stored != events:
        raise Failed("%d of %d events are in %s" % (stored, events, partition))
    server.psql("-c", "VACUUM (ANALYZE) %s" % partition, "-c", "CHECKPOINT", timeout=600)
    heap = sealed.sizes_of(server, partition)
    cpu = server.cpu()
    sealing = sealed.Sealing(server, partition).wait()
    cpu = server.cpu() - cpu
    size_after = sealed.sizes_of(server, partition + "_sealed", partition + "_late")
    return {"bytes": size, "heap": heap / events, "sealed": size_after / events, "wal": sealing.wal / events,
            "cpu": cpu * 1e6 / events, "memory": sealing.peak * 1024}


def write_rate(directory):
    """Bytes a second that can be written and flushed, in megabytes one after the other."""
    path = os.path.join(directory, "write-probe")
    block = os.urandom(1 << 20)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        begin = time.monotonic()
        n = 0
        while time.monotonic() - begin < 2 and n < 2000:
            os.write(fd, block)
            n += 1
            if n % 16 == 0:
                os.fdatasync(fd)
        os.fdatasync(fd)
        return n * len(block) / (time.monotonic() - begin)
    finally:
        os.close(fd)
        os.unlink(path)


def section_c(server, rounds, seconds):
    scratch = server.options.scratch
    others = Others(server)
    event_file = os.path.join(scratch, "event.json")
    with open(event_file, "wb") as f:
        f.write(EVENT)
    small = run([sys.executable, os.path.join(BENCH, "corpus"), "--events", str(CORPUS)], 120).encode().splitlines(keepends=True)
    large = padded(small)
    paths = {"small": write_bodies(server, "small", small, IN_BODY), "large": write_bodies(server, "large", large, IN_BODY)}

    def in_log():
        return server.count("log")

    single, bodies = [], {"small": [], "large": []}
    wrk(server, "single.lua", 64, 2, event_file)
    for n in range(rounds):
        single.append(load(server, "single.lua", event_file, 64, seconds, others, in_log))
        for key in bodies:
            bodies[key].append(load(server, "bodies.lua", paths[key], 4, seconds, others, in_log))
        progress("round %d: CPU of an event alone %.0f us, in bodies %.1f and %.1f us" % (
            n + 1, single[-1]["cpu"], bodies["small"][-1]["cpu"], bodies["large"][-1]["cpu"]))
    worker = max(memory(pid).get("RssAnon", 0) for pid in server.workers()) * 1024
    server.clear("log")
    results = {
        "made": time.strftime("%Y-%m-%d %H:%M"), "cpus": os.cpu_count(),
        "version": server.sql("SELECT current_setting('server_version')"),
        "in_body": IN_BODY, "single": dict(medians(single), bytes=len(EVENT)), "worker": worker,
        "flush": fsync_us(scratch), "write": write_rate(scratch)}
    for key, lines in (("small", small), ("large", large)):
        results[key] = dict(medians(bodies[key]), bytes=sum(map(len, lines)) / len(lines))
    for key, more in (("sealed small", False), ("sealed large", True)):
        results[key] = measure_sealed(server, SEALED, more)
        progress("%s: %.0f bytes as sent, %.0f in the heap, %.1f sealed" % (
            key, results[key]["bytes"], results[key]["heap"], results[key]["sealed"]))
        server.clear("log")
    results["shard"] = measure_shard(server, paths["small"], seconds, others)
    results["forward"] = measure_forward(server, paths["small"], seconds, others)
    progress("to another server: %.1f us, of which the collector has %.1f; forwarding: %.1f us, and %.1f us at the archive" % (
        results["shard"]["cpu"], results["shard"]["own"], results["forward"]["collector"]["own"], results["forward"]["archive"]["cpu"]))
    results["others"] = statistics.median(others.seen)
    print("C. What an event costs here: CPU %.0f us alone, %.1f us in bodies of %s; %.0f bytes in the heap, %.1f sealed" % (
        results["single"]["cpu"], results["small"]["cpu"], thousands(IN_BODY), results["sealed small"]["heap"],
        results["sealed small"]["sealed"]))
    print(str(others))
    where = os.environ.get("WT_BENCH_RESULTS")
    if where:
        with open(os.path.join(where, "capacity.json"), "w") as f:
            json.dump(results, f, indent=1)
