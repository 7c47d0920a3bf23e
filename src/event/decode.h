/*
 * decode.h
 *		A request's body → events, each as the tokens of one JSON value.
 *
 * A body holds one event (JSON, a form, text) or a batch: the elements of a JSON array,
 * the lines of NDJSON, the records of RFC 7464, JSON values one after the other.  Of a
 * batch, an event that cannot be stored, or a line that is not JSON, costs its neighbours
 * nothing.
 *
 * What a body is, is found by its type and by itself:
 *
 *	- An object of nothing but `logs`, an array of objects, is a batch of these, as
 *	  pino-http-send sends it.
 *	- application/x-ndjson and application/json-seq are a batch, line by line and record by
 *	  record; multipart/form-data is a form.
 *	- application/json is JSON.  Objects and arrays one after the other are a batch where the
 *	  second begins on a line of its own.
 *	- No type, or a form's, which is curl's default, says nothing of a body that begins with
 *	  {, [ or ": it is JSON, and a batch if values follow each other in whatever way.  What
 *	  begins otherwise and is JSON is JSON too.  Else a form is what is declared as one, has
 *	  an = and neither blanks nor control characters; the rest is text.
 *	- Any other type, as text/plain, which beacons of web pages have, is text, but for
 *		- one JSON object, array or string, which is all of the body;
 *		- NDJSON: the first line begins with {, so does the second, and one of these two is an
 *		  object by itself;
 *		- objects and arrays one after the other, all JSON to the last, the second on a line of
 *		  its own.
 *	  To see the last, and an array, all of the body has to be read twice; a body that is
 *	  longer than an event may be, and can be no text for that reason, is not.
 */
#ifndef WT_DECODE_H
#define WT_DECODE_H

#include "event/decoder.h"

/* Decodes the next event of the body into json. */
extern WtDecodeResult wt_decode_next(WtDecoder *decoder, WtJson *json);

/* The same for a protocol whose body is what is said above. */
extern WtDecodeResult wt_decode_body(WtDecoder *decoder, WtJson *json);

/*
 * For a protocol whose events are JSON: decodes the next event of a body that holds one, an
 * array of them, or one after the other, whatever its type says.  Where it is JSON no more
 * after some events, the rest of it is a bad one.
 */
extern WtDecodeResult wt_decode_json(WtDecoder *decoder, WtJson *json);

#endif
