/*
 * accept_encoding.h
 *		Whether a client takes compressed answers.  Plain C.
 */
#ifndef WT_ACCEPT_ENCODING_H
#define WT_ACCEPT_ENCODING_H

#include "http/request.h"

/* Whether who sends a request takes an answer in gzip, by its Accept-Encoding headers. */
extern bool wt_accepts_gzip(const WtRequest *request);

#endif
