/*
 * collector.h
 *		Who this collector is, to others of its kind.  Plain C.
 */
#ifndef WT_COLLECTOR_H
#define WT_COLLECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The header by which a collector that forwards says who it is, and room for what it says. */
#define WT_COLLECTOR_HEADER "WindTrap-Collector"
#define WT_COLLECTOR_HEADER_SIZE 128

/* Of a name, bytes, with its NUL. */
#define WT_COLLECTOR_NAME_SIZE 65

typedef struct WtCollector
{
	char name[WT_COLLECTOR_NAME_SIZE]; /* for people; printable ASCII without a ; */
	/* With the name, since copies of a data directory have these in common, what tells it from others: */
	uint64_t system; /* PostgreSQL's system identifier */
	uint32_t database;
} WtCollector;

/* This one; zeros until wt_collector_set. */
extern WtCollector wt_collector;

/* Takes over who it is; of the name what is not printable ASCII becomes _. */
extern void wt_collector_set(const char *name, uint64_t system, uint32_t database);

/* What this one says of itself: NAME; system=…; database=… */
extern void wt_collector_write(char header[WT_COLLECTOR_HEADER_SIZE]);

/* Whether what a header says is said of this one. */
extern bool wt_collector_is_own(const char *header);

/* What a header says, so short that a row can have it: hexadecimal digits. */
#define WT_COLLECTOR_ID_SIZE 17
extern void wt_collector_id_of(const char *header, char id[WT_COLLECTOR_ID_SIZE]);

/* The same of this one. */
extern const char *wt_collector_id(void);

/* The length of the name with which such a header begins, bytes; 0: it has none that one of ours gives. */
extern size_t wt_collector_name_in(const char *header);

#endif
