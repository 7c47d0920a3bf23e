"""Events as bench/sealed stores them, the same ones for the same seed: lines of sixteen kinds of systems,
and web access logs, both as JSON with a time of their own, which ascends over a day.
"""
import bisect
import datetime
import itertools
import json
import random

HEX = "0123456789abcdef"

# What each system says, the frequent first: severity, message.  In them n is a number of up to 5 digits,
# N of up to 10, d a decimal, i an address, p a port, h 8 hex digits, H 16, u a user, w a word, f a file.
SYSTEMS = {
    "sshd": (
        ("info", "Failed password for invalid user {u} from {i} port {p} ssh2"),
        ("info", "Connection closed by {i} port {p} [preauth]"),
        ("info", "Received disconnect from {i} port {p}:11: Bye Bye [preauth]"),
        ("warning", "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={i} user={u}"),
        ("info", "Accepted publickey for {u} from {i} port {p} ssh2: RSA SHA256:{H}{H}"),
        ("error", "fatal: Timeout before authentication for {i} port {p}"),
        ("info", "Disconnected from authenticating user {u} {i} port {p} [preauth]")),
    "datanode": (
        ("info", "PacketResponder {n} for block blk_{N}{N} terminating"),
        ("info", "Received block blk_{N}{N} of size {N} from /{i}"),
        ("info", "Receiving block blk_{N}{N} src: /{i}:{p} dest: /{i}:50010"),
        ("info", "BLOCK* NameSystem.addStoredBlock: blockMap updated: {i}:50010 is added to blk_{N}{N} size {N}"),
        ("warning", "Slow BlockReceiver write packet to mirror took {n}ms (threshold=300ms)"),
        ("error", "writeBlock blk_{N}{N} received exception java.net.SocketTimeoutException: {n} millis timeout while waiting for channel")),
    "executor": (
        ("info", "Running task {n}.0 in stage {n}.0 (TID {N})"),
        ("info", "Finished task {n}.0 in stage {n}.0 (TID {N}). {n} bytes result sent to driver"),
        ("info", "Block broadcast_{n} stored as values in memory (estimated size {d} KB, free {d} MB)"),
        ("info", "Found block rdd_{n}_{n} locally"),
        ("warning", "Lost task {n}.0 in stage {n}.0 (TID {N}, {w}): ExecutorLostFailure"),
        ("info", "Getting {n} non-empty blocks out of {n} blocks")),
    "zookeeper": (
        ("info", "Received connection request /{i}:{p}"),
        ("warning", "Send worker leaving thread"),
        ("warning", "Connection broken for id {N}, my id = 1, error = java.io.EOFException"),
        ("info", "Established session 0x{H} with negotiated timeout 10000 for client /{i}:{p}"),
        ("info", "Closed socket connection for client /{i}:{p} which had sessionid 0x{H}"),
        ("info", "Expiring session 0x{H}, timeout of 10000ms exceeded")),
    "kernel": (
        ("info", "[{N}.{n}] usb 1-1.{n}: new high-speed USB device number {n} using xhci_hcd"),
        ("warning", "[{N}.{n}] TCP: request_sock_TCP: Possible SYN flooding on port {p}. Sending cookies."),
        ("info", "[{N}.{n}] IN=eth0 OUT= MAC={h}{h} SRC={i} DST={i} LEN={n} TTL=54 ID={n} PROTO=TCP SPT={p} DPT=22"),
        ("error", "[{N}.{n}] Out of memory: Killed process {n} ({w}) total-vm:{N}kB, anon-rss:{N}kB"),
        ("info", "[{N}.{n}] audit: type=1400 apparmor=\"ALLOWED\" operation=\"open\" name=\"{f}\" pid={n} comm=\"{w}\"")),
    "nova": (
        ("info", "[instance: {h}-{w}] VM Started (Lifecycle Event)"),
        ("info", "{i} \"GET /v2/{H}/servers/detail HTTP/1.1\" status: 200 len: {n} time: 0.{N}"),
        ("info", "[instance: {h}-{w}] Took {d} seconds to spawn the instance on the hypervisor."),
        ("warning", "While synchronizing instance power states, found {n} instances in the database and {n} on the hypervisor."),
        ("info", "Active base files: /var/lib/nova/instances/_base/{H}{H}")),
    "postgres": (
        ("info", "connection authorized: user={u} database={w} application_name=psql"),
        ("info", "duration: {d} ms  statement: SELECT * FROM {w} WHERE id = {N}"),
        ("info", "checkpoint complete: wrote {n} buffers ({d}%); 0 WAL file(s) added, {n} removed; write={d} s, sync={d} s, total={d} s"),
        ("error", "canceling statement due to statement timeout"),
        ("error", "deadlock detected: process {n} waits for ShareLock on transaction {N}; blocked by process {n}"),
        ("info", "automatic vacuum of table \"{w}.public.{w}\": index scans: 1 pages: 0 removed, {n} remain")),
    "nginx": (
        ("error", "*{N} upstream timed out (110: Connection timed out) while reading response header from upstream, client: {i}, upstream: \"http://{i}:8080/{w}\""),
        ("error", "*{N} connect() failed (111: Connection refused) while connecting to upstream, client: {i}"),
        ("warning", "*{N} an upstream response is buffered to a temporary file /var/cache/nginx/proxy_temp/{n}/{n}"),
        ("error", "*{N} open() \"{f}\" failed (2: No such file or directory), client: {i}")),
    "cron": (
        ("info", "({u}) CMD ({f} --quiet)"),
        ("info", "pam_unix(cron:session): session opened for user {u} by (uid=0)"),
        ("info", "pam_unix(cron:session): session closed for user {u}")),
    "kubelet": (
        ("info", "SyncLoop (PLEG): {w}-{h}_default({H}), event: ContainerStarted"),
        ("warning", "Readiness probe for \"{w}-{h}\" failed: HTTP probe failed with statuscode: 503"),
        ("warning", "Liveness probe for \"{w}-{h}\" failed: Get http://{i}:{p}/healthz: net/http: request canceled (Client.Timeout exceeded)"),
        ("error", "Back-off restarting failed container {w} in pod {w}-{h}_default")),
    "shop": (
        ("info", "order {N} placed by customer {N}: {n} items, {d} EUR"),
        ("info", "payment {H} captured, {d} EUR"),
        ("info", "cart {h} updated: {w} x {n}"),
        ("error", "payment {H} declined by provider: timeout after {n} ms"),
        ("warning", "stock of {w} is low: {n} left")),
    "mailer": (
        ("info", "{H}: to=<{u}@example.com>, relay=mx.example.com[{i}]:25, delay={d}, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as {H})"),
        ("info", "{H}: from=<{u}@example.org>, size={n}, nrcpt=1 (queue active)"),
        ("info", "{H}: removed"),
        ("warning", "{H}: to=<{u}@example.net>, relay=none, delay={d}, status=deferred (connect to mx.example.net[{i}]:25: Connection timed out)")),
    "windows": (
        ("info", "CBS    Loaded Servicing Stack v6.1.7601.{n} with Core: C:\\Windows\\winsxs\\{H}\\cbscore.dll"),
        ("info", "CSI    {H} Created NT transaction (seq {n}) result 0x00000000, handle @0x{h}"),
        ("info", "CBS    Session: {N}_{N} initialized by client WindowsUpdateAgent.")),
    "android": (
        ("debug", "printFreezingDisplayLogsopening app wtoken = AppWindowToken{{{h} token=Token{{{h} ActivityRecord{{{h} u0 com.example.{w}}}}}}}"),
        ("debug", "acquire lock={n}, flags=0x1, tag=\"View Lock\", name=com.example.{w}, ws=null, uid={n}, pid={n}"),
        ("info", "Skipped {n} frames! The application may be doing too much work on its main thread."),
        ("debug", "ready=true,policy=3,wakefulness=1,wksummary=0x{h},uasummary=0x1,bootcompleted=true")),
    "bgl": (
        ("info", "generating core.{n}"),
        ("info", "instruction cache parity error corrected"),
        ("info", "{n} double-hummer alignment exceptions"),
        ("error", "data TLB error interrupt at 0x{h}"),
        ("error", "ciod: Error reading message prefix after LOGIN_MESSAGE on CioStream socket to {i}:{p}: Link has been severed")),
    "proxifier": (
        ("info", "proxy.example.org:5070 open through proxy proxy.example.org:5070 HTTPS"),
        ("info", "{w}.example.com:443 close, {n} bytes sent, {N} bytes received, lifetime 00:{n}"),
        ("error", "{w}.example.com:80 error : Could not connect through proxy: timeout"))}
