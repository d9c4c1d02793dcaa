// SPDX-License-Identifier: GPL-2.0-only
/*
 * far_stream: the far end of nsr_stream and nsr_echo. Plain sockets, no knowledge of any takeover, never
 * reconnects: a reset or an end where none is due is a failure. Every byte that comes is compared with
 * what belongs at its position.
 *
 * stdout: "connected local=... peer=...", on SIGUSR1 "progress tx=... rx=... echoes=... stall_ms=...", and at the
 * end one line, "result ok|fail why=... tx=... rx=... sha256_rx=... server_rx=... server_sha=ok|differs|none
 * echoes=... answer_us=... (mean time from a request to its answer) max_stall_ms=...". Exit 0 for ok, 1 for fail, 2 for a wrong command line.
 *
 * --endless, --by-port, --vary: as nsr_stream has them. SIGTERM ends an endless stream behind a whole message.
 * SIGTERM: no more requests; the answer that is due is awaited, then the end is orderly ("ok").
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "net.h"
#include "pattern.h"
#include "sha256.h"

#define CHUNK	65536u

static struct net_addr connect_to, listen_at, bind_to;
static struct net_opts opts;
static uint64_t bytes_send, bytes_recv, seed, count;
static uint32_t message = 1000;
static unsigned int ping_ms, timeout_ms = 300000;
static struct net_rate send_rate, recv_rate;
static bool endless, by_port;
static struct pattern out_pattern, in_pattern;

static int fd = -1;
static uint64_t tx, rx;			/* positions */
static struct sha256 sha_tx, sha_rx;
static uint8_t trailer[PATTERN_TRAILER];
static uint64_t echoes, next_ping;
static uint64_t asked_at, answer_us;	/* us; from a request's last byte to its answer's, all together */
static uint8_t answer[ECHO_ANSWER], request[4 + ECHO_MAX];
static size_t answer_len, request_len, request_done;
static uint32_t want_crc;
static bool awaiting;
static uint64_t moved_at, sent_at, got_at, max_stall;
static bool fin_sent;			/* endless: what comes until the other FIN is still to be right */
static volatile sig_atomic_t usr1, term;

static void on_signal(int sig)
{
	if (sig == SIGUSR1)
		usr1 = 1;
	else
		term = 1;
}

static bool all_received(void)
{
	return rx >= bytes_recv + PATTERN_TRAILER;
}

static const char *server_sha(void)
{
	uint8_t hash[32];

	if (ping_ms || endless || !all_received())
		return "none";
	sha256_end(&sha_tx, hash);
	return memcmp(hash, trailer + 8, 32) ? "differs" : "ok";
}

static void stall(void)
{
	uint64_t now = net_now_ms();

	if (moved_at && now - moved_at > max_stall)
		max_stall = now - moved_at;
}

static void moved(void)
{
	stall();
	moved_at = net_now_ms();
}

