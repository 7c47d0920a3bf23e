/*
 * jsonb_writer.h
 *		Writes jsonb's binary form in one pass, from tokens and ready-made parts.
 */
#ifndef WT_JSONB_WRITER_H
#define WT_JSONB_WRITER_H

#include "lib/stringinfo.h"

#include "event/json_tokens.h"

typedef enum WtMemberKind
{
	WT_MEMBER_STRING, /* text */
	WT_MEMBER_TRUE,
	WT_MEMBER_TOKEN,	/* the value at an index of json's tokens */
	WT_MEMBER_CONTAINER /* an object or array in jsonb's binary form, without its
						 * varlena header, as wt_jsonb_write_object leaves it */
} WtMemberKind;

/* One member of an object that is to be written. */
typedef struct WtMember
{
	const char *name;
	uint32 name_length;
	WtMemberKind kind;
	const char *text;	/* WT_MEMBER_STRING, WT_MEMBER_CONTAINER */
	uint32 text_length; /* bytes */
	uint32 token;		/* WT_MEMBER_TOKEN */
	uint32 order;		/* where it stood in the text: of one name, the last wins */
} WtMember;

/*
 * Appends an object to buffer, whose length must be a multiple of 4.  members must be
 * in jsonb's own order (shorter names first, then by bytes) without two of one name,
 * see wt_jsonb_sort_members.  json gives the tokens that members name; NULL where none
 * does.  Strings must be text in the server's encoding.  Raises where memory runs out.
 */
extern void wt_jsonb_write_object(StringInfo buffer, const WtJson *json,
								  const WtMember *members, int n_members);

/*
 * Appends the object that a token of json is, with all its children; as wt_jsonb_write_object
 * otherwise.
 */
extern void wt_jsonb_write_token(StringInfo buffer, const WtJson *json, uint32 token);

/* The same with one member more, which takes the place of one of its name. */
extern void wt_jsonb_write_token_with(StringInfo buffer, const WtJson *json, uint32 token,
									  const WtMember *member);

/*
 * Appends an array: the elements of the one that a token of json is, or what else the token is
 * (json is NULL: nothing), and behind them a container as WT_MEMBER_CONTAINER has it.
 */
extern void wt_jsonb_write_array_with(StringInfo buffer, const WtJson *json, uint32 token,
									  const StringInfoData *last);

/* Sorts members into jsonb's order and drops doubles; gives how many are left. */
extern int wt_jsonb_sort_members(WtMember *members, int n_members);

#endif
