-- A day of a shop's events, for pages that show events: some services and machines, quiet at
-- night, with an hour in which the payments do not get through.  What is drawn by lot is
-- drawn from the number of the event, so that a picture of it looks the same tomorrow.
--
-- :count is how many there are.  They end now.

CREATE FUNCTION pg_temp.lot(n int, what text) RETURNS float8 IMMUTABLE LANGUAGE sql AS
$$ SELECT ('x' || left(md5(n || what), 7))::bit(28)::int / 268435456.0 $$;

-- One of the texts, by lot; a text that is there twice is drawn twice as often.
CREATE FUNCTION pg_temp.one_of(n int, what text, VARIADIC texts text[]) RETURNS text IMMUTABLE LANGUAGE sql AS
$$ SELECT texts[1 + floor(pg_temp.lot(n, what) * cardinality(texts))::int] $$;

WITH moment AS (
	-- A day has its ups and downs; the incident begins an hour ago, ends now, and brings events of its own.
	SELECT n, hours, hours < 1 AND pg_temp.lot(n, 'hit') < 1 - abs(2 * hours - 1) AS incident
	FROM (
		SELECT n, 24 * (n - pg_temp.lot(n, 'when')) / :count AS hours FROM generate_series(1, :count) n
		UNION ALL
		SELECT n, (1 + pg_temp.lot(n, 'when') - pg_temp.lot(n, 'also when')) / 2 FROM generate_series(:count + 1, :count + :count / 16) n) x
	WHERE pg_temp.lot(n, 'night') < 0.58 + 0.3 * cos(hours / 24 * 2 * pi()) + 0.12 * pg_temp.lot((hours * 4)::int, 'noise')
	OFFSET 0
), event AS (
	SELECT n, hours, app, machine, ms, o, c, split_part(line, '|', 1) AS severity, split_part(line, '|', 2) AS message
	FROM (
		SELECT *, 4000 + n % 1700 AS o, 100 + n % 877 AS c, round((8 + 300 * pg_temp.lot(n, 'ms') ^ 4)::numeric, 1) AS ms,
			app || '-' || 1 + floor(pg_temp.lot(n, 'machine') * 3)::int AS machine
		FROM (SELECT *, CASE WHEN incident THEN 'payments'
			ELSE pg_temp.one_of(n, 'app', 'shop', 'shop', 'shop', 'gateway', 'gateway', 'payments', 'mailer', 'search', 'warehouse') END AS app FROM moment OFFSET 0) x
		OFFSET 0) x,
	LATERAL (SELECT CASE
		WHEN incident THEN pg_temp.one_of(n, 'line',
			'error|payment of order ' || o || ' failed: the bank did not answer within 5 s',
			'error|payment of order ' || o || ' failed: the bank did not answer within 5 s',
			'error|payment of order ' || o || ' failed: connection reset by bank-api',
			'warning|retrying payment of order ' || o || ', attempt ' || 2 + n % 3,
			'warning|retrying payment of order ' || o || ', attempt ' || 2 + n % 3,
			'fatal|circuit breaker of bank-api is open')
		WHEN app = 'payments' THEN pg_temp.one_of(n, 'line',
			'info|order ' || o || ' paid', 'info|order ' || o || ' paid', 'info|refund of order ' || o || ' booked',
			'debug|bank-api answered in ' || ms || ' ms', 'warning|card of customer ' || c || ' is about to expire')
		WHEN app = 'shop' THEN pg_temp.one_of(n, 'line',
			'info|order ' || o || ' placed by customer ' || c, 'info|customer ' || c || ' logged in', 'info|cart of customer ' || c || ' has ' || 2 + n % 7 || ' items',
			'info|order ' || o || ' placed by customer ' || c, 'debug|price of order ' || o || ' computed in ' || ms || ' ms',
			'debug|session of customer ' || c || ' renewed', 'info|customer ' || c || ' logged out',
			CASE WHEN pg_temp.lot(n, 'rare') < 0.1 THEN 'error|voucher of order ' || o || ' cannot be read: unexpected end of input'
				ELSE 'warning|customer ' || c || ' mistyped the password three times' END)
		WHEN app = 'gateway' THEN pg_temp.one_of(n, 'line',
			'info|GET /products/' || n % 300 || ' 200 in ' || ms || ' ms', 'info|GET /cart 200 in ' || ms || ' ms', 'info|POST /orders 201 in ' || ms || ' ms',
			'info|GET /search?q=' || pg_temp.one_of(n, 'q', 'tent', 'boots', 'kettle', 'map') || ' 200 in ' || ms || ' ms',
			'warning|GET /products/' || n % 300 || ' 404 in ' || ms || ' ms', 'trace|upstream ' || 1 + n % 3 || ' chosen')
		WHEN app = 'mailer' THEN pg_temp.one_of(n, 'line',
			'info|confirmation of order ' || o || ' sent', 'info|confirmation of order ' || o || ' sent', 'info|newsletter queued for 1,204 readers',
			'warning|mailbox of customer ' || c || ' is full')
		WHEN app = 'search' THEN pg_temp.one_of(n, 'line',
			'debug|index refreshed, ' || 20 + n % 60 || ' products changed', 'info|query took ' || ms || ' ms', 'info|query took ' || ms || ' ms')
		ELSE pg_temp.one_of(n, 'line',
			'info|parcel ' || 70000 + n % 9000 || ' packed', 'info|parcel ' || 70000 + n % 9000 || ' handed over', 'info|parcel ' || 70000 + n % 9000 || ' labelled',
			'debug|shelf ' || n % 80 || ' counted',
			CASE WHEN pg_temp.lot(n, 'rare') < 0.2 THEN 'error|scanner at gate ' || 1 + n % 4 || ' does not answer' ELSE 'debug|gate ' || 1 + n % 4 || ' opened' END) END AS line
		OFFSET 0) l
)
INSERT INTO log
SELECT at, jsonb_build_object(
	'id', '0197' || left(md5(n::text), 4) || '-0000-7' || substr(md5(n::text), 5, 3) || '-8' || substr(md5(n::text), 8, 3) || '-' || substr(md5(n::text), 11, 12),
	'time', to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.USTZH:TZM'), 'timezone', 'Europe/Berlin', 'ip', '10.0.' || n % 4 || '.' || 10 + n % 9,
	'host', 'logs.example.com', 'method', 'POST', 'path', '/log', 'headers', jsonb_build_object('user-agent', 'shop/4.2', 'content-type', 'application/json'),
	'json', jsonb_strip_nulls(jsonb_build_object('app', app, 'host', machine, 'severity', severity, 'message', message,
		'duration_ms', CASE WHEN message ~ ' ms$' THEN ms END,
		'order', CASE WHEN message ~ 'order' THEN jsonb_build_object('id', o, 'total', round((5 + 200 * pg_temp.lot(n, 'total'))::numeric, 2), 'currency', 'EUR',
			'items', jsonb_build_array(jsonb_build_object('sku', 'T-' || n % 300, 'count', 1 + n % 3), jsonb_build_object('sku', 'B-' || n % 77, 'count', 1))) END,
		'customer', CASE WHEN message ~ 'order|customer' THEN jsonb_build_object('id', c, 'country', pg_temp.one_of(n, 'country', 'DE', 'DE', 'AT', 'FR', 'NL')) END,
		'trace_id', left(md5(n || 'trace'), 16)))), 0
FROM event, LATERAL (SELECT now() - hours * interval '1 hour' AS at) t
ORDER BY at;
