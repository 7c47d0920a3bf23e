/*
 * job.c
 *		A request to the viewer, from when it is taken to when it is answered.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/text.h"
#include "base/settings.h"
#include "http/answer.h"
#include "http/answer_stream.h"
#include "viewer/job.h"

/* What is kept of a job's buffer, bytes, when that has been sent. */
#define KEPT_BUFFER (64 * 1024)

/* More parameters than any call has; those beyond are not looked at. */
#define MAX_PARAMETERS 32

/*
 * The name or the value at *p, up to one of `ends` or the end of the text, decoded; NULL: it has a
 * NUL, which no text of PostgreSQL's has.
 */
static char *
decode(const char **p, const char *ends)
{
	size_t length = strcspn(*p, ends);
	const char *end = *p + length;
	char *text = palloc(length + 1);
	char *out = text;
	bool has_nul = false;

	while (*p < end)
	{
		int byte = wt_percent_byte(*p, (size_t) (end - *p));

		if (byte >= 0)
			*p += 3;
		else
		{
			byte = **p == '+' ? ' ' : (unsigned char) **p;
			(*p)++;
		}
		has_nul |= byte == 0;
		*out++ = (char) byte;
	}
	*out = '\0';
	return has_nul ? NULL : text;
}

static void
read_parameters(WtViewerJob *job)
{
	const char *p = job->request->query;

	job->parameters = palloc(sizeof(WtParameter) * MAX_PARAMETERS);
	while (p && *p != '\0' && job->n_parameters < MAX_PARAMETERS)
	{
		WtParameter *parameter = &job->parameters[job->n_parameters++];

		parameter->name = decode(&p, "=&");
		parameter->value = "";
		if (*p == '=')
		{
			p++;
			parameter->value = decode(&p, "&");
		}
		if (*p == '&')
			p++;
	}
}

WtViewerJob *
wt_job_begin(WtListener *listener, WtRequest *request, const WtCall *call)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "windtrap viewer job",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext before = MemoryContextSwitchTo(context);
	WtViewerJob *job = palloc0(sizeof(WtViewerJob));

	job->listener = listener;
	job->request = request;
	job->call = call;
	job->context = context;
	job->step_context =
		AllocSetContextCreate(context, "windtrap viewer step", ALLOCSET_DEFAULT_SIZES);
	job->now = job->waits_since = GetCurrentTimestamp();
	read_parameters(job);
	MemoryContextSwitchTo(before);
	return job;
}

/* Nobody waits for the answer any more. */
static void
forget(WtViewerJob *job)
{
	WtAnswer nothing = {0};

	if (job->streams)
		wt_answer_stream_abort(job->request);
	else
		wt_listener_answer(job->listener, job->request, &nothing);
	job->done = true;
}

/* Whether a text is what the database can take for one. */
static bool
is_text(const char *text)
{
	return text && (GetDatabaseEncoding() != PG_UTF8 ||
					wt_text_valid_prefix(text, strlen(text)) == strlen(text));
}

void
wt_job_step(WtViewerJob *job)
{
	MemoryContext before = MemoryContextSwitchTo(job->step_context);
	bool is_first = job->state == NULL && !job->streams;
	const char *sentence;
	int status;

	job->rests_until = 0;
	if (wt_client_has_left(job->request))
		forget(job);
	else if (!wt_client_may_still(job->listener, job->request, &status, &sentence))
		wt_job_fail(job, status, sentence, 0);
	for (int i = 0; is_first && !job->done && i < job->n_parameters; i++)
		if (!is_text(job->parameters[i].name) || !is_text(job->parameters[i].value))
			wt_job_fail(job, 400, "the query string is not UTF-8, or has a NUL", 0);
	if (!job->done)
		job->call->step(job);
	MemoryContextSwitchTo(before);
	MemoryContextReset(job->step_context);
}

void
wt_job_free(WtViewerJob *job)
{
	wt_buffer_free(&job->out);
	MemoryContextDelete(job->context);
}

void
wt_job_abandon(WtViewerJob *job)
{
	if (job->streams)
		forget(job);
	else
		wt_job_fail(job, 503, "the server is stopping", 0);
}

/* The beginning of an answer; *header is to last as long as it. */
static WtAnswer
answer_of(const WtViewerJob *job, WtHeader *header)
{
	*header = (WtHeader){.name = job->header_name, .value = job->header_value};
	return (WtAnswer){.status = 200,
					  .type = job->type,
					  .headers = header,
					  .n_headers = job->header_name ? 1 : 0};
}

