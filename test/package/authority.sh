# shellcheck shell=bash
# For the tests of a collector with TLS, after lib.sh: an ACME authority on this machine, and what
# a client sees.

# start_authority NAME: NAME is this machine, certbot asks Pebble for certificates, and
# everybody trusts Pebble's.
start_authority() {
	local to=/tmp/pebble
	apt-get install -qq -y pebble openssl curl certbot >/dev/null
	echo "127.0.0.1 $1" >>/etc/hosts
	mkdir -p "$to"
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
		-keyout "$to/key.pem" -out "$to/cert.pem" 2>/dev/null
	cat >"$to/config.json" <<-JSON
		{"pebble": {"listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000",
			"certificate": "$to/cert.pem", "privateKey": "$to/key.pem", "httpPort": 80, "tlsPort": 443}}
	JSON
	PEBBLE_VA_NOSLEEP=1 PEBBLE_WFE_NONCEREJECT=0 pebble -config "$to/config.json" >"$to/log" 2>&1 &
	mkdir -p /etc/letsencrypt
	printf 'server = https://localhost:14000/dir\nno-verify-ssl = true\n' >/etc/letsencrypt/cli.ini
	wait_for 30 curl -skf https://localhost:15000/roots/0
	curl -skf https://localhost:15000/roots/0 >/usr/local/share/ca-certificates/pebble.crt
	update-ca-certificates >/dev/null
}

# The serial number of the certificate that the collector shows.
served_certificate() {
	openssl s_client -connect logs.example.com:8443 -servername logs.example.com </dev/null 2>/dev/null |
		openssl x509 -noout -serial
}

# send TOKEN EVENT: what it is answered.
send() {
	curl -sS -H "Authorization: Bearer $1" -d "{\"event\":\"$2\"}" https://logs.example.com:8443/log
}

# What docs/droplet.md promises of the machine that its paste has made.
check_collector() {
	local token
	is "the first event is a row" "$(sql "SELECT data->'json'->>'event' FROM log" logs)" 'collector installed'
	is "without a token nobody sends" "$(curl -sS -o /dev/null -w '%{http_code}' -d '{}' https://logs.example.com:8443/log)" 401
	token=$(sql "SELECT windtrap.create_token('second')" logs)
	is "with one, by TLS, they do" "$(send "$token" second)" '{"accepted":1}'
	is "on all addresses, of both families" "$(ss -Htln 'sport = :8443' | awk '{ print $4 }' | sort | paste -sd ' ')" '0.0.0.0:8443 [::]:8443'
	is "PostgreSQL itself on this machine alone" \
		"$(ss -Htln 'sport = :5432' | awk '{ print $4 }' | grep -vcE '^(127\.0\.0\.1|\[::1\]):')" 0
	is "events are kept 30 days" "$(sql 'SHOW windtrap.retention' logs)" '30 days'
	is "nothing is wrong" "$(sql "SELECT count(*) FROM windtrap.status WHERE last_error <> ''" logs)" 0
	pg_ctlcluster "${major:?}" main restart
	wait_for 30 send "$token" restarted
	is "it starts with the server" "$(sql "SELECT count(*) FROM log WHERE data->'json'->>'event' = 'restarted'" logs)" 1
}
