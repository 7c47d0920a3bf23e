/*
 * settings_files.c
 *		What the configuration files say of our settings, and PostgreSQL has refused.
 *
 * PostgreSQL goes on with the value that was before, and one line in the log says so.  Under
 * preload a name that is not ours is a warning in the log; without it, what is wrong is not
 * even seen before the library is loaded, and then replaced by the default.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/varlena.h"

#include "base/settings_files.h"
#include "base/sql.h"
#include "base/transact.h"

/* It takes no longer than this, ms. */
#define TIMEOUT 5000

/* So many characters apart are still a slip of the pen. */
#define MAX_SLIP 3

/* Settings whose default may let in whom they were to keep out. */
static const char *const guards[] = {
	"windtrap.allowed_hosts",	"windtrap.allowed_senders",	 "windtrap.auth",
	"windtrap.cors_origins",	"windtrap.listen_addresses", "windtrap.proxy_protocol",
	"windtrap.tls_ca_file",		"windtrap.tls_cert_file",	 "windtrap.tls_key_file",
	"windtrap.tls_min_version", "windtrap.trusted_proxies",
};

/*
 * The last line of each name counts.  What is refused is wrong unless something stronger than
 * a file is in force; `unset` says that no file's value ever has been.  Of what is set for this
 * database or for our role nothing can take effect: our settings are those of the server.
 */
static const char query[] =
	"SELECT f.name, f.setting, "
	"       pg_catalog.format('%s line %s', "
	"           pg_catalog.regexp_replace(f.sourcefile, '^.*/', ''), f.sourceline), "
	"       s.name IS NULL, coalesce(s.source, 'default') = 'default' "
	"FROM (SELECT DISTINCT ON (pg_catalog.lower(name)) * "
	"      FROM pg_catalog.pg_show_all_file_settings() "
	"      WHERE pg_catalog.lower(name) LIKE 'windtrap.%' "
	"      ORDER BY pg_catalog.lower(name), seqno DESC) AS f "
	"     LEFT JOIN pg_catalog.pg_settings s "
	"     ON pg_catalog.lower(s.name) = pg_catalog.lower(f.name) "
	"WHERE f.error IS NOT NULL "
	"      AND coalesce(s.source, 'default') IN ('default', 'configuration file') "
	"UNION ALL "
	"SELECT c.name, c.setting, "
	"       CASE WHEN d.setrole = 0 THEN 'ALTER DATABASE' ELSE 'ALTER ROLE' END, "
	"       s.name IS NULL, true "
	"FROM pg_catalog.pg_db_role_setting d, "
	"     LATERAL (SELECT pg_catalog.split_part(i, '=', 1) AS name, "
	"                     pg_catalog.substr(i, pg_catalog.strpos(i, '=') + 1) AS setting "
	"              FROM pg_catalog.unnest(d.setconfig) AS i) AS c "
	"     LEFT JOIN pg_catalog.pg_settings s "
	"     ON pg_catalog.lower(s.name) = pg_catalog.lower(c.name) "
	"WHERE pg_catalog.lower(c.name) LIKE 'windtrap.%' "
	"      AND d.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database "
	"                                WHERE datname = pg_catalog.current_database())) "
	"      AND d.setrole IN (0, (SELECT oid FROM pg_catalog.pg_roles "
	"                            WHERE rolname = current_user)) "
	"      AND s.setting IS DISTINCT FROM c.setting "
	"ORDER BY 1";

static bool
is_guard(const char *name)
{
	for (int i = 0; i < (int) lengthof(guards); i++)
		if (pg_strcasecmp(guards[i], name) == 0)
			return true;
	return false;
}

/* The guard that a name was to be, by its letters; NULL: none. */
static const char *
guard_meant(const char *name)
{
	const char *best = NULL;
	int best_distance = MAX_SLIP + 1;

	for (int i = 0; i < (int) lengthof(guards) && strlen(name) < NAMEDATALEN; i++)
	{
		int distance = varstr_levenshtein_less_equal(name, (int) strlen(name), guards[i],
													 (int) strlen(guards[i]), 1, 1, 1,
													 best_distance, true);

		if (distance < best_distance)
		{
			best_distance = distance;
			best = guards[i];
		}
	}
	return best;
}

/* Adds a sentence to those that are there, as long as there is room. */
static void
add(char *list, const char *sentence)
{
	size_t length = strlen(list);

	snprintf(list + length, WT_SETTINGS_ERROR_SIZE - length, "%s%s", length ? "; " : "",
			 sentence);
}

static char *
text_of(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

static void
check(void *arg)
{
	WtSettingsFaults *faults = arg;
	uint64 n;

	SPI_connect();
	n = wt_sql_run(query, 0, NULL, NULL, NULL);
	for (uint64 i = 0; i < n; i++)
	{
		const char *name = text_of(i, 1);
		const char *value = text_of(i, 2);
		const char *where = text_of(i, 3);
		bool unknown = text_of(i, 4)[0] == 't';
		bool unset = text_of(i, 5)[0] == 't';
		const char *meant = unknown ? guard_meant(name) : NULL;
		char *sentence;

		if (unknown)
			sentence = psprintf("%s in %s is no setting%s%s", name, where,
								meant ? ", did you mean " : "", meant ? meant : "");
		else if (where[0] == 'A')
			sentence = psprintf("%s by %s has no effect, set it in postgresql.conf", name,
								where);
		else
			sentence =
				psprintf("%s = '%s' in %s is not valid", name, value ? value : "", where);
		add(faults->all, sentence);
		if (unset && (is_guard(name) || meant))
			add(faults->door, sentence);
	}
	SPI_finish();
}

void
wt_settings_check_files(WtSettingsFaults *faults)
{
	ErrorData *error;

	memset(faults, 0, sizeof(*faults));
	error = wt_transact(check, faults, "checking settings", TIMEOUT);
	if (!error)
		return;
	memset(faults, 0, sizeof(*faults));
	snprintf(faults->all, sizeof(faults->all), "the settings could not be checked: %s",
			 error->message);
	strlcpy(faults->door, faults->all, sizeof(faults->door));
	FreeErrorData(error);
}
