/*
 * job_answer.c
 *		What a job is answered: in WindTrap's words, or in those of its protocol.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "worker/job_answer.h"
#include "http/answer.h"
#include "protocol/protocol.h"
#include "views/metrics.h"

/* {"accepted":N,"rejected":M,"errors":[{"index":17,"error":"…"}]} */
static void
format_batch_answer(const WtJob *job, StringInfo body)
{
	appendStringInfo(body, "{\"accepted\":" INT64_FORMAT, job->n_accepted);
	if (job->n_duplicates > 0)
		appendStringInfo(body, ",\"duplicate\":" INT64_FORMAT, job->n_duplicates);
	if (job->n_rejected > 0)
	{
		appendStringInfo(body, ",\"rejected\":" INT64_FORMAT ",\"errors\":[",
						 job->n_rejected);
		for (int i = 0; i < job->n_listed; i++)
		{
			appendStringInfo(body, "%s{\"index\":" INT64_FORMAT ",\"error\":\"",
							 i > 0 ? "," : "", job->listed[i].index);
			enlargeStringInfo(body, WT_ANSWER_SIZE);
			body->len += (int) wt_answer_escape(body->data + body->len, WT_ANSWER_SIZE,
												job->listed[i].message);
			appendStringInfoString(body, "\"}");
		}
		appendStringInfoChar(body, ']');
	}
	appendStringInfoString(body, "}\n");
}

/*
 * Where a body is wrong, for windtrap.refused: of the sentence for its sender nothing but the
 * numbers, for the rest may quote the body.
 */
static void
set_position(WtAnswer *answer, const char *message)
{
	const char *place = message ? strstr(message, "at line ") : NULL;

	if ((answer->reason != WT_REASON_BAD_JSON && answer->reason != WT_REASON_UNFIT) ||
		!place || /* NOLINTNEXTLINE(cert-err34-c): the numbers are ints that were printed. */
		sscanf(place, "at line %d, column %d:", &answer->line, &answer->column) != 2)
		answer->line = answer->column = 0;
}

static void
answer_in_words(WtListener *listener, const WtJob *job, WtWords *words, WtAnswer *answer)
{
	wt_words_to_answer(words, answer);
	/* What is stored is not to be said to be lost: without an answer it is sent again. */
	if (words->body.failed)
		answer->status = 0;
	wt_listener_answer(listener, job->request, answer);
	wt_buffer_free(&words->body);
}

/* What has become of the events of another protocol's request, in its words. */
static void
answer_protocol(WtListener *listener, const WtJob *job)
{
	WtOutcome outcome = {.request = job->request,
						 .decoder = &job->decoder,
						 .n_events = job->n_decoded,
						 .n_stored = job->n_accepted,
						 .n_quarantined = job->n_rejected - job->n_refused,
						 .n_duplicates = job->n_duplicates,
						 .n_refused = job->n_refused,
						 .first_error = job->n_listed > 0 ? job->listed[0].message : NULL,
						 .errors = job->listed,
						 .n_errors = job->n_listed};
	WtWords words = {.status = 200};
	WtAnswer answer = {0};

	wt_protocol_of(job->request)->answer(&outcome, &words);
	if (words.status >= 400)
		answer.reason = WT_REASON_TABLE;
	answer_in_words(listener, job, &words, &answer);
}

static void
answer_with_error(WtListener *listener, const WtJob *job, int status, const char *message)
{
	char body[WT_ANSWER_SIZE];
	WtAnswer answer = {.status = status, .reason = job->reason, .body = body};

	set_position(&answer, message);
	/* Only what is committed in pieces can be stored in part: say where to go on. */
	if (job->n_accepted + job->n_rejected > 0 && job->decoder.batch)
		message = psprintf("%s; the first " INT64_FORMAT
						   " events of this request are stored, those after them are not",
						   message, job->n_accepted + job->n_rejected);
	if (job->request->endpoint)
	{
		WtWords words = {.status = status};

		job->request->endpoint->refuse(job->request, job->reason, message, &words);
		answer_in_words(listener, job, &words, &answer);
		return;
	}
	answer.length = wt_answer_error(body, message);
	wt_listener_answer(listener, job->request, &answer);
}

static void
answer_duplicate(WtListener *listener, const WtJob *job)
{
	static const char body[] = "{\"accepted\":1,\"duplicate\":1}\n";
	WtAnswer answer = {.status = 200, .body = body, .length = sizeof(body) - 1};

	wt_listener_answer(listener, job->request, &answer);
}

void
wt_job_answer(WtListener *listener, const WtJob *job)
{
	StringInfoData body;
	WtAnswer answer = {.status = 200};

	if (job->status != 0)
	{
		answer_with_error(listener, job, job->status, job->message);
		return;
	}
	if (job->request->route == WT_ROUTE_PROBE || job->request->route == WT_ROUTE_CHECK)
	{
		wt_listener_answer_probe(listener, job->request);
		return;
	}
	if (job->request->endpoint)
	{
		answer_protocol(listener, job);
		return;
	}
	if (!job->decoder.batch && job->request->route == WT_ROUTE_EVENTS)
	{
		if (job->n_accepted == 1 && job->n_duplicates == 0)
			wt_listener_accept(listener, job->request);
		else if (job->n_accepted == 1)
			answer_duplicate(listener, job);
		else /* it was refused, and is perhaps in quarantine */
			answer_with_error(listener, job,
							  job->decoder.status ? job->decoder.status : 422,
							  job->n_listed > 0 ? job->listed[0].message
												: "the log table refuses this event");
		return;
	}
	initStringInfo(&body);
	if (job->request->route == WT_ROUTE_METRICS)
	{
		answer.type = WT_METRICS_TYPE;
		wt_metrics_write(&body);
	}
	else
	{
		if (job->n_accepted == 0 && job->n_rejected > 0)
		{
			/* Of which nothing could be stored as it is: senders must not think so. */
			answer.status = 422;
			answer.reason = job->decoder.reason ? job->decoder.reason : WT_REASON_TABLE;
			if (job->n_listed > 0)
				set_position(&answer, job->listed[0].message);
		}
		format_batch_answer(job, &body);
	}
	answer.body = body.data;
	answer.length = (size_t) body.len;
	wt_listener_answer(listener, job->request, &answer);
}
