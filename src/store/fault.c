/*
 * fault.c
 *		Whose fault it is that something cannot be stored.
 *
 * A code alone does not tell: a trigger can raise whatever it likes for one event, and a
 * table can have lost a column that all need.  Who is told 422 does not send again, so a
 * fault of the table's that is taken for the row's loses events; who is told 503 does, so
 * one of the row's that is taken for the table's keeps its sender busy, and whoever shares
 * a transaction with it.  So the rule is what happens to others:
 *
 *	- in one attempt: a row that fails alone while others pass is at fault, unless it is the
 *	  moment's;
 *	- where a row comes alone and fails for a reason that is unclear it is told 503.  When
 *	  the same reason has come back ROW_AFTER times, and each time others had been committed
 *	  in between, it is the row's;
 *	- where all rows are refused by a code that is the row's (a constraint's), that is
 *	  believed until ALL_REFUSED different events, over ALL_REFUSED_TIME at least, have been
 *	  refused for one reason and none was accepted.  Then it is the table's until one is.
 *
 * An error that PL/pgSQL's RAISE has raised is no moment's, whatever its code.
 *
 * Where rows go to other servers (store/shards.h) others pass because they went to another one:
 * that proves nothing.  And an error that comes from there has its code and message, but names no
 * table, column or constraint.  So there only what is the row's by its code is.
 *
 * Where rows are stored by other nodes (Citus), what these raise comes without the names of
 * table, column and constraint, and with names of shards in its message.  Then less is taken for
 * the row's by its code alone.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "portability/instr_time.h"
#include "utils/lsyscache.h"

#include "store/fault.h"

/* An unclear fault is rows' when it has come back so often between commits of others ... */
#define ROW_AFTER 2
/* ... and as long as it does not come this often without one. */
#define MAX_WITHOUT_COMMIT 5

/* Digits, at least, of what numbers a shard, or a day. */
#define MIN_NUMBER 5

/* Reasons that are remembered. */
#define MAX_REASONS 8

/* Different events, and ms. */
#define ALL_REFUSED 20
#define ALL_REFUSED_TIME 10000

typedef struct Recurrence
{
	uint32 reason;
	uint64 accepted; /* in all, when it was last seen */
	int turns;		 /* times that others were accepted between two of it */
	int without;	 /* times that it was seen since then */
} Recurrence;

static Oid table;
static bool servers;	 /* its rows go to other ones */
static bool elsewhere;	 /* errors come from other nodes */
static bool may_not_fit; /* and there is no default partition: a row may fit none */
static uint64 accepted;	 /* rows */
static Recurrence recurrences[MAX_REASONS];
static int next_recurrence; /* the place of the next new one */

/* Of the events that were refused, one after the other, for one reason. */
static struct
{
	uint32 reason;
	uint32 events[ALL_REFUSED]; /* hashes of them */
	int n;
	instr_time since;
	bool all; /* it is the table's fault */
} refused;

bool
wt_is_raised_by_hand(const ErrorData *error)
{
	return error->funcname && strcmp(error->funcname, "exec_stmt_raise") == 0;
}

/* A column that is filled with each row, so that it is the row's if that is null. */
static bool
is_filled(const char *column)
{
	return strcmp(column, "event_timestamp") == 0 || strcmp(column, "data") == 0 ||
		   strcmp(column, "status") == 0;
}

/* The server gives out no ids, until it is vacuumed; with the code of an index row too long. */
static bool
is_out_of_ids(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_PROGRAM_LIMIT_EXCEEDED && error->funcname &&
		   (strcmp(error->funcname, "GetNewTransactionId") == 0 ||
			strcmp(error->funcname, "GetNewMultiXactId") == 0);
}

/*
 * How many names a message of PostgreSQL's quotes: each language that it speaks has "these" or
 * one of each of »these« («in some»).
 */
static int
count_names(const char *message)
{
	int n = 0;

	for (const char *p = message; *p != '\0'; p++)
		n += (*p == '"') + 2 * (strncmp(p, "\xC2\xAB", 2) == 0);
	return n / 2;
}

/*
 * A partition that is missing at another server, or whose bounds are not what they are here: its
 * message is all that tells it from a CHECK, in whatever language, since that comes without the
 * constraint's name.  A CHECK's quotes two names, the table's and the constraint's, this one the
 * table's alone.  A domain's quotes the constraint's alone, in English it can be told even so.
 */
