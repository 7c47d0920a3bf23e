/*
 * stream.c
 *		The way to a MongoDB server: sockets and TLS that a cancelled query does not wait for.
 *
 * TLS is done here, by OpenSSL, and not by libmongoc's stream around ours, because that
 * one asks certificates' responders over connections of its own, which cannot be
 * interrupted.
 *
 * Words:
 *	slice		the time after which a wait looks whether it is to end
 *	expiry		when a wait ends, by wm_monotonic_ms; -1: never
 */
#ifdef POSTGRES_H
#error "stream.c runs beneath libmongoc and must not know PostgreSQL"
#endif

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "stream.h"

#define SLICE_MS 100

/* libmongoc's own types are small numbers; only equality matters. */
#define STREAM_TYPE 4711

typedef struct WmStream
{
	mongoc_stream_t base; /* must be first */
	WmNetwork *network;
	struct WmStream *next;
	int fd;
	SSL *ssl; /* NULL: no TLS */
	bool timed_out;
	bool would_block;
} WmStream;

int64_t
wm_monotonic_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t) t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Whether everything is to fail, from now on. */
static bool
is_dead(WmNetwork *network)
{
	if (!network->dead &&
		(network->interrupted() ||
		 (network->deadline_ms != 0 && wm_monotonic_ms() >= network->deadline_ms)))
		network->dead = true;
	return network->dead;
}

static int64_t
expiry_of(int32_t timeout_ms)
{
	return timeout_ms < 0 ? -1 : wm_monotonic_ms() + timeout_ms;
}

/* Milliseconds until the next look; 0: the time is over. */
static int
slice_until(int64_t expiry)
{
	int64_t left;

	if (expiry < 0)
		return SLICE_MS;
	left = expiry - wm_monotonic_ms();
	if (left <= 0)
		return 0;
	return left < SLICE_MS ? (int) left : SLICE_MS;
}

/*
 * Waits until something is there, as poll() does: how many are ready, 0 when the time is
 * over, -1 with errno set.
 */
static int
wait_for(WmNetwork *network, struct pollfd *fds, nfds_t n, int64_t expiry)
{
	for (;;)
	{
		int slice = slice_until(expiry);
		int ready;

		if (is_dead(network))
		{
			errno = ECONNABORTED;
			return -1;
		}
		ready = poll(fds, n, slice);
		if (ready > 0)
			return ready;
		if (ready < 0 && errno != EINTR)
			return -1;
		if (slice == 0)
			return 0;
	}
}

static int
wait_for_one(WmNetwork *network, int fd, short events, int64_t expiry)
{
	struct pollfd one = {.fd = fd, .events = events};

	return wait_for(network, &one, 1, expiry);
}

/*
 * What is to be done after a call of OpenSSL's gave result: the events to wait for; 0 at
 * the end of the stream; -1 after an error, with errno set.
 */
static int
after_ssl(WmStream *s, int result)
{
	int error = SSL_get_error(s->ssl, result);
	int saved = errno;

	/* PostgreSQL uses the same library, and must not find our errors in its queue. */
	ERR_clear_error();
	switch (error)
	{
		case SSL_ERROR_WANT_READ:
			return POLLIN;
		case SSL_ERROR_WANT_WRITE:
			return POLLOUT;
		case SSL_ERROR_ZERO_RETURN:
			return 0;
		default:
			errno = (error == SSL_ERROR_SYSCALL && saved != 0) ? saved : ECONNRESET;
			return -1;
	}
}

/*
 * Reads or writes what can be at once: the number of bytes, 0 at the end of the stream;
 * -1 with errno set, to EAGAIN where *events are to be waited for.
 */
