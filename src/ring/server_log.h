/*
 * server_log.h
 *		The server's own messages → the ring.
 */
#ifndef WT_SERVER_LOG_H
#define WT_SERVER_LOG_H

/* Under preload: sees all messages of the server's log, from now on in every process. */
extern void wt_server_log_install(void);

#endif
