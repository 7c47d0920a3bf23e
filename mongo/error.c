/*
 * error.c
 *		What libmongoc and MongoDB say of failures, as PostgreSQL's errors.
 *
 * Error codes of MongoDB's server come in domain MONGOC_ERROR_SERVER, because clients are
 * set to version 2 of libmongoc's error interface.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "error.h"

/* MongoDB's codes that have a counterpart here. */
#define MONGO_UNAUTHORIZED 13
#define MONGO_AUTHENTICATION_FAILED 18
#define MONGO_MAX_TIME_EXPIRED 50
#define MONGO_INVALID_ID 53
#define MONGO_OVERFLOW 15
#define MONGO_UNSATISFIABLE_WRITE_CONCERN 100
#define MONGO_WRITE_CONCERN_FAILED 64
#define MONGO_WRITE_CONCERN_NOT_DEFINED 79
#define MONGO_DOCUMENT_VALIDATION 121
#define MONGO_TOO_LARGE 10334
#define MONGO_DUPLICATE_KEY 11000

char *
wm_printable(const char *text)
{
	int length = (int) strlen(text);
	char *copy;

	if (pg_verify_mbstr(PG_UTF8, text, length, true))
	{
		copy = pg_any_to_server(text, length, PG_UTF8);
		return copy == text ? pstrdup(text) : copy;
	}
	copy = pstrdup(text);
	for (char *p = copy; *p != '\0'; p++)
	{
		if (IS_HIGHBIT_SET(*p))
			*p = '?';
	}
	return copy;
}

bool
wm_error_breaks_connection(const bson_error_t *error)
{
	switch (error->domain)
	{
		case MONGOC_ERROR_CLIENT:
		case MONGOC_ERROR_STREAM:
		case MONGOC_ERROR_PROTOCOL:
		case MONGOC_ERROR_SASL:
		case MONGOC_ERROR_SCRAM:
		case MONGOC_ERROR_SERVER_SELECTION:
			return true;
		case MONGOC_ERROR_SERVER:
			switch (error->code)
			{
				case 6:		/* HostUnreachable */
				case 7:		/* HostNotFound */
				case 89:	/* NetworkTimeout */
				case 91:	/* ShutdownInProgress */
				case 189:	/* PrimarySteppedDown */
				case 9001:	/* SocketException */
				case 10058: /* LegacyNotPrimary */
				case 10107: /* NotWritablePrimary */
				case 11600: /* InterruptedAtShutdown */
				case 11602: /* InterruptedDueToReplStateChange */
				case 13435: /* NotPrimaryNoSecondaryOk */
				case 13436: /* NotPrimaryOrSecondary */
					return true;
				default:
					return false;
			}
		default:
			return false;
	}
}

static int
sqlstate_of(const bson_error_t *error)
{
	switch (error->domain)
	{
		case MONGOC_ERROR_CLIENT:
			if (error->code == MONGOC_ERROR_CLIENT_AUTHENTICATE)
				return ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
			return ERRCODE_CONNECTION_FAILURE;
		case MONGOC_ERROR_SASL:
		case MONGOC_ERROR_SCRAM:
			return ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
		case MONGOC_ERROR_SERVER_SELECTION:
			return ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION;
		case MONGOC_ERROR_STREAM:
		case MONGOC_ERROR_PROTOCOL:
			return ERRCODE_CONNECTION_FAILURE;
		case MONGOC_ERROR_WRITE_CONCERN:
			return ERRCODE_T_R_STATEMENT_COMPLETION_UNKNOWN;
		default:
			break;
	}
	switch (error->code)
	{
		case MONGO_UNAUTHORIZED:
			return ERRCODE_INSUFFICIENT_PRIVILEGE;
		case MONGO_AUTHENTICATION_FAILED:
			return ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
		case MONGO_MAX_TIME_EXPIRED:
			return ERRCODE_QUERY_CANCELED;
		case MONGO_INVALID_ID:
			return ERRCODE_DATATYPE_MISMATCH;
		case MONGO_OVERFLOW:
		case MONGO_TOO_LARGE:
			return ERRCODE_PROGRAM_LIMIT_EXCEEDED;
		case MONGO_UNSATISFIABLE_WRITE_CONCERN:
		case MONGO_WRITE_CONCERN_FAILED:
		case MONGO_WRITE_CONCERN_NOT_DEFINED:
			return ERRCODE_T_R_STATEMENT_COMPLETION_UNKNOWN;
		case MONGO_DOCUMENT_VALIDATION:
			return ERRCODE_CHECK_VIOLATION;
		case MONGO_DUPLICATE_KEY:
			return ERRCODE_UNIQUE_VIOLATION;
		default:
			return wm_error_breaks_connection(error) ? ERRCODE_CONNECTION_FAILURE
													 : ERRCODE_FDW_ERROR;
	}
}

void
wm_raise(const bson_error_t *error, const char *doing, const char *detail)
{
	ereport(ERROR, errcode(sqlstate_of(error)),
			errmsg("%s: %s", doing, wm_printable(error->message)),
			detail != NULL ? errdetail_internal("%s", detail) : 0);
}
