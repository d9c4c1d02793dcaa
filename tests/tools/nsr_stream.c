// SPDX-License-Identifier: GPL-2.0-only
/*
 * nsr_stream: bulk data through libnsr, both ways at will (pattern.h: what flows). Every byte is compared with
 * what belongs at its position. Position and running hash of what was received are replicated state, so
 * whichever box ends the connection knows the hash of the whole stream. Received bytes are consumed message by
 * message: there is a tail at nearly every moment.
 *
 * --endless: no trailer; the streams end when the far end has sent its FIN, each behind a whole message. --by-port:
 * each connection has a seed of its own, the far end's port is in it. --vary RATE: another pace every while.
 *
 * More events: "mismatch peer=... pos=... why=..." (a byte that is not what belongs there: always an error),
 * "gap peer=... dir=rcv from=... to=...", "gap peer=... dir=snd known=... far_end_has=...",
 * "inconsistent peer=... state=... rcv_pos=..." (state and position of one transaction differ), and at the end
 * "done peer=... rx=... rx_sha256=... tx=... gap_bytes=... errors=0".
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "pattern.h"
#include "sha256.h"

#define CHUNK	65536u
#define MESSAGE_MAX	(65536u + 4)

struct stream_state {			/* replicated as it is: both boxes have one byte order */
	uint64_t rx;			/* consumed: position in the stream */
	uint64_t tx;			/* written */
	uint64_t gap_bytes, errors;
	struct sha256 sha;
};

struct stream_conn {
	struct app_conn conn;
	struct stream_state st;
	uint64_t hole_at, hole_len;	/* missing bytes, right behind the tail that we were given */
	size_t len;			/* bytes in in[], from st.rx on */
	uint8_t in[MESSAGE_MAX + CHUNK];
	struct net_rate out_rate;
	struct pattern in_pattern, out_pattern;
	bool done;
};

static uint64_t bytes_in, bytes_out, rate, varied, seed;
static bool endless, by_port;
static uint32_t message = 1000;

static struct stream_conn *of(struct app_conn *conn)
{
	return (struct stream_conn *)conn;
}

static void start(struct app_conn *conn)
{
	struct stream_conn *s = of(conn);
	const char *port = strrchr(conn->peer, ':');
	uint64_t mine = seed + (by_port && port ? strtoul(port + 1, NULL, 10) * PATTERN_BY_PORT : 0);

	sha256_init(&s->st.sha);
	s->out_rate.rate = rate;
	s->out_rate.varied = varied;
	pattern_init(&s->in_pattern, mine + PATTERN_TO_SERVER, message);
	pattern_init(&s->out_pattern, mine + PATTERN_TO_FAR, message);
}

static void put_conn(struct app_conn *conn)
{
	struct stream_conn *s = of(conn);

	nsr_put(conn->app->nsr, conn->nsr, "stream", 6, &s->st, sizeof(s->st));
}

static void state(struct app_conn *conn, const void *key, size_t klen, const void *val, size_t vlen)
{
	(void)key;
	if (klen == 6 && val && vlen == sizeof(struct stream_state))
		memcpy(&of(conn)->st, val, vlen);
}

static void no_global(struct app *app)
{
	(void)app;
}

static void no_state(struct app *app, const void *key, size_t klen, const void *val, size_t vlen)
{
	(void)app; (void)key; (void)klen; (void)val; (void)vlen;
}

/* Take n bytes out of in[]: hashed, counted, consumed. */
static void take(struct stream_conn *s, size_t n)
{
	size_t ok = pattern_check(&s->in_pattern, s->st.rx, s->in, n);

	if (ok < n && !s->st.errors++) {
		char why[64];

		pattern_diagnose(&s->in_pattern, s->st.rx + ok, s->in + ok, s->len - ok, why, sizeof(why));
		app_event(s->conn.app, "mismatch peer=%s pos=%" PRIu64 " why=%s", s->conn.peer, s->st.rx + ok, why);
	}
	if (!endless)
		sha256_add(&s->st.sha, s->in, n);
	s->st.rx += n;
	s->len -= n;
	memmove(s->in, s->in + n, s->len);
	nsr_consume(s->conn.nsr, n);
}

/* Whole messages, the end of the stream, and what stands in front of a hole. */
static void take_messages(struct stream_conn *s)
{
	size_t left;

	for (;;) {
		left = pattern_left(&s->in_pattern, s->st.rx);
		if (bytes_in - s->st.rx < left)
			left = bytes_in - s->st.rx;
		if (s->hole_len && s->hole_at - s->st.rx < left)
			left = s->hole_at - s->st.rx;
		if (s->len < left || !(left || s->hole_len))
			return;
		if (left)
			take(s, left);
		if (s->hole_len && s->st.rx == s->hole_at) {
			s->st.rx += s->hole_len;
			s->hole_len = 0;
		}
	}
}

