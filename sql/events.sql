-- Shows what windtrap.severity(), app(), sender_host() and message() find in the events of many
-- programs, that nothing has them fail, and that an index of them is used through windtrap.events.

CREATE EXTENSION windtrap;

CREATE TABLE event (
    name text PRIMARY KEY,
    protocol text,                      -- null: POST /log
    around jsonb,                       -- what surrounds the event in data
    json jsonb,                         -- the event as it was sent
    severity text, app text, host text, message text);

-- Node.js
INSERT INTO event VALUES
('pino', NULL, '{}', '{"level":30,"time":1795687361133,"pid":4269,"hostname":"vm","msg":"user alice logged in"}',
 'info', NULL, 'vm', 'user alice logged in'),
('pino, named', NULL, '{}', '{"level":40,"time":1795687361133,"pid":4269,"hostname":"vm","name":"shop","msg":"slow"}',
 'warning', 'shop', 'vm', 'slow'),
('pino, an error', 'elastic', '{"elastic":{"index":"logs-shop"}}', '{"level":50,"time":"2026-11-26T10:02:48.570Z","pid":4307,"hostname":"vm","err":{"type":"Error","message":"cannot charge card","stack":"Error: cannot charge card\n    at x.js:4:15"},"msg":"cannot charge card"}',
 'error', NULL, 'vm', 'cannot charge card'),
('pino, no text', NULL, '{}', '{"level":60,"time":1795687361133,"pid":1,"err":{"type":"Error","message":"out of memory"}}',
 'fatal', NULL, '192.0.2.9', 'out of memory'),
('pino, a level of its own', NULL, '{}', '{"level":35,"time":1795687361133,"msg":"between"}',
 'info', NULL, '192.0.2.9', 'between'),
('pino for Loki', 'loki', '{"loki":{"labels":{"level":"warning","hostname":"vm","app":"shop"},"metadata":{"reqid":"r1"}}}', '{"level":40,"time":1795687361133,"pid":4269,"order":{"id":42},"msg":"Grüße, 世界 🚀"}',
 'warning', 'shop', 'vm', 'Grüße, 世界 🚀'),
('bunyan', NULL, '{}', '{"name":"shop","hostname":"vm","pid":77,"level":20,"msg":"cache miss","time":"2026-11-26T10:02:48.570Z","v":0}',
 'debug', 'shop', 'vm', 'cache miss'),
('winston', NULL, '{}', '{"level":"warn","message":"Grüße, 世界 🚀","order":{"id":42,"items":["a","b"],"paid":true},"timestamp":"2026-11-26T10:02:27.710Z"}',
 'warning', NULL, '192.0.2.9', 'Grüße, 世界 🚀'),
('winston, coloured', NULL, '{}', '{"level":"\u001b[32minfo\u001b[39m","message":"ready","service":"shop"}',
 'info', 'shop', '192.0.2.9', 'ready'),
('winston, silly', NULL, '{}', '{"level":"silly","message":"tick"}', 'trace', NULL, '192.0.2.9', 'tick'),
('winston for Splunk', 'hec', '{"hec":{"time":"1795687431.766"}}', '{"message":{"text":"Grüße, 世界 🚀","order":{"id":42}},"severity":"warn"}',
 'warning', NULL, '192.0.2.9', 'Grüße, 世界 🚀'),
('winston for Loki', 'loki', '{"loki":{"labels":{"level":"error","app":"shop"},"metadata":{"level":"error"}}}', '"cannot charge card {\"level\":\"error\"}"',
 'error', 'shop', '192.0.2.9', 'cannot charge card {"level":"error"}'),
('log4js', NULL, '{}', '{"startTime":"2026-11-26T10:02:27.710Z","categoryName":"shop","level":{"level":40000,"levelStr":"ERROR","colour":"red"},"data":["cannot charge card"]}',
 'error', NULL, '192.0.2.9', '{"data": ["cannot charge card"], "level": {"level": 40000, "colour": "red", "levelStr": "ERROR"}, "startTime": "2026-11-26T10:02:27.710Z", "categoryName": "shop"}');

