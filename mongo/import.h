/*
 * import.h
 *		IMPORT FOREIGN SCHEMA: a foreign table for each collection of a database.
 */
#ifndef WM_IMPORT_H
#define WM_IMPORT_H

#include "foreign/fdwapi.h"

extern List *wm_import_schema(ImportForeignSchemaStmt *statement, Oid server);

#endif
