/*
 * tls.c
 *		TLS, by GnuTLS: see tls.h.
 */
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "http/tls.h"

/* The largest file that is read: the bundles of all public authorities have 250 kB. */
#define MAX_FILE (4 * 1024 * 1024)

#define DIGEST_SIZE 32

struct WtTls
{
	int n_holders;
	gnutls_certificate_credentials_t credentials;
	gnutls_priority_t priority;
	bool asks;						   /* clients for their certificates */
	unsigned char digest[DIGEST_SIZE]; /* of all that it was made of */
};

/*
 * Making credentials
 */

static gnutls_datum_t
datum(const WtFile *file)
{
	gnutls_datum_t d = {.data = file->bytes, .size = (unsigned int) file->length};

	return d;
}

static bool
make_digest(const WtTlsSettings *settings, const WtFile files[3],
			unsigned char digest[DIGEST_SIZE])
{
	gnutls_hash_hd_t hash;

	if (gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) < 0)
		return false;
	for (int i = 0; i < 3; i++)
	{
		gnutls_hash(hash, &files[i].length, sizeof(files[i].length));
		if (files[i].length > 0)
			gnutls_hash(hash, files[i].bytes, files[i].length);
	}
	gnutls_hash(hash, &settings->only_1_3, sizeof(settings->only_1_3));
	gnutls_hash_deinit(hash, digest);
	return true;
}

static bool
set_key(WtTls *tls, const WtTlsSettings *settings, const WtFile *cert, const WtFile *key,
		WtFileError *error)
{
	gnutls_datum_t cert_datum = datum(cert);
	gnutls_datum_t key_datum = datum(key);
	int rc = gnutls_certificate_set_x509_key_mem(tls->credentials, &cert_datum,
												 &key_datum, GNUTLS_X509_FMT_PEM);

	if (rc >= 0)
		return true;
	if (rc == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
	{
		error->hint = "Where both are being renewed, the other one is tried again in a "
					  "moment.";
		return wt_file_fail(error,
							"the private key \"%s\" does not fit the certificate \"%s\"",
							settings->key_file, settings->cert_file);
	}
	if (rc == GNUTLS_E_DECRYPTION_FAILED ||
		strstr((const char *) key->bytes, "ENCRYPTED"))
	{
		error->hint = "Nobody is there to type a passphrase: store the key without one.";
		return wt_file_fail(error, "the private key \"%s\" is encrypted",
							settings->key_file);
	}
	return wt_file_fail(error,
						"could not use the certificate \"%s\" with the key \"%s\": %s",
						settings->cert_file, settings->key_file, gnutls_strerror(rc));
}

static bool
set_authorities(WtTls *tls, const WtTlsSettings *settings, const WtFile *ca,
				WtFileError *error)
{
	gnutls_datum_t ca_datum = datum(ca);
	int rc = gnutls_certificate_set_x509_trust_mem(tls->credentials, &ca_datum,
												   GNUTLS_X509_FMT_PEM);

	if (rc < 0)
		return wt_file_fail(error, "could not use the authorities \"%s\": %s",
							settings->ca_file, gnutls_strerror(rc));
	/* Without any, nobody could be told from anybody. */
	if (rc == 0)
		return wt_file_fail(error, "there is no certificate in \"%s\"",
							settings->ca_file);
	tls->asks = true;
	return true;
}

static bool
fill(WtTls *tls, const WtTlsSettings *settings, const WtFile files[3], WtFileError *error)
{
	int rc = gnutls_certificate_allocate_credentials(&tls->credentials);

	if (rc >= 0)
		rc = gnutls_priority_init(&tls->priority,
								  settings->only_1_3
									  ? "NORMAL:-VERS-ALL:+VERS-TLS1.3"
									  : "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2",
								  NULL);
	if (rc < 0)
		return wt_file_fail(error, "could not prepare TLS: %s", gnutls_strerror(rc));
	return set_key(tls, settings, &files[0], &files[1], error) &&
		   (settings->ca_file[0] == '\0' ||
			set_authorities(tls, settings, &files[2], error));
}

WtTls *
wt_tls_load(const WtTlsSettings *settings, WtTls *current, WtFileError *error)
{
	WtFile files[3] = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
	unsigned char digest[DIGEST_SIZE];
	WtTls *tls = NULL;

	error->message[0] = '\0';
	error->hint = NULL;
	if (wt_file_read("certificate", settings->cert_file, false, MAX_FILE, &files[0],
					 error) &&
		wt_file_read("private key", settings->key_file, true, MAX_FILE, &files[1],
					 error) &&
		(settings->ca_file[0] == '\0' || wt_file_read("authorities", settings->ca_file,
													  false, MAX_FILE, &files[2], error)))
	{
		if (!make_digest(settings, files, digest) || !(tls = calloc(1, sizeof(WtTls))))
			wt_file_fail(error, "out of memory");
		else if (current && memcmp(digest, current->digest, DIGEST_SIZE) == 0)
		{
			free(tls);
			tls = wt_tls_hold(current);
		}
		else
		{
			tls->n_holders = 1;
			memcpy(tls->digest, digest, DIGEST_SIZE);
			if (!fill(tls, settings, files, error))
			{
				wt_tls_release(tls);
				tls = NULL;
			}
		}
	}
	for (int i = 0; i < 3; i++)
		wt_file_forget(&files[i]);
	return tls;
}

WtTls *
wt_tls_hold(WtTls *tls)
{
	tls->n_holders++;
	return tls;
}

void
wt_tls_release(WtTls *tls)
{
	if (--tls->n_holders > 0)
		return;
	if (tls->credentials)
		gnutls_certificate_free_credentials(tls->credentials);
	if (tls->priority)
		gnutls_priority_deinit(tls->priority);
	free(tls);
}

/*
 * Sessions
 */

bool
wt_tls_begin(const WtTls *tls, gnutls_session_t session)
{
	if (gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, tls->credentials) < 0 ||
		gnutls_priority_set(session, tls->priority) < 0)
		return false;
	if (tls->asks)
		gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
	return true;
}

