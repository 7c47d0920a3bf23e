/*
 * refused.c
 *		Fuzz target: the record of refused requests (src/http/refused.h), and how it is shown
 *		(wt_text_escape).
 *
 * The input is two requests, in each of which zero bytes divide ip, method, path and user
 * agent.  Two threads add the one and the other while a third reads: what it reads is
 * always one of the two as a whole.  Afterwards the numbers must be right.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "fuzz.h"
#include "http/refused.h"
#include "base/text.h"

/* Each of the two writers; together more than there are places, so that they are taken anew. */
#define TIMES 10000

typedef struct Writer
{
	WtRefusedRecord *record;
	WtRefusal refusal;
	pthread_t thread;
} Writer;

static WtRefusedRecord *record;
static atomic_bool over;

static void *
write_all(void *arg)
{
	Writer *w = arg;
	WtRefused *refused = wt_refused_open(w->record);
	WtRefusal r = w->refusal;

	CHECK(refused, "out of memory");
	for (int i = 0; i < TIMES; i++)
	{
		r.time_us++;
		/* More different ones than are compared with; the parity says whose it is. */
		r.status = w->refusal.status + i % 200 * 2;
		wt_refused_add(refused, &r);
	}
	free(refused);
	return NULL;
}

/* What can be shown, and is what it was: escaped bytes, put back, are the bytes. */
static void
check_text(const char *text, size_t length, const char *original, size_t max, bool shown)
{
	char out[4 * UINT8_MAX];
	char back[UINT8_MAX];
	size_t n_back = 0;

	if (!original)
	{
		CHECK(length == WT_REFUSED_NONE, "a text of nothing");
		return;
	}
	CHECK(length <= max && memcmp(text, original, length) == 0, "another text");
	CHECK(length == max || length + 4 > max || original[length] == '\0' ||
			  original[length] == '?' || original[length] == '%',
		  "cut at %zu of %zu", length, max);
	for (int ascii_only = 0; shown && ascii_only < 2; ascii_only++)
	{
		char *exact = exact_copy(text, length);
		size_t n = wt_text_escape(exact, length, ascii_only, out);

		free(exact);
		CHECK(n <= 4 * length && is_text(out, n), "escaped, and no text");
		n_back = 0;
		for (size_t i = 0; i < n; i++)
		{
			CHECK(out[i] >= 0x20 || (!ascii_only && (out[i] & 0x80)),
				  "a control character");
			CHECK(out[i] != 0x7F, "DEL");
			if (out[i] != '\\')
			{
				back[n_back++] = out[i];
				continue;
			}
			CHECK(i + 3 < n && out[i + 1] == 'x' && wt_hex_digit(out[i + 2]) >= 0 &&
					  wt_hex_digit(out[i + 3]) >= 0,
				  "a backslash");
			back[n_back++] =
				(char) (wt_hex_digit(out[i + 2]) << 4 | wt_hex_digit(out[i + 3]));
			i += 3;
		}
		CHECK(n_back == length && memcmp(back, text, length) == 0, "not the same bytes");
	}
}

static void
check_request(const WtRefusedRequest *r, const WtRefusal *of, bool shown)
{
	check_text(r->method, r->method_length, of->method, WT_REFUSED_METHOD, shown);
	check_text(r->path, r->path_length, of->path, WT_REFUSED_PATH, shown);
	check_text(r->user_agent, r->user_agent_length, of->user_agent, WT_REFUSED_AGENT,
			   shown);
	CHECK(r->times <= TIMES, "%u times", r->times);
	CHECK(r->reason == of->reason, "another reason");
}

static void
check_all(const Writer *writers, bool alone)
{
	uint64_t times = 0;
	uint64_t counted = 0;

	for (unsigned i = 0; i < WT_REFUSED_REQUESTS; i++)
	{
		WtRefusedRequest r;

		if (!wt_refused_request(record, i, &r))
			continue;
		/* While others write, be quick: half-written ones are rare. */
		check_request(&r, &writers[r.status % 2].refusal, alone && i < 4);
		times += r.times;
	}
	for (unsigned i = 0; alone && i < WT_REFUSED_CLIENTS; i++)
	{
		WtRefusedClient c;

		if (!wt_refused_client(record, i, &c))
			continue;
		CHECK(c.first_us <= c.last_us, "it was seen last before it was seen first");
		counted += c.times;
	}
	CHECK(times <= WT_REFUSED_REQUESTS, "none is like another, and %llu are there",
		  (unsigned long long) times);
	CHECK(counted <= 2 * TIMES, "more than there were");
	/* One of two writers in each other's way drops what it has. */
	CHECK(!alone || times > WT_REFUSED_REQUESTS * 9 / 10, "%llu are remembered",
		  (unsigned long long) times);
	CHECK(!alone || counted >= TIMES / 2, "%llu are counted",
		  (unsigned long long) counted);
}

static void *
read_all(void *arg)
{
	const Writer *writers = arg;

	while (!atomic_load(&over))
		check_all(writers, false);
	return NULL;
}

/* The next text of the input; NULL: there is none. */
static const char *
next_text(char **p, const char *end)
{
	char *text = *p;

	if (text >= end)
		return NULL;
	*p += strlen(text) + 1;
	return text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	char *p = text;
	Writer writers[2];
	pthread_t reader;

	CHECK(text, "out of memory");
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	if (!record)
		record = malloc(wt_refused_size());
	CHECK(record, "out of memory");
	(void) wt_refused_init(record);
	atomic_store(&over, false);
	for (int i = 0; i < 2; i++)
	{
		WtRefusal *r = &writers[i].refusal;

		writers[i].record = record;
		memset(r, 0, sizeof(*r));
		r->time_us = 1000;
		r->ip = next_text(&p, text + size);
		r->method = next_text(&p, text + size);
		r->path = next_text(&p, text + size);
		r->user_agent = next_text(&p, text + size);
		r->user_agent_length = r->user_agent ? strlen(r->user_agent) : 0;
		r->status = 400 + i;
		r->reason = WT_REASON_MALFORMED;
	}
	CHECK(pthread_create(&reader, NULL, read_all, writers) == 0, "no thread");
	for (int i = 0; i < 2; i++)
		CHECK(pthread_create(&writers[i].thread, NULL, write_all, &writers[i]) == 0,
			  "no thread");
	for (int i = 0; i < 2; i++)
		pthread_join(writers[i].thread, NULL);
	atomic_store(&over, true);
	pthread_join(reader, NULL);
	check_all(writers, true);
	free(text);
	return 0;
}