-- Go
INSERT INTO event VALUES
('zerolog', NULL, '{}', '{"level":"warn","order":{"id":42},"time":"2026-11-26T10:09:17Z","message":"Grüße, 世界 🚀"}',
 'warning', NULL, '192.0.2.9', 'Grüße, 世界 🚀'),
('zerolog, without a level', NULL, '{}', '{"time":"2026-11-26T10:09:17Z","error":"no funds","message":"refused"}',
 NULL, NULL, '192.0.2.9', 'refused'),
('zap', NULL, '{}', '{"level":"warn","ts":1795687756.9712143,"msg":"slow","logger":"shop.db"}',
 'warning', 'shop.db', '192.0.2.9', 'slow'),
('zap, a panic', NULL, '{}', '{"level":"dpanic","ts":1795687756.97,"msg":"cannot be"}',
 'fatal', NULL, '192.0.2.9', 'cannot be'),
('slog', NULL, '{}', '{"time":"2026-11-26T10:09:16.900903504Z","level":"WARN","msg":"slow"}',
 'warning', NULL, '192.0.2.9', 'slow'),
('slog, between', NULL, '{}', '{"time":"2026-11-26T10:09:16.900903504Z","level":"INFO+2","msg":"so so"}',
 'info', NULL, '192.0.2.9', 'so so'),
('slog, below', NULL, '{}', '{"time":"2026-11-26T10:09:16.900903504Z","level":"DEBUG-4","msg":"in detail"}',
 'debug', NULL, '192.0.2.9', 'in detail'),
('slog for Loki', 'loki', '{"loki":{"labels":{"level":"ERROR","service_name":"shop","instance":"vm:8080"}}}', '"cannot charge card"',
 'error', 'shop', 'vm:8080', 'cannot charge card'),
('logrus', NULL, '{}', '{"level":"info","msg":"ready","time":"2026-11-26T10:09:17Z","app":"shop"}',
 'info', 'shop', '192.0.2.9', 'ready'),
('klog', NULL, '{}', '{"lvl":"I","msg":"synced","node":"n1"}', 'info', NULL, '192.0.2.9', 'synced');

-- Python
INSERT INTO event VALUES
('python-json-logger', NULL, '{}', '{"levelname":"WARNING","name":"shop","message":"slow","timestamp":"2026-11-26T09:59:52.106448+00:00"}',
 'warning', 'shop', '192.0.2.9', 'slow'),
('HTTPHandler', NULL, '{}', '{"name":"shop","msg":"order %s refused","args":"(4711,)","levelname":"ERROR","levelno":"40","pathname":"x.py","process":"77"}',
 'error', 'shop', '192.0.2.9', 'order %s refused'),
('levelno alone', NULL, '{}', '{"levelno":30,"msg":"slow","time":1795687361133}', 'warning', NULL, '192.0.2.9', 'slow'),
('level and levelno', NULL, '{}', '{"level":30,"levelno":30,"msg":"slow"}', 'warning', NULL, '192.0.2.9', 'slow'),
('levelno, not set', NULL, '{}', '{"levelno":0,"msg":"slow"}', NULL, NULL, '192.0.2.9', 'slow'),
('structlog', NULL, '{}', '{"order":{"id":42},"event":"Grüße, 世界 🚀","level":"warning","timestamp":"2026-11-26T09:59:52.441019Z","logger":"shop"}',
 'warning', 'shop', '192.0.2.9', 'Grüße, 世界 🚀'),
('loguru', NULL, '{}', '{"text":"2026-11-26 09:59:52.263 | SUCCESS  | __main__:<module>:6 - order paid\n","record":{"level":{"icon":"x","name":"SUCCESS","no":25},"line":6,"message":"order paid","name":"__main__"}}',
 'info', NULL, '192.0.2.9', 'order paid'),
('splunk_hec_handler', 'hec', '{"hec":{"host":"vm","source":"shop","sourcetype":"_json"}}', '{"log_level":"WARNING","message":"slow"}',
 'warning', 'shop', 'vm', 'slow'),
('python-logging-loki', 'loki', '{"loki":{"labels":{"app":"shop","severity":"critical","logger":"shop"}}}', '"user alice logged in"',
 'fatal', 'shop', '192.0.2.9', 'user alice logged in'),
