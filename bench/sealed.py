"""Section S of bench/ingest: what sealing a partition gives, and what it costs.

Each corpus is posted once, as events of three days ago, so that a partition holds all of them. What was
stored is copied into a second log table, which stays as it is; then the partition of the first is sealed,
and both are asked the same, through their parents, which have the other days' (empty) partitions too.
"""
import datetime
import http.client
import json
import os
import re
import statistics
import subprocess
import threading
import time
import urllib.parse

import charts
import logs
from measure import (EVENT, HALF_LOAD_AT, NDJSON, Failed, Others, VictoriaLogs, directory_size, find_victoria_logs, median, ms,
                     print_table, progress, thousands, undisturbed, wrk)

IN_BODY = 2000
ROUNDS = 3
DAYS_AGO = 3


class Query:
    """The same question in SQL, of a table t, and in VictoriaLogs' language; parameters stand in braces."""

    def __init__(self, what, sql, logsql=None, aim=None, span=None):
        self.what, self.sql, self.logsql, self.aim, self.span = what, sql, logsql, aim, span


def json_path(name):
    return "data->'json'->>'%s'" % name


SYSTEMS = (
    Query("count(*)", "SELECT count(*) FROM t", "* | stats count() n"),
    Query("DISTINCT of a constant", "SELECT DISTINCT data->'host' FROM t"),
    Query("DISTINCT of a path", "SELECT DISTINCT data->'json'->'host' FROM t", "* | uniq by (host)"),
    Query("count where severity = 'error'", "SELECT count(*) FROM t WHERE data->'json'->>'severity' = 'error'",
          "severity:=error | stats count() n"),
    Query("substring in message", "SELECT count(*) FROM t WHERE data->'json'->>'message' LIKE '%timeout%'",
          '_msg:~"timeout" | stats count() n'),
    Query("substring with digits", "SELECT count(*) FROM t WHERE data->'json'->>'message' LIKE '%port 2%'",
          '_msg:~"port 2" | stats count() n'),
    Query("substring, ILIKE", "SELECT count(*) FROM t WHERE data->'json'->>'message' ILIKE '%timeout%'",
          '_msg:~"(?i)timeout" | stats count() n'),
    Query("GROUP BY app", "SELECT data->'json'->>'app', count(*) FROM t GROUP BY 1", "* | stats by (app) count() n"),
    Query("GROUP BY app, severity of a host",
          "SELECT data->'json'->>'app', data->'json'->>'severity', count(*) FROM t "
          "WHERE data->'json'->>'host' = '{host}' GROUP BY 1, 2", "host:={host} | stats by (app, severity) count() n"),
    Query("@> of two paths, count", "SELECT count(*) FROM t WHERE data @> '{{\"json\":{{\"app\":\"shop\",\"severity\":\"error\"}}}}'",
          "app:=shop severity:=error | stats count() n"),
    Query("@> of a request_id", "SELECT * FROM t WHERE data @> '{{\"json\":{{\"request_id\":\"{request_id}\"}}}}'",
          "request_id:={request_id}"),
    Query("last 20", "SELECT * FROM t ORDER BY event_timestamp DESC LIMIT 20", "* | sort by (_time desc) limit 20"),
    Query("last 20 errors of an app", "SELECT * FROM t WHERE data->'json'->>'app' = 'shop' AND data->'json'->>'severity' = 'error' "
          "ORDER BY event_timestamp DESC LIMIT 20", "app:=shop severity:=error | sort by (_time desc) limit 20"),
    Query("one event by id", "SELECT * FROM t WHERE data->>'id' = '{id}'"),
    Query("one of 24 hours, count", "SELECT count(*) FROM t WHERE event_timestamp >= '{since}' AND event_timestamp < '{until}'",
          "_time:[{since}, {until}) | stats count() n"),
    Query("all rows, whole", "SELECT sum(pg_column_size(data)) FROM t"),
    Query("all rows, COPY TO", "COPY (SELECT * FROM t) TO '/dev/null'"))

