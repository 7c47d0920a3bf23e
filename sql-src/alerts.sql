-- Alerts: queries whose events are counted again and again, how they stand, and what tells of them.

-- What stands behind due is written by the process that counts.
CREATE TABLE windtrap.alert_rule (
    name text PRIMARY KEY CHECK (octet_length(name) BETWEEN 1 AND 128),
    query text NOT NULL,
    "window" interval NOT NULL CHECK ("window" > interval '0'),
    comparison text NOT NULL CHECK (comparison IN ('>=', '>', '<=', '<')),
    threshold bigint NOT NULL CHECK (threshold >= 0),
    channel text,
    webhook text,
    changed timestamptz NOT NULL,
    silenced_until timestamptz,
    due timestamptz NOT NULL,
    state text CHECK (state IN ('ok', 'firing', 'error')),
    since timestamptz,
    reason text,
    failures integer NOT NULL DEFAULT 0,
    value bigint,
    evaluated timestamptz,
    took double precision,
    told text NOT NULL DEFAULT 'ok' CHECK (told IN ('ok', 'firing', 'error')),
    notified timestamptz,
    notify_error text)
WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

COMMENT ON TABLE windtrap.alert_rule IS
'the alerts and how they stand; made by windtrap.alert(), seen in windtrap.alerts';
COMMENT ON COLUMN windtrap.alert_rule.name IS 'see windtrap.alerts';
COMMENT ON COLUMN windtrap.alert_rule.query IS 'see windtrap.alerts';
COMMENT ON COLUMN windtrap.alert_rule."window" IS 'see windtrap.alerts';
COMMENT ON COLUMN windtrap.alert_rule.comparison IS 'see windtrap.alerts';
COMMENT ON COLUMN windtrap.alert_rule.threshold IS 'see windtrap.alerts';
COMMENT ON COLUMN windtrap.alert_rule.channel IS 'see windtrap.alerts';
COMMENT ON COLUMN windtrap.alert_rule.webhook IS 'the URL that its notifications are posted to, which may hold a secret';
COMMENT ON COLUMN windtrap.alert_rule.changed IS 'when windtrap.alert() made or changed it';
COMMENT ON COLUMN windtrap.alert_rule.silenced_until IS 'until when it tells nothing';
COMMENT ON COLUMN windtrap.alert_rule.due IS 'when it is to be evaluated next';
COMMENT ON COLUMN windtrap.alert_rule.state IS 'ok, firing or error; null: not evaluated yet';
COMMENT ON COLUMN windtrap.alert_rule.since IS 'see windtrap.alerts';
COMMENT ON COLUMN windtrap.alert_rule.reason IS 'why it could not be evaluated';
COMMENT ON COLUMN windtrap.alert_rule.failures IS 'how often it could not, one time after the other';
COMMENT ON COLUMN windtrap.alert_rule.value IS 'see windtrap.alerts';
COMMENT ON COLUMN windtrap.alert_rule.evaluated IS 'when it was evaluated last';
COMMENT ON COLUMN windtrap.alert_rule.took IS 'how long that took, in seconds';
COMMENT ON COLUMN windtrap.alert_rule.told IS 'the state that was told last';
COMMENT ON COLUMN windtrap.alert_rule.notified IS 'when that was';
COMMENT ON COLUMN windtrap.alert_rule.notify_error IS 'see windtrap.alerts';

-- A notification to be posted, or that was, for a week; its id is that of the event in the log.
CREATE TABLE windtrap.alert_delivery (
    id uuid PRIMARY KEY,
    alert text NOT NULL,
    body text NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    tries integer NOT NULL DEFAULT 0,
    first_try timestamptz,
    last_try timestamptz,
    next_try timestamptz DEFAULT now(),
    delivered timestamptz,
    error text);

CREATE INDEX alert_delivery_alert ON windtrap.alert_delivery (alert, id);

