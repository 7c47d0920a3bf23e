/*
 * elastic.h
 *		What the files of the Elasticsearch protocol share.  Plain C.
 */
#ifndef WT_ELASTIC_H
#define WT_ELASTIC_H

#include "protocol/protocol.h"

/* A piece of a path, between slashes, as it was sent. */
typedef struct WtSegment
{
	const char *text;
	size_t length;
} WtSegment;

/* Paths of more pieces are nothing of Elasticsearch's that is answered here. */
#define WT_ELASTIC_SEGMENTS 5

/* What the name of an index, or of anything else in a path, may be long, bytes. */
#define WT_ELASTIC_NAME 255

/* The pieces of a path, empty ones left out; gives their number, -1: there are too many. */
extern int wt_elastic_split(const char *path, WtSegment segments[WT_ELASTIC_SEGMENTS]);

extern bool wt_segment_is(const WtSegment *segment, const char *text);

/*
 * A piece of a path, unescaped; what is no text in it became U+FFFD.  Gives its length; 0:
 * there is none, or it is longer than WT_ELASTIC_NAME.
 */
#define WT_ELASTIC_NAME_SIZE (3 * WT_ELASTIC_NAME)
extern size_t wt_segment_unescape(const WtSegment *segment,
								  char name[WT_ELASTIC_NAME_SIZE]);

/*
 * The paths beside those that events come by, of a request with these pieces: what clients ask
 * before they send, and what cannot be had here.
 */
extern bool wt_elastic_find_probe(const WtRequest *request, const WtSegment *segments,
								  int n, WtMatch *match);

/* As WtEndpoint has them. */
extern void wt_elastic_probe(const WtRequest *request, const char *trouble,
							 WtWords *words);
extern void wt_elastic_refuse(const WtRequest *request, WtReason reason,
							  const char *sentence, WtWords *words);

/* The same, with an error's type of Elasticsearch's and the status that words has. */
extern void wt_elastic_error(const char *type, const char *sentence, WtWords *words);

#endif
