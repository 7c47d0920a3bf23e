-- Shows how alerts are made, changed, silenced and dropped, what is said of one that makes no sense, and
-- who may do what.  That they are evaluated, and tell, is shown by t/104_alerts.pl.

CREATE EXTENSION windtrap;
CREATE ROLE regress_windtrap_oncall;
CREATE ROLE regress_windtrap_watcher IN ROLE pg_monitor;

SELECT windtrap.alert('errors', 'severity:>=error');
SELECT windtrap.alert('refused', 'app:shop "order refused"', '10 minutes', 20, 'ops',
                      'https://Hooks.example.com:8443/services/T1/s3cret?sig=s3cret');
SELECT windtrap.alert('backup', query => '"backup done"', "window" => '25 hours', threshold => 1, comparison => '<');
SELECT * FROM windtrap.alerts ORDER BY name;

-- Again is another one of that name.
SELECT windtrap.alert('errors', 'severity:fatal', '1 minute', 3);
SELECT name, query, "window", threshold FROM windtrap.alerts WHERE name = 'errors';

-- One that nobody evaluates says so.
UPDATE windtrap.alert_rule SET changed = now() - interval '1 hour' WHERE name = 'errors';
SELECT name, state, reason FROM windtrap.alerts ORDER BY name;
SELECT windtrap.alert('errors', 'severity:>=error');

-- Silence.
SELECT windtrap.silence_alert('errors', '1 hour') - now() AS remaining;
SELECT name, state, silenced_until > now() AS silenced FROM windtrap.alerts ORDER BY name;
SELECT windtrap.unsilence_alert('errors');
SELECT state, silenced_until FROM windtrap.alerts WHERE name = 'errors';
SELECT windtrap.silence_alert('errors', '0');
SELECT windtrap.silence_alert('none', '1 hour');
SELECT windtrap.unsilence_alert('none');

-- What a webhook has not taken; without one nothing waits any more.
INSERT INTO windtrap.alert_delivery (id, alert, body, tries, first_try, last_try, next_try, delivered, error) VALUES
    ('01a00000-0000-7000-8000-000000000001', 'refused', '{}', 1, '2026-01-01', '2026-01-01', NULL, '2026-01-01', NULL),
    ('01a00000-0000-7000-8000-000000000002', 'refused', '{}', 1, '2026-01-02', '2026-01-02', NULL, NULL, 'it has answered 400'),
    ('01a00000-0000-7000-8000-000000000003', 'refused', '{}', 7, '2026-01-03', '2026-01-04', '2999-01-01', NULL, 'it has answered 503'),
    ('01a00000-0000-7000-8000-000000000004', 'refused', '{}', 0, NULL, NULL, now(), NULL, NULL);
SELECT pending, tries, last_delivered, given_up, last_error FROM windtrap.alerts WHERE name = 'refused';
SELECT windtrap.alert('refused', 'app:shop');
SELECT pending, tries, given_up, last_error FROM windtrap.alerts WHERE name = 'refused';

SELECT windtrap.drop_alert('refused');
SELECT count(*) FROM windtrap.alert_delivery;
SELECT windtrap.drop_alert('refused');

-- What makes no sense.
\set VERBOSITY terse
SELECT windtrap.alert(NULL, '');
SELECT windtrap.alert('x', NULL);
SELECT windtrap.alert('x', '', comparison => NULL);
SELECT windtrap.alert('', '');
SELECT windtrap.alert(repeat('x', 129), '');
SELECT windtrap.alert('x', '', '0');
SELECT windtrap.alert('x', '', '-1 minute');
SELECT windtrap.alert('x', '', '2 years');
SELECT windtrap.alert('x', '', threshold => 0);
SELECT windtrap.alert('x', '', threshold => 0, comparison => '<');
SELECT windtrap.alert('x', '', threshold => -1, comparison => '>');
SELECT windtrap.alert('x', '', comparison => '=');
SELECT windtrap.alert('x', '', channel => '');
SELECT windtrap.alert('x', '', channel => repeat('x', 64));
SELECT windtrap.alert('x', '', webhook => 'hooks.example.com');
SELECT windtrap.alert('x', '', webhook => 'ftp://hooks.example.com/');
SELECT windtrap.alert('x', '', webhook => 'file:///etc/passwd');
SELECT windtrap.alert('x', '', webhook => 'https://user:secret@hooks.example.com/');
SELECT windtrap.alert('x', '', webhook => 'https://hooks.example.com?a@b') ;
SELECT windtrap.alert('y', '', webhook => 'https://hooks.example.com/a b');
SELECT windtrap.alert('y', '', webhook => 'https://hooks.example.com/?a b');
SELECT windtrap.alert('y', '', webhook => E'https://hooks.example.com/?a\nX-Header: b');
SELECT windtrap.alert('y', '', webhook => 'https://hooks.example.com/#a');
SELECT windtrap.alert('y', '', webhook => 'https://hooks.example.com:0/');
SELECT windtrap.alert('y', '', webhook => 'https://?a');
SELECT windtrap.alert('y', '', webhook => 'https://hooks.example.com/' || repeat('x', 2000));
SELECT windtrap.alert('y', 'severity:>=');
SELECT windtrap.alert('y', 'a OR');
SELECT windtrap.alert('y', 'message:~"["');
SELECT windtrap.alert('y', '', threshold => 0, comparison => '>');
SELECT windtrap.alert('y', '', threshold => 0, comparison => '<=');
SELECT windtrap.alerts_changed();
\set VERBOSITY default
-- A query that search does not take is refused by its own sentence.
SELECT windtrap.alert('z', 'app:shop (');
SELECT name, comparison, threshold, webhook FROM windtrap.alerts ORDER BY name;

-- Who may: nobody, until it is granted; and then no more than that.
SET ROLE regress_windtrap_oncall;
SELECT windtrap.alert('mine', '');
SELECT windtrap.silence_alert('errors', '1 hour');
SELECT count(*) FROM windtrap.alerts;
SELECT count(*) FROM windtrap.alert_rule;
RESET ROLE;
GRANT EXECUTE ON FUNCTION windtrap.silence_alert, windtrap.unsilence_alert TO regress_windtrap_oncall;
SET ROLE regress_windtrap_oncall;
SELECT windtrap.silence_alert('errors', '1 hour') > now() AS silenced;
SELECT windtrap.drop_alert('errors');
SELECT webhook FROM windtrap.alert_rule;
RESET ROLE;
SET ROLE regress_windtrap_watcher;
SELECT name, state FROM windtrap.alerts ORDER BY name;
SELECT count(*) FROM windtrap.alert_rule;
SELECT count(*) FROM windtrap.alert_delivery;
RESET ROLE;

DROP EXTENSION windtrap;
DROP ROLE regress_windtrap_oncall, regress_windtrap_watcher;
