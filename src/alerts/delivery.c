/*
 * delivery.c
 *		Notifications of alerts that are to be posted, as the table has them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "alerts/delivery.h"
#include "base/sql.h"

/* No pause is longer, s: one that ends later was made before the clock was set. */
#define LONGEST_PAUSE 3700

static const char next_ones[] =
	"SELECT id::text, alert, body, webhook, receiver, tries, first_try FROM ("
	"SELECT h.*, row_number() OVER (PARTITION BY receiver ORDER BY next_try) AS nth FROM "
	"("
	"SELECT DISTINCT ON (d.alert) d.*, r.webhook,"
	" lower(substring(r.webhook FROM '^[^:]+://[^/?]*')) AS receiver"
	" FROM windtrap.alert_delivery AS d JOIN windtrap.alert_rule AS r ON r.name = d.alert"
	" WHERE d.next_try IS NOT NULL AND r.webhook IS NOT NULL"
	" ORDER BY d.alert, d.id) AS h"
	" WHERE next_try <= now() OR next_try > now() + make_interval(secs => $1)) AS q"
	" WHERE nth <= $2 ORDER BY next_try LIMIT $3";

static char *
copy_text(uint64 row, int column)
{
	bool is_null;
	Datum value = wt_sql_value(row, column, &is_null);
	char *palloced = TextDatumGetCString(value);
	char *copy = strdup(palloced);

	pfree(palloced);
	return copy;
}

static bool
read_delivery(WtDelivery *d, uint64 row)
{
	bool is_null;
	char *id = TextDatumGetCString(wt_sql_value(row, 1, &is_null));

	memset(d, 0, sizeof(*d));
	strlcpy(d->id, id, sizeof(d->id));
	d->alert = copy_text(row, 2);
	d->body = copy_text(row, 3);
	d->url = copy_text(row, 4);
	d->receiver = copy_text(row, 5);
	d->tries = DatumGetInt32(wt_sql_value(row, 6, &is_null));
	d->first_try = DatumGetTimestampTz(wt_sql_value(row, 7, &is_null));
	if (d->alert && d->body && d->url && d->receiver)
		return true;
	wt_delivery_free(d);
	return false;
}

int
wt_deliveries_read(WtDelivery *deliveries, int max, int per_receiver, bool *more)
{
	Oid types[] = {INT4OID, INT4OID, INT4OID};
	Datum values[] = {Int32GetDatum(LONGEST_PAUSE), Int32GetDatum(per_receiver),
					  Int32GetDatum(max)};
	uint64 rows;
	int n = 0;

	wt_sql_run("SELECT EXISTS (SELECT FROM windtrap.alert_delivery WHERE next_try IS "
			   "NOT NULL)",
			   0, NULL, NULL, NULL);
	*more = wt_sql_bool(0, 1);
	if (!*more)
		return 0;
	rows = wt_sql_run(next_ones, 3, types, values, NULL);
	/* What memory is wanting for is read again. */
	for (uint64 i = 0; i < rows && read_delivery(&deliveries[n], i); i++)
		n++;
	return n;
}

void
wt_delivery_settle(const WtDelivery *delivery, const WtDeliveryEnd *end)
{
	Oid types[] = {TEXTOID, TEXTOID, INT8OID};
	Datum values[] = {CStringGetTextDatum(delivery->id),
					  CStringGetTextDatum(end->error ? end->error : ""),
					  Int64GetDatum(end->pause)};
	const char nulls[] = {' ', end->error ? ' ' : 'n',
						  end->error && end->pause >= 0 ? ' ' : 'n', '\0'};

	wt_sql_run("UPDATE windtrap.alert_delivery SET tries = tries + 1, "
			   "first_try = coalesce(first_try, now()), last_try = now(), "
			   "error = $2, next_try = now() + $3 * interval '1 millisecond', "
			   "delivered = CASE WHEN $2 IS NULL THEN now() END WHERE id = $1::uuid",
			   3, types, values, nulls);
}

void
wt_deliveries_forget(void)
{
	wt_sql_run("DELETE FROM windtrap.alert_delivery WHERE next_try IS NULL "
			   "AND coalesce(last_try, created) < now() - interval '7 days'",
			   0, NULL, NULL, NULL);
}

void
wt_delivery_free(WtDelivery *delivery)
{
	free(delivery->alert);
	free(delivery->body);
	free(delivery->url);
	free(delivery->receiver);
	memset(delivery, 0, sizeof(*delivery));
}