('our own handler', NULL, '{"source":"shop"}', '{"message":"order 4711 refused","level":"ERROR","logger":"shop","file":"x.py","line":21}',
 'error', 'shop', '192.0.2.9', 'order 4711 refused');

-- Java, .NET, PHP
INSERT INTO event VALUES
('log4j2, ECS', NULL, '{}', '{"@timestamp":"2026-11-26T10:19:21.973Z","ecs.version":"1.2.0","log.level":"WARN","message":"slow","process.thread.name":"main","log.logger":"shop","order":"42"}',
 'warning', 'shop', '192.0.2.9', 'slow'),
('ECS, nested', 'elastic', '{"elastic":{"index":"logs"}}', '{"@timestamp":"2026-11-26T10:19:21.973Z","log":{"level":"error","logger":"x"},"service":{"name":"shop"},"host":{"name":"vm","ip":["192.0.2.1"]},"event":{"dataset":"shop.log"},"error":{"message":"no funds"}}',
 'error', 'shop', 'vm', 'no funds'),
('ECS, dotted', NULL, '{}', '{"log.level":"ERROR","service.name":"shop","host.name":"vm","error.message":"no funds"}',
 'error', 'shop', 'vm', 'no funds'),
('Beats', 'elastic', '{"elastic":{"index":"filebeat"}}', '{"message":"a line","agent":{"hostname":"vm","type":"filebeat"},"log":{"file":{"path":"/var/log/x"}}}',
 NULL, NULL, 'vm', 'a line'),
('logstash-logback-encoder', NULL, '{}', '{"@timestamp":"2026-11-26T10:20:11.651Z","@version":"1","message":"slow","logger_name":"com.example.Shop","thread_name":"main","level":"WARN","level_value":30000}',
 'warning', 'com.example.Shop', '192.0.2.9', 'slow'),
('level_value alone', NULL, '{}', '{"message":"slow","level_value":40000}', 'error', NULL, '192.0.2.9', 'slow'),
('logback-elasticsearch', 'elastic', '{"elastic":{"index":"logs-2026-11-26"}}', '{"@timestamp":"2026-11-26T10:20:11.651+0000","message":"user alice logged in"}',
 NULL, NULL, '192.0.2.9', 'user alice logged in'),
('java.util.logging', NULL, '{}', '{"level":"SEVERE","logger":"shop","message":"no funds"}', 'error', 'shop', '192.0.2.9', 'no funds'),
('java.util.logging, finest', NULL, '{}', '{"level":"FINEST","message":"x"}', 'trace', NULL, '192.0.2.9', 'x'),
('Serilog, compact', NULL, '{}', '{"@t":"2026-11-26T10:20:11.651Z","@mt":"Order {Order} refused","@l":"Warning","Order":4711}',
 'warning', NULL, '192.0.2.9', 'Order {Order} refused'),
('Serilog, what is left out', NULL, '{}', '{"@t":"2026-11-26T10:20:11.651Z","@m":"Order 4711 paid","@mt":"Order {Order} paid","Order":4711}',
 'info', NULL, '192.0.2.9', 'Order 4711 paid'),
('Serilog, verbose', NULL, '{}', '{"@t":"2026-11-26T10:20:11.651Z","@m":"x","@l":"Verbose"}', 'trace', NULL, '192.0.2.9', 'x'),
('Monolog', NULL, '{}', '{"message":"slow","context":{},"level":300,"level_name":"WARNING","channel":"shop","datetime":"2026-11-26T10:20:11.651+00:00","extra":{}}',
 'warning', 'shop', '192.0.2.9', 'slow'),
('Monolog, a number', NULL, '{}', '{"message":"slow","level":550}', 'fatal', NULL, '192.0.2.9', 'slow'),
('Laravel', NULL, '{}', '{"message":"slow","level_name":"CRITICAL","channel":"local"}', 'fatal', 'local', '192.0.2.9', 'slow');