ACCESS = (
    Query("count(*)", "SELECT count(*) FROM t", "* | stats count() n"),
    Query("count where status = 500", "SELECT count(*) FROM t WHERE (data->'json'->>'status')::int = 500",
          "status:=500 | stats count() n"),
    Query("GROUP BY status", "SELECT data->'json'->>'status', count(*) FROM t GROUP BY 1", "* | stats by (status) count() n"),
    Query("sum of bytes by method", "SELECT data->'json'->>'method', sum((data->'json'->>'bytes')::bigint) FROM t GROUP BY 1",
          "* | stats by (method) sum(bytes) n"),
    Query("10 most frequent paths", "SELECT data->'json'->>'path', count(*) FROM t GROUP BY 1 ORDER BY 2 DESC LIMIT 10",
          "* | stats by (path) count() n | sort by (n desc) limit 10"),
    Query("slower than a second, count", "SELECT count(*) FROM t WHERE (data->'json'->>'duration')::numeric > 1",
          "duration:>1 | stats count() n"),
    Query("substring of a path", "SELECT count(*) FROM t WHERE data->'json'->>'path' LIKE '%/product/12%'",
          'path:~"/product/12" | stats count() n'),
    Query("last 20 of a client", "SELECT * FROM t WHERE data->'json'->>'remote_addr' = '{remote_addr}' "
          "ORDER BY event_timestamp DESC LIMIT 20", "remote_addr:={remote_addr} | sort by (_time desc) limit 20"),
    Query("last 20", "SELECT * FROM t ORDER BY event_timestamp DESC LIMIT 20", "* | sort by (_time desc) limit 20"),
    Query("all rows, COPY TO", "COPY (SELECT * FROM t) TO '/dev/null'"))

CHANGES = (
    Query("UPDATE of status", "UPDATE t SET status = 1 WHERE data->'json'->>'app' = 'cron' AND data->'json'->>'message' LIKE '%session opened%'"),
    Query("DELETE of an app", "DELETE FROM t WHERE data->'json'->>'app' = 'nginx'"))

# Name, how its lines are made, queries, stream fields for VictoriaLogs, its message.
CORPORA = (("systems", logs.systems, SYSTEMS, "app,host", "message"),
           ("access", logs.access, ACCESS, "method", "path"))


def post_events(server, victoria, corpus, events, begin, end):
    """The events, posted to both; the first and one in the middle of them."""
    name, make, _, streams, message = corpus
    beside = victoria and http.client.HTTPConnection("127.0.0.1", victoria.port, timeout=120)
    target = "/insert/jsonline?_time_field=time&_msg_field=%s&_stream_fields=%s" % (message, streams)
    body, sent, size, sample = [], 0, 0, None
    connection = http.client.HTTPConnection("127.0.0.1", server.options.http_port, timeout=60)

    def send():
        nonlocal body
        data = b"\n".join(body) + b"\n"
        connection.request("POST", "/log?time_field=time", data, NDJSON)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise Failed("a body was answered %d %s" % (answer.status, text.decode(errors="replace")[:300]))
        if beside:
            beside.request("POST", target, data)
            answer = beside.getresponse()
            answer.read()
            if not 200 <= answer.status < 300:
                raise Failed("VictoriaLogs answered %d" % answer.status)
        body = []

    for line in make(events, begin, end):
        body.append(line)
        sent += 1
        size += len(line)
        if sent == events // 2:
            sample = json.loads(line)
        if len(body) == IN_BODY:
            send()
        if sent % 1000000 == 0:
            progress("%s: %s events are stored" % (name, thousands(sent)))
    if body:
        send()
    connection.close()
    if beside:
        beside.close()
        stored = victoria.count()
        if stored != events:
            raise Failed("VictoriaLogs has %d of %d events" % (stored, events))
    return sample, size / events


def timed(server, sql, settings=(), rounds=ROUNDS):
    """Milliseconds of each round but the first, which warms; a text where it fails."""
    script = ["\\o /dev/null", *settings, "\\timing on"]
    if sql.startswith(("UPDATE", "DELETE")):
        script += ["BEGIN;", sql + ";", "ROLLBACK;"] * (rounds + 1)
        every, nth = 3, 1
    else:
        script += [sql + ";"] * (rounds + 1)
        every, nth = 1, 0
    o = server.options
    p = subprocess.run(["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(o.pg_port), "-U", "postgres",
                        "-d", "postgres"], input="\n".join(script) + "\n", capture_output=True, text=True, timeout=1800)
    if p.returncode:
        progress("%s: %s" % (sql, p.stderr.strip()))
        return None
    times = [float(t) for t in re.findall(r"^Time: ([\d.]+) ms", p.stdout, re.M)]
    return times[nth::every][1:]


