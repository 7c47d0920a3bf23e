/*
 * framing.h
 *		Strict checks of a request's head, beyond those of libmicrohttpd.
 *
 * A head that two programs read differently lets a request ride behind another one
 * (request smuggling), so what RFC 9112 calls a bad request is refused here even where
 * the library reads it somehow.  Plain C.
 */
#ifndef WT_FRAMING_H
#define WT_FRAMING_H

#include <stdbool.h>
#include <stddef.h>

#include "http/request.h"

/*
 * NULL where the headers are well-formed and say without a doubt where the body ends;
 * else what is wrong with them, for the sender.
 */
extern const char *wt_framing_check_headers(const WtHeader *headers, int n_headers);

/*
 * Whether text can be a Host: of ASCII it has only characters that a name or an address, with
 * or without a port, may have; the rest cannot be taken for anything else.
 */
extern bool wt_framing_is_host(const char *text, size_t length);

/*
 * What wt_framing_check_headers does for the lines of the head as they lie in libmicrohttpd's memory: from
 * `version`, the request line's last part, to `end`, the first byte after the empty line.
 * The library has put NULs in place of the ends of lines, of the colons and of the spaces
 * in the request line.  Finds what the headers no longer show: line feeds without a
 * carriage return, folded lines, NULs, empty names.
 */
extern const char *wt_framing_check_lines(const char *version, const char *end);

#endif