static void __attribute__((noreturn)) result(const char *why)
{
	bool ok = !strcmp(why, "complete") && strcmp(server_sha(), "differs");
	uint8_t hash[32];
	char hex[65];

	stall();
	sha256_end(&sha_rx, hash);
	sha256_hex(hash, hex);
	printf("result %s why=%s tx=%" PRIu64 " rx=%" PRIu64 " sha256_rx=%s server_rx=%" PRIu64
	       " server_sha=%s echoes=%" PRIu64 " answer_us=%" PRIu64 " max_stall_ms=%" PRIu64
	       "\n", ok ? "ok" : "fail", why, tx, rx, hex,
	       ping_ms || endless || !all_received() ? 0 : get_be64(trailer), server_sha(), echoes,
	       echoes ? answer_us / echoes : 0, max_stall);
	exit(!ok);
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static const char *errno_word(int e)
{
	return e == ECONNRESET ? "reset" : e == ETIMEDOUT ? "timed_out" : e == EPIPE ? "reset" : strerrorname_np(e);
}

/* ---- streams ---- */

/* n bytes at p ought to be what belongs at pos. */
static void mismatch(uint64_t pos, const uint8_t *p, size_t n)
{
	static char why[128];
	char how[64];

	pattern_diagnose(&in_pattern, pos, p, n, how, sizeof(how));
	snprintf(why, sizeof(why), "mismatch_at_%" PRIu64 "_%s", pos, how);
	result(why);
}

static void take(const uint8_t *p, size_t n)
{
	size_t body = rx < bytes_recv ? bytes_recv - rx : 0, ok;

	if (body > n)
		body = n;
	ok = pattern_check(&in_pattern, rx, p, body);
	if (ok < body)
		mismatch(rx + ok, p + ok, n - ok);
	if (!endless)
		sha256_add(&sha_rx, p, body);
	rx += body;
	for (; body < n; body++, rx++) {
		if (all_received())
			mismatch(rx, p + body, 0);
		trailer[rx - bytes_recv] = p[body];
	}
}

/* Bytes to the end of the message that is being sent. */
static size_t rest_of_message(void)
{
	return tx && pattern_left(&out_pattern, tx - 1) != 1 ? pattern_left(&out_pattern, tx) : 0;
}

static size_t stream_out(uint8_t *buf)
{
	uint64_t room = net_rate_room(&send_rate), n = bytes_send - tx;

	if (endless && term) {
		room = CHUNK;
		n = rest_of_message();
	}
	if (n > room)
		n = room;
	if (n > CHUNK)
		n = CHUNK;
	pattern_fill(&out_pattern, tx, buf, n);
	return n;
}

/* ---- echo ---- */

static void take_answer(const uint8_t *p, size_t n)
{
	while (n--) {
		if (!awaiting)
			result("answer_unasked");
		answer[answer_len++] = *p++;
		rx++;
		if (answer_len < ECHO_ANSWER)
			continue;
		answer_len = 0;
		awaiting = false;
		if (get_be32(answer) != ECHO_ANSWER - 4)
			result("answer_malformed");
		if (get_be64(answer + 4) != echoes + 1)
			result(get_be64(answer + 4) <= echoes ? "counter_went_back" : "request_handled_twice");
		if (get_be32(answer + 12) != want_crc || get_be32(answer + 16) != request_len - 4)
			result("answer_to_another_request");
		echoes++;
		answer_us += now_us() - asked_at;
		request_len = 0;
	}
}

static size_t echo_out(uint8_t *buf)
{
	size_t len = (message ? message : ECHO_MAX) - 4;

	if (!request_len && !awaiting && !term && (!count || echoes < count) && net_now_ms() >= next_ping) {
		next_ping = net_now_ms() + ping_ms;
		len = 1 + (seed + echoes * 7919) % len;		/* another length each time */
		put_be32(request, len);
		pattern_fill(&out_pattern, tx, request + 4, len);
		want_crc = pattern_crc32(request + 4, len);
		request_len = 4 + len;
		request_done = 0;
		awaiting = true;
	}
	if (!request_len || request_done == request_len)
		return 0;
	memcpy(buf, request + request_done, request_len - request_done);
	return request_len - request_done;
}

/* ---- the loop ---- */

static void receive(void)
{
	static uint8_t buf[CHUNK];
	uint64_t room = net_rate_room(&recv_rate);
	ssize_t n;

	if (!room)
		return;
	n = recv(fd, buf, room < CHUNK ? room : CHUNK, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0)
		result(errno_word(errno));
	if (n == 0 && endless && fin_sent)
		result(!rx || pattern_left(&in_pattern, rx - 1) == 1 ? "complete" : "fin_in_message");
	if (n == 0)
		result(all_received() && tx == bytes_send ? "complete" : "fin_too_early");
	recv_rate.done += n;
	moved();
	got_at = moved_at;
	if (ping_ms)
		take_answer(buf, n);
	else
		take(buf, n);
}

static void transmit(void)
{
	static uint8_t buf[CHUNK + 4];
	size_t len = ping_ms ? echo_out(buf) : stream_out(buf);
	ssize_t n;

	if (!len && endless && term && !fin_sent) {
		shutdown(fd, SHUT_WR);
		fin_sent = true;
		recv_rate = (struct net_rate){ 0 };
	}
	if (!len)
		return;
	n = send(fd, buf, len, MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0)
		result(errno_word(errno));
	if (ping_ms)
		request_done += n;
	if (ping_ms)
		asked_at = now_us();
	else if (!endless)
		sha256_add(&sha_tx, buf, n);
	tx += n;
	send_rate.done += n;
	moved();
	sent_at = moved_at;
}

/* ms until there is something to do that no event tells of */
static unsigned int nap(bool reading)
{
	unsigned int ms = 200, n;
	uint64_t now = net_now_ms();

	if (!reading) {
		n = net_rate_wait(&recv_rate);
		ms = n < ms ? n : ms;
	}
	if (ping_ms && !request_len && !awaiting)
		return next_ping <= now ? 0 : next_ping - now < ms ? next_ping - now : ms;
	if (!ping_ms && tx < bytes_send && !net_rate_room(&send_rate)) {
		n = net_rate_wait(&send_rate);
		ms = n < ms ? n : ms;
	}
	return ms;
}

static bool wants_write(void)
{
	if (ping_ms)
		return request_len && request_done < request_len;
	if (endless && term)
		return rest_of_message();
	return tx < bytes_send && net_rate_room(&send_rate);
}

/* The end, as we see it: all sent, all received, nothing due. FIN, and the server's FIN. */
static bool finished(void)
{
	if (ping_ms)
		return !awaiting && (term || (count && echoes >= count));
	return tx == bytes_send && all_received();
}

static void last_fin(void)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c;

	shutdown(fd, SHUT_WR);
	while (poll(&p, 1, timeout_ms) < 0 && errno == EINTR)
		;
	if (recv(fd, &c, 1, 0) != 0)
		result(p.revents ? "no_orderly_end" : "no_end");
	result("complete");
}

