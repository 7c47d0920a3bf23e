/*
 * connection.h
 *		Connections to MongoDB: one for each user mapping that this backend has used.
 */
#ifndef WM_CONNECTION_H
#define WM_CONNECTION_H

#include <mongoc/mongoc.h>

typedef struct WmConnection WmConnection;

/*
 * The connection of a user to a server, made or remade where need be; it is held until
 * the current memory context is reset.  for_writing: there must be a primary.
 *
 * Waits for a server for as long as the options say; raises.
 */
extern WmConnection *wm_connect(Oid server, Oid user, bool for_writing);

extern mongoc_client_t *wm_client(WmConnection *connection);

/*
 * To be called when libmongoc has failed: raises the cancellation if that was the reason,
 * and the failure otherwise (see error.h), and sees to it that the next statement has a
 * new connection where this one is of no use any more.
 */
extern void wm_fail(WmConnection *connection, const bson_error_t *error,
					const char *doing, const char *detail) __attribute__((noreturn));

/* Raises the cancellation where a call of libmongoc's ended early because of it. */
extern void wm_check_interrupted(WmConnection *connection);

/*
 * A collection, and a cursor, that are destroyed when the current memory context is
 * reset, or before.  The connection must be held by the same context or an outer one.
 */
typedef struct WmCursor WmCursor;

extern mongoc_collection_t *wm_collection(WmConnection *connection, const char *database,
										  const char *collection);
extern WmCursor *wm_cursor(WmConnection *connection, mongoc_cursor_t *cursor);
extern mongoc_cursor_t *wm_cursor_of(WmCursor *cursor);
extern void wm_cursor_close(WmCursor *cursor);

/* A reply that is destroyed when the current memory context is reset. */
extern bson_t *wm_reply(void);

#endif