static ssize_t
transfer(WmStream *s, bool writing, void *data, size_t size, int *events)
{
	ssize_t n;

	*events = writing ? POLLOUT : POLLIN;
	if (size > INT_MAX)
		size = INT_MAX;
	if (s->ssl == NULL)
	{
		do
			n = writing ? send(s->fd, data, size, MSG_NOSIGNAL)
						: recv(s->fd, data, size, 0);
		while (n < 0 && errno == EINTR);
		if (n < 0 && errno == EWOULDBLOCK)
			errno = EAGAIN;
		return n;
	}
	ERR_clear_error();
	errno = 0;
	n = writing ? SSL_write(s->ssl, data, (int) size)
				: SSL_read(s->ssl, data, (int) size);
	if (n > 0)
		return n;
	*events = after_ssl(s, (int) n);
	if (*events == 0)
		return 0;
	if (*events > 0)
		errno = EAGAIN;
	return -1;
}

/*
 * Moves the bytes of all pieces, or at least `enough` of them: how many were; -1 with
 * errno set.  At the end of the stream, what there was.
 */
static ssize_t
transfer_all(WmStream *s, bool writing, mongoc_iovec_t *iov, size_t n_iov, size_t enough,
			 int32_t timeout_ms)
{
	int64_t expiry = expiry_of(timeout_ms);
	size_t moved = 0;

	s->timed_out = false;
	s->would_block = false;
	for (size_t i = 0; i < n_iov; i++)
	{
		size_t done = 0;

		while (done < iov[i].iov_len)
		{
			int events;
			int ready;
			ssize_t n;

			if (is_dead(s->network))
			{
				errno = ECONNABORTED;
				return -1;
			}
			n = transfer(s, writing, (char *) iov[i].iov_base + done,
						 iov[i].iov_len - done, &events);
			if (n > 0)
			{
				done += (size_t) n;
				moved += (size_t) n;
				if (!writing && moved >= enough && enough > 0)
					return (ssize_t) moved;
				continue;
			}
			if (n == 0)
				return (ssize_t) moved;
			if (errno != EAGAIN)
				return -1;
			if (!writing && enough == 0 && moved > 0)
				return (ssize_t) moved;
			if (timeout_ms == 0)
			{
				s->would_block = true;
				if (moved > 0)
					return (ssize_t) moved;
				errno = EAGAIN;
				return -1;
			}
			ready = wait_for_one(s->network, s->fd, (short) events, expiry);
			if (ready < 0)
				return -1;
			if (ready == 0)
			{
				s->timed_out = true;
				errno = ETIMEDOUT;
				return -1;
			}
		}
	}
	return (ssize_t) moved;
}

static ssize_t
stream_writev(mongoc_stream_t *stream, mongoc_iovec_t *iov, size_t n, int32_t timeout_ms)
{
	return transfer_all((WmStream *) stream, true, iov, n, 0, timeout_ms);
}

static ssize_t
stream_readv(mongoc_stream_t *stream, mongoc_iovec_t *iov, size_t n, size_t min_bytes,
			 int32_t timeout_ms)
{
	return transfer_all((WmStream *) stream, false, iov, n, min_bytes, timeout_ms);
}

static int
stream_close(mongoc_stream_t *stream)
{
	WmStream *s = (WmStream *) stream;

	for (WmStream **p = &s->network->streams; *p != NULL; p = &(*p)->next)
	{
		if (*p == s)
		{
			*p = s->next;
			break;
		}
	}
	if (s->ssl != NULL)
	{
		SSL_free(s->ssl);
		s->ssl = NULL;
		ERR_clear_error();
	}
	if (s->fd >= 0)
	{
		close(s->fd);
		s->fd = -1;
	}
	return 0;
}

static void
stream_destroy(mongoc_stream_t *stream)
{
	stream_close(stream);
	free(stream);
}

static int
stream_flush(mongoc_stream_t *stream)
{
	return 0;
}

static int
stream_setsockopt(mongoc_stream_t *stream, int level, int name, void *value,
				  mongoc_socklen_t size)
{
	return setsockopt(((WmStream *) stream)->fd, level, name, value, size);
}

