"""The measurements of bench/ingest, which prepares the cluster that they run on.

Rounds alternate: windtrap, then what it is compared with, then windtrap again, so that
what else the machine does meets both.  The table shows medians of the rounds, without
those during which others were busy.
"""
import argparse
import glob
import gzip
import http.client
import json
import os
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request

BENCH = os.path.dirname(os.path.abspath(__file__))
CONNECTIONS = (1, 16, 64, 256)
HALF_LOAD_AT = 64
OPEN_CONNECTIONS = 1000
EVENTS_IN_BODY = (1, 10, 100, 1000)
# Rounds during which others took more of the CPUs than this, %, are left out ...
DISTURBED = 15
# ... where so many remain.
ENOUGH_ROUNDS = 2
TICKS = os.sysconf("SC_CLK_TCK")

# 188 bytes.
EVENT = (b'{"app":"middleware","event":"upgrade completed","severity":"info","host":"app-0007",'
         b'"request_id":"4f2c9a7e-51d3-4b0a-9c1e-7d20f3b8a6e5","duration_ms":184,'
         b'"user":{"id":48213,"plan":"team"}}')
assert len(EVENT) == 188


class Failed(Exception):
    pass


def run(command, timeout, **options):
    """Runs a command to its end; ends it where we are ended."""
    p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                         **options)
    try:
        out, err = p.communicate(timeout=timeout)
    except BaseException:
        p.kill()
        p.wait()
        raise
    if p.returncode != 0:
        raise Failed("%s: exit %d: %s" % (command[0], p.returncode, (err or out).strip()))
    return out


def post(port, path, body, headers):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        c.request("POST", path, body, headers)
        answer = c.getresponse()
        return answer.status, answer.read()
    finally:
        c.close()


def directory_size(path):
    """Bytes on disk of all files in it; files come and go meanwhile."""
    total = 0
    for root, _, files in os.walk(path):
        for name in files:
            try:
                total += os.stat(os.path.join(root, name)).st_blocks * 512
            except FileNotFoundError:
                pass
    return total


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_seconds(stat):
    fields = stat.rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def children_seconds(stat):
    fields = stat.rsplit(")", 1)[1].split()
    return (int(fields[13]) + int(fields[14])) / TICKS


def read_stat(pid):
    with open("/proc/%s/stat" % pid) as f:
        return f.read()


def tree_cpu(pid):
    """CPU seconds of a process, of those that it has started, and of those of them that are gone."""
    stat = read_stat(pid)
    total = cpu_seconds(stat) + children_seconds(stat)
    for child in children(pid):
        try:
            total += tree_cpu(child)
        except OSError:
            pass  # it has just ended
    return total


def children(pid):
    found = []
    for path in glob.glob("/proc/%d/task/*/children" % pid):
        try:
            with open(path) as f:
                found += [int(p) for p in f.read().split()]
        except OSError:
            pass  # that thread has just ended
    return found


class Server:
    def __init__(self, options):
        self.options = options
        with open(os.path.join(options.data, "postmaster.pid")) as f:
            self.postmaster = int(f.readline())
        self.url = "http://127.0.0.1:%d/log" % options.http_port
        self.beside = []  # processes that are part of what is measured, too
        self.servers = []  # and clusters

    def psql(self, *arguments, timeout=120):
        o = self.options
        return run(["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1",
                    "-p", str(o.pg_port), "-U", "postgres", "-d", "postgres",
                    *arguments], timeout).strip()

    def sql(self, *statements):
        arguments = []
        for s in statements:
            arguments += ["-c", s]
        return self.psql(*arguments)

    def post(self, body, headers, path="/log"):
        return post(self.options.http_port, path, body, headers)

    def wait_until_it_listens(self):
        deadline = time.monotonic() + 15
        while True:
            try:
                status, answer = self.post(EVENT, {"Content-Type": "application/json"})
                if status == 200:
                    return
            except OSError as e:
                status, answer = 0, str(e)
            if time.monotonic() > deadline:
                raise Failed("windtrap does not store events: %s %s" % (status, answer))
            time.sleep(0.1)

    def workers(self):
        return [int(p) for p in
                self.sql("SELECT pid FROM windtrap.status WHERE kind = 'worker' AND pid IS NOT NULL").split()]

    def worker_cpu(self):
        return sum(cpu_seconds(read_stat(pid)) for pid in self.workers())

    def gone_cpu(self):
        """CPU seconds of the backends that are gone, once pgbench's are."""
        deadline = time.monotonic() + 10
        while self.sql("SELECT count(*) FROM pg_stat_activity "
                       "WHERE application_name = 'pgbench'") != "0":
            if time.monotonic() > deadline:
                raise Failed("pgbench's backends do not end")
            time.sleep(0.05)
        return children_seconds(read_stat(self.postmaster))

    def cpu(self):
        """CPU seconds of everything that belongs to the cluster, or did, and of what is beside it."""
        return self.cluster_cpu() + sum(map(tree_cpu, self.beside)) + sum(s.cpu() for s in self.servers)

    def cluster_cpu(self):
        return tree_cpu(self.postmaster)

    def lsn(self):
        return int(self.sql("SELECT (pg_current_wal_lsn() - '0/0')::bigint"))

    def count(self, table):
        return int(self.sql("SELECT count(*) FROM %s" % table))

    def clear(self, *tables):
        """The same start for all: no rows, no dirty pages, the checkpoint just done."""
        self.sql("TRUNCATE %s" % ", ".join(tables), "CHECKPOINT")


