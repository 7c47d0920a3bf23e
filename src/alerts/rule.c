/*
 * rule.c
 *		Alerts as the table has them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "alerts/rule.h"
#include "base/settings.h"
#include "base/sql.h"

/* An alert that has waited for so many intervals goes before those that take less time. */
#define PATIENCE 2

/* Between two looks where nothing is due, or what is cannot be had, ms. */
#define MIN_WAIT 100
#define MAX_WAIT 10000

const char *const wt_alert_states[WT_N_ALERT_STATES] = {
	[WT_ALERT_NEW] = "new",
	[WT_ALERT_OK] = "ok",
	[WT_ALERT_FIRING] = "firing",
	[WT_ALERT_ERROR] = "error",
};

#define COLUMNS                                                                          \
	"name, query, \"window\", \"window\"::text, "                                        \
	"extract(epoch FROM \"window\")::float8, comparison, threshold, channel, "           \
	"webhook IS NOT NULL, changed, coalesce(silenced_until > now(), false), state, "     \
	"since, failures, told"

bool
wt_alert_is_met(const WtAlertRule *rule, int64 value)
{
	const char *c = rule->comparison;

	if (c[0] == '>')
		return value > rule->threshold || (c[1] == '=' && value == rule->threshold);
	return value < rule->threshold || (c[1] == '=' && value == rule->threshold);
}

static char *
text_of(int column)
{
	bool is_null;
	Datum value = wt_sql_value(0, column, &is_null);

	return is_null ? NULL : TextDatumGetCString(value);
}

static WtAlertState
state_of(int column)
{
	const char *word = text_of(column);

	for (int i = 0; word && i < WT_N_ALERT_STATES; i++)
		if (strcmp(word, wt_alert_states[i]) == 0)
			return (WtAlertState) i;
	return WT_ALERT_NEW;
}

/* Takes over the first row of the last statement. */
static void
read_row(WtAlertRule *rule)
{
	bool is_null;

	memset(rule, 0, sizeof(*rule));
	rule->name = text_of(1);
	rule->query = DatumGetTextPCopy(wt_sql_value(0, 2, &is_null));
	rule->window = *DatumGetIntervalP(wt_sql_value(0, 3, &is_null));
	rule->window_text = text_of(4);
	rule->window_seconds = DatumGetFloat8(wt_sql_value(0, 5, &is_null));
	rule->comparison = text_of(6);
	rule->threshold = wt_sql_int64(0, 7);
	rule->channel = text_of(8);
	rule->has_webhook = wt_sql_bool(0, 9);
	rule->changed = DatumGetTimestampTz(wt_sql_value(0, 10, &is_null));
	rule->is_silenced = wt_sql_bool(0, 11);
	rule->state = state_of(12);
	rule->since = DatumGetTimestampTz(wt_sql_value(0, 13, &is_null));
	rule->failures = DatumGetInt32(wt_sql_value(0, 14, &is_null));
	rule->told = state_of(15);
}

bool
wt_alert_lock(const char *name, WtAlertRule *rule)
{
	Oid type = TEXTOID;
	Datum value = CStringGetTextDatum(name);
	MemoryContext context = CurrentMemoryContext;
	uint64 n;

	n = wt_sql_run("SELECT " COLUMNS
				   " FROM windtrap.alert_rule WHERE name = $1 FOR NO KEY UPDATE",
				   1, &type, &value, NULL);
	MemoryContextSwitchTo(context);
	if (n == 0)
		return false;
	read_row(rule);
	return true;
}

void
wt_alerts_look(WtAlertsDue *due)
{
	Oid types[] = {FLOAT8OID};
	Datum values[] = {Float8GetDatum(wt_alert_interval / 1000.0)};
	MemoryContext context = CurrentMemoryContext;
	bool is_null;

	memset(due, 0, sizeof(*due));
	/* One that is due later than an interval from now was so before the clock, or the setting, changed. */
	wt_sql_run("SELECT coalesce(bool_or(webhook IS NOT NULL), false), "
			   "least(extract(epoch FROM min(due) - clock_timestamp()), $1)::float8, "
			   "(SELECT count(*) FROM windtrap.alert_delivery WHERE next_try IS NOT "
			   "NULL), "
			   "count(*) FILTER (WHERE stand = 'new'), "
			   "count(*) FILTER (WHERE stand = 'ok'), "
			   "count(*) FILTER (WHERE stand = 'firing'), "
			   "count(*) FILTER (WHERE stand = 'silenced'), "
			   "count(*) FILTER (WHERE stand = 'error') "
			   "FROM windtrap.alert_rule, LATERAL (SELECT CASE WHEN state = 'error' THEN "
			   "state WHEN silenced_until > now() THEN 'silenced' "
			   "ELSE coalesce(state, 'new') END AS stand) AS s",
			   1, types, values, NULL);
	MemoryContextSwitchTo(context);
	due->waiting = wt_sql_int64(0, 3);
	due->has_webhooks = wt_sql_bool(0, 1) || due->waiting > 0;
	due->wait = (long) (DatumGetFloat8(wt_sql_value(0, 2, &is_null)) * 1000) + 1;
	due->wait = is_null ? MAX_WAIT : Min(Max(due->wait, 1), MAX_WAIT);
	for (int i = 0; i < WT_N_STANDS; i++)
	{
		due->standing[i] = wt_sql_int64(0, 4 + i);
		due->has_rules = due->has_rules || due->standing[i] > 0;
	}
	if (!due->has_rules)
		return;
	/* What somebody is just changing is left until he has. */
	due->is_due =
		wt_sql_run("SELECT " COLUMNS " FROM windtrap.alert_rule, "
				   "make_interval(secs => $1) AS pause "
				   "WHERE due <= clock_timestamp() OR due > clock_timestamp() + pause "
				   "ORDER BY due > clock_timestamp() - " CppAsString2(
					   PATIENCE) " * pause, took NULLS FIRST, due LIMIT 1 "
								 "FOR NO KEY UPDATE OF alert_rule SKIP LOCKED",
				   1, types, values, NULL) > 0;
	MemoryContextSwitchTo(context);
	if (!due->is_due)
		due->wait = Max(due->wait, MIN_WAIT);
	if (due->is_due)
		read_row(&due->rule);
}
