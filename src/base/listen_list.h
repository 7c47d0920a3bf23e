/*
 * listen_list.h
 *		Where to listen for senders that speak no HTTP: "udp://127.0.0.1:514, relp://[::1]".
 *
 * Plain C: raises nothing.
 */
#ifndef WT_LISTEN_LIST_H
#define WT_LISTEN_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/counters.h"

/* Places that both settings together may name. */
#define WT_MAX_LISTEN_PLACES 16

/* A name, or an address, without its brackets, and a NUL. */
#define WT_LISTEN_HOST_SIZE 256

typedef struct WtListenPlace
{
	WtIntake intake;
	char host[WT_LISTEN_HOST_SIZE];
	int port;
} WtListenPlace;

/* What a list is of. */
typedef enum WtListenForm
{
	WT_LISTEN_SYSLOG, /* udp, tcp, tls, relp */
	WT_LISTEN_GELF	  /* udp, tcp */
} WtListenForm;

/* So many places one item can stand for: one without a scheme is by UDP and by TCP. */
#define WT_LISTEN_PLACES_OF_ITEM 2

/*
 * Reads an item, [scheme://]address[:port], of which `length` bytes are: an IPv6 address with a
 * port, and with a scheme, stands in brackets.  Gives how many places it stands for, which it
 * fills in; 0: it is wrong, and *fault says why, as the end of a sentence that begins with it.
 */
extern int wt_listen_read(WtListenForm form, const char *item, size_t length,
						  WtListenPlace places[WT_LISTEN_PLACES_OF_ITEM],
						  const char **fault);

#endif