class Others:
    """What part of the machine's CPU time went to what is not part of the measurement."""

    def __init__(self, server):
        self.server = server
        self.seen = []
        self.begin = None

    def look(self):
        with open("/proc/stat") as f:
            fields = [int(x) / TICKS for x in f.readline().split()[1:9]]
        busy = sum(fields) - fields[3] - fields[4]  # neither idle nor waiting for a disk
        own = self.server.cpu()
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
            usage = resource.getrusage(who)
            own += usage.ru_utime + usage.ru_stime
        return time.monotonic(), busy - own

    def __enter__(self):
        self.begin = self.look()

    def __exit__(self, *_):
        end = self.look()
        part = (end[1] - self.begin[1]) / (end[0] - self.begin[0]) / os.cpu_count()
        self.seen.append(max(0, part * 100))

    def __str__(self):
        return "others took %.0f %% of the CPUs' time in the median round, %.0f %% at most" % (
            statistics.median(self.seen), max(self.seen))


def wrk_result(url, script, connections, seconds, *arguments):
    """What wrk says of a round, whatever was answered; rate is that of all answers."""
    out = run(["wrk", "-t1", "-c%d" % connections, "-d%ds" % seconds, "--timeout", "20s", "-s",
               os.path.join(BENCH, script), url, "--", *map(str, arguments)],
              seconds + 60, env=dict(os.environ, WT_BENCH=BENCH))
    found = re.search(r"^RESULT (.*)$", out, re.M)
    if not found:
        raise Failed("wrk: no result in: " + out)
    r = {k: int(float(v)) for k, v in (p.split("=") for p in found[1].split())}
    r["rate"] = r["requests"] * 1e6 / r["us"]
    return r


def wrk(server, script, connections, seconds, *arguments):
    r = wrk_result(server.url, script, connections, seconds, *arguments)
    if r["broken"] or r["refused"]:
        raise Failed("%d requests were not answered 2xx, %d broke" % (r["refused"], r["broken"]))
    return r


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p / 100))]


def median(rounds, key):
    return statistics.median(r[key] for r in rounds)


def spread(rounds, key="rate"):
    values = [r[key] for r in rounds]
    return "%s..%s" % (thousands(min(values)), thousands(max(values)))


def thousands(x):
    return "{:,.0f}".format(x)


def ms(us):
    return "%.2f" % (us / 1000)


def undisturbed(ours, theirs):
    """The pairs of rounds to count, and a text that says how many of how many they are."""
    pairs = list(zip(ours, theirs))
    kept = [p for p in pairs if max(p[0]["others"], p[1]["others"]) <= DISTURBED]
    if len(kept) < min(ENOUGH_ROUNDS, len(pairs)):
        return ours, theirs, "all %d" % len(pairs)
    return [p[0] for p in kept], [p[1] for p in kept], "%d/%d" % (len(kept), len(pairs))


def calm(rounds):
    """The rounds to count of those of one kind."""
    kept = [r for r in rounds if r["others"] <= DISTURBED]
    return kept if len(kept) >= min(ENOUGH_ROUNDS, len(rounds)) else rounds


def ratio(ours, theirs):
    """Median of the ratios of neighbours in time."""
    return statistics.median(a["rate"] / b["rate"] for a, b in zip(ours, theirs))


def progress(text):
    print("   " + text, file=sys.stderr, flush=True)


def print_table(title, notes, columns, rows):
    print("\n" + title)
    for note in notes:
        print("  " + note)
    widths = [max(len(str(r[i])) for r in [columns] + rows) for i in range(len(columns))]
    print()
    for row in [columns] + rows:
        print("  " + "  ".join(str(v).rjust(w) for v, w in zip(row, widths)))
    sys.stdout.flush()


# Section A: one event a request

def pgbench(server, connections, seconds, document):
    return pgbench_scripts(server, connections, seconds,
                           ["-f", os.path.join(BENCH, "insert.sql"), "-D", "document=" + document])


def pgbench_scripts(server, connections, seconds, scripts):
    scratch = server.options.scratch
    prefix = os.path.join(scratch, "pgbench")
    for old in glob.glob(prefix + ".*"):
        os.unlink(old)
    out = run(["pgbench", "-n", "-M", "prepared", "-c", str(connections),
               "-j", str(min(2, connections)), "-T", str(seconds),
               *scripts, "-l", "--log-prefix", prefix, "-h", "127.0.0.1",
               "-p", str(server.options.pg_port), "-U", "postgres", "postgres"], seconds + 60)
    found = re.search(r"^tps = ([\d.]+)", out, re.M)
    if not found:
        raise Failed("pgbench: no result in: " + out)
    latencies = []
    for name in glob.glob(prefix + ".*"):
        with open(name) as f:
            latencies += [int(line.split()[2]) for line in f]
        os.unlink(name)
    return {"rate": float(found[1]), "requests": len(latencies), "p50": percentile(latencies, 50),
            "p99": percentile(latencies, 99)}


def memory(pid):
    kb = {}
    with open("/proc/%d/status" % pid) as f:
        for line in f:
            m = re.match(r"(VmRSS|RssAnon|RssFile|RssShmem):\s+(\d+) kB", line)
            if m:
                kb[m[1]] = int(m[2])
    return kb


def memory_with_connections(server):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_CONNECTIONS + 100
    if hard != resource.RLIM_INFINITY and hard < wanted:
        return "not measured: the limit on open files is %d" % hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    request = (b"POST /log HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
               b"Content-Length: %d\r\n\r\n%b" % (len(EVENT), EVENT))
    sockets = []
    try:
        for _ in range(OPEN_CONNECTIONS):
            s = socket.create_connection(("127.0.0.1", server.options.http_port), timeout=10)
            sockets.append(s)
            s.sendall(request)
        for s in sockets:
            if not s.recv(4096).startswith(b"HTTP/1.1 200"):
                raise Failed("one of %d connections was refused" % OPEN_CONNECTIONS)
        m = [memory(pid) for pid in server.workers()]
    finally:
        for s in sockets:
            s.close()
    return ("%.1f MB of its own (%.1f MB heap and stack, %.1f MB code and files), and %.1f MB of "
            "PostgreSQL's shared memory touched" % tuple(
                max(x) / 1024 for x in zip(*((k["RssAnon"] + k["RssFile"], k["RssAnon"],
                                              k["RssFile"], k["RssShmem"]) for k in m))))