static bool
stream_is_closed(mongoc_stream_t *stream)
{
	WmStream *s = (WmStream *) stream;
	char byte;
	ssize_t n;

	if (s->fd < 0)
		return true;
	if (s->ssl != NULL)
	{
		int result;

		ERR_clear_error();
		errno = 0;
		result = SSL_peek(s->ssl, &byte, 1);
		return result <= 0 && after_ssl(s, result) <= 0;
	}
	n = recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

/* Beneath mongoc_stream_poll; all streams are ours, and of one network. */
static ssize_t
stream_poll(mongoc_stream_poll_t *streams, size_t n, int32_t timeout_ms)
{
	WmNetwork *network;
	struct pollfd *fds;
	int ready = 0;

	if (n == 0)
		return 0;
	network = ((WmStream *) streams[0].stream)->network;
	fds = calloc(n, sizeof(struct pollfd));
	if (fds == NULL)
		return -1;
	for (size_t i = 0; i < n; i++)
	{
		WmStream *s = (WmStream *) streams[i].stream;

		streams[i].revents = 0;
		fds[i].fd = s->fd;
		fds[i].events = (short) streams[i].events;
		/* What OpenSSL has read already, the socket does not tell of. */
		if (s->ssl != NULL && (streams[i].events & POLLIN) && SSL_pending(s->ssl) > 0)
		{
			streams[i].revents = POLLIN;
			ready++;
		}
		if (s->fd < 0)
		{
			streams[i].revents = POLLHUP;
			ready++;
		}
	}
	if (ready == 0)
	{
		ready = wait_for(network, fds, n, expiry_of(timeout_ms));
		for (size_t i = 0; i < n; i++)
			streams[i].revents = fds[i].revents;
		if (network->dead)
		{
			/* An error would be ignored until the selection's time is over. */
			for (size_t i = 0; i < n; i++)
				streams[i].revents = POLLHUP;
			ready = (int) n;
		}
	}
	free(fds);
	return ready;
}

static bool
stream_timed_out(mongoc_stream_t *stream)
{
	return ((WmStream *) stream)->timed_out;
}

static bool
stream_should_retry(mongoc_stream_t *stream)
{
	return ((WmStream *) stream)->would_block;
}

/* A connected socket, or -1 with errno set. */
static int
connect_to(WmNetwork *network, const struct sockaddr *address, socklen_t size,
		   int64_t expiry)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;
	int error;
	socklen_t error_size = sizeof(error);

	if (fd < 0)
		return -1;
	if (address->sa_family != AF_UNIX)
	{
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	}
	if (connect(fd, address, size) == 0)
		return fd;
	error = errno;
	if (error == EINPROGRESS || error == EINTR)
	{
		int ready = wait_for_one(network, fd, POLLOUT, expiry);

		if (ready == 0)
			error = ETIMEDOUT;
		else if (ready < 0)
			error = errno;
		else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_size) != 0)
			error = errno;
		if (error == 0)
			return fd;
	}
	close(fd);
	errno = error;
	return -1;
}

/* Tries the addresses of host in turn. */
static int
connect_to_host(WmNetwork *network, const mongoc_host_list_t *host, int64_t expiry,
				bson_error_t *error)
{
	int fd = -1;

	if (host->family == AF_UNIX)
	{
		struct sockaddr_un address = {.sun_family = AF_UNIX};

		if (strlen(host->host) >= sizeof(address.sun_path))
			errno = ENAMETOOLONG;
		else
		{
			memcpy(address.sun_path, host->host, strlen(host->host) + 1);
			fd = connect_to(network, (struct sockaddr *) &address, sizeof(address),
							expiry);
		}
	}
	else
	{
		struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
		struct addrinfo *all;
		char port[8];
		int failure;

		snprintf(port, sizeof(port), "%u", (unsigned) host->port);
		failure = getaddrinfo(host->host, port, &hints, &all);
		if (failure != 0)
		{
			bson_set_error(
				error, MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_NAME_RESOLUTION,
				"could not resolve \"%s\": %s", host->host, gai_strerror(failure));
			return -1;
		}
		for (struct addrinfo *a = all; a != NULL && fd < 0; a = a->ai_next)
			fd = connect_to(network, a->ai_addr, a->ai_addrlen, expiry);
		/* Keeps the errno of the last one. */
		failure = errno;
		freeaddrinfo(all);
		errno = failure;
	}
	if (fd < 0)
		bson_set_error(error, MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_CONNECT,
					   "could not connect to \"%s\": %s", host->host_and_port,
					   strerror(errno));
	return fd;
}