-- GELF
INSERT INTO event VALUES
('logstash-gelf', 'gelf', '{}', '{"host":"vm","version":"1.1","short_message":"Grüße, 世界","full_message":"more","timestamp":1.795688392907E9,"level":4,"facility":"logstash-gelf","_LoggerName":"shop","_Severity":"WARN"}',
 'warning', 'logstash-gelf', 'vm', 'Grüße, 世界'),
('pygelf', 'gelf', '{}', '{"version":"1.1","short_message":"cannot charge card","timestamp":1795687237.5288854,"level":3,"host":"vm","_file":"_events.py","_line":15,"_logger_name":"http","_app":"shop","_stack_info":null}',
 'error', 'shop', 'vm', 'cannot charge card'),
('GELF, notice', 'gelf', '{}', '{"version":"1.1","host":"vm","short_message":"x","level":5}', 'info', NULL, 'vm', 'x'),
('GELF, debug in a string', 'gelf', '{}', '{"version":"1.1","host":"vm","short_message":"x","level":"7"}', 'debug', NULL, 'vm', 'x'),
('GELF, emergency', 'gelf', '{}', '{"version":"1.1","host":"vm","short_message":"x","level":0}', 'fatal', NULL, 'vm', 'x'),
('GELF, critical', 'gelf', '{}', '{"version":"1.1","host":"vm","short_message":"x","level":2}', 'error', NULL, 'vm', 'x'),
('GELF without a level', 'gelf', '{}', '{"version":"1.1","host":"vm","short_message":"x"}', NULL, NULL, 'vm', 'x'),
('GELF, none of syslog''s', 'gelf', '{}', '{"version":"1.1","host":"vm","short_message":"x","level":30,"_service":"shop"}', NULL, 'shop', 'vm', 'x'),
('GELF at /log', NULL, '{}', '{"version":"1.1","host":"vm","short_message":"x","level":6}', 'info', NULL, 'vm', 'x');

-- OpenTelemetry
INSERT INTO event VALUES
('OTLP', 'otlp', '{"otlp":{"resource":{"attributes":{"service.name":"shop","host.name":"vm"}},"scope":{"name":"x"}}}', '{"severity_number":13,"severity_text":"WARN","body":"slow","attributes":{"order.id":42}}',
 'warning', 'shop', 'vm', 'slow'),
('OTLP, the number wins', 'otlp', '{"otlp":{"resource":{"attributes":{"service.name":"shop"}}}}', '{"severity_number":21,"severity_text":"error","body":"down"}',
 'fatal', 'shop', '192.0.2.9', 'down'),
('OTLP, the number unset', 'otlp', '{"otlp":{}}', '{"severity_number":0,"severity_text":"Information","body":"up"}', 'info', NULL, '192.0.2.9', 'up'),
('OTLP, only a text', 'otlp', '{"otlp":{}}', '{"severity_text":"DEBUG2","body":"up"}', 'debug', NULL, '192.0.2.9', 'up'),
('OTLP, out of range', 'otlp', '{"otlp":{}}', '{"severity_number":25,"body":"up"}', NULL, NULL, '192.0.2.9', 'up'),
('OTLP, a trace', 'otlp', '{"otlp":{}}', '{"severity_number":4,"body":"up"}', 'trace', NULL, '192.0.2.9', 'up'),
('OTLP, a body of parts', 'otlp', '{"otlp":{}}', '{"severity_number":17,"body":{"msg":"no funds","order":42}}', 'error', NULL, '192.0.2.9', '{"msg": "no funds", "order": 42}'),
('OTLP, no body', 'otlp', '{"otlp":{}}', '{"severity_number":9,"body":null,"event_name":"order.paid"}', 'info', NULL, '192.0.2.9', 'order.paid'),
('OTLP, an exception', 'otlp', '{"otlp":{}}', '{"severity_number":20,"attributes":{"exception.message":"no funds","exception.type":"ValueError"}}', 'error', NULL, '192.0.2.9', 'no funds'),
('OTLP, from a file', 'otlp', '{"otlp":{"resource":{"attributes":{"k8s.pod.name":"shop-1"}}}}', '{"body":{"level":"warn","msg":"slow"},"attributes":{"log.file.name":"x"}}', 'warning', NULL, '192.0.2.9', '{"msg": "slow", "level": "warn"}'),
('OTLP, a level among the attributes', 'otlp', '{"otlp":{}}', '{"body":"slow","attributes":{"level":"warn"}}', 'warning', NULL, '192.0.2.9', 'slow');

