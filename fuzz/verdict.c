/*
 * verdict.c
 *		Fuzz target: what another server answers to forwarded events (src/forward/http_verdict.h).
 *
 * Whatever it says, its words are short, harmless to print and without the token; and events
 * are taken for delivered only by 200 with counts that add up.
 */
#include "fuzz.h"
#include "forward/http_verdict.h"

#define TOKEN "wt_0123"

static const int codes[] = {200, 401, 413, 503, 302};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char message[WT_VERDICT_MESSAGE];
	WtPostAnswer answer = {.end = WT_POST_ANSWERED, .detail = ""};
	WtVerdict verdict;
	char *body;

	if (size < 2)
		return 0;
	body = exact_copy(data + 2, size - 2);
	answer.status = codes[data[0] % (sizeof(codes) / sizeof(codes[0]))];
	answer.body = body;
	answer.length = size - 2;
	verdict = wt_verdict(&answer, data[1], TOKEN, message);
	CHECK(memchr(message, '\0', sizeof(message)) != NULL, "no end of the message");
	for (const char *p = message; *p != '\0'; p++)
		CHECK(*p >= ' ' && *p <= '~', "a byte %d in the message", *p);
	CHECK(strstr(message, TOKEN) == NULL, "the token in: %s", message);
	CHECK(verdict != WT_VERDICT_TAKEN || (answer.status == 200 && message[0] == '\0'),
		  "taken by %d: %s", answer.status, message);
	CHECK((verdict == WT_VERDICT_TAKEN) == (message[0] == '\0'), "no reason");
	CHECK((verdict == WT_VERDICT_TOO_LARGE) == (answer.status == 413), "too large");
	free(body);
	return 0;
}
