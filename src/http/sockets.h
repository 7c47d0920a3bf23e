/*
 * sockets.h
 *		Listening sockets: from a list of addresses to descriptors.
 *
 * Plain C: raises nothing.
 */
#ifndef WT_SOCKETS_H
#define WT_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define WT_MAX_SOCKETS 32

typedef struct WtSocket
{
	int fd;
	struct sockaddr_storage address;
	socklen_t address_length;
} WtSocket;

typedef struct WtSockets
{
	WtSocket sockets[WT_MAX_SOCKETS];
	int n;
} WtSockets;

typedef struct WtSocketsError
{
	char message[256]; /* a sentence, without a full stop */
	bool port_taken;
} WtSocketsError;

/* Fail where somebody listens on the port already (see sockets.c). */
#define WT_SOCKETS_EXCLUSIVE 1
/* Leave the paths out: a Unix-domain socket cannot be shared by several workers. */
#define WT_SOCKETS_NO_PATHS 2
/* They are for datagrams, by UDP. */
#define WT_SOCKETS_DATAGRAMS 4

/*
 * Makes *sockets listen on addresses, a list as windtrap.listen_addresses has it, and
 * port.  Sockets of *sockets that are wanted still stay open and keep their queues; the
 * new ones listen before those that are wanted no more are closed.  On failure (false,
 * *error filled) *sockets is as it was.
 */
extern bool wt_sockets_open(WtSockets *sockets, const char *addresses, int port,
							int flags, WtSocketsError *error);

/*
 * Begins no connection any more; those that are being made come to the queue yet.  Who tries to
 * connect meanwhile hears nothing, tries again a second later, and finds what is there then.  (Who sends
 * with the highest TTL that there is gets in nevertheless.)  False: the kernel does not know that, and
 * all goes on as it was.
 */
extern bool wt_sockets_admit_no_more(const WtSockets *sockets);

/* To be called of each that is accepted after that, or nothing of what it sends may be heard. */
extern void wt_socket_admitted(int fd, int family);

/*
 * Closes them all, and removes the paths of Unix-domain sockets.  Connections that nobody has
 * accepted are reset.
 */
extern void wt_sockets_close(WtSockets *sockets);

/* Writes "127.0.0.1:8000, [::1]:8000" to text, cut to size bytes. */
extern void wt_sockets_describe(const WtSockets *sockets, char *text, size_t size);

#endif
