/*
 * exchange.h
 *		Requests, from their first line to their end: MHD's callbacks.
 */
#ifndef WT_EXCHANGE_H
#define WT_EXCHANGE_H

#include <stdarg.h>

#include "http/listener_state.h"

/* MHD's callbacks, in the order in which MHD calls them for a connection. */
extern void wt_on_connection(void *cls, struct MHD_Connection *mhd, void **context,
							 enum MHD_ConnectionNotificationCode code);
extern void *wt_on_target(void *cls, const char *target, struct MHD_Connection *mhd);
extern enum MHD_Result wt_on_request(void *cls, struct MHD_Connection *mhd,
									 const char *url, const char *method,
									 const char *version, const char *upload_data,
									 size_t *upload_data_size, void **context);
extern void wt_on_request_over(void *cls, struct MHD_Connection *mhd, void **context,
							   enum MHD_RequestTerminationCode code);

/* MHD's log: it says here that it is about to answer by itself. */
extern void wt_on_complaint(void *cls, const char *format, va_list values)
	__attribute__((format(printf, 2, 0)));

#endif