# The busiest first.
APPS = ("datanode", "sshd", "shop", "nginx", "postgres", "executor", "kubelet", "mailer", "kernel", "zookeeper", "nova",
        "cron", "android", "windows", "bgl", "proxifier")
USERS = ("root", "admin", "test", "oracle", "alice", "bob", "deploy", "backup", "www-data", "git", "guest", "nagios")
WORDS = ("orders", "invoices", "customers", "sessions", "ranking", "thumbnail", "ledger", "orchid", "falcon", "harbour",
         "quartz", "delta", "digest", "meadow", "search", "images")
FILES = ("/usr/share/nginx/html/favicon.ico", "/usr/local/bin/rotate", "/var/www/html/wp-login.php", "/etc/ssl/openssl.cnf",
         "/usr/lib/sysstat/debian-sa1", "/proc/sys/kernel/random/boot_id", "/opt/shop/bin/reindex")

METHODS = (("GET", 80), ("POST", 14), ("PUT", 2), ("DELETE", 1), ("HEAD", 3))
STATUSES = ((200, 780), (304, 90), (301, 20), (302, 20), (404, 50), (403, 10), (500, 12), (502, 6), (504, 4), (429, 8))
PATHS = (("/", 20), ("/product/{n}", 30), ("/search", 12), ("/cart", 8), ("/checkout", 3), ("/login", 5),
         ("/static/app.{a}.js", 8), ("/static/main.{a}.css", 6), ("/images/{n}.jpg", 20), ("/api/v1/stock/{n}", 10),
         ("/favicon.ico", 3), ("/robots.txt", 1), ("/wp-login.php", 2))


