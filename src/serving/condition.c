/*
 * condition.c
 *		Why a worker takes no events, or not as it should: all reasons, and the one shown.
 *
 * Several can stand at once.  Each source knows of its own alone, so that one which ends
 * does not take another's along.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "portability/instr_time.h"

#include "base/shared.h"
#include "serving/condition.h"

static char reasons[WT_N_CONDITIONS][WT_ERROR_SIZE]; /* "": none */
static instr_time given[WT_N_CONDITIONS];
static WtListener *listener;

/* The first reason of the sources before `end`; NULL: none. */
static const char *
first_before(WtConditionSource end)
{
	for (int i = 0; i < (int) end; i++)
		if (reasons[i][0] != '\0')
			return reasons[i];
	return NULL;
}

static void
show(void)
{
	wt_status_set_error(first_before(WT_N_CONDITIONS));
	/* Where it listens is no reason to send to another one. */
	if (listener)
		wt_listener_set_health(listener, first_before(WT_CONDITION_SOCKETS));
}

bool
wt_condition_set(WtConditionSource source, const char *reason)
{
	char *mine = reasons[source];
	int length = 0;

	if (reason)
	{
		/* Half a character is none. */
		length = pg_mbcliplen(reason, (int) strlen(reason), WT_ERROR_SIZE - 1);
		INSTR_TIME_SET_CURRENT(given[source]);
	}
	if ((int) strlen(mine) == length && memcmp(mine, reason ? reason : "", length) == 0)
		return false;
	memcpy(mine, reason ? reason : "", length);
	mine[length] = '\0';
	show();
	return true;
}

bool
wt_condition_stands(WtConditionSource source)
{
	return reasons[source][0] != '\0';
}

long
wt_condition_age(WtConditionSource source)
{
	instr_time passed;

	if (!wt_condition_stands(source))
		return -1;
	INSTR_TIME_SET_CURRENT(passed);
	INSTR_TIME_SUBTRACT(passed, given[source]);
	return (long) INSTR_TIME_GET_MILLISEC(passed);
}

void
wt_condition_show(WtListener *to)
{
	listener = to;
	show();
}