static int
give_password(char *buffer, int size, int for_writing, void *password)
{
	size_t length = password == NULL ? 0 : strlen(password);

	if (length >= (size_t) size)
		return 0;
	memcpy(buffer, password == NULL ? "" : password, length + 1);
	return (int) length;
}

/* OpenSSL's reason for the last failure; clears its queue. */
static const char *
ssl_reason(void)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);

	ERR_clear_error();
	return reason != NULL ? reason : "unknown error";
}

/* Whom we trust, and who we are; NULL with error set. */
static SSL_CTX *
make_ssl_context(WmNetwork *network, bson_error_t *error)
{
	SSL_CTX *context;
	const char *what = NULL;
	const char *file = "";

	ERR_clear_error();
	context = SSL_CTX_new(TLS_client_method());
	if (context == NULL)
	{
		bson_set_error(error, MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_SOCKET,
					   "could not set up TLS: %s", ssl_reason());
		return NULL;
	}
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	/* A write may be repeated from where it was, not only from the same address. */
	SSL_CTX_set_mode(context,
					 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify(
		context, network->accept_any_certificate ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
		NULL);
	SSL_CTX_set_default_passwd_cb(context, give_password);
	SSL_CTX_set_default_passwd_cb_userdata(context, (void *) network->pem_password);

	if (network->ca_file == NULL && network->ca_dir == NULL)
		SSL_CTX_set_default_verify_paths(context);
	else if (SSL_CTX_load_verify_locations(context, network->ca_file, network->ca_dir) !=
			 1)
	{
		what = "the certificate authorities in";
		file = network->ca_file != NULL ? network->ca_file : network->ca_dir;
	}
	if (what == NULL && network->crl_file != NULL)
	{
		X509_STORE *store = SSL_CTX_get_cert_store(context);
		X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());

		if (lookup == NULL ||
			X509_load_crl_file(lookup, network->crl_file, X509_FILETYPE_PEM) <= 0)
		{
			what = "the revoked certificates in";
			file = network->crl_file;
		}
		else
			X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
	}
	if (what == NULL && network->pem_file != NULL &&
		(SSL_CTX_use_certificate_chain_file(context, network->pem_file) != 1 ||
		 SSL_CTX_use_PrivateKey_file(context, network->pem_file, SSL_FILETYPE_PEM) != 1 ||
		 SSL_CTX_check_private_key(context) != 1))
	{
		what = "the certificate and key in";
		file = network->pem_file;
	}
	if (what == NULL)
		return context;
	bson_set_error(error, MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_SOCKET,
				   "could not load %s \"%s\": %s", what, file, ssl_reason());
	SSL_CTX_free(context);
	return NULL;
}

static bool
is_ip_address(const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, host, address) == 1 ||
		   inet_pton(AF_INET6, host, address) == 1;
}