COMMENT ON TABLE windtrap.alert_delivery IS
'notifications of alerts for their webhooks: those that wait, and those of the last week';
COMMENT ON COLUMN windtrap.alert_delivery.id IS 'of the notification: it stays the same, however often it is sent; they ascend';
COMMENT ON COLUMN windtrap.alert_delivery.alert IS 'the name of the alert';
COMMENT ON COLUMN windtrap.alert_delivery.body IS 'what is posted';
COMMENT ON COLUMN windtrap.alert_delivery.created IS 'when it was decided';
COMMENT ON COLUMN windtrap.alert_delivery.tries IS 'how often it was tried';
COMMENT ON COLUMN windtrap.alert_delivery.first_try IS 'when it was tried first';
COMMENT ON COLUMN windtrap.alert_delivery.last_try IS 'when it was tried last';
COMMENT ON COLUMN windtrap.alert_delivery.next_try IS 'when it is tried again; null: it is not';
COMMENT ON COLUMN windtrap.alert_delivery.delivered IS 'when the receiver had taken it; null: it has not';
COMMENT ON COLUMN windtrap.alert_delivery.error IS 'why the last try failed';

SELECT pg_catalog.pg_extension_config_dump('windtrap.alert_rule', '');
SELECT pg_catalog.pg_extension_config_dump('windtrap.alert_delivery', '');

CREATE FUNCTION windtrap.alerts_changed() RETURNS trigger
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'windtrap_alerts_changed'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.alerts_changed() IS
'trigger: has the alerts looked at when the transaction commits';

-- Not when the process writes how they stand.
CREATE TRIGGER alert_changed AFTER INSERT OR DELETE OR TRUNCATE ON windtrap.alert_rule
    EXECUTE FUNCTION windtrap.alerts_changed();
CREATE TRIGGER alert_updated AFTER UPDATE OF changed, silenced_until, webhook ON windtrap.alert_rule
    EXECUTE FUNCTION windtrap.alerts_changed();
ALTER TABLE windtrap.alert_rule ENABLE ALWAYS TRIGGER alert_changed;
ALTER TABLE windtrap.alert_rule ENABLE ALWAYS TRIGGER alert_updated;

CREATE FUNCTION windtrap.webhook_fault(url text) RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'windtrap_webhook_fault'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.webhook_fault(text) IS
'of windtrap.alert(): what is wrong with a URL, as the rest of a sentence; null: nothing';

CREATE FUNCTION windtrap.alert_lateness(evaluated timestamptz) RETURNS text
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'windtrap_alert_lateness'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.alert_lateness(timestamptz) IS
'of windtrap.alerts: a sentence where an alert that was evaluated then should have been since; null: it need not';

-- With its owner's rights, as the functions of tokens: whoever is granted it need not be able to read URLs.
CREATE FUNCTION windtrap.alert(
    name text,
    query text,
    "window" interval DEFAULT '5 minutes',
    threshold bigint DEFAULT 1,
    channel text DEFAULT NULL,
    webhook text DEFAULT NULL,
    comparison text DEFAULT '>=')
RETURNS void
LANGUAGE plpgsql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    least bigint := CASE WHEN alert.comparison IN ('>=', '<') THEN 1 ELSE 0 END;
    wrong text := CASE
        WHEN num_nulls(alert.name, alert.query, alert."window", alert.threshold, alert.comparison) > 0
        THEN 'an alert needs a name, a query, a window, a threshold and a comparison'
        WHEN octet_length(alert.name) NOT BETWEEN 1 AND 128
        THEN 'the name of an alert has 1 to 128 bytes'
        WHEN alert."window" NOT BETWEEN interval '1 second' AND interval '366 days'
        THEN 'the window of an alert is from a second to 366 days'
        WHEN alert.comparison NOT IN ('>=', '>', '<=', '<')
        THEN format('the comparison of an alert is >=, >, <= or <, not "%s"', alert.comparison)
        WHEN alert.threshold < least
        THEN format('the threshold of an alert by %s is at least %s: by less it would always stand the same',
                    alert.comparison, least)
        WHEN octet_length(alert.channel) NOT BETWEEN 1 AND 63
        THEN 'the channel of an alert has 1 to 63 bytes'
        -- It may hold a secret.
        WHEN windtrap.webhook_fault(alert.webhook) IS NOT NULL
        THEN 'the URL of the webhook ' || windtrap.webhook_fault(alert.webhook) END;