static bool
is_of_partition_there(const ErrorData *error)
{
	return servers && !wt_is_raised_by_hand(error) && !error->table_name &&
		   error->message && count_names(error->message) < 2 &&
		   !strstr(error->message, " violates check constraint ");
}

/* What of another server's is its own fault, though its code would be the row's. */
static bool
is_of_server(const ErrorData *error)
{
	/* Rows lack no column that is filled. */
	if (error->sqlerrcode == ERRCODE_NOT_NULL_VIOLATION)
		return !error->column_name;
	/* A user mapping without a password, which postgres_fdw wants of who is no superuser. */
	return ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_SQL_ROUTINE_EXCEPTION;
}

/* What a node has raised of which the code says less than it does here. */
static bool
is_of_table_there(const ErrorData *error)
{
	/* The key that rows are distributed by has no value: the table gives it one, or none. */
	return error->sqlerrcode == ERRCODE_NULL_VALUE_NOT_ALLOWED ||
		   /* Of a column that is not named. */
		   (error->sqlerrcode == ERRCODE_NOT_NULL_VIOLATION && !error->column_name);
}

static WtBlame
blame_by_code(const ErrorData *error, bool no_partition)
{
	int sqlstate = error->sqlerrcode;

	if (no_partition)
		return WT_BLAME_MOMENT; /* the table is not ready for it yet */
	if (is_out_of_ids(error))
		return WT_BLAME_END;
	/* Row-level security says no with the code of a missing privilege. */
	if (sqlstate == ERRCODE_INSUFFICIENT_PRIVILEGE && error->funcname &&
		strcmp(error->funcname, "ExecWithCheckOptions") == 0)
		return WT_BLAME_ROW;
	/* A column that somebody has added. */
	if (sqlstate == ERRCODE_NOT_NULL_VIOLATION && error->column_name &&
		!is_filled(error->column_name))
		return WT_BLAME_UNCLEAR;
	if (elsewhere && !wt_is_raised_by_hand(error))
	{
		if (is_of_table_there(error))
			return WT_BLAME_UNCLEAR;
		/* No shard is there for it, or no node. */
		if (sqlstate == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE)
			return WT_BLAME_MOMENT;
	}
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_CONNECTION_EXCEPTION:
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
			if (wt_is_raised_by_hand(error))
				return WT_BLAME_UNCLEAR;
			return sqlstate == ERRCODE_QUERY_CANCELED ? WT_BLAME_END : WT_BLAME_MOMENT;
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
			return sqlstate == ERRCODE_LOCK_NOT_AVAILABLE && !wt_is_raised_by_hand(error)
					   ? WT_BLAME_MOMENT
					   : WT_BLAME_UNCLEAR;
		case ERRCODE_FEATURE_NOT_SUPPORTED:
		case ERRCODE_INVALID_TRANSACTION_STATE:
		case ERRCODE_INVALID_SQL_STATEMENT_NAME:
		case ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION:
		case ERRCODE_INVALID_CATALOG_NAME:
		case ERRCODE_INVALID_SCHEMA_NAME:
		case ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION:
		case ERRCODE_CONFIG_FILE_ERROR:
		case ERRCODE_FDW_ERROR:
		case ERRCODE_INTERNAL_ERROR:
			return WT_BLAME_UNCLEAR;
	}
	return WT_BLAME_ROW;
}

static WtBlame
blame_of(const ErrorData *error, bool no_partition)
{
	WtBlame blame = blame_by_code(error, no_partition);

	if (servers && !wt_is_raised_by_hand(error) &&
		(blame == WT_BLAME_UNCLEAR || (blame == WT_BLAME_ROW && is_of_server(error))))
		return WT_BLAME_MOMENT;
	return blame;
}

/* A message without the numbers of shards and days in the names of tables. */
static const char *
without_numbers(const char *message)
{
	char *copy = pstrdup(message);
	char *to = copy;

	while (*message)
	{
		size_t n = *message == '_' ? strspn(message + 1, "0123456789") : 0;

		if (n >= MIN_NUMBER)
			message += n + 1;
		else
			*to++ = *message++;
	}
	*to = '\0';
	return copy;
}

/*
 * What is the same for failures alike.  A message can quote the row; names do not, nor does
 * the place where a function has raised it.
 */
static uint32
reason_of(const ErrorData *error)
{
	const char *text = error->constraint_name ? error->constraint_name
					   : error->column_name	  ? error->column_name
					   : wt_is_raised_by_hand(error) && error->context ? error->context
																	   : error->message;

	if (elsewhere && text)
		text = without_numbers(text);
	return hash_combine(
		(uint32) error->sqlerrcode,
		text ? hash_bytes((const unsigned char *) text, (int) strlen(text)) : 0);
}