def section_a(server, rounds, seconds):
    scratch = server.options.scratch
    event_file = os.path.join(scratch, "event.json")
    with open(event_file, "wb") as f:
        f.write(EVENT)
    server.sql("SELECT windtrap.create_log_table('log_insert')")

    # What windtrap makes of the event is what the other client has to send; it is taken
    # from the warm-up, so that it is what the load generator's requests become.
    wrk(server, "single.lua", 64, 2, event_file)
    document = server.sql("SELECT data FROM log ORDER BY event_timestamp DESC LIMIT 1")
    pgbench(server, 64, 2, document)

    ours = {c: [] for c in CONNECTIONS}
    theirs = {c: [] for c in CONNECTIONS}
    others = Others(server)
    for n in range(rounds):
        for c in CONNECTIONS:
            server.clear("log", "log_insert")
            cpu = server.worker_cpu()
            with others:
                r = wrk(server, "single.lua", c, seconds, event_file)
            cpu = server.worker_cpu() - cpu
            stored = server.count("log")
            if stored < r["requests"]:
                raise Failed("%d events were acknowledged, %d are stored" % (r["requests"], stored))
            r["cpu"] = cpu * 1e6 / stored
            r["others"] = others.seen[-1]
            ours[c].append(r)

            server.clear("log", "log_insert")
            cpu = server.gone_cpu()
            with others:
                r = pgbench(server, c, seconds, document)
            r["cpu"] = (server.gone_cpu() - cpu) * 1e6 / server.count("log_insert")
            r["others"] = others.seen[-1]
            theirs[c].append(r)
            progress("round %d, %3d connections: windtrap %s/s, pgbench %s/s, others %.0f %%, %.0f %%"
                     % (n + 1, c, thousands(ours[c][-1]["rate"]), thousands(r["rate"]),
                        *others.seen[-2:]))

    half = median(undisturbed(ours[HALF_LOAD_AT], theirs[HALF_LOAD_AT])[0], "rate") / 2
    halves = []
    for n in range(rounds):
        server.clear("log", "log_insert")
        with others:
            r = wrk(server, "single.lua", HALF_LOAD_AT, seconds, event_file, "%.1f" % half)
        r["others"] = others.seen[-1]
        halves.append(r)
        progress("round %d, half load: %s/s, p99 %s ms, others %.0f %%" % (
            n + 1, thousands(r["rate"]), ms(r["p99"]), r["others"]))
    halves, _, halves_kept = undisturbed(halves, halves)
    held = memory_with_connections(server)

    rows = []
    for c in CONNECTIONS:
        a, b, kept = undisturbed(ours[c], theirs[c])
        rows.append([c, thousands(median(a, "rate")), spread(a), ms(median(a, "p50")),
                     ms(median(a, "p99")), "%.1f" % median(a, "cpu"),
                     thousands(median(b, "rate")), spread(b), ms(median(b, "p50")),
                     ms(median(b, "p99")), "%.1f" % median(b, "cpu"), kept, "%.2f" % ratio(a, b)])
    print_table("A. Single events: one of %d bytes in each request" % len(EVENT), [
        "windtrap: wrk, 1 thread, HTTP over TCP on loopback; every 2xx is a committed row",
        "INSERT:   pgbench -M prepared -j 2, TCP on loopback; one row of the same stored",
        "          document (%d bytes of text) in a transaction, into the same kind of table"
        % len(document.encode()),
        "latencies in ms; CPU: microseconds of the worker, or of the backends, for an event;",
        "medians of %d rounds of %d s, taken in turns; ratio: of neighbours" % (rounds, seconds),
        str(others)],
        ["conns", "windtrap/s", "min..max", "p50", "p99", "CPU", "INSERT/s", "min..max", "p50",
         "p99", "CPU", "rounds", "ratio"], rows)
    print("\n  At half the load of %d connections (%s/s wanted, %s/s reached): p50 %s ms, p99 %s ms"
          " (%s rounds: %s)" % (HALF_LOAD_AT, thousands(half), thousands(median(halves, "rate")),
                             ms(median(halves, "p50")), ms(median(halves, "p99")),
                             halves_kept, ", ".join(ms(h["p99"]) for h in halves)))
    print("  The worker's memory with %s connections that have each sent an event:\n    %s"
          % (thousands(OPEN_CONNECTIONS), held))


# Section B: bodies of many events

NDJSON = {"Content-Type": "application/x-ndjson"}


def write_requests(path, bodies, headers, target="/log"):
    head = "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%sContent-Length: %%d\r\n\r\n" % (
        target, "".join("%s: %s\r\n" % h for h in headers.items()))
    with open(path, "wb") as f, open(path + ".lengths", "w") as lengths:
        for body in bodies:
            request = (head % len(body)).encode() + body
            f.write(request)
            lengths.write("%d\n" % len(request))


def check_status(server):
    bad = int(server.sql("SELECT count(*) FROM log WHERE status <> 0"))
    if bad:
        raise Failed("%d events were stored with another status than 0" % bad)


def load_bodies(server, path, events, connections, seconds, others, *beside):
    """A round of windtrap's; beside are the tables that what it is compared with has."""
    server.clear("log", *beside)
    cpu, lsn = server.worker_cpu(), server.lsn()
    with others:
        r = wrk(server, "bodies.lua", connections, seconds, path)
    cpu, lsn = server.worker_cpu() - cpu, server.lsn() - lsn
    stored = server.count("log")
    # What was on its way when wrk's time was over is stored, and nobody took the answer.
    if not 0 <= stored - r["requests"] * events <= connections * events:
        raise Failed("%d events were acknowledged, %d are stored" % (
            r["requests"] * events, stored))
    check_status(server)
    r["rate"] *= events
    r["others"] = others.seen[-1]
    r["cpu"] = cpu * 1e6 / stored
    r["wal"] = lsn / stored
    return r