static bool
begin_tls(WmStream *s, const mongoc_host_list_t *host, int64_t expiry,
		  bson_error_t *error)
{
	SSL_CTX *context = make_ssl_context(s->network, error);
	X509_VERIFY_PARAM *checks;
	bool ok;

	if (context == NULL)
		return false;
	s->ssl = SSL_new(context);
	SSL_CTX_free(context); /* the SSL holds it */
	ok = s->ssl != NULL && SSL_set_fd(s->ssl, s->fd) == 1;
	if (ok && host->family != AF_UNIX)
	{
		checks = SSL_get0_param(s->ssl);
		if (is_ip_address(host->host))
			ok = X509_VERIFY_PARAM_set1_ip_asc(checks, host->host) == 1;
		else
			ok = X509_VERIFY_PARAM_set1_host(checks, host->host, 0) == 1 &&
				 SSL_set_tlsext_host_name(s->ssl, host->host) == 1;
	}
	while (ok)
	{
		int result;
		int events;
		int ready;
		long verdict;

		ERR_clear_error();
		errno = 0;
		result = SSL_connect(s->ssl);
		if (result == 1)
			return true;
		events = SSL_get_error(s->ssl, result);
		verdict = SSL_get_verify_result(s->ssl);
		if (events == SSL_ERROR_WANT_READ || events == SSL_ERROR_WANT_WRITE)
		{
			ready =
				wait_for_one(s->network, s->fd,
							 events == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, expiry);
			if (ready > 0)
				continue;
			bson_set_error(error, MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_CONNECT,
						   "no TLS with \"%s\": %s", host->host_and_port,
						   ready == 0 ? strerror(ETIMEDOUT) : strerror(errno));
		}
		else if (verdict != X509_V_OK && !s->network->accept_any_certificate)
			bson_set_error(error, MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_SOCKET,
						   "the certificate of \"%s\" is not accepted: %s",
						   host->host_and_port, X509_verify_cert_error_string(verdict));
		else
			bson_set_error(error, MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_SOCKET,
						   "no TLS with \"%s\": %s", host->host_and_port,
						   events == SSL_ERROR_SYSCALL && errno != 0 ? strerror(errno)
																	 : ssl_reason());
		ERR_clear_error();
		return false;
	}
	bson_set_error(error, MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_SOCKET,
				   "could not set up TLS: %s", ssl_reason());
	return false;
}

/* NULL: out of memory.  Without a descriptor the stream is one that has failed. */
static WmStream *
make_stream(WmNetwork *network, int fd)
{
	WmStream *s = calloc(1, sizeof(WmStream));

	if (s == NULL)
		return NULL;
	s->base.type = STREAM_TYPE;
	s->base.destroy = stream_destroy;
	s->base.failed = stream_destroy;
	s->base.close = stream_close;
	s->base.flush = stream_flush;
	s->base.writev = stream_writev;
	s->base.readv = stream_readv;
	s->base.setsockopt = stream_setsockopt;
	s->base.check_closed = stream_is_closed;
	s->base.poll = stream_poll;
	s->base.timed_out = stream_timed_out;
	s->base.should_retry = stream_should_retry;
	s->network = network;
	s->fd = fd;
	s->next = network->streams;
	network->streams = s;
	return s;
}

/*
 * When a server that libmongoc knows does not answer any more, it connects once again while
 * it holds a lock, and takes that lock a second time if this fails at once: for ever.  So
 * from the first success on failures are streams that turn out to be closed.
 */
mongoc_stream_t *
wm_stream_open(const mongoc_uri_t *uri, const mongoc_host_list_t *host, void *user_data,
			   bson_error_t *error)
{
	WmNetwork *network = user_data;
	int64_t expiry = wm_monotonic_ms() + network->connect_timeout_ms;
	int fd = connect_to_host(network, host, expiry, error);
	WmStream *s = NULL;

	if (fd >= 0 || network->connected)
		s = make_stream(network, fd);
	if (s == NULL)
	{
		if (fd < 0)
			return NULL;
		close(fd);
		bson_set_error(error, MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_SOCKET,
					   "out of memory");
		return NULL;
	}
	if (fd >= 0 && network->tls && !begin_tls(s, host, expiry, error))
	{
		if (!network->connected)
		{
			stream_destroy(&s->base);
			return NULL;
		}
		stream_close(&s->base);
	}
	if (s->fd >= 0)
		network->connected = true;
	return &s->base;
}

bool
wm_network_is_alive(WmNetwork *network)
{
	if (network->dead)
		return false;
	for (WmStream *s = network->streams; s != NULL; s = s->next)
	{
		if (stream_is_closed(&s->base))
			return false;
	}
	return true;
}