-- Splunk, Loki, Datadog
INSERT INTO event VALUES
('Docker, a text', 'hec', '{"source":"docker","hec":{"time":"1795687884.832057","host":"vm"}}', '{"line":"user alice logged in","source":"stdout","tag":"0123456789ab"}',
 NULL, '0123456789ab', 'vm', 'user alice logged in'),
('Docker, JSON', 'hec', '{"hec":{"time":"1795687884.832109","host":"vm"}}', '{"line":{"level":"warn","message":"Grüße, 世界 🚀","order":{"id":42}},"source":"stdout","tag":"shop"}',
 'warning', 'shop', 'vm', 'Grüße, 世界 🚀'),
('Docker, JSON of no logger', 'hec', '{"hec":{"host":"vm"}}', '{"line":{"order":42},"source":"stdout","tag":"shop"}', NULL, 'shop', 'vm', '{"order": 42}'),
('HEC, a text', 'hec', '{"source":"splunk","hec":{"index":"main","host":"vm"}}', '"vm shop 77 - - slow"', NULL, 'splunk', 'vm', 'vm shop 77 - - slow'),
('HEC, a sourcetype', 'hec', '{"hec":{"sourcetype":"access_combined"}}', '"GET /"', NULL, 'access_combined', '192.0.2.9', 'GET /'),
('Loki, detected', 'loki', '{"loki":{"labels":{"job":"varlogs","pod":"shop-1","detected_level":"warn"}}}', '"slow"', 'warning', 'varlogs', 'shop-1', 'slow'),
('Loki, its metadata', 'loki', '{"loki":{"labels":{"container":"shop"},"metadata":{"detected_level":"error"}}}', '"no funds"', 'error', 'shop', '192.0.2.9', 'no funds'),
('Loki, labels that were none', 'loki', '{"source":"x","loki":{"labels":"{app=}"}}', '"no funds"', NULL, 'x', '192.0.2.9', 'no funds'),
('Datadog', 'datadog', '{}', '{"ddsource":"nodejs","ddtags":"env:prod","hostname":"vm","service":"shop","status":"warn","message":"slow"}', 'warning', 'shop', 'vm', 'slow'),
('Datadog, emergency', 'datadog', '{}', '{"status":"Emergency","message":"down"}', 'fatal', NULL, '192.0.2.9', 'down');

-- The system's
INSERT INTO event VALUES
('journald', 'journald', '{}', '{"__CURSOR":"s=1","MESSAGE":"Started Session 1","PRIORITY":"6","_HOSTNAME":"vm","_SYSTEMD_UNIT":"session-1.scope","SYSLOG_IDENTIFIER":"systemd","_COMM":"systemd"}',
 'info', 'systemd', 'vm', 'Started Session 1'),
('journald, an error', 'journald', '{}', '{"MESSAGE":"no funds\n  at x","PRIORITY":"3","_HOSTNAME":"vm","_SYSTEMD_UNIT":"shop.service"}', 'error', 'shop.service', 'vm', E'no funds\n  at x'),
('journald, no priority', 'journald', '{}', '{"MESSAGE":"x","_HOSTNAME":"vm","_COMM":"shop"}', NULL, 'shop', 'vm', 'x'),
('journald, a field twice', 'journald', '{}', '{"MESSAGE":["a","b"],"PRIORITY":["3","4"],"_HOSTNAME":"vm"}', NULL, NULL, 'vm', '["a", "b"]'),
('rsyslog', 'elastic', '{"elastic":{"index":"logs-shop"}}', '{"@timestamp":"2026-11-26T10:12:47.447449+00:00","host":"vm","severity":"warning","tag":"shop[77]:","message":" slow"}',
 'warning', 'shop', 'vm', ' slow'),
