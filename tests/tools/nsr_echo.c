// SPDX-License-Identifier: GPL-2.0-only
/*
 * nsr_echo: a request/response server on libnsr (pattern.h: the protocol). Each answer carries a counter of
 * its connection, which is replicated state: a request that is lost or handled twice shows. A counter over all
 * connections is state without a connection.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "pattern.h"

struct echo {
	struct app_conn conn;
	uint64_t count;			/* answered */
	size_t len;			/* bytes in in[] */
	uint8_t in[4 + ECHO_MAX];
	uint8_t out[ECHO_ANSWER];	/* an answer that did not fit the socket whole */
	size_t out_len, out_done;
	bool changed;			/* state to be put before the next commit */
};

static uint64_t total;

static struct echo *of(struct app_conn *conn)
{
	return (struct echo *)conn;
}

static void start(struct app_conn *conn)
{
	(void)conn;			/* calloc() has done it */
}

/* The counter, and what of its answer is not in the socket yet. */
static void put_conn(struct app_conn *conn)
{
	struct echo *e = of(conn);
	size_t rest = e->out_len - e->out_done;
	uint8_t v[8 + ECHO_ANSWER];

	put_be64(v, e->count);
	memcpy(v + 8, e->out + e->out_done, rest);
	nsr_put(conn->app->nsr, conn->nsr, "count", 5, v, 8 + rest);
	e->changed = false;
}

static void put_global(struct app *app)
{
	uint8_t v[8];

	put_be64(v, total);
	nsr_put(app->nsr, NULL, "total", 5, v, sizeof(v));
}

static void state(struct app_conn *conn, const void *key, size_t klen, const void *val, size_t vlen)
{
	struct echo *e = of(conn);

	if (klen != 5 || memcmp(key, "count", 5) || !val || vlen < 8 || vlen > 8 + ECHO_ANSWER)
		return;
	e->count = get_be64(val);
	e->out_done = 0;
	e->out_len = vlen - 8;
	memcpy(e->out, (const uint8_t *)val + 8, e->out_len);
}

static void state_global(struct app *app, const void *key, size_t klen, const void *val, size_t vlen)
{
	(void)app;
	if (klen == 5 && !memcmp(key, "total", 5))
		total = val && vlen == 8 ? get_be64(val) : 0;
}

/* The rest of an answer. True: nothing is left over. */
static bool flush(struct echo *e)
{
	ssize_t n;

	while (e->out_done < e->out_len) {
		n = nsr_send(e->conn.nsr, e->out + e->out_done, e->out_len - e->out_done);
		if (n == -EAGAIN || n == -ESHUTDOWN)
			return false;
		if (n < 0) {
			app_close(&e->conn, NSR_RST, strerror(-n));
			return false;
		}
		e->out_done += n;
		e->changed = true;
	}
	e->out_len = 0;
	e->out_done = 0;
	return true;
}

/* One whole request: consumed, counted, answered: one transaction. */
static void handle(struct echo *e, size_t len)
{
	nsr_consume(e->conn.nsr, 4 + len);
	e->count++;
	total++;
	put_be32(e->out, ECHO_ANSWER - 4);
	put_be64(e->out + 4, e->count);
	put_be32(e->out + 12, pattern_crc32(e->in + 4, len));
	put_be32(e->out + 16, len);
	e->out_len = ECHO_ANSWER;
	e->changed = true;
	flush(e);
	e->len -= 4 + len;
	memmove(e->in, e->in + 4 + len, e->len);
}

static void requests(struct echo *e)
{
	while (!e->conn.dead && !e->out_len && e->len >= 4) {
		uint32_t len = get_be32(e->in);

		if (len > ECHO_MAX) {
			app_close(&e->conn, NSR_RST, "oversized_request");
			return;
		}
		if (e->len < 4 + len)
			return;
		handle(e, len);
	}
}

static void input(struct app_conn *conn)
{
	struct echo *e = of(conn);
	ssize_t n;

	while (!conn->dead && !conn->eof) {
		if (e->len == sizeof(e->in) || !flush(e))
			return;
		n = nsr_recv(conn->nsr, e->in + e->len, sizeof(e->in) - e->len);
		if (n == -EAGAIN)
			return;
		if (n < 0) {
			app_close(conn, NSR_RST, strerror(-n));
			return;
		}
		if (n == 0) {
			conn->eof = true;
			app_close(conn, NSR_FIN, "eof");
			return;
		}
		e->len += n;
		requests(e);
	}
}

static void put_changed(struct echo *e)
{
	if (e->conn.dead || !e->changed)
		return;
	put_conn(&e->conn);
	put_global(e->conn.app);
}

static unsigned int output(struct app_conn *conn)
{
	struct echo *e = of(conn);

	/* Requests that waited for an answer to get out; the socket may hold more. */
	if (e->out_len && flush(e)) {
		requests(e);
		if (!conn->dead)
			input(conn);
	}
	put_changed(e);
	return 0;			/* conn_writable wakes the loop */
}

static bool finish(struct app_conn *conn)
{
	bool done = flush(of(conn));

	put_changed(of(conn));
	return done || conn->dead;
}

static void resume(struct app_conn *conn, const struct nsr_resume *r)
{
	struct echo *e = of(conn);

	(void)r;
	e->len = 0;			/* the tail comes again */
}

static void dump(struct app_conn *conn, FILE *f)
{
	fprintf(f, " count=%" PRIu64, of(conn)->count);
}

static void dump_global(struct app *app, FILE *f)
{
	(void)app;
	fprintf(f, " total=%" PRIu64, total);
}

static const struct option options[] = { { 0 } };

static void option(struct app *app, int opt, const char *arg)
{
	(void)app;
	(void)opt;
	(void)arg;
}

static const struct app_ops ops = {
	.name = "nsr_echo", .conn_size = sizeof(struct echo), .start = start, .resume = resume,
	.input = input, .output = output, .finish = finish, .put = put_conn, .state = state,
	.put_global = put_global, .state_global = state_global, .dump = dump,
	.dump_global = dump_global, .options = options, .option = option, .usage = "",
};

int main(int argc, char **argv)
{
	static struct app app;

	return app_main(argc, argv, &ops, &app);
}
