/*
 * job_body.c
 *		What the body of a job goes through before it is decoded.
 */
#include "postgres.h"

#include "worker/job_body.h"
#include "base/settings.h"
#include "base/shared.h"
#include "event/charset.h"
#include "protocol/protocol.h"
#include "store/idempotency.h"

/* Converts the body to UTF-8, where it has to be; false: the answer is known. */
static bool
convert_body(WtJob *job)
{
	WtDecoder *decoder = &job->decoder;

	switch (wt_charset_convert(decoder->content_type, decoder->body, decoder->length,
							   (size_t) wt_max_body_size, &job->converted))
	{
		case WT_CHARSET_UTF8:
			return true;
		case WT_CHARSET_OK:
			decoder->body = job->converted.data;
			decoder->length = job->converted.length;
			return true;
		case WT_CHARSET_UNKNOWN:
			wt_job_refuse(job, 415, WT_REASON_ENCODING,
						  "the charset of this Content-Type is not known: send UTF-8");
			return false;
		case WT_CHARSET_TOO_LARGE:
			wt_job_refuse(
				job, 413, WT_REASON_BODY_TOO_LARGE,
				psprintf("in UTF-8 the body is larger than windtrap.max_body_size, %d "
						 "bytes",
						 wt_max_body_size));
			return false;
		case WT_CHARSET_OUT_OF_MEMORY:
			wt_job_refuse(job, 503, WT_REASON_MEMORY, "out of memory, try again");
			return false;
	}
	return false;
}

/* Takes what has come out of a compressed body; false: the answer is known. */
static bool
take_inflated(WtJob *job, WtInflateResult result, const WtInflated *inflated)
{
	switch (result)
	{
		case WT_INFLATE_PLAIN:
			return true;
		case WT_INFLATE_OK:
			job->decoder.body = inflated->data;
			job->decoder.length = inflated->length;
			return true;
		case WT_INFLATE_UNSUPPORTED:
			wt_job_refuse(
				job, 415, WT_REASON_ENCODING,
				"this Content-Encoding is not supported: send gzip, deflate, zstd, "
				"snappy, or the body as it is");
			return false;
		case WT_INFLATE_CORRUPT:
			wt_job_refuse(job, 400, WT_REASON_CORRUPT,
						  "the compressed body is corrupt or not complete");
			return false;
		case WT_INFLATE_TOO_LARGE:
			wt_job_refuse(
				job, 413, WT_REASON_BODY_TOO_LARGE,
				psprintf("the inflated body is larger than windtrap.max_body_size, %d "
						 "bytes",
						 wt_max_body_size));
			return false;
		case WT_INFLATE_OUT_OF_MEMORY:
			wt_job_refuse(job, 503, WT_REASON_MEMORY, "out of memory, try again");
			return false;
	}
	return false;
}

/* Whether the request's protocol takes it at all; false: the answer is known. */
static bool
ask_protocol(WtJob *job)
{
	const WtProtocol *protocol = wt_protocol_of(job->request);
	int status = 0;
	const char *sentence =
		protocol->objection ? protocol->objection(job->request, &status) : NULL;

	if (sentence)
	{
		wt_job_refuse(job, status, WT_REASON_FORWARD, sentence);
		return false;
	}
	if (!protocol->needs_keys || wt_idempotency_is_on())
		return true;
	wt_job_refuse(job, 501, WT_REASON_FORWARD,
				  "rows that come again could not be told from others here: set "
				  "windtrap.idempotency_window");
	return false;
}

/* Undoes what packing the request's protocol has of its own; false: the answer is known. */
static bool
unpack_body(WtJob *job)
{
	const WtProtocol *protocol = wt_protocol_of(job->request);

	job->decoder.protocol = protocol->next;
	if (!protocol->unpack)
		return true;
	return take_inflated(job,
						 protocol->unpack(job->request, job->decoder.body,
										  job->decoder.length, (size_t) wt_max_body_size,
										  &job->converted),
						 &job->converted);
}

/* Looks for a key of the request's; false: the answer is known. */
static bool
take_key(WtJob *job)
{
	const WtRequest *request = job->request;
	const char *key =
		wt_header_find(request->headers, request->n_headers, "Idempotency-Key");
	size_t length = key ? strlen(key) : 0;

	if (!key || !wt_idempotency_is_on())
		return true;
	if (length == 0 || length > WT_MAX_KEY)
	{
		wt_job_refuse(job, 400, WT_REASON_KEY,
					  psprintf("Idempotency-Key has %zu bytes: it must have 1 to %d",
							   length, WT_MAX_KEY));
		return false;
	}
	job->keyed = palloc0(sizeof(WtKeyedRequest));
	job->keyed->key = wt_idempotency_key(request->source, NULL, key, length);
	job->keyed->fingerprint = wt_idempotency_fingerprint(
		request->content_type, job->decoder.body, job->decoder.length);
	return true;
}

bool
wt_job_open_body(WtJob *job)
{
	const WtRequest *request = job->request;
	WtDecoder *decoder = &job->decoder;
	WtInflateResult inflated;

	job->begun = true;
	if (request->route != WT_ROUTE_EVENTS)
	{
		job->decoded = true;
		return false;
	}
	if (request->endpoint && !ask_protocol(job))
		return false;
	decoder->content_type = request->content_type;
	decoder->body = request->body;
	decoder->length = request->body_length;
	decoder->max_event_size = (size_t) wt_max_event_size;
	decoder->request = request;
	decoder->more = request->more;
	inflated = WT_INFLATE_PLAIN;
	if (request->is_messages)
		; /* whatever they begin with */
	else if (!wt_job_is_piece(request))
		inflated =
			wt_inflate(request->content_encoding, request->body, request->body_length,
					   (size_t) wt_max_body_size, &job->inflated);
	else if (request->progress.n_pieces == 0 &&
			 wt_is_compressed(NULL, request->body, request->body_length))
	{
		/* It seems to be, as a whole, and cannot be inflated in pieces. */
		wt_job_refuse(job, 415, WT_REASON_ENCODING,
					  "the body seems to be compressed: say so in Content-Encoding");
		return false;
	}
	/* What a protocol packs in its own way may begin as gzip or zlib by chance. */
	if (request->endpoint && wt_protocol_of(request)->unpack &&
		inflated == WT_INFLATE_CORRUPT && !request->content_encoding)
		inflated = WT_INFLATE_PLAIN;
	if (!take_inflated(job, inflated, &job->inflated))
		return false;
	if (request->endpoint)
	{
		if (!unpack_body(job))
			return false;
	}
	else if (!convert_body(job) || !take_key(job))
		return false;
	if (!request->endpoint && request->query)
		(void) wt_query_value(request, "time_field", job->time_field,
							  sizeof(job->time_field));
	wt_my_counters()->bytes_decoded += decoder->length;
	job->envelope = wt_enrich_request(request);
	return true;
}