def copy_rows(server, path):
    """Has psql copy the file; how long that took, and the backend's CPU seconds."""
    look = "SELECT pg_read_file('/proc/self/stat'), '|', extract(epoch FROM clock_timestamp())"
    out = server.psql("-F", " ", "-c", look, "-c", "\\copy log_copy FROM '%s'" % path, "-c", look)
    # The file ends with a newline, so that a look is two lines.
    looks = [" ".join(x) for x in zip(*[iter([s for s in out.split("\n") if s])] * 2)]
    (stat0, t0), (stat1, t1) = (s.rsplit("|", 1) for s in looks)
    return float(t1) - float(t0), cpu_seconds(stat1) - cpu_seconds(stat0)


def load_copy(server, path, count, others):
    server.clear("log", "log_copy")
    lsn = server.lsn()
    with others:
        seconds, cpu = copy_rows(server, path)
    lsn = server.lsn() - lsn
    if server.count("log_copy") != count:
        raise Failed("\\copy loaded another number of rows than %d" % count)
    return {"rate": count / seconds, "others": others.seen[-1], "cpu": cpu * 1e6 / count, "wal": lsn / count}


def section_b(server, rounds, seconds, corpus_size, copy_size):
    two = b'{"n":1}\n{"n":2}\n'
    status, answer = server.post(two, NDJSON)
    try:
        taken = status == 200 and json.loads(answer).get("accepted") == 2
    except (ValueError, AttributeError):
        taken = False
    if not taken:
        print("\nB. Bodies of events: skipped, because this windtrap takes no batches: two lines of"
              "\n  NDJSON were answered %d %s" % (status, answer.decode(errors="replace").strip()))
        return
    gzip_headers = dict(NDJSON, **{"Content-Encoding": "gzip"})
    status, answer = server.post(gzip.compress(two), gzip_headers)
    kinds = (False, True) if status == 200 else (False,)

    scratch = server.options.scratch
    progress("making %s events" % thousands(corpus_size))
    corpus = run([sys.executable, os.path.join(BENCH, "corpus"), "--events", str(corpus_size)],
                 120).encode()
    lines = corpus.splitlines(keepends=True)
    files = {}
    for gzipped in kinds:
        for n in EVENTS_IN_BODY:
            path = os.path.join(scratch, "bodies-%d-%s" % (n, "gzip" if gzipped else "plain"))
            bodies = [b"".join(lines[i:i + n]) for i in range(0, len(lines), n)]
            if gzipped:
                bodies = [gzip.compress(body, 6, mtime=0) for body in bodies]
            write_requests(path, bodies, gzip_headers if gzipped else NDJSON)
            files[n, gzipped] = path

    server.sql("SELECT windtrap.create_log_table('log_copy')")
    # The documents for \copy: what windtrap has made of the same events.
    copied = 0
    deadline = time.monotonic() + 60
    server.clear("log", "log_copy")
    while copied < copy_size:
        if time.monotonic() > deadline:
            raise Failed("%d events took more than 60 s" % copy_size)
        wrk(server, "bodies.lua", 4, seconds, files[1000, False])
        copied = server.count("log")
    copy_file = os.path.join(scratch, "documents")
    server.sql("COPY (SELECT * FROM log LIMIT %d) TO '%s'" % (copy_size, copy_file))
    others = Others(server)
    load_copy(server, copy_file, copy_size, others)

    ours = {key: [] for key in files}
    theirs = {key: [] for key in files}
    for i in range(rounds):
        for key in files:
            n, gzipped = key
            connections = 8 if n < 1000 else 4
            ours[key].append(load_bodies(server, files[key], n, connections, seconds, others,
                                         "log_copy"))
            theirs[key].append(load_copy(server, copy_file, copy_size, others))
            progress("round %d, %4d a body, %s: windtrap %s/s, \\copy %s/s" % (
                i + 1, n, "gzip" if gzipped else "plain", thousands(ours[key][-1]["rate"]),
                thousands(theirs[key][-1]["rate"])))

    rows = []
    for key, a in ours.items():
        a, b, kept = undisturbed(a, theirs[key])
        rows.append([key[0], "gzip" if key[1] else "plain", thousands(median(a, "rate")),
                     spread(a), ms(median(a, "p50")), ms(median(a, "p99")),
                     thousands(median(b, "rate")), spread(b), kept, "%.2f" % ratio(a, b),
                     "%.2f" % median(a, "cpu"), "%.2f" % median(b, "cpu"),
                     thousands(median(a, "wal")), thousands(median(b, "wal"))])
    stored = os.path.getsize(copy_file) / copy_size
    print_table("B. Bodies of events: NDJSON of %s varied events, %.0f bytes each on average" % (
        thousands(corpus_size), len(corpus) / corpus_size), [
        "windtrap: wrk, 1 thread, 8 connections (4 for 1000 events), TCP on loopback",
        "\\copy:    psql, TCP on loopback; %s of the same stored documents (%.0f bytes of text"
        % (thousands(copy_size), stored),
        "          each) from a file, into the same kind of table",
        "latencies of a body in ms; CPU: seconds of the worker, or of the backend, for a million",
        "events; WAL: bytes for an event, each run right after a checkpoint; medians of %d rounds"
        % rounds, str(others)] + ([] if True in kinds else ["gzip is not taken by this windtrap: no such rows"]),
        ["events", "body", "windtrap/s", "min..max", "p50", "p99", "copy/s", "min..max", "rounds", "ratio",
         "CPU", "CPU copy", "WAL", "WAL copy"], rows)


# Section F: forwarding

BACKLOG = 200000
TARGET = "(id uuid PRIMARY KEY, event_timestamp timestamptz, data jsonb, status int)"


