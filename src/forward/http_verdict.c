/*
 * http_verdict.c
 *		What another WindTrap's answer says of the events that were sent to it: see
 *		http_verdict.h.
 *
 * What a server says is quoted, but it may be any server: so it is cut, escaped, and left out
 * where it repeats the token.
 */
#define _GNU_SOURCE 1
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "client/trouble.h"
#include "event/json.h"
#include "forward/http_verdict.h"

/* Bytes of what the server says that are quoted, before they are escaped. */
#define MAX_QUOTED 120

/* What an answer of WindTrap's has. */
typedef struct Answer
{
	long accepted; /* -1: it is not there */
	long quarantined;
	long refused;
	const WtJsonToken *error; /* of the whole, or the first of the events'; NULL: none */
} Answer;

static long
count_of(const WtJson *json, const char *name)
{
	uint32_t i;
	char digits[12];
	const WtJsonToken *t;

	if (!wt_json_find(json, 0, name, &i))
		return -1;
	t = &json->tokens[i];
	if (t->type != WT_JSON_NUMBER || t->length >= sizeof(digits))
		return -1;
	memcpy(digits, t->u.text, t->length);
	digits[t->length] = '\0';
	return strspn(digits, "0123456789") == t->length ? strtol(digits, NULL, 10) : -1;
}

static const WtJsonToken *
string_of(const WtJson *json, uint32_t object, const char *name)
{
	uint32_t i;

	if (!wt_json_find(json, object, name, &i) || json->tokens[i].type != WT_JSON_STRING)
		return NULL;
	return &json->tokens[i];
}

/* Reads the answer, whose strings are valid as long as the parser's; false: it is no object. */
static bool
read_answer(WtJson *json, const WtPostAnswer *answer, Answer *read)
{
	WtJsonError error;
	uint32_t errors;

	memset(read, 0, sizeof(*read));
	if (answer->length == 0 ||
		wt_json_parse(json, answer->body, answer->length, &error) != WT_JSON_OK ||
		json->tokens[0].type != WT_JSON_OBJECT)
		return false;
	read->accepted = count_of(json, "accepted");
	read->quarantined = count_of(json, "quarantined");
	read->refused = count_of(json, "refused");
	read->error = string_of(json, 0, "error");
	if (!read->error && wt_json_find(json, 0, "errors", &errors) &&
		json->tokens[errors].type == WT_JSON_ARRAY && json->tokens[errors].length > 0)
		read->error = string_of(json, errors + 1, "error");
	return true;
}

/* What the server says, after a colon; "" where it says nothing, or nothing to be repeated. */
static const char *
quote(const Answer *answer, const char *token)
{
	static char quoted[2 + 4 * MAX_QUOTED + 1];
	const char *text;
	size_t length;

	if (!answer->error || answer->error->length == 0)
		return "";
	text = answer->error->u.text;
	length = answer->error->length;
	if (token[0] != '\0' && memmem(text, length, token, strlen(token)))
		return "";
	if (length > MAX_QUOTED)
		length = MAX_QUOTED;
	memcpy(quoted, ": ", 2);
	quoted[2 + wt_text_escape(text, length, true, quoted + 2)] = '\0';
	return quoted;
}

/* What a code means to who has named the URL. */
static const char *
meaning(int status, const char *token)
{
	switch (status)
	{
		case 400:
			return "it makes nothing of the request; does it speak https?";
		case 401:
			return token[0] == '\0'
					   ? "it wants a token of scope forward, and "
						 "windtrap.forward_token_file has none for this URL"
					   : "it does not know the token of windtrap.forward_token_file";
		case 403:
			return "it does not let us forward, for which its token needs the scope "
				   "forward";
		case 404:
		case 405:
		case 415:
			return "no WindTrap takes forwarded events at this URL";
		case 408:
			return "it has not waited until all had come";
		case 409:
		case 508:
			return "it leads back to this collector, or it refuses for another conflict";
		case 429:
		case 503:
			return "it asks to wait";
		case 501:
			return "it cannot take forwarded events as it is set up";
	}
	if (status >= 300 && status < 400)
		return "it redirects, which is not followed: name the URL that it leads to";
	return "it fails";
}

static WtVerdict
judge_refusal(const WtPostAnswer *answer, const Answer *read, const char *token,
			  char *message)
{
	snprintf(message, WT_VERDICT_MESSAGE, "%s (%d)%s", meaning(answer->status, token),
			 answer->status, quote(read, token));
	if (answer->status == 413)
	{
		snprintf(message, WT_VERDICT_MESSAGE, "it is too large for it (413)%s",
				 quote(read, token));
		return WT_VERDICT_TOO_LARGE;
	}
	/* Of less it may do in time what it could not do of so much. */
	if (answer->status == 408 || answer->status == 503)
		return WT_VERDICT_SLOW;
	return answer->status == 401 ? WT_VERDICT_NO_TOKEN : WT_VERDICT_FAILED;
}

WtVerdict
wt_verdict(const WtPostAnswer *answer, int n, const char *token,
		   char message[WT_VERDICT_MESSAGE])
{
	static WtJson json;
	Answer read;
	bool is_object;

	message[0] = '\0';
	if (answer->end != WT_POST_ANSWERED)
	{
		wt_post_trouble(answer, "windtrap.forward_ca_file", message, WT_VERDICT_MESSAGE);
		/* A line, or what stands on it, may cut off whatever is too long for it, each time. */
		return answer->end == WT_POST_TIMEOUT || answer->end == WT_POST_CLOSED
				   ? WT_VERDICT_SLOW
				   : WT_VERDICT_FAILED;
	}
	is_object = read_answer(&json, answer, &read);
	if (answer->status < 200 || answer->status > 299)
		return judge_refusal(answer, &read, token, message);
	if (answer->status != 200 || !is_object || read.accepted < 0 ||
		read.quarantined < 0 || read.refused < 0 ||
		read.accepted + read.quarantined + read.refused != n)
	{
		snprintf(message, WT_VERDICT_MESSAGE,
				 "its answer (%d) is not that of a WindTrap which takes forwarded "
				 "events: look at the URL",
				 answer->status);
		return WT_VERDICT_FAILED;
	}
	if (read.refused == 0)
		return WT_VERDICT_TAKEN;
	snprintf(message, WT_VERDICT_MESSAGE, "%s",
			 *quote(&read, token) ? quote(&read, token) + 2 : "it is refused");
	return WT_VERDICT_SOME_REFUSED;
}