bool
wt_job_send(WtViewerJob *job)
{
	bool sent;

	if (job->done)
		return false;
	if (!job->streams)
	{
		WtHeader header;
		WtAnswer answer = answer_of(job, &header);

		if (!wt_answer_stream_begin(job->listener, job->request, &answer))
		{
			job->done = true;
			return false;
		}
		job->streams = true;
	}
	sent = !job->out.failed &&
		   wt_answer_stream_append(job->request, job->out.data, job->out.length);
	job->out.length = 0;
	if (job->out.size > KEPT_BUFFER)
		wt_buffer_free(&job->out);
	if (!sent)
		forget(job);
	return sent;
}

void
wt_job_finish(WtViewerJob *job)
{
	if (job->streams)
	{
		if (!wt_job_send(job))
			return;
		wt_answer_stream_end(job->request);
	}
	else if (job->out.failed)
	{
		wt_job_fail(job, 503, "out of memory", 0);
		return;
	}
	else
	{
		WtHeader header;
		WtAnswer answer = answer_of(job, &header);

		answer.body = job->out.data ? job->out.data : "";
		answer.length = job->out.length;
		wt_listener_answer(job->listener, job->request, &answer);
	}
	job->done = true;
}

void
wt_job_end_stream(WtViewerJob *job)
{
	if (wt_job_send(job))
		wt_job_finish(job);
}

/* Who mistypes a query attacks nobody: it is not remembered as refused. */
static WtReason
reason_of(int status)
{
	switch (status)
	{
		case 400:
		case 404:
			return WT_REASON_NONE;
		case 401:
			return WT_REASON_TOKEN;
		case 413:
			return WT_REASON_BODY_TOO_LARGE;
		default:
			return WT_REASON_UNAVAILABLE;
	}
}

void
wt_job_fail(WtViewerJob *job, int status, const char *sentence, int position)
{
	WtBuffer *out = &job->out;
	WtAnswer answer = {.status = status, .reason = reason_of(status)};

	/* What was begun and not sent is not to be seen. */
	wt_buffer_free(out);
	if (job->streams)
	{
		if (job->no_error_line)
		{
			forget(job);
			return;
		}
		wt_buffer_text(out, "{\"error\":{\"message\":");
		wt_buffer_string(out, sentence);
		wt_buffer_text(out, "}}\n");
		wt_job_finish(job);
		return;
	}
	wt_buffer_text(out, "{\"error\":");
	wt_buffer_string(out, sentence);
	if (position > 0)
		wt_buffer_print(out, ",\"position\":%d", position);
	wt_buffer_text(out, "}\n");
	answer.body = out->failed ? "" : out->data;
	answer.length = out->failed ? 0 : out->length;
	wt_listener_answer(job->listener, job->request, &answer);
	job->done = true;
}

const char *
wt_job_parameter(const WtViewerJob *job, const char *name)
{
	for (int i = 0; i < job->n_parameters; i++)
		if (strcmp(job->parameters[i].name, name) == 0)
			return job->parameters[i].value[0] == '\0' ? NULL : job->parameters[i].value;
	return NULL;
}

bool
wt_job_has(const WtViewerJob *job, const char *name)
{
	for (int i = 0; i < job->n_parameters; i++)
		if (strcmp(job->parameters[i].name, name) == 0)
			return true;
	return false;
}

struct varlena *
wt_job_query(const WtViewerJob *job)
{
	const char *query = wt_job_parameter(job, "q");

	return query ? cstring_to_text(query) : NULL;
}

size_t
wt_job_backlog(const WtViewerJob *job)
{
	return job->streams ? wt_answer_stream_backlog(job->request) : 0;
}

long
wt_job_age(const WtViewerJob *job)
{
	return (long) ((GetCurrentTimestamp() - job->now) / 1000);
}

bool
wt_job_is_late(const WtViewerJob *job)
{
	return job->call->most == 0 && wt_job_age(job) >= wt_viewer_timeout;
}

bool
wt_job_number(WtViewerJob *job, const char *name, int lowest, int highest, int otherwise,
			  int *number)
{
	const char *text = wt_job_parameter(job, name);
	char *end;
	long value;

	*number = otherwise;
	if (!text)
		return true;
	errno = 0;
	value = strtol(text, &end, 10);
	/* strtol passes over blanks, and takes a sign. */
	if (errno != 0 || !isdigit((unsigned char) text[0]) || *end != '\0' ||
		value < lowest || value > highest)
	{
		wt_job_fail(job, 400,
					psprintf("%s is a number from %d to %d, not \"%s\"", name, lowest,
							 highest, text),
					0);
		return false;
	}
	*number = (int) value;
	return true;
}
