/*
 * settings_files.h
 *		What the configuration files say of our settings, and PostgreSQL has refused.
 */
#ifndef WT_SETTINGS_FILES_H
#define WT_SETTINGS_FILES_H

#include "postgres.h"

#define WT_SETTINGS_ERROR_SIZE 256

typedef struct WtSettingsFaults
{
	char all[WT_SETTINGS_ERROR_SIZE];  /* what is wrong; "": nothing */
	char door[WT_SETTINGS_ERROR_SIZE]; /* why nothing may be let in; "": it may */
} WtSettingsFaults;

/*
 * Reads the configuration files as the view pg_file_settings does, and what ALTER DATABASE and
 * ALTER ROLE have set, in a transaction of its own; for the start of a process and for reloads,
 * not for requests.
 *
 * A value that is refused leaves the one in force that was before: after a restart that is the
 * default.  For a setting that guards a door the default may let in whom the refused one was to
 * keep out; `door` says so.
 *
 * Where they cannot be read, both say why.  Raises nothing but FATAL.
 */
extern void wt_settings_check_files(WtSettingsFaults *faults);

#endif