('rsyslog, numbers', NULL, '{}', '{"host":"vm","severity":"3","facility":"16","programname":"shop","msg":"slow"}', 'error', 'shop', 'vm', 'slow'),
('syslog-ng', NULL, '{}', '{"PROGRAM":"shop","PRIORITY":"info","PID":"77","MESSAGE":"user alice logged in","HOST":"vm","FACILITY":"local0"}',
 'info', 'shop', 'vm', 'user alice logged in'),
('PostgreSQL''s jsonlog', NULL, '{"source":"db"}', '{"timestamp":"2026-11-26 10:12:47.447 UTC","pid":77,"session_id":"x","line_num":1,"error_severity":"FATAL","message":"role \"x\" does not exist","backend_type":"client backend"}',
 'fatal', 'db', '192.0.2.9', 'role "x" does not exist'),
('PostgreSQL''s jsonlog, DEBUG1', NULL, '{}', '{"pid":77,"error_severity":"DEBUG1","message":"x"}', 'debug', NULL, '192.0.2.9', 'x'),
('Fluent Bit in Kubernetes', NULL, '{}', '{"log":"a line\n","stream":"stderr","kubernetes":{"pod_name":"shop-1","container_name":"shop","host":"node-1"}}',
 NULL, 'shop', 'node-1', E'a line\n'),
('Docker, json-file', NULL, '{}', '{"log":"a line","stream":"stdout","container_name":"/shop","container_id":"0123"}', NULL, '/shop', '192.0.2.9', 'a line'),
('CloudEvents', 'cloudevents', '{"cloudevents":{"id":"1","source":"/shop","type":"com.example.log"}}', '{"level":"warn","message":"slow"}', 'warning', '/shop', '192.0.2.9', 'slow');

-- What is not what it looks like
INSERT INTO event VALUES
('a bare 30', NULL, '{}', '{"level":30,"message":"x"}', NULL, NULL, '192.0.2.9', 'x'),
('a bare 60', NULL, '{}', '{"level":60,"message":"x"}', 'fatal', NULL, '192.0.2.9', 'x'),
('a status of HTTP', NULL, '{}', '{"status":500,"message":"GET /"}', NULL, NULL, '192.0.2.9', 'GET /'),
('a status of HTTP, as text', NULL, '{}', '{"status":"500","level":404,"message":"GET /"}', NULL, NULL, '192.0.2.9', 'GET /'),
('a status of an order', NULL, '{}', '{"status":"C","message":"x"}', NULL, NULL, '192.0.2.9', 'x'),
('a level of a game', NULL, '{}', '{"level":3,"name":"alice","event":"won"}', NULL, 'alice', '192.0.2.9', 'won'),
('a person', NULL, '{"source":"crm"}', '{"name":"alice","event":"born"}', NULL, 'crm', '192.0.2.9', 'born'),
('a severity of an alert', NULL, '{}', '{"severity":3}', NULL, NULL, '192.0.2.9', '{"severity": 3}'),
('words that go on', NULL, '{}', '{"level":"information technology","severity":"errors"}', NULL, NULL, '192.0.2.9', '{"level": "information technology", "severity": "errors"}'),
('the next name', NULL, '{}', '{"level":5,"severity":"error","message":"","msg":"x"}', 'error', NULL, '192.0.2.9', 'x'),
('blanks and a colon', NULL, '{}', '{"level":" Warning: ","text":"x"}', 'warning', NULL, '192.0.2.9', 'x'),
('a text', NULL, '{"source":"cron"}', '"backup done"', NULL, 'cron', '192.0.2.9', 'backup done'),
('numbers', NULL, '{}', '{"message":42,"app":7,"host":true,"level":true}', NULL, NULL, '192.0.2.9', '{"app": 7, "host": true, "level": true, "message": 42}');

CREATE FUNCTION row_of(event) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT '{"id":"0197a2b4-0000-7000-8000-000000000000","ip":"192.0.2.9"}'::jsonb || $1.around
           || jsonb_build_object('json', $1.json)
           || CASE WHEN $1.protocol IS NULL THEN '{}' ELSE jsonb_build_object('protocol', $1.protocol) END
$$;