def forward_to(server, names):
    server.sql("ALTER SYSTEM SET windtrap.forward_to = '%s'" % names, "SELECT pg_reload_conf()")
    wanted = len(names.split(",")) if names else 0
    wait_until(server, "SELECT count(*) = %d AND count(*) FILTER (WHERE pid IS NULL OR state = "
               "'starting') = 0 FROM windtrap.forwarding" % wanted, 30)


def wait_until(server, query, seconds):
    deadline = time.monotonic() + seconds
    while server.sql(query) != "t":
        if time.monotonic() > deadline:
            raise Failed("not so after %d s: %s; %s" % (
                seconds, query, server.sql("SELECT * FROM windtrap.forwarding")))
        time.sleep(0.05)


def make_local(server):
    server.sql("DROP TABLE IF EXISTS target", "CREATE TABLE target " + TARGET)
    return lambda: server.count("target")


def make_postgres(server):
    """A table of another database of the cluster, over TCP as that of another server would be."""
    o = server.options
    if server.sql("SELECT count(*) FROM pg_database WHERE datname = 'central'") == "0":
        server.sql("CREATE DATABASE central")
    server.sql("CREATE EXTENSION IF NOT EXISTS postgres_fdw", "DROP SERVER IF EXISTS central CASCADE")
    server.psql("-d", "central", "-c", "DROP TABLE IF EXISTS target", "-c", "CREATE TABLE target " + TARGET)
    server.sql("CREATE SERVER central FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', "
               "port '%d', dbname 'central', batch_size '1000')" % o.pg_port,
               "CREATE USER MAPPING FOR CURRENT_USER SERVER central",
               "DROP TABLE IF EXISTS target",
               "CREATE FOREIGN TABLE target (id uuid, event_timestamp timestamptz, data jsonb, "
               "status int) SERVER central")
    return lambda: int(server.psql("-d", "central", "-c", "SELECT count(*) FROM target"))


