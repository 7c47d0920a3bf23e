/*
 * trouble.c
 *		Why a server has not answered: see trouble.h.
 */
#include <stdio.h>

#include "client/trouble.h"

void
wt_post_trouble(const WtPostAnswer *answer, const char *ca_setting, char *message,
				size_t size)
{
	const char *detail = answer->detail;

	switch (answer->end)
	{
		case WT_POST_NO_HOST:
			snprintf(message, size, "its host is not known: %s", detail);
			return;
		case WT_POST_NO_CONNECTION:
			snprintf(message, size, "it cannot be connected to: %s", detail);
			return;
		case WT_POST_BAD_CA_FILE:
			snprintf(message, size, "%s, or the system's authorities, cannot be read: %s",
					 ca_setting, detail);
			return;
		case WT_POST_NOT_TRUSTED:
			/* GnuTLS does not say which of them it is. */
			snprintf(message, size,
					 "its certificate is not trusted (it has expired, is another host's, "
					 "or by none of %s, or of the system's): %s",
					 ca_setting, detail);
			return;
		case WT_POST_NO_TLS:
			snprintf(message, size, "TLS cannot be agreed upon; does it speak http? %s",
					 detail);
			return;
		case WT_POST_NO_HTTP:
			snprintf(message, size, "what it answers is no HTTP; does it speak https? %s",
					 detail);
			return;
		case WT_POST_CLOSED:
			snprintf(message, size, "the connection broke before there was an answer: %s",
					 detail);
			return;
		case WT_POST_TIMEOUT:
			snprintf(message, size, "there is no answer in time: %s", detail);
			return;
		case WT_POST_FAILED:
		case WT_POST_ANSWERED:
			break;
	}
	snprintf(message, size, "it cannot be sent to: %s", detail);
}