SELECT count(*) AS events, count(severity) AS severities, count(app) AS apps FROM event;
SELECT e.name, f.* FROM event e,
       LATERAL (SELECT row_of(e) AS data) d,
       LATERAL (VALUES ('severity', e.severity, windtrap.severity(data)),
                       ('app', e.app, windtrap.app(data)),
                       ('host', e.host, windtrap.sender_host(data)),
                       ('message', e.message, windtrap.message(data))) f(field, expected, found)
 WHERE f.expected IS DISTINCT FROM f.found ORDER BY 1, 2;

-- The words, in every case, and with what may follow.
SELECT windtrap.severity(jsonb_build_object('json', jsonb_build_object('level', prefix || w || suffix))) AS severity,
       string_agg(DISTINCT w, ' ' ORDER BY w) AS words
  FROM unnest(ARRAY['trace', 'finest', 'finer', 'verbose', 'silly', 'debug', 'fine', 'config', 'dbug', 'info',
              'information', 'informational', 'notice', 'log', 'http', 'success', 'warn', 'warning', 'error',
              'err', 'severe', 'failure', 'crit', 'alert', 'critical', 'fatal', 'emerg', 'emergency', 'panic',
              'I', 'W', 'E', 'D', 'F', 'T', 'C', 'unknown', 'off', 'none', 'x', '']) AS word,
       unnest(ARRAY[word, upper(word), initcap(word)]) AS w,
       unnest(ARRAY['', ' ']) AS prefix, unnest(ARRAY['', '+1', '-4', '2', ':']) AS suffix
 GROUP BY 1 ORDER BY 1;

-- Numbers as numbers, and in strings.
SELECT kind, n, windtrap.severity(jsonb_build_object('json', event || jsonb_build_object(kind, n))) AS severity,
       bool_and(windtrap.severity(jsonb_build_object('json', event || jsonb_build_object(kind, n)))
                IS NOT DISTINCT FROM
                windtrap.severity(jsonb_build_object('json', event || jsonb_build_object(kind, n::text)))) AS in_strings_too
  FROM (VALUES ('level', '{"msg":"pino"}'::jsonb, ARRAY[9, 10, 20, 30, 39, 40, 50, 60, 61]),
               ('level', '{}', ARRAY[100, 200, 250, 300, 400, 500, 550, 600, 700, 5000, 10000, 20000, 30000, 40000]),
               ('levelno', '{}', ARRAY[5, 10, 20, 25, 30, 40, 50]),
               ('level_value', '{}', ARRAY[5000, 10000, 20000, 30000, 40000, 12]),
               ('PRIORITY', '{}', ARRAY[0, 1, 2, 3, 4, 5, 6, 7, 8])) AS k(kind, event, numbers),
       unnest(numbers) AS n
 GROUP BY kind, event, n ORDER BY 1, 2;

-- Rows of other kinds.
SELECT data, windtrap.severity(data) AS severity, windtrap.app(data) AS app,
       windtrap.sender_host(data) AS host, windtrap.message(data) AS message
  FROM (VALUES ('{"ip":"192.0.2.9","source":"shop","error":"no JSON","raw":"{\"bad"}'::jsonb),
               ('{"raw":7}'), ('{}'), ('[]'), ('"json"'), ('7'), ('null'), ('["json"]'),
               ('{"json":null}'), ('{"json":7.50}'), ('{"json":true}'), ('{"json":""}'), ('{"json":[]}'),
               ('{"json":{}}'), ('{"json":[1,{"level":"info"}]}'), ('{"protocol":7,"json":"x"}'),
               ('{"protocol":"otlp","otlp":[],"json":"x"}'), ('{"protocol":"otlp","otlp":{"resource":7},"json":{}}'),
               ('{"loki":[],"hec":"x","cloudevents":null,"json":{}}')) AS v(data);
SELECT windtrap.severity(NULL), windtrap.app(NULL), windtrap.sender_host(NULL), windtrap.message(NULL);

-- Whatever stands under whatever name, nothing raises.
CREATE TABLE odd_name AS SELECT unnest(ARRAY['level', 'severity', 'log', 'log.level', 'levelname', 'PRIORITY', 'levelno', 'status', '@l',
              'message', 'msg', 'body', 'event', 'record', 'line', 'error', 'err', 'text', 'service', 'app', 'tag',
              'name', 'logger', 'host', 'agent', 'kubernetes', 'severity_number', 'attributes', '', '.']) AS name;
