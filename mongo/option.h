/*
 * option.h
 *		The options of servers, user mappings and foreign tables.
 *
 * Names in windtrap_mongo begin with wm_ and Wm: libraries that are loaded into one
 * server see each other's symbols, and windtrap's begin with wt_ and Wt.
 */
#ifndef WM_OPTION_H
#define WM_OPTION_H

#include "foreign/foreign.h"

/* Documents sent to a server at once, unless batch_size says otherwise. */
#define WM_DEFAULT_BATCH_SIZE 1000

/* How a server is reached and as whom; strings are NULL where there is no such option. */
typedef struct WmServerOptions
{
	const char *uri;
	const char *address;
	int port;
	const char *replica_set;
	const char *read_preference;
	const char *authentication_database;
	const char *write_concern;
	bool journal;
	int server_selection_timeout_ms;
	int connect_timeout_ms;
	int socket_timeout_ms; /* 0: none */
	bool ssl;
	const char *pem_file;
	const char *pem_pwd;
	const char *ca_file;
	const char *ca_dir;
	const char *crl_file;
	bool weak_cert_validation;

	/* of the user mapping */
	const char *username;
	const char *password;
	const char *auth_mechanism;
	bool password_required;
} WmServerOptions;

typedef struct WmTableOptions
{
	const char *database;
	const char *collection;
	int batch_size;
	bool ignore_duplicates;
} WmTableOptions;

/* Both allocate in the current memory context. */
extern void wm_server_options(ForeignServer *server, UserMapping *mapping,
							  WmServerOptions *options);
extern void wm_table_options(Oid relation, WmTableOptions *options);

/* Raises unless a collection of this name can be in a database of that one. */
extern void wm_check_database_name(const char *name);
extern void wm_check_collection_name(const char *name);

#endif