static void finished(struct stream_conn *s, const char *why)
{
	uint8_t hash[32];
	char hex[65];

	if (s->done)
		return;
	s->done = true;
	sha256_end(&s->st.sha, hash);
	sha256_hex(hash, hex);
	app_event(s->conn.app, "done peer=%s rx=%" PRIu64 " rx_sha256=%s tx=%" PRIu64 " gap_bytes=%" PRIu64
		  " errors=%" PRIu64, s->conn.peer, s->st.rx, hex, s->st.tx, s->st.gap_bytes, s->st.errors);
	app_close(&s->conn, NSR_FIN, why);
}

static void input(struct app_conn *conn)
{
	struct stream_conn *s = of(conn);
	int budget = 16;		/* then the transaction */
	bool got = false;
	ssize_t n = 1;

	while (budget-- && n > 0 && s->len < sizeof(s->in)) {
		n = nsr_recv(conn->nsr, s->in + s->len, sizeof(s->in) - s->len);
		if (n == -ECONNRESET || n == -ETIMEDOUT || n == -ENOTCONN) {
			app_close(conn, NSR_RST, strerror(-n));
			return;
		}
		if (n > 0) {
			s->len += n;
			got = true;
			if (s->st.rx + s->len > bytes_in + s->hole_len) {
				app_event(conn->app, "mismatch peer=%s pos=%" PRIu64 " more than --recv", conn->peer,
					  bytes_in);
				s->st.errors++;
				app_close(conn, NSR_RST, "too_much");
				return;
			}
			take_messages(s);
		}
	}
	if (got)
		put_conn(conn);
	if (n == 0) {
		conn->eof = true;
		if (!endless && (s->st.tx >= bytes_out + PATTERN_TRAILER || s->st.rx < bytes_in))
			finished(s, s->st.rx < bytes_in ? "eof_too_early" : "eof");
	}
}

/* What stands at st.tx: the pattern, then the trailer once all has been received. */
static size_t fill_out(struct stream_conn *s, uint8_t *buf, size_t max)
{
	uint8_t trailer[PATTERN_TRAILER];
	uint64_t left = bytes_out - s->st.tx;
	size_t in;

	if (s->st.tx < bytes_out) {
		if (left < max)
			max = left;
		pattern_fill(&s->out_pattern, s->st.tx, buf, max);
		return max;
	}
	in = s->st.tx - bytes_out;
	if (s->st.rx < bytes_in || in >= PATTERN_TRAILER)
		return 0;
	put_be64(trailer, s->st.rx - s->st.gap_bytes);
	sha256_end(&s->st.sha, trailer + 8);
	if (max > PATTERN_TRAILER - in)
		max = PATTERN_TRAILER - in;
	memcpy(buf, trailer + in, max);
	return max;
}

/* 1 went on, 0 nothing to do, -1 no room. */
static int write_some(struct stream_conn *s, size_t max)
{
	static uint8_t buf[CHUNK];
	size_t n = fill_out(s, buf, max < CHUNK ? max : CHUNK);
	ssize_t put;

	if (!n)
		return 0;
	put = nsr_send(s->conn.nsr, buf, n);
	if (put == -EAGAIN || put == -ESHUTDOWN)
		return -1;
	if (put < 0) {
		app_close(&s->conn, NSR_RST, strerror(-put));
		return -1;
	}
	s->st.tx += put;
	s->out_rate.done += put;
	return 1;
}

/* Bytes to the end of the message that is being sent. */
static size_t rest_of_message(const struct stream_conn *s)
{
	uint32_t left = pattern_left(&s->out_pattern, s->st.tx);

	return s->st.tx && pattern_left(&s->out_pattern, s->st.tx - 1) != 1 ? left : 0;
}

static bool finish(struct app_conn *conn);

static unsigned int output(struct app_conn *conn)
{
	struct stream_conn *s = of(conn);
	int budget = 16, ret = 1;
	uint64_t tx = s->st.tx;

	if (endless && conn->eof) {
		if (finish(conn) && !conn->dead)
			finished(s, s->len ? "eof_in_message" : "eof");
		return 0;
	}
	while (budget-- && ret > 0) {
		uint64_t room = s->st.tx < bytes_out ? net_rate_room(&s->out_rate) : UINT64_MAX;

		if (!room)
			break;
		ret = write_some(s, room < CHUNK ? room : CHUNK);
	}
	if (conn->dead)
		return 0;
	if (s->st.tx != tx)
		put_conn(conn);
	if (conn->eof && s->st.tx >= bytes_out + PATTERN_TRAILER)
		finished(s, "eof");
	if (ret < 0 || conn->dead)
		return 0;		/* conn_writable wakes the loop */
	if (s->st.tx < bytes_out)
		return rate || varied ? net_rate_wait(&s->out_rate) : 1;
	return 0;
}