def timed_beside(victoria, logsql, rounds=ROUNDS):
    connection = http.client.HTTPConnection("127.0.0.1", victoria.port, timeout=300)
    times = []
    for _ in range(rounds + 1):
        begin = time.monotonic()
        connection.request("POST", "/select/logsql/query", urllib.parse.urlencode({"query": logsql}),
                           {"Content-Type": "application/x-www-form-urlencoded"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise Failed("VictoriaLogs: %s: %d %s" % (logsql, answer.status, text.decode(errors="replace")[:300]))
        times.append((time.monotonic() - begin) * 1000)
    connection.close()
    return times[1:]


class Sealing:
    """One call of windtrap.seal() by a session of its own, whose private memory is watched."""

    def __init__(self, server, partition):
        o = server.options
        self.server, self.peak = server, 0
        self.process = subprocess.Popen(
            ["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(o.pg_port), "-U", "postgres", "-d", "postgres"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.process.stdin.write("SELECT pg_backend_pid();\n")
        self.process.stdin.flush()
        self.pid = int(self.process.stdout.readline())
        self.lsn = server.lsn()
        self.begin = time.monotonic()
        self.process.stdin.write("SELECT windtrap.seal('%s');\n" % partition)
        self.process.stdin.close()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self):
        while self.process.poll() is None:
            try:
                with open("/proc/%d/status" % self.pid) as f:
                    self.peak = max([self.peak] + [int(line.split()[1]) for line in f if line.startswith("RssAnon")])
            except OSError:
                pass
            time.sleep(0.01)

    def wait(self):
        status = self.process.wait()
        self.seconds = time.monotonic() - self.begin
        self.wal = self.server.lsn() - self.lsn
        self.thread.join()
        if status:
            raise Failed("sealing: %s" % self.process.stderr.read().strip())
        self.rows = int(self.process.stdout.read())
        return self


def sizes_of(server, *relations):
    return sum(int(server.sql("SELECT pg_total_relation_size('%s')" % r)) for r in relations)


def cell(times):
    if not times:
        return ""
    m = statistics.median(times)
    return "%.2f" % m if m < 10 else "%.1f" % m if m < 100 else thousands(m)


def the_day():
    return datetime.datetime.now(datetime.timezone.utc).date() - datetime.timedelta(days=DAYS_AGO)


def prepare(server, day):
    """Two log tables, empty, and the names of their partitions of that day; when it begins."""
    begin = datetime.datetime(day.year, day.month, day.day, tzinfo=datetime.timezone.utc).timestamp()
    server.sql("SELECT count(*) FROM windtrap.upkeep(now() - interval '%d days')" % (DAYS_AGO + 1))
    partition = "log_%s" % day.strftime("%Y%m%d")
    twin = "heap_%s" % day.strftime("%Y%m%d")
    server.sql("DROP TABLE IF EXISTS heap", "SELECT windtrap.create_log_table('heap')",
               "CREATE TABLE IF NOT EXISTS %s PARTITION OF heap FOR VALUES FROM ('%s 00:00:00+00') TO ('%s 00:00:00+00')" % (
                   twin, day, day + datetime.timedelta(days=1)))
    if server.sql("SELECT relkind FROM pg_class WHERE oid = '%s'::regclass" % partition) == "f":
        server.psql("-c", "SELECT windtrap.unseal('%s')" % partition, timeout=3600)
    server.clear("log")
    return partition, twin, begin


def measure_corpus(server, corpus, day, events, binary):
    name = corpus[0]
    victoria = VictoriaLogs(binary, os.path.join(server.options.scratch, name)) if binary else None
    try:
        if victoria:
            server.beside.append(victoria.process.pid)
        return measure_beside(server, corpus, day, events, victoria)
    finally:
        if victoria:
            server.beside.clear()
            victoria.stop()


def measure_beside(server, corpus, day, events, victoria):
    name, _, queries, _, _ = corpus
    partition, twin, begin = prepare(server, day)
    progress("%s: posting %s events" % (name, thousands(events)))
    sample, line_size = post_events(server, victoria, corpus, events, begin, begin + 86400)
    stored = server.count(partition)
    if stored != events:
        raise Failed("%d of %d events are in %s" % (stored, events, partition))
    server.psql("-c", "INSERT INTO heap SELECT * FROM %s" % partition, "-c", "VACUUM (ANALYZE) heap",
                "-c", "VACUUM (ANALYZE) log", "-c", "CHECKPOINT", timeout=3600)
    heap_size = sizes_of(server, twin)

    sealings, sealed_size = [], 0
    for n in range(ROUNDS):
        if n:
            server.psql("-c", "SELECT windtrap.unseal('%s')" % partition, "-c", "VACUUM (ANALYZE) log", "-c", "CHECKPOINT", timeout=3600)
        s = Sealing(server, partition).wait()
        if s.rows != events:
            raise Failed("%d of %d rows were sealed" % (s.rows, events))
        sealings.append(s)
        progress("%s: sealed in %.1f s, %.0f MB" % (name, s.seconds, s.peak / 1024))
    sealed_size = sizes_of(server, partition + "_sealed", partition + "_late")
    server.psql("-c", "ANALYZE log", "-c", "CHECKPOINT", timeout=600)
    sums = ", ".join("sum(hashtextextended(%s::text, 0))" % c for c in ("data", "event_timestamp", "status"))
    same = server.psql("-c", "SELECT (SELECT row(%s) FROM heap) = (SELECT row(%s) FROM log)" % (sums, sums), timeout=3600)
    if same != "t":
        raise Failed("%s: the sealed rows are others than those of the heap" % name)

    parameters = dict(sample, since=datetime.datetime.utcfromtimestamp(begin + 12 * 3600).isoformat() + "Z",
                      until=datetime.datetime.utcfromtimestamp(begin + 13 * 3600).isoformat() + "Z",
                      id=server.sql("SELECT data->>'id' FROM heap WHERE event_timestamp = '%s' LIMIT 1" % sample["time"]))
    table = []
    for q in queries:
        sql = q.sql.format(**parameters)
        times = {}
        for table_name, key, settings in (("heap", "heap", ()), ("log", "sealed", ()),
                                          ("log", "rows", ("SET windtrap.partitionwise_aggregate = off;",))):
            times[key] = timed(server, re.sub(r"\bFROM t\b", "FROM " + table_name, sql), settings)
        times["victoria"] = timed_beside(victoria, q.logsql.format(**parameters)) if victoria and q.logsql else []
        table.append((q.what, times))
        progress("%s: %s: heap %s, sealed %s, row by row %s, VictoriaLogs %s ms" % (
            name, q.what, *(cell(times[k]) or "-" for k in ("heap", "sealed", "rows", "victoria"))))
    if name == "systems":
        for q in CHANGES:
            sql = q.sql
            times = {"heap": timed(server, re.sub(r"\bt\b", "heap", sql, count=1)),
                     "sealed": timed(server, re.sub(r"\bt\b", "log", sql, count=1)), "rows": [], "victoria": []}
            rows = server.sql("SELECT count(*) FROM heap WHERE" + sql.split("WHERE")[1])
            table.append(("%s, %s rows" % (q.what, thousands(int(rows))), times))
            progress("%s: %s: heap %s, sealed %s ms" % (name, table[-1][0], cell(times["heap"]), cell(times["sealed"])))
    found = {
        "name": name, "events": events, "line": line_size, "heap": heap_size / events, "sealed": sealed_size / events,
        "rate": statistics.median(events / s.seconds for s in sealings), "wal": statistics.median(s.wal for s in sealings) / events,
        "memory": max(s.peak for s in sealings) / 1024, "queries": table, "victoria": None}
    if victoria:
        victoria.get("internal/force_merge")
        victoria.count()
        found["victoria"] = directory_size(os.path.join(server.options.scratch, name, "victoria-logs")) / events
    return found


def measure_ingest(server, partition, rounds, seconds):
    """Latencies at half load, with and without a sealing that goes on meanwhile."""
    event_file = os.path.join(server.options.scratch, "event.json")
    with open(event_file, "wb") as f:
        f.write(EVENT)
    half = statistics.median(wrk(server, "single.lua", HALF_LOAD_AT, 2, event_file)["rate"] for _ in range(3)) / 2
    found = {False: [], True: []}
    others = Others(server)
    sealed_within = []
    for n in range(rounds):
        for is_sealing in (False, True):
            if is_sealing:
                server.psql("-c", "SELECT windtrap.unseal('%s')" % partition, "-c", "VACUUM (ANALYZE) log", timeout=3600)
            server.sql("CHECKPOINT")
            sealing = Sealing(server, partition) if is_sealing else None
            with others:
                r = wrk(server, "single.lua", HALF_LOAD_AT, seconds, event_file, "%.1f" % half)
            r["others"] = others.seen[-1]
            found[is_sealing].append(r)
            if sealing:
                sealed_within.append(sealing.wait().seconds)
        progress("round %d: p99 %s ms, while sealing %s ms, which took %.1f s" % (
            n + 1, ms(found[False][-1]["p99"]), ms(found[True][-1]["p99"]), sealed_within[-1]))
    without, beside, kept = undisturbed(found[False], found[True])
    ratio = statistics.median(b["p99"] / a["p99"] for a, b in zip(without, beside))
    print_table("S. Ingest while a partition is sealed, at half load", [
        "one event a request, %d connections, %d s a round, medians, in turns; latencies in ms" % (HALF_LOAD_AT, seconds),
        "the sealing took %s s" % ", ".join("%.1f" % s for s in sealed_within), str(others)],
        ["", "events/s", "p50", "p99", "rounds", "p99 ratio"],
        [["alone", thousands(median(without, "rate")), ms(median(without, "p50")), ms(median(without, "p99")), kept, ""],
         ["while sealing", thousands(median(beside, "rate")), ms(median(beside, "p50")), ms(median(beside, "p99")), kept, "%.2f" % ratio]])
    return {"alone": median(without, "p99") / 1000, "sealing": median(beside, "p99") / 1000, "ratio": ratio}


def markdown(results, ingest):
    lines = []
    for r in results:
        lines += ["### %s, %s events" % (r["name"], thousands(r["events"])), "",
                  "| | heap | sealed |%s" % (" VictoriaLogs |" if r["victoria"] else ""), "| --- | --- | --- |" + (" --- |" if r["victoria"] else ""),
                  "| bytes an event, all included | %.0f | %.1f |%s" % (
                      r["heap"], r["sealed"], " %.1f |" % r["victoria"] if r["victoria"] else ""),
                  "| sealing, events/s | | %s |" % thousands(r["rate"]), "| write-ahead log, bytes an event | | %.0f |" % r["wal"],
                  "| memory while sealing, MB | | %.0f |" % r["memory"], "",
                  "| ms | heap | sealed | row by row |%s" % (" VictoriaLogs |" if r["victoria"] else ""),
                  "| --- | --- | --- | --- |" + (" --- |" if r["victoria"] else "")]
        for what, times in r["queries"]:
            lines.append("| %s | %s | %s | %s |%s" % (what, cell(times["heap"]), cell(times["sealed"]), cell(times["rows"]),
                                                    " %s |" % cell(times["victoria"]) if r["victoria"] else ""))
        lines.append("")
    if ingest:
        lines += ["Ingest at half load: p99 %.1f ms alone, %.1f ms while a partition is sealed (ratio %.2f)." % (
            ingest["alone"], ingest["sealing"], ingest["ratio"]), ""]
    return "\n".join(lines)


SERIES = (("heap", "heap partition", "#9aa5b1"), ("sealed", "sealed", "#1f77b4"),
          ("rows", "sealed, row by row", "#17becf"), ("victoria", "VictoriaLogs", "#e3a857"))


def plot(result):
    """Bars of the times of each query."""
    sizes = "%.0f bytes an event in the heap, %.1f sealed" % (result["heap"], result["sealed"])
    if result["victoria"]:
        sizes += ", %.1f in VictoriaLogs" % result["victoria"]
    groups = [(what, [charts.Bar(statistics.median(times[key]), colour, cell(times[key])) for key, _, colour in SERIES if times.get(key)])
              for what, times in result["queries"]]
    legend = [(label, colour) for key, label, colour in SERIES if any(times.get(key) for _, times in result["queries"])]
    return charts.bars("%s events, ms a query (less is better); %s" % (thousands(result["events"]), sizes), legend, groups)


def section_s(server, events, names, rounds, seconds):
    if server.sql("SELECT count(*) FROM pg_proc WHERE oid = to_regprocedure('windtrap.seal(regclass)')") != "1":
        print("\nS. Sealed partitions: skipped, because this windtrap has none")
        return
    binary = find_victoria_logs()
    day = the_day()
    results = [measure_corpus(server, corpus, day, events, binary)
               for corpus in CORPORA if not names or corpus[0] in names]
    ingest = measure_ingest(server, "log_%s" % day.strftime("%Y%m%d"), rounds, seconds)
    text = markdown(results, ingest)
    print("\n" + text, flush=True)
    where = os.environ.get("WT_BENCH_RESULTS")
    if where:
        with open(os.path.join(where, "sealed.svg"), "w") as f:
            f.write(plot(results[0]))