bool
wt_tls_asks(const WtTls *tls)
{
	return tls->asks;
}

bool
wt_tls_wants_to_write(gnutls_session_t session)
{
	return gnutls_record_get_direction(session) == 1;
}

bool
wt_tls_has_unread(gnutls_session_t session)
{
	return gnutls_record_check_pending(session) > 0;
}

void
wt_tls_send_last(gnutls_session_t session, const char *message, size_t length)
{
	/* Of a record that was sent in part, GnuTLS would have the rest first. */
	if (gnutls_record_send(session, message, length) == (ssize_t) length)
		gnutls_bye(session, GNUTLS_SHUT_WR);
}

/*
 * Who the client is
 */

static const char *
what_is_wrong(unsigned int status)
{
	if (status & GNUTLS_CERT_REVOKED)
		return "it has been revoked";
	if (status & (GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNER_NOT_CA))
		return "no authority of windtrap.tls_ca_file has issued it";
	if (status & GNUTLS_CERT_EXPIRED)
		return "it has expired";
	if (status & GNUTLS_CERT_NOT_ACTIVATED)
		return "it is not valid yet";
	if (status & GNUTLS_CERT_PURPOSE_MISMATCH)
		return "it is not meant for clients";
	if (status & GNUTLS_CERT_INSECURE_ALGORITHM)
		return "its algorithm or the length of its key is not secure";
	return "it could not be verified";
}

/* Universal types of ASN.1 whose bytes are UTF-8, or ASCII, as they are. */
static bool
is_text_type(unsigned long tag)
{
	return tag == 12 /* UTF8String */ || tag == 19 /* PrintableString */ ||
		   tag == 22 /* IA5String */;
}

/* Who would compare it must not see two names as one: no control characters, no NUL. */
static bool
copy_name(const gnutls_datum_t *value, char *name)
{
	const char *bytes = (const char *) value->data;

	if (value->size == 0 || value->size >= WT_CERTIFICATE_NAME_SIZE ||
		wt_text_valid_prefix(bytes, value->size) != value->size)
		return false;
	for (unsigned int i = 0; i < value->size; i++)
	{
		unsigned char c = value->data[i];

		/* C0 and DEL, and C1 in its two bytes. */
		if (c < 0x20 || c == 0x7F ||
			(c == 0xC2 && i + 1 < value->size && value->data[i + 1] < 0xA0))
			return false;
	}
	memcpy(name, bytes, value->size);
	name[value->size] = '\0';
	return true;
}

/* The subject's one common name; false: there is none, or several, or it is not text. */
static bool
common_name(gnutls_x509_crt_t certificate, char *name)
{
	gnutls_x509_dn_t subject;
	gnutls_x509_ava_st ava;
	int found = 0;

	if (gnutls_x509_crt_get_subject(certificate, &subject) < 0)
		return false;
	for (int rdn = 0; gnutls_x509_dn_get_rdn_ava(subject, rdn, 0, &ava) >= 0; rdn++)
	{
		for (int i = 0; gnutls_x509_dn_get_rdn_ava(subject, rdn, i, &ava) >= 0; i++)
		{
			/* The OID may come with its NUL. */
			if (strncmp((const char *) ava.oid.data, GNUTLS_OID_X520_COMMON_NAME,
						ava.oid.size) != 0 ||
				ava.oid.size < strlen(GNUTLS_OID_X520_COMMON_NAME))
				continue;
			if (++found > 1 || !is_text_type(ava.value_tag) ||
				!copy_name(&ava.value, name))
				return false;
		}
	}
	return found == 1;
}

WtTlsPeer
wt_tls_peer(const WtTls *tls, gnutls_session_t session, char *text)
{
	const gnutls_datum_t *chain;
	gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
									 .data = (unsigned char *) GNUTLS_KP_TLS_WWW_CLIENT};
	gnutls_x509_crt_t certificate;
	unsigned int n = 0;
	unsigned int status = 0;
	bool named;

	if (!tls->asks)
		return WT_TLS_PEER_ANONYMOUS;
	chain = gnutls_certificate_get_peers(session, &n);
	if (!chain || n == 0)
		return WT_TLS_PEER_ANONYMOUS;
	if (gnutls_certificate_verify_peers(session, &purpose, 1, &status) < 0)
		status = GNUTLS_CERT_INVALID;
	if (status != 0)
	{
		snprintf(text, WT_CERTIFICATE_NAME_SIZE, "%s", what_is_wrong(status));
		return WT_TLS_PEER_REFUSED;
	}
	if (gnutls_x509_crt_init(&certificate) < 0)
	{
		snprintf(text, WT_CERTIFICATE_NAME_SIZE, "there is no memory to read it");
		return WT_TLS_PEER_REFUSED;
	}
	named = gnutls_x509_crt_import(certificate, &chain[0], GNUTLS_X509_FMT_DER) >= 0 &&
			common_name(certificate, text);
	gnutls_x509_crt_deinit(certificate);
	if (named)
		return WT_TLS_PEER_KNOWN;
	snprintf(text, WT_CERTIFICATE_NAME_SIZE,
			 "its subject has not exactly one common name, of at most %d bytes of text",
			 WT_CERTIFICATE_NAME_SIZE - 1);
	return WT_TLS_PEER_REFUSED;
}