void
wt_failure_note(WtFailure *failure, const ErrorData *error)
{
	memset(failure, 0, sizeof(*failure));
	failure->sqlstate = error->sqlerrcode;
	/* A constraint has a name; what plpgsql raises names no table. */
	failure->no_partition = error->sqlerrcode == ERRCODE_CHECK_VIOLATION &&
							!error->constraint_name &&
							(error->table_name || is_of_partition_there(error) ||
							 (may_not_fit && !wt_is_raised_by_hand(error)));
	failure->blame = blame_of(error, failure->no_partition);
	failure->reason = reason_of(error);
	if (error->message)
	{
		/* A trigger can raise megabytes, and half a character is none. */
		int length = pg_mbcliplen(error->message, (int) strlen(error->message),
								  sizeof(failure->message) - 1);

		memcpy(failure->message, error->message, (size_t) length);
		failure->message[length] = '\0';
	}
	else
		strlcpy(failure->message, "unknown error", sizeof(failure->message));
}

void
wt_fault_of_table(Oid relation, bool is_elsewhere)
{
	elsewhere = is_elsewhere;
	may_not_fit = elsewhere && get_rel_relkind(relation) == RELKIND_PARTITIONED_TABLE &&
				  !OidIsValid(get_default_partition_oid(relation));
	if (relation == table)
		return;
	table = relation;
	memset(recurrences, 0, sizeof(recurrences));
	memset(&refused, 0, sizeof(refused));
}

void
wt_fault_of_servers(bool several)
{
	servers = several;
}

void
wt_fault_accepted(int n)
{
	if (n <= 0)
		return;
	accepted += (uint64) n;
	refused.n = 0;
	refused.all = false;
}

/* What is remembered of a reason; made where there is nothing. */
static Recurrence *
remember(const WtFailure *failure)
{
	Recurrence *r;

	for (int i = 0; i < MAX_REASONS; i++)
		if (recurrences[i].reason == failure->reason)
			return &recurrences[i];
	r = &recurrences[next_recurrence];
	next_recurrence = (next_recurrence + 1) % MAX_REASONS;
	memset(r, 0, sizeof(*r));
	r->reason = failure->reason;
	r->accepted = accepted;
	return r;
}

void
wt_fault_prove(const WtFailure *failure)
{
	Recurrence *r = remember(failure);

	r->turns = ROW_AFTER;
	r->without = 0;
}

bool
wt_fault_is_rows(const WtFailure *failure, bool note)
{
	Recurrence *r = remember(failure);

	if (note)
	{
		if (r->accepted != accepted)
		{
			r->turns++;
			r->without = 0;
			r->accepted = accepted;
		}
		else if (++r->without > MAX_WITHOUT_COMMIT)
			r->turns = 0;
	}
	return r->turns >= ROW_AFTER;
}

/* Of the event as it was sent: a row has a new id and time with each try. */
static uint32
hash_of_event(const WtRow *row)
{
	JsonbValue value;
	Jsonb *event = row->data;

	if (getKeyJsonValueFromContainer(&row->data->root, "json", 4, &value))
		event = JsonbValueToJsonb(&value);
	return hash_bytes((const unsigned char *) VARDATA(event),
					  (int) (VARSIZE(event) - VARHDRSZ));
}

bool
wt_fault_refused(const WtFailure *failure, const WtRow *row)
{
	uint32 hash;
	instr_time passed;

	if (wt_fault_refuses_all(failure))
		return true;
	if (refused.n > 0 && refused.reason != failure->reason)
		refused.n = 0;
	if (refused.n == 0)
	{
		refused.reason = failure->reason;
		refused.all = false;
		INSTR_TIME_SET_CURRENT(refused.since);
	}
	if (refused.n < ALL_REFUSED)
	{
		hash = hash_of_event(row);
		for (int i = 0; i < refused.n; i++)
			if (refused.events[i] == hash)
				return false;
		refused.events[refused.n++] = hash;
	}
	INSTR_TIME_SET_CURRENT(passed);
	INSTR_TIME_SUBTRACT(passed, refused.since);
	refused.all =
		refused.n == ALL_REFUSED && INSTR_TIME_GET_MILLISEC(passed) >= ALL_REFUSED_TIME;
	return refused.all;
}

bool
wt_fault_refuses_all(const WtFailure *failure)
{
	return refused.all && refused.reason == failure->reason;
}
