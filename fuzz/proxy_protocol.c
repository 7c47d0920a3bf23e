/*
 * proxy_protocol.c
 *		Fuzz target: the header of the PROXY protocol (src/http/proxy_protocol.h).
 *
 * However the bytes are cut, the verdict is the same: what is complete was incomplete in all
 * its beginnings, and what is malformed stays so.
 */
#include "fuzz.h"
#include "http/proxy_protocol.h"

static WtProxyResult
parse_exactly(const uint8_t *data, size_t size, WtProxyHeader *header)
{
	char *copy = exact_copy(data, size);
	WtProxyResult result = wt_proxy_header_parse(copy, size, header);

	free(copy);
	return result;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	WtProxyHeader header;
	WtProxyHeader last;
	WtProxyResult result = parse_exactly(data, size, &header);
	WtProxyResult before = WT_PROXY_INCOMPLETE;

	for (size_t n = 0; n <= size; n++)
	{
		WtProxyResult now = parse_exactly(data, n, &last);

		CHECK(before == WT_PROXY_INCOMPLETE || now == before,
			  "%zu bytes: it was %d and is %d", n, before, now);
		if (now == WT_PROXY_COMPLETE)
		{
			CHECK(last.length <= n && last.length <= WT_PROXY_HEADER_MAX, "its length");
			CHECK(before == WT_PROXY_COMPLETE || last.length == n,
				  "%zu bytes make it complete, and it has %zu", n, last.length);
			CHECK(!(last.own && last.known), "its own connection has an address");
		}
		CHECK(now != WT_PROXY_INCOMPLETE || n < WT_PROXY_HEADER_MAX,
			  "incomplete, and there is no room for more");
		before = now;
	}
	CHECK(before == result, "the whole");
	return 0;
}
