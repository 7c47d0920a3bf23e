#!/bin/sh
# Watches a primary, and promotes its standby when the primary has gone: docs/high-availability.md.
#
# Run it on a third host, or on the standby's, as a user who may connect to both databases and
# call pg_promote() on the standby:
#
#   PRIMARY='host=db1 dbname=postgres user=witness'    how psql connects to the primary
#   STANDBY='host=db2 dbname=postgres user=witness'    and to the standby
#   HEALTH=http://db1:8000/health                      the primary's listener
#   NAME=db2            the standby's name in synchronous_standby_names
#   FENCE=/etc/windtrap/fence    a command that makes sure that the primary has stopped, and
#                       fails (any code but 0) where it could not; empty: see below
#   AFTER=/etc/windtrap/after    a command that is run when the standby has been promoted, as to
#                       move an address; empty: none
#   INTERVAL=1          seconds between two looks
#   FAILURES=5          looks in a row that must fail
#
# It promotes nothing unless
#   - neither pg_isready nor any answer of HTTP has come from the primary FAILURES times in a row;
#   - the standby is one, and receives nothing from the primary either: two have to miss it;
#   - the primary cannot acknowledge anything on its own.  That is so where, when it was last
#     seen, synchronous_standby_names had this standby and no other, and the standby kept up: then
#     each 2xx needs the standby, which will give its consent no more.  Else FENCE has to see to it.
#
# It ends when it has promoted the standby (0), or cannot (1): nothing is left to be promoted then.
set -u

: "${PRIMARY:?}" "${STANDBY:?}" "${HEALTH:?}"
NAME=${NAME:-}
FENCE=${FENCE:-}
AFTER=${AFTER:-}
INTERVAL=${INTERVAL:-1}
FAILURES=${FAILURES:-5}
PATIENCE=2 # s for each look
export PGCONNECT_TIMEOUT=$PATIENCE

say() { echo "witness: $*"; }

# ask CONNECTION STATEMENT: what it gives; fails where there is no answer in time.
ask() { timeout $((PATIENCE * 2)) psql -XAtq -d "$1" -c "$2" 2>/dev/null; }

# Any answer of HTTP, also that it is not well, is one of a server that lives.
is_there() {
	pg_isready -q -t "$PATIENCE" -d "$PRIMARY" ||
		curl -s -o /dev/null -m "$PATIENCE" "$HEALTH"
}

# Whether each commit of the primary needs our standby: it alone is named, and it keeps up.
needs_standby() {
	[ -n "$NAME" ] || return
	only=$(ask "$PRIMARY" "
		SELECT current_setting('synchronous_standby_names') ~*
			('^\s*((first|any)\s+)?(1\s*\(\s*)?\"?' || r.application_name || '\"?\s*\)?\s*\$')
		FROM pg_stat_replication r
		WHERE r.application_name = '$NAME' AND r.application_name ~ '^\w+\$'
			AND r.sync_state IN ('sync', 'quorum')") || only=unknown
	case $only in
	t) return 0 ;;
	unknown) return 2 ;; # it has gone meanwhile: as before
	*) return 1 ;;
	esac
}

# What the standby says of itself: standby, streaming (it hears from the primary), or primary.
standby_is() {
	ask "$STANDBY" "
		SELECT CASE WHEN NOT pg_is_in_recovery() THEN 'primary'
			WHEN EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming') THEN 'streaming'
			ELSE 'standby' END"
}

needed= # yes: when the primary was last seen, it could acknowledge nothing without the standby
seen=   # yes: it has been seen at all
failures=0
said=
tell() { [ "$said" = "$*" ] || say "$*"; said=$*; }

say "watching"
while :; do
	if is_there; then
		failures=0
		needs_standby
		case $? in
		0) needed=yes seen=yes ;;
		1) needed='' seen=yes ;;
		esac
		if [ -n "$needed" ]; then
			tell "the primary is there, and acknowledges nothing without the standby"
		elif [ -n "$FENCE" ]; then
			tell "the primary is there; before the standby is promoted it has to be fenced"
		else
			tell "the primary is there, and can acknowledge without the standby: there will be no promotion"
		fi
		sleep "$INTERVAL"
		continue
	fi
	failures=$((failures + 1))
	if [ "$failures" -lt "$FAILURES" ]; then
		sleep "$INTERVAL"
		continue
	fi
	state=$(standby_is) || state=silent
	case $state in
	standby) ;;
	primary)
		say "the standby is a primary already"
		exit 1
		;;
	streaming)
		tell "the primary does not answer, but the standby hears from it: it is there"
		sleep "$INTERVAL"
		continue
		;;
	*)
		tell "neither the primary nor the standby answers"
		sleep "$INTERVAL"
		continue
		;;
	esac
	if [ -n "$FENCE" ]; then
		tell "the primary has gone: fencing it"
		if ! "$FENCE"; then
			tell "it could not be fenced: no promotion"
			sleep "$INTERVAL"
			continue
		fi
	elif [ -z "$needed" ]; then
		if [ -n "$seen" ]; then
			tell "the primary has gone, but may acknowledge on its own, and there is no FENCE: no promotion"
		else
			tell "the primary has not been seen, so it may acknowledge on its own, and there is no FENCE: no promotion"
		fi
		sleep "$INTERVAL"
		continue
	fi
	say "the primary has gone: promoting the standby"
	if [ "$(timeout 70 psql -XAtq -d "$STANDBY" -c 'SELECT pg_promote()')" != t ]; then
		say "the standby could not be promoted"
		exit 1
	fi
	say "the standby is the primary"
	[ -z "$AFTER" ] || "$AFTER" || say "AFTER has failed"
	exit 0
done
