/*
 * intake.h
 *		Listens for syslog and GELF as the settings say, and says why where it does not.
 */
#ifndef WT_INTAKE_H
#define WT_INTAKE_H

#include "datatype/timestamp.h"

#include "daemons/daemons.h"
#include "http/listener.h"

/* Begins, in a worker of this number; what it gives lasts until wt_intake_end. */
extern WtDaemons *wt_intake_start(const WtListener *listener, int number);

/* The settings have been read again, and TLS is what they say. */
extern void wt_intake_reload(void);

/* Where it listens otherwise, tries that again, once a second. */
extern void wt_intake_try_again(void);
extern bool wt_intake_is_otherwise(void);

extern void wt_intake_end(void);

#endif