SELECT count(*) AS events, count(windtrap.message(data)) AS messages, count(windtrap.severity(data)) AS severities,
       max(length(windtrap.app(data))) <= 255 AND max(length(windtrap.sender_host(data))) <= 255 AS cut
  FROM odd_name,
       (VALUES ('null'::jsonb), ('true'), ('0'), ('-1'), ('1e300'), ('1e-300'), ('99999999999999999999'), ('3.7'),
               ('""'), ('" "'), ('"\u001b"'), ('"\u001b["'), ('"\u001b[31"'), ('"+"'), ('"INFO+"'), ('"9999999999"'),
               ('"\\u0000"'), ('"\\x00"'), ('"\u0001\ufffd"'), ('[]'), ('{}'), ('[[]]'), ('[{}]'), ('[null]'), ('["a"]'),
               ('{"name":null}'), ('{"name":[]}'), ('{"level":{"level":{"level":1}}}'),
               ('{"message":{"message":{"message":{"message":"x"}}}}'),
               ((repeat('{"message":', 2000) || '1' || repeat('}', 2000))::jsonb),
               ((repeat('[', 2000) || repeat(']', 2000))::jsonb)) AS v(value),
       unnest(ARRAY[NULL, 'gelf', 'otlp', 'loki']) AS p,
       LATERAL (SELECT jsonb_build_object('protocol', p, name, value, 'json', jsonb_build_object(name, value), 'otlp', value, 'loki', value) AS data) d;
SELECT count(*) AS events, count(windtrap.message(data)) AS messages, count(windtrap.severity(data)) AS severities,
       max(length(windtrap.app(data))) <= 255 AND max(length(windtrap.sender_host(data))) <= 255 AS cut
  FROM odd_name,
       (VALUES (repeat('x', 1000000)), (repeat('ü', 500000)), (repeat(' ', 1000000)), (repeat(U&'\001B[1m', 250000))) AS v(value),
       LATERAL (SELECT jsonb_build_object('json', jsonb_build_object(name, value)) AS data) d;
DROP TABLE odd_name;
-- Cut where a letter ends.
SELECT length(windtrap.app(data)), octet_length(windtrap.app(data))
  FROM (SELECT jsonb_build_object('json', jsonb_build_object('app', 'x' || repeat('ü', 1000))) AS data) d;

-- Through the view: the columns by name, wherever they stand, and whatever others there are.
CREATE TABLE public.log (extra text DEFAULT 'x', status bigint, data jsonb NOT NULL, event_timestamp timestamptz NOT NULL);
ALTER TABLE log DROP COLUMN extra;
ALTER TABLE log ADD COLUMN severity text DEFAULT 'mine', ADD COLUMN id integer;
INSERT INTO log (event_timestamp, data, status)
SELECT '2026-11-26 10:00:00+00'::timestamptz + n * interval '1 second',
       jsonb_build_object('id', n, 'ip', '192.0.2.9', 'source', 'shop', 'json',
           jsonb_build_object('level', CASE WHEN n % 100 = 0 THEN 'error' ELSE 'info' END, 'msg', 'order ' || n)), 0
  FROM generate_series(1, 2000) n;
SELECT id, severity, app, host, message, source, status FROM windtrap.events ORDER BY event_timestamp DESC LIMIT 2;
CREATE INDEX ON log (windtrap.severity(data), event_timestamp);
ANALYZE log;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT message FROM windtrap.events
 WHERE severity = 'error' AND event_timestamp >= '2026-11-26 10:20:00+00' ORDER BY event_timestamp DESC LIMIT 3;
SELECT message FROM windtrap.events
 WHERE severity = 'error' AND event_timestamp >= '2026-11-26 10:20:00+00' ORDER BY event_timestamp DESC LIMIT 3;
RESET enable_seqscan;

-- Nothing depends on the table, and everything on the extension.
DROP TABLE log;
SELECT count(*) FROM windtrap.events;
DROP TABLE event CASCADE;
DROP EXTENSION windtrap;
