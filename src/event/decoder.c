/*
 * decoder.c
 *		What all decoders say of an event.
 */
#include <stdarg.h>
#include <stdio.h>

#include "event/decoder.h"

static void set_error(WtDecoder *decoder, WtReason reason, const char *format,
					  va_list args) __attribute__((format(printf, 3, 0)));

static void
set_error(WtDecoder *decoder, WtReason reason, const char *format, va_list args)
{
	decoder->reason = reason;
	vsnprintf(decoder->error, sizeof(decoder->error), format, args);
}

void
wt_decoder_error(WtDecoder *decoder, WtReason reason, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set_error(decoder, reason, format, args);
	va_end(args);
}

void
wt_decoder_too_large(WtDecoder *decoder)
{
	wt_decoder_error(decoder, WT_REASON_EVENT_TOO_LARGE,
					 "the event is larger than windtrap.max_event_size, %zu bytes",
					 decoder->max_event_size);
}

WtDecodeResult
wt_decode_refuse(WtDecoder *decoder, int status, WtReason reason, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set_error(decoder, reason, format, args);
	va_end(args);
	decoder->status = status;
	decoder->done = true;
	return WT_DECODE_REFUSED;
}

WtDecodeResult
wt_decode_bad(WtDecoder *decoder, const char *raw, size_t length, WtReason reason,
			  const char *format, ...)
{
	va_list args;

	decoder->raw = raw;
	decoder->raw_length = length;
	va_start(args, format);
	set_error(decoder, reason, format, args);
	va_end(args);
	return WT_DECODE_BAD;
}

WtDecodeResult
wt_decode_next_message(WtDecoder *decoder, WtMessage *message)
{
	const char *end = decoder->body + decoder->length;

	decoder->batch = true;
	decoder->next =
		wt_message_read(decoder->next ? decoder->next : decoder->body, end, message);
	if (!decoder->next)
	{
		decoder->next = end;
		return WT_DECODE_END;
	}
	if (message->cut)
	{
		decoder->raw = message->text;
		decoder->raw_length = message->length;
		wt_decoder_too_large(decoder);
		return WT_DECODE_BAD;
	}
	return WT_DECODE_EVENT;
}

WtDecodeResult
wt_decode_good(WtDecoder *decoder, WtJson *json, const char *raw, size_t length)
{
	const WtJsonToken *unfit;

	decoder->raw = raw;
	decoder->raw_length = length;
	if (length > decoder->max_event_size)
	{
		wt_decoder_too_large(decoder);
		return WT_DECODE_BAD;
	}
	if (!wt_json_repair(json, &unfit))
		return WT_DECODE_OUT_OF_MEMORY;
	if (unfit)
	{
		wt_decoder_error(decoder, WT_REASON_NOT_TEXT,
						 "a text of the event is not valid UTF-8, or holds a NUL");
		return WT_DECODE_BAD;
	}
	return WT_DECODE_EVENT;
}
