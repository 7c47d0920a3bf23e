/*
 * intake.c
 *		Fuzz target: what comes by no HTTP. The first byte picks lines and counts, NULs, RELP's
 *		frames, datagrams of GELF (in chunks, compressed, decoded), or the decoder of syslog; the
 *		rest is what comes, also in two pieces.
 */
#include "fuzz.h"
#include "base/messages.h"
#include "daemons/chunks.h"
#include "daemons/framing.h"
#include "daemons/relp.h"
#include "event/decode.h"
#include "event/inflate.h"
#include "protocol/protocols.h"

#define MAX 40
#define MAX_GELF 4096

/* All of it in one piece, and before that its first half: the end of that is not an end. */
static void
frame(WtFramingForm form, const char *bytes, size_t length)
{
	WtFraming framing = {.form = form};
	size_t at = 0;

	for (int ended = 0; ended < 2; ended++)
	{
		size_t end = ended ? length : length / 2;
		WtFrameResult result;

		do
		{
			WtFrame f = {0};
			size_t used;

			result =
				wt_framing_next(&framing, bytes + at, end - at, MAX, ended, &used, &f);
			CHECK(used <= end - at, "more is used than there is");
			if (result == WT_FRAME_MALFORMED)
				return;
			if (result == WT_FRAME_MESSAGE)
				CHECK(used > 0 && f.length <= MAX &&
						  lies_within(f.text, f.length, bytes + at, end - at),
					  "a message that is not in the bytes");
			at += used;
		} while (result == WT_FRAME_MESSAGE);
	}
	CHECK(at == length, "something is left at the end");
}

/* What frames have come to, whatever the pieces in which they came. */
typedef struct Seen
{
	int n;
	size_t data; /* bytes of all of them */
	uint64_t digest;
	bool malformed;
} Seen;

/* All frames, with no more than `first` bytes at hand at first. */
static Seen
relp_in_pieces(const char *bytes, size_t length, size_t first)
{
	Seen seen = {0};
	WtRelp state = {0};
	size_t at = 0;

	for (int piece = 0; piece < 2; piece++)
	{
		size_t end = piece ? length : first;
		WtRelpResult result;

		do
		{
			WtRelpFrame f = {0};
			size_t used;

			result = wt_relp_next(&state, bytes + at, end - at, MAX, &used, &f);
			CHECK(used <= end - at, "more is used than there is");
			if (result == WT_RELP_MALFORMED)
			{
				seen.malformed = true;
				return seen;
			}
			if (result == WT_RELP_FRAME)
			{
				CHECK(used > 0 && f.length <= MAX &&
						  lies_within(f.data, f.length, bytes + at, end - at),
					  "data that are not in the bytes");
				seen.n++;
				seen.data += f.length;
				seen.digest = seen.digest * 31 + f.number;
				for (size_t i = 0; i < f.length; i++)
					seen.digest = seen.digest * 31 + (unsigned char) f.data[i];
			}
			at += used;
		} while (result == WT_RELP_FRAME);
	}
	return seen;
}

static void
relp(const char *bytes, size_t length)
{
	Seen whole = relp_in_pieces(bytes, length, length);

	for (size_t cut = 0; cut < length; cut += 1 + length / 8)
	{
		Seen seen = relp_in_pieces(bytes, length, cut);

		CHECK(seen.n == whole.n && seen.data == whole.data &&
				  seen.digest == whole.digest && seen.malformed == whole.malformed,
			  "other frames where the bytes come in other pieces");
	}
}

static void
decode(WtDecodeResult (*next)(WtDecoder *, WtJson *), const char *text, size_t length)
{
	char *body = malloc(length + WT_MESSAGE_HEAD);
	WtRequest request = {.received_us = INT64_C(1795687200000000)};
	WtDecoder decoder = {.body = body,
						 .length = length + WT_MESSAGE_HEAD,
						 .max_event_size = 1 << 20,
						 .request = &request,
						 .protocol = next};
	WtJson json = {.repair = true};
	WtDecodeResult result;

	if (!body)
		return;
	wt_message_write_head(body, length, false);
	memcpy(body + WT_MESSAGE_HEAD, text, length);
	/* Of syslog anything is a message; what is no JSON goes into quarantine. */
	result = wt_decode_next(&decoder, &json);
	CHECK(result == WT_DECODE_EVENT ||
			  (result == WT_DECODE_BAD && next == wt_gelf_messages.next),
		  "no event");
	for (uint32_t i = 0; result == WT_DECODE_EVENT && i < json.n_tokens; i++)
		if (json.tokens[i].type == WT_JSON_STRING)
			CHECK(is_text(json.tokens[i].u.text, json.tokens[i].length), "no text");
	CHECK(wt_decode_next(&decoder, &json) == WT_DECODE_END, "it goes on");
	wt_json_shrink(&json, 0);
	free(body);
}

/* What has come of GELF, as the worker reads it: inflated, and then an event that can be stored. */
static void
gelf(const char *message, size_t length)
{
	WtInflated inflated = {0};

	switch (wt_inflate(NULL, message, length, MAX_GELF, &inflated))
	{
		case WT_INFLATE_PLAIN:
			if (length <= MAX_GELF)
				decode(wt_gelf_messages.next, message, length);
			break;
		case WT_INFLATE_OK:
			CHECK(inflated.length <= MAX_GELF, "inflated to more than the limit");
			decode(wt_gelf_messages.next, inflated.data, inflated.length);
			break;
		default:
			break;
	}
	wt_inflate_shrink(&inflated, 0);
}

/* Datagrams, each after a byte that says how long it is, of two senders. */
static void
chunks(const char *bytes, size_t length)
{
	WtChunks *all = wt_chunks_create();
	WtAddress from[2] = {{{0}}, {{1}}};
	size_t n;

	for (size_t at = 0; all && at + 1 < length; at += 1 + n)
	{
		unsigned char head = (unsigned char) bytes[at];
		const char *message;
		size_t message_length;
		int given_up = 0;

		n = head & 0x7F;
		if (n > length - at - 1)
			n = length - at - 1;
		switch (wt_chunks_add(all, &from[head >> 7], bytes + at + 1, n, MAX_GELF,
							  (int64_t) at * 100, &message, &message_length, &given_up))
		{
			case WT_CHUNK_NONE:
				gelf(bytes + at + 1, n);
				break;
			case WT_CHUNK_COMPLETE:
				CHECK(message_length <= MAX_GELF, "a message that is too large");
				gelf(message, message_length);
				break;
			default:
				break;
		}
		CHECK(given_up >= 0 && given_up <= 256, "more is given up than there was");
		(void) wt_chunks_expire(all, (int64_t) at * 100);
	}
	if (all)
		wt_chunks_destroy(all);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *bytes;

	if (size < 1)
		return 0;
	bytes = exact_copy(data + 1, size - 1);
	switch (data[0] % 5)
	{
		case 0:
			frame(WT_FRAMING_SYSLOG, bytes, size - 1);
			break;
		case 1:
			frame(WT_FRAMING_NUL, bytes, size - 1);
			break;
		case 2:
			relp(bytes, size - 1);
			break;
		case 3:
			chunks(bytes, size - 1);
			break;
		default:
			decode(wt_syslog_messages.next, bytes, size - 1);
	}
	free(bytes);
	return 0;
}
