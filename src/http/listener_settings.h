/*
 * listener_settings.h
 *		What a listener can be told: limits, and which proxies to believe.
 */
#ifndef WT_LISTENER_SETTINGS_H
#define WT_LISTENER_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct WtListenerSettings
{
	int max_connections;
	int max_connections_per_ip;	 /* 0: no limit */
	bool proxy_protocol;		 /* trusted proxies say whose connection it is */
	const char *trusted_proxies; /* a list, checked by wt_cidr_list_parse */
	size_t max_body_size;		 /* bytes of one body */
	size_t max_inflight;		 /* bytes of all bodies at one time */
	int request_timeout;		 /* ms */
} WtListenerSettings;

#endif