BEGIN
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = wrong;
    END IF;
    PERFORM windtrap.search_sql(alert.query);
    INSERT INTO windtrap.alert_rule AS r
           (name, query, "window", comparison, threshold, channel, webhook, changed, due)
    VALUES (alert.name, alert.query, alert."window", alert.comparison, alert.threshold, alert.channel,
            alert.webhook, clock_timestamp(), clock_timestamp())
    ON CONFLICT (name) DO UPDATE
       SET query = excluded.query, "window" = excluded."window", comparison = excluded.comparison,
           threshold = excluded.threshold, channel = excluded.channel, webhook = excluded.webhook,
           changed = excluded.changed, due = excluded.due;
    IF alert.webhook IS NULL THEN
        UPDATE windtrap.alert_delivery AS d
           SET next_try = NULL, error = 'the alert has no webhook any more'
         WHERE d.alert = alert.name AND d.next_try IS NOT NULL;
    END IF;
END
$$;

COMMENT ON FUNCTION windtrap.alert(text, text, interval, bigint, text, text, text) IS
'makes or changes an alert: it fires while the events of the last window that a query of windtrap.search() finds are at least threshold, or stand to it in another comparison (>=, >, <=, <); told by an event, by NOTIFY on a channel, by a POST to the URL webhook';

CREATE FUNCTION windtrap.drop_alert(name text) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM windtrap.alert_rule AS r WHERE r.name = drop_alert.name;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('there is no alert "%s"', drop_alert.name),
            HINT = 'See windtrap.alerts for those that there are.';
    END IF;
    DELETE FROM windtrap.alert_delivery AS d WHERE d.alert = drop_alert.name;
END
$$;

COMMENT ON FUNCTION windtrap.drop_alert(text) IS
'removes an alert, with its notifications that have not been posted yet';

CREATE FUNCTION windtrap.silence_alert(name text, duration interval) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    until timestamptz := now() + duration;
BEGIN
    IF duration <= interval '0' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'an alert is silenced for longer than no time',
            HINT = 'windtrap.unsilence_alert() ends a silence.';
    END IF;
    UPDATE windtrap.alert_rule AS r SET silenced_until = until WHERE r.name = silence_alert.name;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('there is no alert "%s"', silence_alert.name),
            HINT = 'See windtrap.alerts for those that there are.';
    END IF;
    RETURN until;
END
$$;

COMMENT ON FUNCTION windtrap.silence_alert(text, interval) IS
'has an alert tell nothing for so long, while it is evaluated as before; gives until when';

CREATE FUNCTION windtrap.unsilence_alert(name text) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE windtrap.alert_rule AS r SET silenced_until = NULL, due = clock_timestamp()
     WHERE r.name = unsilence_alert.name;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('there is no alert "%s"', unsilence_alert.name),
            HINT = 'See windtrap.alerts for those that there are.';
    END IF;
END
$$;

COMMENT ON FUNCTION windtrap.unsilence_alert(text) IS
'ends the silence of an alert, which then tells at once how it stands, if that was not told yet';

