/*
 * quarantine.c
 *		Events in quarantine: parsing them again.
 *
 * The rest of windtrap.retry_quarantined() is SQL; this is the collector's own parser, so
 * that what it accepts here is what it accepts from a sender.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/jsonb.h"

#include "json.h"
#include "jsonb_writer.h"

PG_FUNCTION_INFO_V1(windtrap_parse_event);

static const char *
describe_error(WtJsonResult result, const char *event, const WtJsonError *error)
{
	int line;
	int column;

	wt_json_position(event, error->offset, &line, &column);
	return psprintf("%sat line %d, column %d: %s",
					result == WT_JSON_UNFIT ? "" : "bad JSON ", line, column,
					error->reason);
}

/* windtrap.parse_event(raw bytea) RETURNS jsonb */
Datum
windtrap_parse_event(PG_FUNCTION_ARGS)
{
	bytea *raw = PG_GETARG_BYTEA_PP(0);
	const char *event = VARDATA_ANY(raw);
	WtJson json = {0};
	WtJsonError error;
	WtJsonResult result;
	WtMember member = {0};
	StringInfoData buffer;

	initStringInfo(&buffer);
	appendStringInfoSpaces(&buffer, VARHDRSZ);
	result = wt_json_parse(&json, event, VARSIZE_ANY_EXHDR(raw), &error);
	PG_TRY();
	{
		if (result == WT_JSON_OUT_OF_MEMORY)
			ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
		if (result == WT_JSON_OK)
		{
			member.name = "json";
			member.kind = WT_MEMBER_TOKEN;
		}
		else
		{
			member.name = "error";
			member.kind = WT_MEMBER_STRING;
			member.text = describe_error(result, event, &error);
			member.text_length = (uint32) strlen(member.text);
		}
		member.name_length = (uint32) strlen(member.name);
		wt_jsonb_write_object(&buffer, &json, &member, 1);
	}
	PG_FINALLY();
	{
		wt_json_shrink(&json, 0);
	}
	PG_END_TRY();
	SET_VARSIZE(buffer.data, buffer.len);
	PG_RETURN_POINTER(buffer.data);
}
