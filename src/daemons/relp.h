/*
 * relp.h
 *		RELP, the reliable event logging protocol: its frames.  Plain C.
 *
 * A frame is "NUMBER COMMAND LENGTH DATA\n", without the blank before DATA where LENGTH is 0.
 * Each that a client sends is answered by one "NUMBER rsp LENGTH 200 OK\n"; what is not answered
 * when its connection ends, the client sends again.
 */
#ifndef WT_RELP_H
#define WT_RELP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero it before the first frame. */
typedef struct WtRelp
{
	size_t discard; /* bytes that still come of a frame that has been cut */
	bool open;		/* the client has said what it offers */
} WtRelp;

typedef struct WtRelpFrame
{
	uint32_t number;
	const char *command; /* in the bytes, as all of it */
	size_t command_length;
	const char *data;
	size_t length;
	bool cut; /* data was longer than it may be: this is its beginning */
} WtRelpFrame;

typedef enum WtRelpResult
{
	WT_RELP_MORE,
	WT_RELP_FRAME,
	WT_RELP_MALFORMED
} WtRelpResult;

/* As wt_framing_next. */
extern WtRelpResult wt_relp_next(WtRelp *relp, const char *bytes, size_t length,
								 size_t max, size_t *used, WtRelpFrame *frame);

extern bool wt_relp_is(const WtRelpFrame *frame, const char *command);

/* What the answer to `open` offers, with 200 OK before it. */
extern const char wt_relp_offers[];

/* Room that an answer takes: its number, "rsp", the length, what it says, and a NUL. */
#define WT_RELP_ANSWER_SIZE 128

/* Writes an answer, that says this much; gives its length in bytes. */
extern size_t wt_relp_answer(char answer[WT_RELP_ANSWER_SIZE], uint32_t number,
							 const char *says);

#endif