static bool finish(struct app_conn *conn)
{
	struct stream_conn *s = of(conn);

	while (!conn->dead && s->st.tx < bytes_out && rest_of_message(s)) {
		if (write_some(s, rest_of_message(s)) <= 0)
			return conn->dead;
	}
	while (!conn->dead && s->st.tx > bytes_out && s->st.tx < bytes_out + PATTERN_TRAILER) {
		if (write_some(s, PATTERN_TRAILER) <= 0)
			return conn->dead;
	}
	if (!conn->dead)
		put_conn(conn);
	return true;
}

static bool is_lossless(const struct app_conn *conn)
{
	struct nsr_conn_info info = { .size = sizeof(info) };

	return !nsr_conn_get_info(conn->nsr, &info) && info.mode == NSR_MODE_LOSSLESS;
}

static void resume(struct app_conn *conn, const struct nsr_resume *r)
{
	struct stream_conn *s = of(conn);
	bool known = r->planned || (is_lossless(conn) && r->snd_next == r->snd_known);

	s->len = 0;
	if (s->st.rx != r->rcv_pos || (known && s->st.tx != r->snd_known)) {
		app_event(conn->app, "inconsistent peer=%s state=%" PRIu64 "/%" PRIu64 " rcv_pos=%" PRIu64
			  " snd_known=%" PRIu64, conn->peer, s->st.rx, s->st.tx, r->rcv_pos, r->snd_known);
		s->st.errors++;
		s->st.rx = r->rcv_pos;
	}
	if (r->rcv_missing) {
		s->hole_at = r->rcv_pos + r->tail_len;
		s->hole_len = r->rcv_missing;
		s->st.gap_bytes += r->rcv_missing;
		app_event(conn->app, "gap peer=%s dir=rcv from=%" PRIu64 " to=%" PRIu64, conn->peer, s->hole_at,
			  s->hole_at + s->hole_len);
	}
	if (r->snd_next != r->snd_known)
		app_event(conn->app, "gap peer=%s dir=snd known=%" PRIu64 " far_end_has=%" PRIu64, conn->peer,
			  r->snd_known, r->snd_pos);
	/* The byte at a position is known by its position: this application can always go on. */
	s->st.tx = r->snd_next;
	take_messages(s);
	put_conn(conn);
}

static void dump(struct app_conn *conn, FILE *f)
{
	struct stream_conn *s = of(conn);

	fprintf(f, " rx=%" PRIu64 " tx=%" PRIu64 " gap_bytes=%" PRIu64 " errors=%" PRIu64, s->st.rx, s->st.tx,
		s->st.gap_bytes, s->st.errors);
}

static void dump_global(struct app *app, FILE *f)
{
	(void)app;
	(void)f;
}

enum { O_RECV = 1000, O_SEND, O_RATE, O_SEED, O_MESSAGE, O_ENDLESS, O_BY_PORT, O_VARY };

static const struct option options[] = {
	{ "recv", 1, NULL, O_RECV }, { "send", 1, NULL, O_SEND }, { "rate", 1, NULL, O_RATE },
	{ "seed", 1, NULL, O_SEED }, { "message", 1, NULL, O_MESSAGE },
	{ "endless", 0, NULL, O_ENDLESS }, { "by-port", 0, NULL, O_BY_PORT }, { "vary", 1, NULL, O_VARY }, { 0 },
};

static void option(struct app *app, int opt, const char *arg)
{
	uint64_t v = arg ? strtoull(arg, NULL, 0) : 0;

	(void)app;
	switch (opt) {
	case O_ENDLESS: endless = true; bytes_in = bytes_out = UINT64_MAX / 4; break;
	case O_BY_PORT: by_port = true; break;
	case O_VARY: varied = v; break;
	case O_RECV: bytes_in = v; break;
	case O_SEND: bytes_out = v; break;
	case O_RATE: rate = v; break;
	case O_SEED: seed = v; break;
	case O_MESSAGE: message = v && v < 8 ? 8 : v > MESSAGE_MAX ? MESSAGE_MAX : v; break;
	}
}

static const struct app_ops ops = {
	.name = "nsr_stream", .conn_size = sizeof(struct stream_conn), .start = start, .resume = resume,
	.input = input, .output = output, .finish = finish, .put = put_conn, .state = state,
	.put_global = no_global, .state_global = no_state, .dump = dump, .dump_global = dump_global,
	.options = options, .option = option,
	.usage = "  [--recv BYTES] [--send BYTES] | --endless\n"
		 "  [--rate BYTES/S] [--vary BYTES/S] [--seed N] [--by-port] [--message BYTES (0: of all sizes)]\n"
		 "  --recv and --send as seen from here; seed and message as the far end has them\n",
};

int main(int argc, char **argv)
{
	static struct app app;

	return app_main(argc, argv, &ops, &app);
}
