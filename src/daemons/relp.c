/*
 * relp.c
 *		RELP's frames: see relp.h.
 */
#include <stdio.h>
#include <string.h>

#include "daemons/relp.h"

/* Digits of a number and of a length, and letters of a command, that a frame may have. */
#define MAX_DIGITS 9
#define MAX_COMMAND 32

const char wt_relp_offers[] =
	"200 OK\nrelp_version=0\nrelp_software=windtrap\ncommands=syslog";

typedef enum Read
{
	READ_OK,
	READ_SHORT,
	READ_BAD
} Read;

/* Reads a number up to what follows it, and moves *p there. */
static Read
read_number(const char **p, const char *end, uint32_t *number)
{
	int n = 0;

	*number = 0;
	while (*p < end && **p >= '0' && **p <= '9')
	{
		if (++n > MAX_DIGITS)
			return READ_BAD;
		*number = *number * 10 + (uint32_t) (**p - '0');
		(*p)++;
	}
	if (*p == end)
		return READ_SHORT;
	return n > 0 ? READ_OK : READ_BAD;
}

static Read
read_command(const char **p, const char *end, WtRelpFrame *frame)
{
	frame->command = *p;
	while (*p < end && ((**p >= 'a' && **p <= 'z') || (**p >= 'A' && **p <= 'Z')))
	{
		if (*p - frame->command == MAX_COMMAND)
			return READ_BAD;
		(*p)++;
	}
	frame->command_length = (size_t) (*p - frame->command);
	if (*p == end)
		return READ_SHORT;
	return frame->command_length > 0 ? READ_OK : READ_BAD;
}

static Read
read_blank(const char **p, const char *end)
{
	if (*p == end)
		return READ_SHORT;
	return *(*p)++ == ' ' ? READ_OK : READ_BAD;
}

static Read
read_head(const char **p, const char *end, WtRelpFrame *frame, uint32_t *length)
{
	Read read;

	if ((read = read_number(p, end, &frame->number)) != READ_OK ||
		(read = read_blank(p, end)) != READ_OK ||
		(read = read_command(p, end, frame)) != READ_OK ||
		(read = read_blank(p, end)) != READ_OK ||
		(read = read_number(p, end, length)) != READ_OK)
		return read;
	/* Some have a blank before no data, too. */
	if (**p == ' ')
		(*p)++;
	else if (*length > 0)
		return READ_BAD;
	return READ_OK;
}

WtRelpResult
wt_relp_next(WtRelp *relp, const char *bytes, size_t length, size_t max, size_t *used,
			 WtRelpFrame *frame)
{
	const char *end = bytes + length;
	const char *p;
	uint32_t announced = 0;
	size_t have;
	Read read;

	*used = 0;
	if (relp->discard > 0)
	{
		size_t n = relp->discard < length ? relp->discard : length;

		relp->discard -= n;
		*used = n;
	}
	/* Some end a frame by more than one line feed. */
	while (*used < length && bytes[*used] == '\n')
		(*used)++;
	if (*used == length)
		return WT_RELP_MORE;
	p = bytes + *used;
	read = read_head(&p, end, frame, &announced);
	if (read != READ_OK)
		return read == READ_SHORT ? WT_RELP_MORE : WT_RELP_MALFORMED;
	frame->data = p;
	frame->cut = announced > max;
	frame->length = frame->cut ? max : announced;
	have = (size_t) (end - p);
	if (frame->cut ? have < max : have <= announced)
		return WT_RELP_MORE;
	if (frame->cut)
	{
		/* Of all that it has, with the line feed, so much has come. */
		size_t all = (size_t) announced + 1;
		size_t passed = have < all ? have : all;

		relp->discard = all - passed;
		*used = (size_t) (p - bytes) + passed;
		return WT_RELP_FRAME;
	}
	if (p[announced] != '\n')
		return WT_RELP_MALFORMED;
	*used = (size_t) (p - bytes) + announced + 1;
	return WT_RELP_FRAME;
}

bool
wt_relp_is(const WtRelpFrame *frame, const char *command)
{
	return frame->command_length == strlen(command) &&
		   memcmp(frame->command, command, frame->command_length) == 0;
}

size_t
wt_relp_answer(char answer[WT_RELP_ANSWER_SIZE], uint32_t number, const char *says)
{
	size_t length = strlen(says);
	int n = snprintf(answer, WT_RELP_ANSWER_SIZE, "%u rsp %zu%s%s\n", number, length,
					 length > 0 ? " " : "", says);

	return n > 0 && n < WT_RELP_ANSWER_SIZE ? (size_t) n : 0;
}
