"""Section V of bench/ingest: what the viewer costs who sends, and how soon it shows what is looked for.

The log table is filled with the corpus's events as they were stored, evenly over DAYS up to now.
Pages are what a browser with the page open asks for: every few seconds a search with its
histogram, its fields and the values of two of them, each time another query, and beside them a tail
that stays open.
"""
import datetime
import http.client
import json
import os
import statistics
import sys
import threading
import time
import urllib.parse

from measure import (BENCH, EVENT, HALF_LOAD_AT, NDJSON, Failed, Others, VictoriaLogs, calm, cpu_seconds,
                     find_victoria_logs, median, ms, print_table, progress, read_stat, run, spread,
                     thousands, undisturbed, wrk, write_requests)

DAYS = 5
PAGES = 10
# How long a page shows the same, in seconds.
TURN = 5
# What pages look for, and in what time.
LOOKED_FOR = ("", "severity:>=warning", "service:checkout", '"circuit breaker"', "duration_ms:>100",
              "app:ledger severity:error", "status:>=500 OR level:critical", "user.plan:free -timeout")
SPANS = ("15m", "1 hour", "6 hours", "1 day")
# Query, the same in VictoriaLogs' language, what it is.
QUERIES = (
    ("", "*", "everything"),
    ("severity:error", "level:error", "one in ten"),
    ("service:checkout", "service:checkout", "one in twenty"),
    ('"circuit breaker"', '"circuit breaker"', "a phrase"),
    ("user.id:-1", 'user.id:"-1"', "nowhere"))
ROWS = 100
BUCKETS = 60


def fill(server, corpus, rows):
    """So many rows, in the order of their time, by as many sessions as there are CPUs."""
    bodies = [b"".join(corpus[i:i + 1000]) for i in range(0, len(corpus), 1000)]
    server.clear("log")
    for body in bodies:
        status, answer = server.post(body, NDJSON)
        if status != 200:
            raise Failed("a body was answered %d %s" % (status, answer.decode(errors="replace")))
    server.sql("CREATE UNLOGGED TABLE document AS SELECT row_number() OVER () - 1 AS i, data FROM log",
               "ANALYZE document", "TRUNCATE log",
               "SELECT count(*) FROM windtrap.upkeep(now() - interval '%d days')" % DAYS)
    days = server.sql(
        "SELECT extract(epoch FROM greatest(d, now() - interval '%d days')), "
        "extract(epoch FROM least(d + interval '1 day', now())) FROM generate_series("
        "date_trunc('day', now() - interval '%d days'), now(), interval '1 day') d" % (DAYS, DAYS))
    days = [[float(x) for x in line.split("|")] for line in days.split("\n")]
    waiting, failed, lock = list(days), [], threading.Lock()
    begin, end = days[0][0], days[-1][1]

    def insert():
        while True:
            with lock:
                if not waiting or failed:
                    return
                first, last = waiting.pop(0)
            n = [round((t - begin) / (end - begin) * rows) for t in (first, last)]
            try:
                # The join has to leave the rows in the order that they come in.
                server.psql("-c", "SET work_mem = '512MB'", "-c", "SET enable_mergejoin = off",
                            "-c", "SET enable_nestloop = off",
                            "-c", "SET max_parallel_workers_per_gather = 0", "-c", """
                    INSERT INTO log SELECT to_timestamp(%f + n * %.12f),
                           data || jsonb_build_object('id', md5(n::text)::uuid), 0
                    FROM generate_series(%d, %d) n JOIN document ON i = n %% %d""" % (
                        begin, (end - begin) / rows, n[0], n[1] - 1, len(corpus)), timeout=1800)
            except Exception as e:
                failed.append(e)

    threads = [threading.Thread(target=insert) for _ in range(os.cpu_count())]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failed:
        raise failed[0]
    # As autovacuum leaves it: BRIN knows all of it, and the planner how much there is.
    server.psql("-c", "DROP TABLE document", "-c", "VACUUM (ANALYZE) log", "-c", "CHECKPOINT", timeout=1800)
    stored = server.count("log")
    if abs(stored - rows) > 1:
        raise Failed("there are %d rows" % stored)


