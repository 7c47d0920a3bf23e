/*
 * settings_checks.h
 *		Check hooks of the settings: each as PostgreSQL wants it, and without an ERROR.
 */
#ifndef WT_SETTINGS_CHECKS_H
#define WT_SETTINGS_CHECKS_H

#include "utils/guc.h"

/*
 * A list of headers, made by the check hooks: names in lower case, one after the other,
 * each with its NUL; an empty name ends the list.
 */
typedef struct WtHeaderList
{
	bool all; /* every header, whatever the names */
	char names[FLEXIBLE_ARRAY_MEMBER];
} WtHeaderList;

/* These make something of the value: a WtTargets, an Interval or NULL, and WtHeaderLists. */
extern bool wt_check_forward_to(char **newval, void **extra, GucSource source);
extern bool wt_check_retention(char **newval, void **extra, GucSource source);
extern bool wt_check_seal_after(char **newval, void **extra, GucSource source);
extern bool wt_check_store_headers(char **newval, void **extra, GucSource source);
extern bool wt_check_redact_headers(char **newval, void **extra, GucSource source);

extern bool wt_check_listen_addresses(char **newval, void **extra, GucSource source);
extern bool wt_check_table(char **newval, void **extra, GucSource source);
extern bool wt_check_database(char **newval, void **extra, GucSource source);
extern bool wt_check_stdout(char **newval, void **extra, GucSource source);
extern bool wt_check_syslog_listen(char **newval, void **extra, GucSource source);
extern bool wt_check_gelf_listen(char **newval, void **extra, GucSource source);
extern bool wt_check_allowed_senders(char **newval, void **extra, GucSource source);
extern bool wt_check_trusted_proxies(char **newval, void **extra, GucSource source);
extern bool wt_check_cors_origins(char **newval, void **extra, GucSource source);
extern bool wt_check_allowed_hosts(char **newval, void **extra, GucSource source);

#endif
