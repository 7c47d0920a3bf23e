/*
 * metrics.c
 *		The counters in Prometheus's text format.
 */
#include "postgres.h"

#include "views/metrics.h"
#include "views/stats.h"

typedef struct Output
{
	StringInfo text;
	const char *name; /* of the metric that was written last */
} Output;

static const char *
kind_name(WtStatKind kind)
{
	switch (kind)
	{
		case WT_STAT_GAUGE:
			return "gauge";
		case WT_STAT_HISTOGRAM:
			return "histogram";
		case WT_STAT_COUNTER:
			break;
	}
	return "counter";
}

/* A label's value, in which the format has something to say about three characters. */
static void
write_label(StringInfo text, const char *label, const char *value)
{
	appendStringInfo(text, "{%s=\"", label);
	for (const char *p = value; *p != '\0'; p++)
	{
		if (*p == '\n')
			appendStringInfoString(text, "\\n");
		else
		{
			if (*p == '"' || *p == '\\')
				appendStringInfoChar(text, '\\');
			appendStringInfoChar(text, *p);
		}
	}
	appendStringInfoString(text, "\"}");
}

static void
write_stat(const WtStat *stat, void *arg)
{
	Output *out = arg;

	if (!out->name || strcmp(out->name, stat->name) != 0)
	{
		appendStringInfo(out->text, "# HELP windtrap_%s %s\n# TYPE windtrap_%s %s\n",
						 stat->name, stat->help, stat->name, kind_name(stat->kind));
		out->name = stat->name;
	}
	appendStringInfo(out->text, "windtrap_%s%s", stat->name, stat->suffix);
	if (stat->label)
		write_label(out->text, stat->label, stat->label_value);
	appendStringInfo(out->text, " %.17g\n", stat->value);
}

void
wt_metrics_write(StringInfo text)
{
	Output out = {text, NULL};

	wt_stats_visit(write_stat, &out);
}
