/*
 * nodes.h
 *		Where windtrap.tail() has got to on each node of Citus.
 *
 * Rows of a distributed table have been written by transactions of the nodes that they are on,
 * which have other ids there, and are committed at other moments, than where the table is read.
 * So there is a position of each node (position.h), and each says of its own rows which are new.
 */
#ifndef WT_NODES_H
#define WT_NODES_H

#include "search/cursor.h"

typedef struct WtNodePosition
{
	int32 group; /* the node's name in Citus, which a standby that is promoted keeps */
	WtCursor position;
} WtNodePosition;

typedef struct WtNodes
{
	int n;
	WtNodePosition nodes[FLEXIBLE_ARRAY_MEMBER];
} WtNodes;

#define WT_NODES_SIZE(n) (offsetof(WtNodes, nodes) + sizeof(WtNodePosition) * (Size) (n))

/*
 * Asks all nodes, before the rows are read; `from`: what they said before, or NULL.  In the
 * current memory context.  Needs SPI; raises, also where one of them does not answer.
 */
extern WtNodes *wt_nodes_ask(const WtNodes *from);

/* As a text: letters, digits, points, hyphens and underscores; in the current memory context. */
extern char *wt_nodes_write(const WtNodes *nodes);

/* NULL: the text is none.  In the current memory context. */
extern WtNodes *wt_nodes_read(const char *text);

#endif