class Mongo:
    """A mongod on this machine, of the tests' kind."""

    def __init__(self, scratch):
        self.data = os.path.join(scratch, "mongo")
        os.mkdir(self.data)
        self.port = free_port()
        self.process = subprocess.Popen(
            [os.environ["WT_MONGOD"], "--dbpath", self.data, "--port", str(self.port), "--bind_ip",
             "127.0.0.1", "--unixSocketPrefix", self.data, "--wiredTigerCacheSizeGB", "0.25",
             "--setParameter", "diagnosticDataCollectionEnabled=false"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise Failed("mongod does not start")
                time.sleep(0.1)

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


def make_mongo(server, mongo):
    server.sql("CREATE EXTENSION IF NOT EXISTS windtrap_mongo", "DROP SERVER IF EXISTS mongo CASCADE",
               "CREATE SERVER mongo FOREIGN DATA WRAPPER windtrap_mongo OPTIONS (address '127.0.0.1', "
               "port '%d')" % mongo.port,
               "CREATE USER MAPPING FOR CURRENT_USER SERVER mongo", "DROP TABLE IF EXISTS target",
               "CREATE FOREIGN TABLE target (_id text, __doc jsonb) SERVER mongo "
               "OPTIONS (database 'bench', collection 'c%d')" % time.monotonic_ns())
    return lambda: server.count("target")


def drop_target(server):
    server.sql("DROP FOREIGN TABLE IF EXISTS target" if server.sql(
        "SELECT relkind FROM pg_class WHERE oid = to_regclass('public.target')") == "f"
        else "DROP TABLE IF EXISTS target")


def write_bodies(scratch):
    """Bodies of varied events for wrk; gives their path, and the mean size of an event."""
    corpus = run([sys.executable, os.path.join(BENCH, "corpus"), "--events", "20000"], 120).encode()
    lines = corpus.splitlines(keepends=True)
    path = os.path.join(scratch, "bodies")
    write_requests(path, [b"".join(lines[i:i + 1000]) for i in range(0, len(lines), 1000)], NDJSON)
    return path, len(corpus) / len(lines)


def catch_up(server, bodies, make, others, target="public.target"):
    """Events a second of a target that finds a backlog."""
    drop_target(server)
    server.clear("log", "windtrap.outbox")
    forward_to(server, target)
    while int(server.sql("SELECT coalesce(sum(n_events), 0) FROM windtrap.outbox")) < BACKLOG:
        wrk(server, "bodies.lua", 4, 1, bodies)
    time.sleep(1)  # wrk leaves when its time is over, and not when it has its last answers
    waiting = int(server.sql("SELECT sum(n_events) FROM windtrap.outbox"))
    packed = int(server.sql("SELECT sum(bytes) FROM windtrap.outbox"))
    server.sql("CHECKPOINT")
    delivered = "SELECT delivered FROM windtrap.forwarding"
    before = int(server.sql(delivered))
    with others:
        count = make(server)
        begin = time.monotonic()
        server.sql("SELECT pg_reload_conf()")  # which ends its pause
        wait_until(server, "SELECT (%s) - %d >= %d" % (delivered, before, waiting), 300)
        seconds = time.monotonic() - begin
    if count() != waiting:
        raise Failed("the target has %d events of %d" % (count(), waiting))
    wait_until(server, "SELECT count(*) = 0 FROM windtrap.outbox", 30)
    return {"rate": waiting / seconds, "events": waiting, "others": others.seen[-1],
            "packed": packed / waiting}


class Silence:
    """A server that takes connections and says nothing."""

    def __enter__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(50)
        return self.socket.getsockname()[1]

    def __exit__(self, *_):
        self.socket.close()


def section_f(server, rounds, seconds):
    scratch = server.options.scratch
    event_file = os.path.join(scratch, "event.json")
    with open(event_file, "wb") as f:
        f.write(EVENT)
    bodies, size = write_bodies(scratch)
    server.sql("ALTER SYSTEM SET windtrap.outbox_max_size = 0", "SELECT pg_reload_conf()")

    kinds = [("ordinary table", make_local), ("postgres_fdw", make_postgres)]
    mongo = None
    if os.access(os.environ.get("WT_MONGOD", ""), os.X_OK) and server.sql(
            "SELECT count(*) FROM pg_available_extensions WHERE name = 'windtrap_mongo'") == "1":
        mongo = Mongo(scratch)
        server.beside.append(mongo.process.pid)
        kinds.append(("MongoDB", lambda s: make_mongo(s, mongo)))
    others = Others(server)
    rows = []
    try:
        for name, make in kinds:
            found = []
            for n in range(rounds):
                found.append(catch_up(server, bodies, make, others))
                progress("%s, round %d: %s/s, others %.0f %%" % (
                    name, n + 1, thousands(found[-1]["rate"]), found[-1]["others"]))
            kept = "%d/%d" % (sum(r["others"] <= DISTURBED for r in found), len(found))
            found = calm(found)
            rows.append([name, thousands(median(found, "rate")), spread(found),
                         "%.0f" % median(found, "packed"), kept])
    finally:
        if mongo:
            server.beside.remove(mongo.process.pid)
            mongo.stop()
    print_table("F. Catching up: a backlog of %s varied events, %.0f bytes each as they were sent"
                % (thousands(BACKLOG), size),
                ["packed: bytes an event takes in the outbox; medians of %d rounds" % rounds, str(others)]
                + ([] if mongo else ["MongoDB is left out: there is no mongod or no windtrap_mongo"]),
                ["target", "events/s", "min..max", "packed", "calm"], rows)

    # What ingest pays.  `off` stands before and after each of the others, so that it has as
    # many neighbours as they.
    def no_target():
        drop_target(server)
        forward_to(server, "")

    def well():
        make_local(server)
        forward_to(server, "public.target")

    def refuses():
        drop_target(server)
        forward_to(server, "public.target")

    with Silence() as silent:
        def hangs():
            make_postgres(server)
            server.sql("ALTER SERVER central OPTIONS (SET port '%d')" % silent)
            forward_to(server, "public.target")

        modes = [("off", no_target), ("well", well), ("refuses", refuses), ("hangs", hangs)]
        single = {m: [] for m, _ in modes}
        half = {m: [] for m, _ in modes}
        many = {m: [] for m, _ in modes}
        others = Others(server)
        no_target()
        rate = statistics.median(wrk(server, "single.lua", HALF_LOAD_AT, 2, event_file)["rate"]
                                 for _ in range(3)) / 2
        for n in range(rounds):
            for mode, prepare in modes:
                forward_to(server, "")
                server.clear("log", "windtrap.outbox")
                prepare()
                cpu = server.worker_cpu()
                with others:
                    r = wrk(server, "single.lua", HALF_LOAD_AT, seconds, event_file)
                r["cpu"] = (server.worker_cpu() - cpu) * 1e6 / r["requests"]
                single[mode].append(r)
                single[mode][-1]["others"] = others.seen[-1]
                with others:
                    half[mode].append(wrk(server, "single.lua", HALF_LOAD_AT, seconds, event_file,
                                          "%.1f" % rate))
                half[mode][-1]["others"] = others.seen[-1]
                cpu = server.worker_cpu()
                with others:
                    r = wrk(server, "bodies.lua", 4, seconds, bodies)
                r["cpu"] = (server.worker_cpu() - cpu) * 1e3 / r["requests"]
                r["rate"] *= 1000
                r["others"] = others.seen[-1]
                many[mode].append(r)
                progress("round %d, %s: %s/s single, p99 %s ms at half load, %s/s in bodies" % (
                    n + 1, mode, thousands(single[mode][-1]["rate"]), ms(half[mode][-1]["p99"]),
                    thousands(r["rate"])))
        forward_to(server, "")
    rows = []
    off = {"single": calm(single["off"]), "half": calm(half["off"]), "many": calm(many["off"])}
    for mode, _ in modes:
        s, h, m = calm(single[mode]), calm(half[mode]), calm(many[mode])
        rows.append([mode, thousands(median(s, "rate")), spread(s),
                     "%.2f" % (median(s, "rate") / median(off["single"], "rate")),
                     "%.1f" % median(s, "cpu"), ms(median(h, "p50")), ms(median(h, "p99")),
                     "%.2f" % (median(h, "p99") / median(off["half"], "p99")),
                     thousands(median(m, "rate")),
                     "%.2f" % (median(m, "rate") / median(off["many"], "rate")),
                     "%.1f" % median(m, "cpu"),
                     "%d+%d+%d" % tuple(sum(r["others"] <= DISTURBED for r in x[mode])
                                        for x in (single, half, many))])
    print_table("F. Ingest while events are forwarded", [
        "single events at %d connections; the same at half of the load of `off` (%s/s); bodies of"
        % (HALF_LOAD_AT, thousands(rate)), "1000 events at 4 connections; ratios to `off`; CPU: microseconds of the worker an event;",
        "well: to an ordinary table of the same database; refuses: the table is absent;",
        "hangs: postgres_fdw to a server that says nothing; medians of %d rounds of %d s, of those"
        % (rounds, seconds), "in which others took little of the CPUs (calm: how many)", str(others)],
        ["target", "single/s", "min..max", "ratio", "CPU", "p50", "p99", "ratio", "bodies/s", "ratio",
         "CPU", "calm"], rows)


# Section P: other senders' protocols

IN_BODY = 1000
BODY_CONNECTIONS = 4


def find_victoria_logs():
    return os.environ.get("VICTORIA_LOGS") or shutil.which("victoria-logs")


class VictoriaLogs:
    """A VictoriaLogs on this machine, with a directory of its own."""

    def __init__(self, binary, scratch):
        self.port = free_port()
        self.url = "http://127.0.0.1:%d/" % self.port
        self.process = subprocess.Popen(
            [binary, "-httpListenAddr=127.0.0.1:%d" % self.port, "-loggerLevel=ERROR",
             "-storageDataPath=" + os.path.join(scratch, "victoria-logs")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while True:
            try:
                self.count()
                return
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    self.stop()
                    raise Failed("%s does not start" % binary)
                time.sleep(0.1)

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=20) as answer:
            return answer.read().decode()

    def count(self):
        """How many events it has; what it still had to do with them is done."""
        self.get("internal/force_flush")
        return int(json.loads(self.get("select/logsql/query?query=*%7Ccount()%20n"))["n"])

    def stop(self):
        self.process.kill()
        self.process.wait()

    def takes(self, target, headers, body):
        """Whether it takes a body, with all of its events."""
        before = self.count()
        status, _ = post(self.port, target, body, headers)
        return 200 <= status < 300 and self.count() - before == IN_BODY

    def load(self, path, seconds, others):
        before = self.count()
        with others:
            r = wrk(self, "bodies.lua", BODY_CONNECTIONS, seconds, path)
        taken = self.count() - before
        if not 0 <= taken - r["requests"] * IN_BODY <= BODY_CONNECTIONS * IN_BODY:
            raise Failed("VictoriaLogs: %d events were acknowledged, %d are there" % (
                r["requests"] * IN_BODY, taken))
        r["rate"] *= IN_BODY
        r["others"] = others.seen[-1]
        return r


def send_each(server, protocol, bodies):
    """Each body once: none of its events is lost or in quarantine.  False: nobody is there."""
    server.clear("log")
    for body in bodies:
        status, answer = server.post(body, protocol.headers, protocol.path)
        if status == 404:
            return False
        if not 200 <= status < 300:
            raise Failed("%s was answered %d %s" % (protocol.name, status,
                                                    answer.decode(errors="replace")[:300]))
    stored = server.count("log")
    if stored != len(bodies) * IN_BODY:
        raise Failed("%s: %d events were acknowledged, %d are stored" % (
            protocol.name, len(bodies) * IN_BODY, stored))
    check_status(server)
    return True


def section_p(server, rounds, seconds, corpus_size, names):
    import encoders  # which needs a package that nothing else does

    scratch = server.options.scratch
    if server.sql("SELECT count(*) FROM pg_settings WHERE name = 'windtrap.idempotency_window'") == "1":
        # Bodies come again and again, and some protocols' events have keys.
        server.sql("ALTER SYSTEM SET windtrap.idempotency_window = 0", "SELECT pg_reload_conf()")
    unknown = set(names) - {p.name for p in encoders.PROTOCOLS}
    if unknown:
        raise Failed("no such protocol: %s; there are %s" % (
            ", ".join(unknown), ", ".join(p.name for p in encoders.PROTOCOLS)))

    binary = find_victoria_logs()
    victoria = VictoriaLogs(binary, scratch) if binary else None
    try:
        if victoria:
            server.beside.append(victoria.process.pid)
        progress("making %s events" % thousands(corpus_size))
        corpus = run([sys.executable, os.path.join(BENCH, "corpus"), "--events", str(corpus_size)],
                     120).encode()
        # As if they came just now; those of a year ago belong into another partition.
        shift = time.time() - json.loads(corpus[:corpus.index(b"\n")])["time"]
        events = [encoders.Event(line, shift) for line in corpus.splitlines()]
        chunks = [events[i:i + IN_BODY] for i in range(0, len(events), IN_BODY)]

        protocols = []
        files = {}
        sizes = {}
        theirs = {}
        absent = []
        for p in (encoders.NDJSON,) + encoders.PROTOCOLS:
            if names and p.name not in names and p is not encoders.NDJSON:
                continue
            bodies = [p.encode(chunk) for chunk in chunks]
            if not send_each(server, p, bodies):
                absent.append(p.name)
                continue
            protocols.append(p)
            sizes[p] = sum(map(len, bodies)) / len(events)
            files[p] = os.path.join(scratch, "bodies-%d" % len(files))
            write_requests(files[p], bodies, p.headers, p.path)
            if victoria and p.beside and victoria.takes(p.beside, p.headers, bodies[0]):
                theirs[p] = files[p] + "-beside"
                write_requests(theirs[p], bodies, p.headers, p.beside)
        measure_protocols(server, victoria, rounds, seconds, protocols, files, theirs, sizes, absent)
    finally:
        if victoria:
            server.beside.clear()
            victoria.stop()


def measure_protocols(server, victoria, rounds, seconds, protocols, files, theirs, sizes, absent):
    ndjson = protocols[0]
    found = {p: {"ours": [], "ndjson": [], "victoria": []} for p in protocols}
    others = Others(server)
    for n in range(rounds):
        for p in protocols:
            lists = found[p]
            if p is not ndjson:
                lists["ndjson"].append(load_bodies(server, files[ndjson], IN_BODY, BODY_CONNECTIONS,
                                                   seconds, others))
            lists["ours"].append(load_bodies(server, files[p], IN_BODY, BODY_CONNECTIONS, seconds,
                                             others))
            if p in theirs:
                lists["victoria"].append(victoria.load(theirs[p], seconds, others))
            progress("round %d, %s: %s" % (n + 1, p.name, ", ".join(
                "%s %s/s" % (who, thousands(rs[-1]["rate"])) for who, rs in lists.items() if rs)))

    rows = []
    for p in protocols:
        lists = found[p]
        row = [p.name, "%.0f" % sizes[p]]
        if p is ndjson:
            a = calm(lists["ours"])
            row += [thousands(median(a, "rate")), "", "", "", "", "%.2f" % median(a, "cpu"), "", ""]
        else:
            a, b, kept = undisturbed(lists["ours"], lists["ndjson"])
            ratios = [x["rate"] / y["rate"] for x, y in zip(a, b)]
            row += [thousands(median(a, "rate")), thousands(median(b, "rate")), kept,
                    "%.2f" % statistics.median(ratios), "%.2f..%.2f" % (min(ratios), max(ratios)),
                    "%.2f" % median(a, "cpu"), "%.2f" % median(b, "cpu"),
                    "%.2f" % statistics.median(y["cpu"] / x["cpu"] for x, y in zip(a, b))]
        if victoria and p in theirs:
            a, b, kept = undisturbed(lists["ours"], lists["victoria"])
            row += [thousands(median(b, "rate")), spread(b), kept, "%.2f" % ratio(a, b)]
        elif victoria:
            row += ["", "", "", ""]
        rows.append(row)
    notes = [
        "wrk, 1 thread, %d connections, TCP on loopback; bodies of %s of the corpus's events"
        % (BODY_CONNECTIONS, thousands(IN_BODY)),
        "bytes: of an event as it is sent; NDJSON/s: POST /log of the same events, taken in turns;",
        "CPU: microseconds of the worker an event; ratios: of neighbours, medians of %d rounds of %d s"
        % (rounds, seconds), str(others)]
    if absent:
        notes.append("left out, because this windtrap does not know them: " + ", ".join(absent))
    if victoria:
        notes.append("VictoriaLogs/s: the same bodies to its endpoint of that protocol, where it takes them;")
        notes.append("it acknowledges what is in its memory")
    else:
        notes.append("VictoriaLogs is left out: it is not installed (PATH, VICTORIA_LOGS=/path/to/victoria-logs)")
    print_table("P. Protocols", notes,
                ["protocol", "bytes", "windtrap/s", "NDJSON/s", "rounds", "ratio", "min..max", "CPU",
                 "CPU NDJSON", "CPU ratio"] +
                (["VictoriaLogs/s", "min..max", "rounds", "ratio"] if victoria else []), rows)


def fsync_us(directory):
    """What one durable write of 8 kB costs here."""
    path = os.path.join(directory, "fsync-probe")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        times = []
        os.write(fd, b"x" * 8192)
        os.fsync(fd)
        for _ in range(200):
            begin = time.perf_counter()
            os.pwrite(fd, b"y" * 8192, 0)
            os.fdatasync(fd)
            times.append((time.perf_counter() - begin) * 1e6)
        return statistics.median(times)
    finally:
        os.close(fd)
        os.unlink(path)


def fill_wal(server, megabytes):
    """A server that has run for a while reuses segments of WAL, a new one has to make them."""
    server.sql("SELECT count(pg_logical_emit_message(false, 'bench', repeat('x', 1000000))) "
               "FROM generate_series(1, %d)" % megabytes, "CHECKPOINT")


def file_system_of(server):
    return run(["stat", "-f", "-c", "%T", server.options.data], 10).strip()


def machine(server):
    """A line that says what is measured on."""
    return "PostgreSQL %s, %d CPUs, data on %s where write + fdatasync of 8 kB takes %.0f us" % (
        server.sql("SELECT split_part(current_setting('server_version'), ' ', 1)"), os.cpu_count(),
        file_system_of(server), fsync_us(server.options.scratch))


def describe(server):
    o = server.options
    print(machine(server))
    file_system = file_system_of(server)
    if file_system in ("tmpfs", "ramfs"):
        print("NOTE: that is memory: what is measured here is not durable")
    print("load of the machine before: %.2f" % os.getloadavg()[0])
    print("settings: " + " ".join(s for s in o.settings.split() if "port=" not in s))
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sockets")
    parser.add_argument("--pg-port", type=int)
    parser.add_argument("--http-port", type=int)
    parser.add_argument("--viewer-port", type=int)
    parser.add_argument("--data")
    parser.add_argument("--scratch")
    parser.add_argument("--settings")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--section", choices=("A", "B", "C", "D", "F", "H", "P", "R", "S", "V"))
    parser.add_argument("--protocol", action="append", default=[])
    parser.add_argument("--events", type=int)
    parser.add_argument("--corpus", action="append", default=[])
    parser.add_argument("--peer", action="append", default=[])
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    server = Server(options)
    rounds, seconds = (3, 2) if options.quick else (5, 5)
    try:
        server.sql("SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS windtrap")
        server.wait_until_it_listens()
        describe(server)
        fill_wal(server, 1000)
        if options.section == "F":
            section_f(server, rounds if options.quick else 3, seconds)
        if options.section == "H":
            import central  # which imports this file
            central.section_h(server, 1 if options.quick else 3)
        if options.section == "P":
            if options.quick:
                section_p(server, 3, 2, 10000, options.protocol)
            else:
                section_p(server, 5, 3, 30000, options.protocol)
        if options.section == "S":
            import sealed  # which imports this file
            if options.quick:
                sealed.section_s(server, options.events or 200000, options.corpus, 3, 3)
            else:
                sealed.section_s(server, options.events or 10 ** 6, options.corpus, 5, 5)
        if options.section == "R":
            import comparing  # which imports this file
            comparing.section_r(server, 3, 2 if options.quick else 5, options.peer)
        if options.section == "C":
            import calibrating  # which imports this file
            calibrating.section_c(server, 3, 2 if options.quick else 4)
        if options.section == "D":
            import intakes  # which imports this file
            intakes.section_d(server, 3 if options.quick else 5, 2 if options.quick else 4)
        if options.section == "V":
            import viewing  # which imports this file
            if options.quick:
                viewing.section_v(server, 3, 3, 10 ** 6)
            else:
                viewing.section_v(server, 5, 5, 10 ** 7)
        if options.section in (None, "A"):
            section_a(server, rounds, seconds)
        if options.section in (None, "B"):
            if options.quick:
                section_b(server, 3, 2, 20000, 100000)
            else:
                section_b(server, 3, 5, 50000, 300000)
    except (Failed, subprocess.TimeoutExpired) as e:
        sys.exit("measure.py: %s" % e)


if __name__ == "__main__":
    sys.modules["measure"] = sys.modules["__main__"]  # so that there is one of it
    main()
