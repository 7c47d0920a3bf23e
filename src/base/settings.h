/*
 * settings.h
 *		The settings, windtrap.*; each is explained where settings.c defines it.
 */
#ifndef WT_SETTINGS_H
#define WT_SETTINGS_H

#include <limits.h>

#include "datatype/timestamp.h"

extern char *wt_database;
extern int wt_workers;
extern char *wt_listen_addresses;
extern int wt_port;
extern int wt_viewer_port; /* 0: there is no viewer */
extern int wt_viewers;
extern int wt_viewer_timeout;  /* ms */
extern char *wt_syslog_listen; /* lists for wt_listen_read; empty: nowhere */
extern char *wt_gelf_listen;
extern char *wt_allowed_senders; /* a list for wt_cidr_list_parse */
extern char *wt_tls_cert_file;	 /* empty: no TLS */
extern char *wt_tls_key_file;
extern char *wt_tls_ca_file;
extern int wt_tls_min_version; /* 12 or 13 */
extern char *wt_table;
extern int wt_max_connections;
extern int wt_max_connections_per_ip; /* 0: no limit */
extern bool wt_proxy_protocol;
extern int wt_max_body_size;  /* bytes */
extern int wt_max_event_size; /* bytes */
extern int wt_max_batch_events;
extern int wt_max_clock_skew;  /* s */
extern int wt_max_inflight;	   /* kB */
extern int wt_request_timeout; /* ms */
extern int wt_auth_mode;	   /* WtAuthMode */
extern char *wt_cors_origins;
extern char *wt_allowed_hosts;
extern char *wt_trusted_proxies; /* a list for wt_cidr_list_parse */
extern int wt_retention_size;	 /* MB; 0: no limit */
extern int wt_retention_grace;	 /* seconds */
extern int wt_partition_width;	 /* hours, a divisor of a day's */
extern bool wt_partitionwise_aggregate;

extern bool wt_quarantine_single;
extern int wt_idempotency_window; /* seconds; 0: keys are not looked at */
extern bool wt_repair;
extern char *wt_stdout;
extern char *wt_forward_ca_file;	/* "": the system's */
extern char *wt_forward_token_file; /* "": no token */

extern int wt_alert_interval;		/* ms */
extern int wt_alert_timeout;		/* ms */
extern char *wt_webhook_ca_file;	/* "": the system's */
extern char *wt_webhook_token_file; /* "": no token */

extern bool wt_postgres;	   /* events go to the log table */
extern int wt_outbox_max_size; /* MB; 0: no limit */
extern int wt_outbox_full;	   /* a WtOutboxFull */

extern int
	wt_server_log; /* a level of the server's, from which on its messages are copied */
#define WT_SERVER_LOG_OFF INT_MAX
extern bool wt_server_log_statement;
extern int wt_ring_size;	/* kB */
extern int wt_emit_timeout; /* ms */

/* What becomes of events while the outbox is full. */
typedef enum WtOutboxFull
{
	WT_OUTBOX_REFUSE,	  /* new ones are refused */
	WT_OUTBOX_DROP_OLDEST /* the oldest ones in it are dropped */
} WtOutboxFull;

/* Most targets that windtrap.forward_to can name, and the longest: a quoted name, or a URL. */
#define WT_MAX_TARGETS 8
#define WT_TARGET_SIZE (4 * NAMEDATALEN + 6)

/*
 * What windtrap.forward_to names: tables, each as schema.name, quoted where SQL would, and URLs
 * as they are; wt_is_url tells which.
 */
typedef struct WtTargets
{
	int n;
	char names[WT_MAX_TARGETS][WT_TARGET_SIZE];
} WtTargets;

/* Most workers that windtrap.workers can ask for. */
#define WT_MAX_WORKERS 16

/* Most viewers that windtrap.viewers can ask for. */
#define WT_MAX_VIEWERS 8

/* Defines the settings; called once a process, from _PG_init. */
extern void wt_settings_define(void);

/* Where events are forwarded to; never NULL.  Valid until the next reload. */
extern const WtTargets *wt_forward_targets(void);

/*
 * Why events cannot be taken at all, since the settings leave them no place to go to; NULL:
 * they have one.  Every destination that there is is asked here.
 */
extern const char *wt_no_destination(void);

/* Whether lines by windtrap.stdout are all that there is of an event, if anything is. */
extern bool wt_only_stdout(void);

/* How long events are kept: windtrap.retention, NULL: for ever. */
extern const Interval *wt_retention(void);

/*
 * How long a partition's time must be over before it is sealed: windtrap.seal_after, NULL: it
 * is not.
 */
extern const Interval *wt_seal_after(void);

/*
 * Where windtrap.stdout says that lines go: NULL: nowhere; "": standard output; else an absolute
 * path.
 */
extern const char *wt_stdout_target(void);

/* Whether a header, its name in lower case, is kept at all, and with its value. */
extern bool wt_header_is_stored(const char *name);
extern bool wt_header_is_redacted(const char *name);

#endif