static void progress(void)
{
	uint64_t since = moved_at;

	usr1 = 0;
	/* Endless streams do not wait for each other. */
	if (endless)
		since = term || got_at < sent_at ? got_at : sent_at;
	printf("progress tx=%" PRIu64 " rx=%" PRIu64 " echoes=%" PRIu64 " stall_ms=%" PRIu64 "\n", tx, rx, echoes,
	       net_now_ms() - since);
}

static void loop(void)
{
	moved();
	got_at = sent_at = moved_at;
	while (!finished()) {
		struct pollfd p = { .fd = fd };
		bool reading = net_rate_room(&recv_rate) > 0;

		if (usr1)
			progress();
		if (reading)
			p.events |= POLLIN;
		if (wants_write())
			p.events |= POLLOUT;
		/* Errors are reported whatever is asked for. */
		poll(&p, 1, nap(reading));
		if (p.revents & (POLLIN | POLLERR | POLLHUP))
			receive();
		transmit();
		if (term && !ping_ms && !endless)
			result("stopped");
		if (!ping_ms || awaiting) {
			if (net_now_ms() - moved_at > timeout_ms)
				result("stalled");
		} else {
			moved_at = net_now_ms();
		}
	}
	last_fin();
}

enum { O_CONNECT = 1, O_LISTEN, O_BIND, O_SEND, O_RECV, O_RATE, O_READ_RATE, O_SEED, O_MESSAGE, O_ECHO, O_COUNT,
       O_TIMEOUT, O_RCVBUF, O_SNDBUF, O_MSS, O_CLAMP, O_NODELAY, O_MD5, O_FASTOPEN, O_ENDLESS, O_BY_PORT, O_VARY, O_HELP };

static const struct option options[] = {
	{ "connect", 1, NULL, O_CONNECT }, { "listen", 1, NULL, O_LISTEN }, { "bind", 1, NULL, O_BIND },
	{ "send", 1, NULL, O_SEND }, { "recv", 1, NULL, O_RECV }, { "rate", 1, NULL, O_RATE },
	{ "read-rate", 1, NULL, O_READ_RATE }, { "seed", 1, NULL, O_SEED }, { "message", 1, NULL, O_MESSAGE },
	{ "echo", 1, NULL, O_ECHO }, { "count", 1, NULL, O_COUNT }, { "timeout", 1, NULL, O_TIMEOUT },
	{ "rcvbuf", 1, NULL, O_RCVBUF }, { "sndbuf", 1, NULL, O_SNDBUF }, { "mss", 1, NULL, O_MSS },
	{ "window-clamp", 1, NULL, O_CLAMP }, { "nodelay", 0, NULL, O_NODELAY }, { "md5", 1, NULL, O_MD5 },
	{ "fastopen", 0, NULL, O_FASTOPEN },
	{ "endless", 0, NULL, O_ENDLESS }, { "by-port", 0, NULL, O_BY_PORT }, { "vary", 1, NULL, O_VARY },
	{ "help", 0, NULL, O_HELP }, { 0 },
};

