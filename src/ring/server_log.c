/*
 * server_log.c
 *		The server's own messages → the ring.
 *
 * A message can come at any time: in a critical section, out of memory, in a handler of a signal,
 * before a process has a place in shared memory and after it has given that up.  So nothing here
 * allocates, raises, takes a lock or waits; what a message says lies in the memory of who writes it
 * until the ring has it.
 *
 * What WindTrap's own processes write is left out: that an event could not be stored must not become
 * one more event to store.
 */
#include "postgres.h"

#include "libpq/libpq-be.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/elog.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "base/process.h"
#include "base/settings.h"
#include "base/unix_time.h"
#include "ring/postmaster_log.h"
#include "ring/ring.h"
#include "ring/server_log.h"

/* What is kept of a text, bytes. */
#define MAX_TEXT 8192

static emit_log_hook_type previous_hook;

/* As log_min_messages does it: LOG is above ERROR. */
static bool
is_wanted(int level)
{
	switch (level)
	{
		case LOG:
		case LOG_SERVER_ONLY:
			return wt_server_log == LOG || wt_server_log <= ERROR;
		case WARNING_CLIENT_ONLY:
			return false;
		default:
			return wt_server_log == LOG ? level >= FATAL : level >= wt_server_log;
	}
}

typedef struct Texts
{
	WtRingHead *head;
	const char *texts[WT_RING_TEXTS];
	size_t lengths[WT_RING_TEXTS];
} Texts;

static void
put(Texts *t, WtRingText which, const char *text)
{
	if (!text || text[0] == '\0')
		return;
	t->texts[which] = text;
	t->lengths[which] = strnlen(text, MAX_TEXT + 1);
	if (t->lengths[which] <= MAX_TEXT)
		return;
	/* In what may be no text this is somewhere; the reader looks at what is left. */
	t->lengths[which] =
		(size_t) pg_encoding_mbcliplen(t->head->encoding, text, MAX_TEXT + 1, MAX_TEXT);
	t->head->cut |= 1U << which;
}

static void
copy(const ErrorData *message)
{
	WtRingHead head = {.kind = WT_RING_SERVER_LOG, .waiter = -1};
	Texts t = {.head = &head};
	uint64 position;

	head.pid = MyProcPid;
	head.time_us = wt_unix_us(GetCurrentTimestamp());
	head.database = MyDatabaseId;
	head.encoding = GetDatabaseEncoding();
	head.level = message->elevel;
	head.sqlstate = message->sqlerrcode;
	head.query_id = (uint64) pgstat_get_my_query_id();

	put(&t, WT_RING_MESSAGE, message->message);
	put(&t, WT_RING_DETAIL, message->detail_log ? message->detail_log : message->detail);
	put(&t, WT_RING_HINT, message->hint);
	if (!message->hide_ctx)
		put(&t, WT_RING_CONTEXT, message->context);
	if (wt_server_log_statement && !message->hide_stmt)
		put(&t, WT_RING_STATEMENT, debug_query_string);
	if (MyProcPort)
	{
		put(&t, WT_RING_USER, MyProcPort->user_name);
		put(&t, WT_RING_DATABASE, MyProcPort->database_name);
		put(&t, WT_RING_REMOTE_HOST, MyProcPort->remote_host);
	}
	put(&t, WT_RING_APPLICATION, application_name);
	put(&t, WT_RING_BACKEND_TYPE, get_backend_type_for_log());
	if (wt_is_postmaster())
		wt_postmaster_log_write(&head, t.texts, t.lengths);
	else
		(void) wt_ring_write(&head, t.texts, t.lengths, &position);
}

static void
on_message(ErrorData *message)
{
	if (previous_hook)
		previous_hook(message);
	if (wt_server_log == WT_SERVER_LOG_OFF || !message->output_to_server ||
		!is_wanted(message->elevel) || wt_process_is_own ||
		!(wt_ring_is_attached() || wt_is_postmaster()))
		return;
	copy(message);
}

void
wt_server_log_install(void)
{
	wt_postmaster_log_install();
	previous_hook = emit_log_hook;
	emit_log_hook = on_message;
}
