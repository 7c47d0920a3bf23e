/*
 * protocols.h
 *		The protocols that there are, each in a file of its name.
 */
#ifndef WT_PROTOCOLS_H
#define WT_PROTOCOLS_H

#include "protocol/protocol.h"

extern const WtProtocol wt_cloudevents;
extern const WtProtocol wt_datadog;
extern const WtProtocol wt_elastic;
extern const WtProtocol wt_forwarded;
extern const WtProtocol wt_gelf;
extern const WtProtocol wt_hec;
extern const WtProtocol wt_journald;
extern const WtProtocol wt_loki;
extern const WtProtocol wt_otlp;

/* Of senders that speak no HTTP: they are not among wt_protocols. */
extern const WtProtocol wt_gelf_messages;
extern const WtProtocol wt_syslog_messages;

#endif