CREATE VIEW windtrap.alerts AS
SELECT r.name, r.query, r."window", r.comparison, r.threshold, r.channel,
       substring(r.webhook FROM '^[^:]+://[^/?]*') AS webhook,
       CASE WHEN l.lateness IS NOT NULL OR r.state = 'error' THEN 'error'
            WHEN r.silenced_until > now() THEN 'silenced'
            ELSE coalesce(r.state, 'new') END AS state,
       r.since,
       coalesce(l.lateness, r.reason) AS reason,
       r.value AS last_value,
       r.evaluated AS last_evaluated,
       r.notified AS last_notified,
       CASE WHEN r.notified IS NOT NULL THEN r.told END AS last_told,
       r.notify_error,
       CASE WHEN r.silenced_until > now() THEN r.silenced_until END AS silenced_until,
       d.pending, d.tries, d.last_delivered, d.given_up, d.last_error
  FROM windtrap.alert_rule AS r,
       LATERAL (SELECT windtrap.alert_lateness(greatest(r.evaluated, r.changed)) AS lateness) AS l,
       LATERAL (SELECT count(*) FILTER (WHERE next_try IS NOT NULL) AS pending,
                       max(tries) FILTER (WHERE next_try IS NOT NULL) AS tries,
                       max(delivered) AS last_delivered,
                       count(*) FILTER (WHERE next_try IS NULL AND delivered IS NULL) AS given_up,
                       (array_agg(error ORDER BY last_try DESC)
                            FILTER (WHERE delivered IS NULL AND error IS NOT NULL))[1] AS last_error
                  FROM windtrap.alert_delivery WHERE alert = r.name) AS d;

COMMENT ON VIEW windtrap.alerts IS 'the alerts: what they ask for, how they stand, and what became of what they told';
COMMENT ON COLUMN windtrap.alerts.name IS 'what it is called';
COMMENT ON COLUMN windtrap.alerts.query IS 'of which events it counts, in the language of windtrap.search()';
COMMENT ON COLUMN windtrap.alerts."window" IS 'it counts those of so long before now';
COMMENT ON COLUMN windtrap.alerts.comparison IS 'how their number stands to the threshold while it fires';
COMMENT ON COLUMN windtrap.alerts.threshold IS 'what their number is compared with';
COMMENT ON COLUMN windtrap.alerts.channel IS 'of NOTIFY; null: none';
COMMENT ON COLUMN windtrap.alerts.webhook IS 'the server of its webhook, without what in the URL may be secret; null: it has none';
COMMENT ON COLUMN windtrap.alerts.state IS
'new (not evaluated yet), ok, firing, silenced (it tells nothing), error (it cannot be, or is not, evaluated)';
COMMENT ON COLUMN windtrap.alerts.since IS 'since when it has been ok, firing or failing';
COMMENT ON COLUMN windtrap.alerts.reason IS 'why it is not evaluated; null: it is';
COMMENT ON COLUMN windtrap.alerts.last_value IS 'how many events it counted last';
COMMENT ON COLUMN windtrap.alerts.last_evaluated IS 'when it was last evaluated, or could not be';
COMMENT ON COLUMN windtrap.alerts.last_notified IS 'when it last told how it stands; null: it had nothing to tell';
COMMENT ON COLUMN windtrap.alerts.last_told IS 'what it told then: ok, firing or error';
COMMENT ON COLUMN windtrap.alerts.notify_error IS 'what of that could not be done: its event, or its NOTIFY; null: all was';
COMMENT ON COLUMN windtrap.alerts.silenced_until IS 'until when it tells nothing; null: it tells';
COMMENT ON COLUMN windtrap.alerts.pending IS 'notifications that are still to be posted';
COMMENT ON COLUMN windtrap.alerts.tries IS 'how often the first of them was tried; null: there is none';
COMMENT ON COLUMN windtrap.alerts.last_delivered IS 'when the webhook took one last, within a week';
COMMENT ON COLUMN windtrap.alerts.given_up IS 'notifications of the last week that it did not take';
COMMENT ON COLUMN windtrap.alerts.last_error IS 'why the webhook did not take one, of those that it has not taken';

REVOKE ALL ON FUNCTION windtrap.alerts_changed() FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.alert(text, text, interval, bigint, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.drop_alert(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.silence_alert(text, interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.unsilence_alert(text) FROM PUBLIC;
GRANT SELECT ON windtrap.alerts TO pg_monitor;