static void help(void)
{
	printf("usage: far_stream --connect ADDR:PORT [--bind ADDR[:PORT]] | --listen ADDR:PORT\n"
	       "  streams: [--send BYTES] [--recv BYTES] | --endless, [--rate BYTES/S] [--vary BYTES/S] [--read-rate BYTES/S]\n"
	       "           [--by-port]\n"
	       "  echo:    --echo MS (a request each MS) [--count N]\n"
	       "  [--seed N] [--message BYTES (0: of all sizes)] [--timeout MS without progress] [--rcvbuf N] [--sndbuf N] [--mss N]\n"
	       "  [--window-clamp N] [--nodelay] [--md5 ADDR,KEY] [--fastopen]\n");
	exit(0);
}

static void parse(int argc, char **argv)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		uint64_t v = optarg ? strtoull(optarg, NULL, 0) : 0;

		switch (opt) {
		case O_CONNECT: net_parse(optarg, &connect_to); break;
		case O_LISTEN: net_parse(optarg, &listen_at); break;
		case O_BIND: net_parse(optarg, &bind_to); break;
		case O_SEND: bytes_send = v; break;
		case O_RECV: bytes_recv = v; break;
		case O_RATE: send_rate.rate = v; break;
		case O_READ_RATE: recv_rate.rate = v; break;
		case O_SEED: seed = v; break;
		case O_MESSAGE: message = v && v < 8 ? 8 : v > ECHO_MAX ? ECHO_MAX : v; break;
		case O_ECHO: ping_ms = v ? v : 1; break;
		case O_COUNT: count = v; break;
		case O_TIMEOUT: timeout_ms = v; break;
		case O_RCVBUF: opts.rcvbuf = v; break;
		case O_SNDBUF: opts.sndbuf = v; break;
		case O_MSS: opts.mss = v; break;
		case O_CLAMP: opts.window_clamp = v; break;
		case O_NODELAY: opts.nodelay = true; break;
		case O_MD5: opts.md5 = optarg; break;
		case O_FASTOPEN: opts.fastopen = true; break;
		case O_ENDLESS: endless = true; bytes_send = bytes_recv = UINT64_MAX / 4; break;
		case O_BY_PORT: by_port = true; break;
		case O_VARY: send_rate.varied = v; break;
		case O_HELP: help(); break;
		default: exit(2);
		}
	}
	if (!connect_to.len == !listen_at.len)
		errx(2, "either --connect or --listen; see --help");
}

static void establish(void)
{
	struct sockaddr_storage a = { 0 }, b = { 0 };
	socklen_t la = sizeof(a), lb = sizeof(b);
	char local[64], peer[64];
	struct pollfd p = { .events = POLLIN };

	if (connect_to.len) {
		fd = net_connect(&connect_to, &bind_to, &opts, false);
		if (fd < 0)
			result(strerrorname_np(-fd));
	} else {
		p.fd = net_listen(&listen_at, &opts);
		printf("listening\n");
		if (poll(&p, 1, timeout_ms) != 1)
			result("nobody_came");
		fd = accept4(p.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			result(errno_word(errno));
		close(p.fd);
		net_apply(fd, &opts);
	}
	getsockname(fd, (void *)&a, &la);
	getpeername(fd, (void *)&b, &lb);
	net_format(&a, local, sizeof(local));
	if (by_port)
		seed += strtoul(strrchr(local, ':') + 1, NULL, 10) * PATTERN_BY_PORT;
	srandom(seed);
	pattern_init(&out_pattern, seed + PATTERN_TO_SERVER, message);
	pattern_init(&in_pattern, seed + PATTERN_TO_FAR, message);
	net_format(&b, peer, sizeof(peer));
	printf("connected local=%s peer=%s\n", local, peer);
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_signal };

	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(argc, argv);
	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sha256_init(&sha_tx);
	sha256_init(&sha_rx);
	establish();
	loop();
}