def at(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


class Gone(Exception):
    """Who asked no longer wants to know."""


def stream(port, path, parameters, deadline=None, stop=None):
    """The lines of an answer as they come; ends with Gone when its time is over."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path + "?" + urllib.parse.urlencode(parameters))
        answer = connection.getresponse()
        if answer.status != 200:
            raise Failed("%s was answered %d %s" % (path, answer.status,
                                                    answer.read().decode(errors="replace")[:300]))
        rest = b""
        while True:
            piece = answer.read1(65536)
            if not piece:
                break
            lines = (rest + piece).split(b"\n")
            rest = lines.pop()
            yield from lines
            if deadline and time.monotonic() > deadline or stop and stop.is_set():
                raise Gone()
        if rest:
            yield rest
    finally:
        connection.close()


def follow(port, path, parameters, deadline=None):
    """All lines of an answer and of those that go on with it."""
    parameters = dict(parameters)
    head = None
    while True:
        following = None
        for line in stream(port, path, parameters, deadline):
            yield line
            if line.startswith(b'{"histogram"') and not head:
                head = json.loads(line)["histogram"]
            if line.startswith(b'{"error"'):
                raise Failed("%s: %s" % (path, line.decode(errors="replace")))
            if line.startswith(b'{"end"'):
                following = json.loads(line)["end"]["next"]
        if not following or "until" not in following:
            return
        parameters.update(following)
        if head:  # the spans that are left
            left = (at(following["until"]) - at(head["since"])).total_seconds() * 1000 / head["width_ms"]
            if round(left) < 1:
                return
            parameters.update(since=head["since"], buckets=round(left))


def be_elsewhere():
    """
    This thread stands for a browser, which is on another machine: it gets only the time that server
    and senders leave.
    """
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


class Pages:
    """Browsers with the page open, one thread for each request that a page has under way."""

    def __init__(self, port, count):
        self.port = port
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.times = {}
        self.left = 0
        self.failures = []
        self.tailed = 0
        self.threads = [threading.Thread(target=f, args=(n,)) for n in range(count)
                        for f in (self.look, self.tail)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for t in self.threads:
            t.join(60)

    def ask(self, path, parameters, deadline):
        be_elsewhere()
        begin = time.monotonic()
        try:
            if path in ("/api/fields", "/api/top"):
                for _ in stream(self.port, path, parameters, deadline):
                    pass
            else:
                for _ in follow(self.port, path, parameters, deadline):
                    if self.stop.is_set():
                        raise Gone()
        except Gone:
            with self.lock:
                self.left += 1
            return
        except (Failed, OSError, http.client.HTTPException) as e:
            with self.lock:
                self.failures.append("%s: %s" % (path, e))
            return
        with self.lock:
            self.times.setdefault(path, []).append(time.monotonic() - begin)

    def look(self, n):
        be_elsewhere()
        self.stop.wait(TURN * n / PAGES)
        turn = n
        while not self.stop.is_set():
            begin = time.monotonic()
            parameters = {"q": LOOKED_FOR[turn % len(LOOKED_FOR)], "since": SPANS[turn // 3 % len(SPANS)]}
            turn += 1
            asked = [threading.Thread(target=self.ask, args=(path, dict(parameters, **more), begin + TURN))
                     for path, more in (("/api/search", {"n": ROWS}),
                                        ("/api/histogram", {"buckets": BUCKETS, "by": "severity"}),
                                        ("/api/fields", {}), ("/api/top", {"field": "severity"}),
                                        ("/api/top", {"field": "app"}))]
            for t in asked:
                t.start()
            for t in asked:
                t.join()
            self.stop.wait(begin + TURN - time.monotonic())

    def tail(self, n):
        be_elsewhere()
        while not self.stop.is_set():
            try:
                for line in stream(self.port, "/api/tail", {"q": LOOKED_FOR[n % len(LOOKED_FOR)]}, stop=self.stop):
                    if line.startswith(b'{"event"'):
                        self.tailed += 1
            except Gone:
                return
            except (Failed, OSError, http.client.HTTPException) as e:
                if not self.stop.is_set():
                    with self.lock:
                        self.failures.append("/api/tail: %s" % e)
                    self.stop.wait(1)


def viewers(server):
    return [int(p) for p in server.sql(
        "SELECT pid FROM windtrap.status WHERE kind = 'viewer' AND pid IS NOT NULL").split()]


def viewer_cpu(server):
    return sum(cpu_seconds(read_stat(p)) for p in viewers(server))


def wait_until_idle(server):
    """Pages that have gone leave nothing behind that is still being searched for."""
    deadline = time.monotonic() + 30
    while True:
        before = viewer_cpu(server)
        time.sleep(0.5)
        if viewer_cpu(server) - before <= 0.02:
            return
        if time.monotonic() > deadline:
            raise Failed("the viewer goes on with what nobody waits for")


def memory_of(pids):
    """The largest of them: MB of its own."""
    largest = 0
    for pid in pids:
        with open("/proc/%d/status" % pid) as f:
            largest = max(largest, *(int(line.split()[1]) for line in f if line.startswith("RssAnon")))
    return largest / 1024


def measure_ingest(server, port, rounds, seconds, corpus, rows):
    scratch = server.options.scratch
    event_file = os.path.join(scratch, "event.json")
    with open(event_file, "wb") as f:
        f.write(EVENT)
    bodies = os.path.join(scratch, "bodies")
    write_requests(bodies, [b"".join(corpus[i:i + 1000]) for i in range(0, len(corpus), 1000)], NDJSON)
    half = statistics.median(wrk(server, "single.lua", HALF_LOAD_AT, 2, event_file)["rate"] for _ in range(3)) / 2
    kinds = (("single", "single.lua", HALF_LOAD_AT, (event_file,), 1),
             ("half", "single.lua", HALF_LOAD_AT, (event_file, "%.1f" % half), 1),
             ("bodies", "bodies.lua", 4, (bodies,), 1000))
    found = {(kind[0], is_open): [] for kind in kinds for is_open in (False, True)}
    others = Others(server)
    asked, left, failures, tailed, taken, clients, open_seconds = {}, 0, [], 0, 0.0, 0.0, 0.0

    def measure(is_open):
        for name, script, connections, arguments, events in kinds:
            with others:
                r = wrk(server, script, connections, seconds, *arguments)
            r["rate"] *= events
            r["others"] = others.seen[-1]
            found[name, is_open].append(r)

    before = server.count("log")
    for n in range(rounds):
        server.sql("CHECKPOINT")
        measure(False)
        server.sql("CHECKPOINT")
        with Pages(port, PAGES) as pages:
            time.sleep(TURN)
            cpu, begin, own = viewer_cpu(server), time.monotonic(), time.process_time()
            measure(True)
            open_seconds += time.monotonic() - begin
            taken += viewer_cpu(server) - cpu
            clients += time.process_time() - own
        for path, times in pages.times.items():
            asked.setdefault(path, []).extend(times)
        left += pages.left
        tailed += pages.tailed
        failures += pages.failures
        wait_until_idle(server)
        progress("round %d: %s" % (n + 1, ", ".join("%s %s/s closed, %s/s open" % (
            name, *(thousands(found[name, o][-1]["rate"]) for o in (False, True))) for name, *_ in kinds)))
    if not asked:
        raise Failed("the pages got no answer: %s" % failures[:3])
    acknowledged = sum(r["requests"] * (1000 if name == "bodies" else 1)
                       for (name, _), rs in found.items() for r in rs)
    stored = server.count("log") - before
    if stored < acknowledged:
        raise Failed("%d events were acknowledged, %d are stored" % (acknowledged, stored))

    table = []
    for name, what in (("single", "events/s, one a request"), ("half", "events/s, at half load"),
                       ("bodies", "events/s, 1000 a request")):
        closed, opened, kept = undisturbed(found[name, False], found[name, True])
        table.append([what, thousands(median(closed, "rate")), spread(closed), ms(median(closed, "p50")),
                      ms(median(closed, "p99")), thousands(median(opened, "rate")), spread(opened),
                      ms(median(opened, "p50")), ms(median(opened, "p99")), kept,
                      "%.2f" % statistics.median(a["rate"] / b["rate"] for a, b in zip(closed, opened)),
                      "%.2f" % statistics.median(b["p99"] / a["p99"] for a, b in zip(closed, opened))])
    print_table("V. Ingest while %d pages are open, in a table of %s rows" % (PAGES, thousands(rows)), [
        "each page: every %d s a search, its histogram, fields and the values of two, and a tail that stays open;" % TURN,
        "events by wrk as in A and B; latencies of a request in ms; medians of %d rounds of %d s, in turns;"
        % (rounds, seconds),
        "ratio: rate without pages to that with them; p99 ratio: the other way round",
        "of the pages: %s; %d left unfinished when the page asked for something else, %d failed; %s events tailed"
        % (", ".join("%d %s, median %.2f s" % (len(t), p, statistics.median(t)) for p, t in sorted(asked.items())),
           left, len(failures), thousands(tailed)),
        "the viewers took %.2f CPUs, and %.0f MB at most; what stands for browsers took %.2f, left by the rest"
        % (taken / open_seconds, memory_of(viewers(server)), clients / open_seconds),
        str(others)] + ["failed: " + f for f in sorted(set(failures))[:5]],
        ["", "closed", "min..max", "p50", "p99", "open", "min..max", "p50", "p99", "rounds", "ratio", "p99 ratio"],
        table)


def look_for(port, query):
    """Seconds to the first event, to ROWS of them (or to know that there are fewer), and to the whole histogram."""
    parameters = {"q": query, "since": "1 day"}
    begin = time.monotonic()
    first, rows = None, 0
    for line in follow(port, "/api/search", dict(parameters, n=ROWS)):
        if line.startswith(b'{"event"'):
            rows += 1
            first = first or time.monotonic() - begin
    searched = time.monotonic() - begin
    begin = time.monotonic()
    total = 0
    for line in follow(port, "/api/histogram", dict(parameters, buckets=BUCKETS, by="severity")):
        if line.startswith(b'{"counts"'):
            total += sum(c[2] for c in json.loads(line)["counts"])
    return {"first": first, "searched": searched, "counted": time.monotonic() - begin, "found": total}


def fill_victoria(victoria, corpus, rows):
    """The same events at the same times."""
    end = time.time_ns()
    step = DAYS * 86400 * 10 ** 9 // rows
    path = "/insert/jsonline?_time_field=_time&_msg_field=message,msg,event&_stream_fields=service"
    connection = http.client.HTTPConnection("127.0.0.1", victoria.port, timeout=120)
    for first in range(0, rows, 20000):
        body = b"".join(b'{"_time":%d,%b' % (end - (rows - n) * step, corpus[n % len(corpus)][1:])
                        for n in range(first, min(first + 20000, rows)))
        connection.request("POST", path, body)
        answer = connection.getresponse()
        answer.read()
        if not 200 <= answer.status < 300:
            raise Failed("VictoriaLogs answered %d" % answer.status)
    connection.close()
    stored = victoria.count()
    if stored != rows:
        raise Failed("VictoriaLogs has %d of %d events" % (stored, rows))


def look_in_victoria(victoria, query):
    """As look_for(), by what its own page asks for."""
    end = time.time()
    span = {"query": query, "start": "%.3f" % (end - 86400), "end": "%.3f" % end}
    begin = time.monotonic()
    first = None
    for _ in stream(victoria.port, "/select/logsql/query", dict(span, limit=ROWS)):
        first = first or time.monotonic() - begin
    searched = time.monotonic() - begin
    begin = time.monotonic()
    answer = b"".join(stream(victoria.port, "/select/logsql/hits", dict(
        span, step="%ds" % (86400 // BUCKETS), field="level")))
    return {"first": first, "searched": searched, "counted": time.monotonic() - begin,
            "found": sum(h["total"] for h in json.loads(answer)["hits"])}


def seconds_as_ms(rounds, key):
    values = [r[key] for r in rounds if r[key] is not None]
    return thousands(statistics.median(values) * 1000) if values else ""


def measure_queries(server, port, victoria, rounds, rows):
    table = []
    for query, theirs, what in QUERIES:
        ours, beside = [], []
        for _ in range(rounds):
            ours.append(look_for(port, query))
            if victoria:
                beside.append(look_in_victoria(victoria, theirs))
        row = [query or "(all)", what, thousands(ours[-1]["found"])]
        row += [seconds_as_ms(ours, key) for key in ("first", "searched", "counted")]
        if victoria:
            row += [thousands(beside[-1]["found"])]
            row += [seconds_as_ms(beside, key) for key in ("first", "searched", "counted")]
        table.append(row)
        progress("%s: %s ms, histogram %s ms" % (row[0], row[4], row[5]))
    print_table("V. How soon it is shown: the last day of %s rows in %d" % (thousands(rows), DAYS), [
        "ms from the request to the first event, to %d of them, and to the finished histogram of %d spans" % (
            ROWS, BUCKETS), "by severity; nothing else is going on; medians of %d" % rounds,
        "VictoriaLogs: by what its own page asks for; a phrase is looked for in the message alone"
        if victoria else
        "VictoriaLogs is left out: it is not installed (PATH, VICTORIA_LOGS=/path/to/victoria-logs)"],
        ["query", "", "found", "first", str(ROWS), "histogram"] +
        (["VictoriaLogs found", "first", str(ROWS), "histogram"] if victoria else []), table)


def section_v(server, rounds, seconds, rows):
    port = server.options.viewer_port
    if server.sql("SELECT count(*) FROM pg_settings WHERE name = 'windtrap.viewer_port'") != "1":
        print("\nV. The viewer: skipped, because this windtrap has none")
        return
    progress("making events")
    corpus = run([sys.executable, os.path.join(BENCH, "corpus"), "--events", "20000"], 120).encode()
    corpus = corpus.splitlines(keepends=True)
    progress("filling the table with %s rows" % thousands(rows))
    begin = time.monotonic()
    fill(server, corpus, rows)
    progress("%.0f s, %s" % (time.monotonic() - begin, server.sql(
        "SELECT pg_size_pretty(sum(pg_total_relation_size(relid))) FROM pg_partition_tree('log')")))
    binary = find_victoria_logs()
    victoria = VictoriaLogs(binary, server.options.scratch) if binary else None
    try:
        if victoria:
            server.beside.append(victoria.process.pid)
            progress("filling VictoriaLogs")
            fill_victoria(victoria, corpus, rows)
        measure_queries(server, port, victoria, rounds, rows)
    finally:
        if victoria:
            server.beside.clear()
            victoria.stop()
    measure_ingest(server, port, rounds, seconds, corpus, rows)
