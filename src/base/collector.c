/*
 * collector.c
 *		Who this collector is, to others of its kind.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/collector.h"

WtCollector wt_collector;

static char own_id[WT_COLLECTOR_ID_SIZE];

void
wt_collector_set(const char *name, uint64_t system, uint32_t database)
{
	char header[WT_COLLECTOR_HEADER_SIZE];

	snprintf(wt_collector.name, sizeof(wt_collector.name), "%s", name);
	for (char *p = wt_collector.name; *p != '\0'; p++)
		if (*p < ' ' || *p > '~' || *p == ';')
			*p = '_';
	wt_collector.system = system;
	wt_collector.database = database;
	wt_collector_write(header);
	wt_collector_id_of(header, own_id);
}

void
wt_collector_write(char header[WT_COLLECTOR_HEADER_SIZE])
{
	snprintf(header, WT_COLLECTOR_HEADER_SIZE,
			 "%s; system=%" PRIu64 "; database=%" PRIu32, wt_collector.name,
			 wt_collector.system, wt_collector.database);
}

bool
wt_collector_is_own(const char *header)
{
	char own[WT_COLLECTOR_HEADER_SIZE];

	wt_collector_write(own);
	return strcmp(header, own) == 0;
}

/* FNV-1a, of 64 bits: of two collectors that meet in a circle it is not the same. */
void
wt_collector_id_of(const char *header, char id[WT_COLLECTOR_ID_SIZE])
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (const char *p = header; *p != '\0'; p++)
		hash = (hash ^ (unsigned char) *p) * UINT64_C(1099511628211);
	snprintf(id, WT_COLLECTOR_ID_SIZE, "%016" PRIx64, hash);
}

const char *
wt_collector_id(void)
{
	return own_id;
}

size_t
wt_collector_name_in(const char *header)
{
	size_t length = strcspn(header, ";");

	for (size_t i = 0; i < length; i++)
		if (header[i] < ' ' || header[i] > '~')
			return 0;
	return length < WT_COLLECTOR_NAME_SIZE ? length : 0;
}