def weighted(pairs):
    """A function that picks one of them by weight."""
    values = [value for value, _ in pairs]
    sums = list(itertools.accumulate(weight for _, weight in pairs))
    return lambda r: values[bisect.bisect(sums, r.random() * sums[-1])]


def zipf(values):
    return weighted([(v, 1 / (n + 1)) for n, v in enumerate(values)])


class Times:
    """Moments in ascending order, as many as asked for from one to the other."""

    def __init__(self, r, begin, end, count):
        self.random, self.now, self.mean = r, begin * 1e6, (end - begin) * 1e6 / count

    def __iter__(self):
        return self

    def __next__(self):
        # Of the average length, and not beyond the end.
        self.now += self.random.random() * 2 * self.mean * 0.999
        t = int(self.now)
        return datetime.datetime.utcfromtimestamp(t // 10 ** 6).strftime("%Y-%m-%dT%H:%M:%S") + ".%06dZ" % (t % 10 ** 6)


def address(r):
    n = r.getrandbits(32)
    return "%d.%d.%d.%d" % (n >> 24, n >> 16 & 255, n >> 8 & 255, n & 255)


def systems(count, begin, end, seed=1):
    r = random.Random(seed)
    app, pick_user, pick_word, pick_file = zipf(APPS), zipf(USERS), zipf(WORDS), zipf(FILES)
    pick_address = zipf([address(r) for _ in range(2000)])
    hosts = {a: ["%s%02d" % (("db", "web", "node", "edge")[n % 4], n // 4 * 3 + k) for k in range(3)][:1 + n % 3]
             for n, a in enumerate(APPS)}
    values = {
        "n": lambda: r.randrange(10 ** r.randrange(1, 6)), "N": lambda: r.randrange(10 ** r.randrange(6, 11)),
        "d": lambda: "%.2f" % (r.random() * 10 ** r.randrange(1, 4)), "i": lambda: pick_address(r),
        "p": lambda: r.randrange(1024, 65536), "h": lambda: "%08x" % r.getrandbits(32),
        "H": lambda: "%016x" % r.getrandbits(64), "u": lambda: pick_user(r), "w": lambda: pick_word(r),
        "f": lambda: pick_file(r)}
    templates = {}
    for name, lines in SYSTEMS.items():
        made = []
        for severity, text in lines:
            for letter in values:
                text = text.replace("{%s}" % letter, "\0%s\0" % letter)
            made.append((severity, text.replace("{{", "{").replace("}}", "}").split("\0")))
        templates[name] = zipf(made)
    for time in itertools.islice(Times(r, begin, end, count), count):
        name = app(r)
        severity, parts = templates[name](r)
        message = "".join(p if n % 2 == 0 else str(values[p]()) for n, p in enumerate(parts))
        yield ('{"time":"%s","host":"%s","app":"%s","severity":"%s","message":%s,"request_id":"%016x"}' % (
            time, r.choice(hosts[name]), name, severity, json.dumps(message), r.getrandbits(64))).encode()


def access(count, begin, end, seed=2):
    r = random.Random(seed)
    method, status, path = weighted(METHODS), weighted(STATUSES), weighted(PATHS)
    client, product = zipf([address(r) for _ in range(20000)]), zipf(range(1, 5001))
    build = ["%08x" % r.getrandbits(32) for _ in range(3)]
    agents = zipf(["Mozilla/5.0 (%s) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36" % (system, version)
                   for version in range(126, 112, -1) for system in
                   ("Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7", "X11; Linux x86_64", "Linux; Android 10; K")]
                  + ["curl/8.5.0", "Googlebot/2.1 (+http://www.google.com/bot.html)", "okhttp/4.12.0"])
    sizes = {}
    for time in itertools.islice(Times(r, begin, end, count), count):
        target = path(r)
        if "{n}" in target:
            target = target.replace("{n}", str(product(r)))
        elif "{a}" in target:
            target = target.replace("{a}", r.choice(build))
        code = status(r)
        # What does not change is as large as the last time.
        size = 0 if code == 304 else 153 if code >= 400 else sizes.setdefault(target, int(r.paretovariate(0.8) * 800) % 10 ** 6) \
            if r.random() < 0.7 else int(r.paretovariate(0.8) * 800) % 10 ** 6
        e = {"time": time, "remote_addr": client(r), "method": method(r), "path": target, "protocol": "HTTP/1.1",
             "status": code, "bytes": size, "duration": round(r.lognormvariate(-4, 1.2), 3), "user_agent": agents(r)}
        if target == "/search":
            e["query"] = "q=%s+%s&page=%d" % (r.choice(WORDS), r.choice(WORDS), 1 + int(r.expovariate(1)))
        if r.random() < 0.6:
            e["referer"] = "https://shop.example.com/" + ("product/%d" % product(r) if r.random() < 0.5 else "search")
        yield json.dumps(e, separators=(",", ":")).encode()
