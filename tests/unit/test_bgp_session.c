// SPDX-License-Identifier: GPL-2.0-only
/*
 * nsr-bgpd as a pair, on a libnsr that this test plays:
 *
 *     far end ──── socketpair ────┬── active ── records ──▶ standby
 *      (here)                     └──────────────────────── its shadow: the same socket, duplicated
 *
 * A takeover at a moment of the test's choosing; then the far end's view of the stream, byte by byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "../../examples/bgp/bgp.h"
#include "fake_nsr.h"

#define FAR_ADDR	"192.0.2.2"

/* ---- the far end ---- */

struct far {
	int fd;
	uint8_t buf[1 << 20];
	size_t have, at;
	bool eof, broken;
};

static struct far far;
static struct bgp *act, *sby;		/* the box that is active at first, and the other one */
static struct nsr_conn *shadow;
static struct nsr_conn *act_conn;
static uint8_t withheld;		/* a kind of record that does not arrive: the negative control */

static void far_read(void)
{
	ssize_t n;

	while ((n = recv(far.fd, far.buf + far.have, sizeof(far.buf) - far.have, MSG_DONTWAIT)) > 0)
		far.have += (size_t)n;
	if (!n)
		far.eof = true;
}

/* Next whole message, or NULL. A stream that is not BGP any more is broken. */
static const uint8_t *far_next(size_t *len)
{
	const uint8_t *msg = far.buf + far.at;
	struct bgp_error e;
	int n;

	far_read();
	n = msg_length(msg, far.have - far.at, &e);
	if (n < 0)
		far.broken = true;
	if (n <= 0)
		return NULL;
	far.at += (size_t)n;
	*len = (size_t)n;
	return msg;
}

static void far_send(const uint8_t *msg, size_t len)
{
	assert_int_equal(send(far.fd, msg, len, MSG_NOSIGNAL), len);
}

/* ---- two speakers ---- */

static void turn(struct bgp *bgp)
{
	int i;

	for (i = 0; bgp && i < 50; i++)
		ev_run(bgp->loop, EVRUN_NOWAIT);
}

static struct config *make_config(int port, const char *extra)
{
	char path[] = "/tmp/test_bgp_XXXXXX";
	int fd = mkstemp(path);
	struct config *cfg;

	dprintf(fd, "local-as = 65010\nrouter-id = 10.0.0.1\nlisten = { \"127.0.0.1\" }\nport = %d\n"
		"next-hop = 10.0.0.1\nnext-hop6 = \"2001:db8::1\"\nnsrd-wait = 3600\n"
		"neighbor \"" FAR_ADDR "\" { remote-as = 65001 hold-time = 9 passive = yes }\n%s",
		port, extra);
	close(fd);
	cfg = config_read(path);
	unlink(path);
	return cfg;
}

static const char networks[] =
	"network 10.1.0.0/16 { med = 5 communities = { \"65010:1\" } }\n"
	"network 10.2.0.0/16 { }\nnetwork 10.3.0.0/16 { }\nnetwork6 \"2001:db8:1::/48\" { }\n";

static struct bgp *make_speaker(const char *extra)
{
	int attempt;

	for (attempt = 0; attempt < 20; attempt++) {	/* some port is free */
		struct config *cfg = make_config(20000 + (int)((getpid() + lrand48()) % 40000), extra);
		struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
		struct bgp *bgp;

		assert_non_null(cfg);
		bgp = bgp_create(loop, cfg, "");
		if (bgp)
			return bgp;
		ev_loop_destroy(loop);
	}
	return NULL;
}

static void destroy_speaker(struct bgp **bgp)
{
	struct ev_loop *loop = *bgp ? (*bgp)->loop : NULL;

	if (!*bgp)
		return;
	bgp_destroy(*bgp);
	ev_loop_destroy(loop);
	*bgp = NULL;
}

/* A put of the active arrives at the standby, as state of the shadow if it was bound. */
static void carry(void *arg, struct nsr_conn *conn, const void *key, size_t klen, const void *val,
		  size_t vlen)
{
	(void)arg;
	if (sby && (!conn || shadow) && *(const uint8_t *)key != withheld)
		fake_state(sby->nsr, conn ? shadow : NULL, key, klen, val, vlen);
}

static struct nsr_conn_info info_of_far(enum nsr_mode mode)
{
	struct nsr_conn_info info = { .size = sizeof(info), .mode = mode };
	struct addr a;

	addr_parse(FAR_ADDR, &a);
	addr_to_sockaddr(&a, 40000, &info.remote);
	addr_parse("10.0.0.1", &a);
	addr_to_sockaddr(&a, BGP_PORT, &info.local);
	return info;
}

static void add_shadow(enum nsr_mode mode)
{
	struct nsr_conn_info info = info_of_far(mode);
	int fd = dup(nsr_conn_get_data(act_conn) ? ((struct session *)nsr_conn_get_data(act_conn))->fd : -1);

	shadow = fake_add(sby->nsr, fd, &info);
}

static void connect_far(void)
{
	struct nsr_conn_info info = info_of_far(NSR_MODE_ADOPT);
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	far.fd = sv[0];
	far.have = far.at = 0;
	far.eof = far.broken = false;
	peer_accepted(act, sv[1], &info.remote);
	act_conn = fake_first(act->nsr);
}

static void far_open(uint32_t as, uint16_t hold)
{
	struct open_msg o = { .as = as, .id = 0x0a000002, .hold = hold, .as4 = true, .refresh = true,
			      .mp4 = true, .mp6 = true };
	uint8_t msg[BGP_MSG_MAX];

	far_send(msg, open_encode(&o, msg));
}

static void far_keepalive(void)
{
	uint8_t msg[BGP_MSG_MAX];

	far_send(msg, keepalive_encode(msg));
}

static size_t make_route(uint8_t msg[BGP_MSG_MAX], const char *prefix, uint32_t origin_as)
{
	uint8_t path[] = { AS_SEQUENCE, 2, 0, 0, 0xfd, 0xe9, 0, 0, 0, 0 }, igp = 0, nh[16] = { 192, 0, 2, 2 };
	static struct tlvs t;
	struct update_builder b;
	struct attrs *a;
	struct prefix p;
	size_t len;

	assert_true(prefix_parse(prefix, &p));
	put32(path + 6, origin_as);
	t.len = 0;
	tlv_add(&t, ATTR_F_TRANSITIVE, ATTR_ORIGIN, &igp, 1);
	tlv_add(&t, ATTR_F_TRANSITIVE, ATTR_AS_PATH, path, sizeof(path));
	a = attrs_intern(nh, p.afi == AFI_IPV4 ? 4 : 16, &t);
	assert_true(update_begin(&b, origin_as ? a : NULL, p.afi, true));
	update_add(&b, &p);
	len = update_end(&b, msg);
	attrs_put(a);
	return len;
}

static void far_route(const char *prefix, uint32_t origin_as)	/* 0: withdraw */
{
	uint8_t msg[BGP_MSG_MAX];

	far_send(msg, make_route(msg, prefix, origin_as));
}

static char *rib_of(struct bgp *bgp)
{
	size_t len;
	char *text = show_answer(bgp, "show rib", &len);

	return text ? text : strdup("");
}

static void assert_same_rib(void)
{
	char *a = rib_of(act), *b = rib_of(sby);

	assert_string_equal(a, b);
	free(a);
	free(b);
}

static int count_lines(struct bgp *bgp, const char *word)
{
	char *text = rib_of(bgp), *line, *save = NULL;
	int n = 0;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		n += strstr(line, word) != NULL;
	free(text);
	return n;
}

static void start_pair(const char *extra)
{
	act = make_speaker(extra);
	sby = make_speaker("");
	assert_non_null(act);
	assert_non_null(sby);
	fake_set_sink(act->nsr, carry, NULL);
	shadow = NULL;
	fake_role(sby->nsr, NSR_ROLE_STANDBY);
	fake_role(act->nsr, NSR_ROLE_ACTIVE);
	connect_far();
	add_shadow(NSR_MODE_ADOPT);
	/* What was put before the shadow was there: nsrd would have kept it for it. */
	fake_snapshot(act->nsr);
	turn(act);
	fake_synced(sby->nsr);
}

static void establish(void)
{
	far_open(65001, 9);
	turn(act);
	far_keepalive();
	turn(act);
}

/* The active is gone, without a word; the standby has its role. */
static void takeover(const struct nsr_resume *r)
{
	size_t n;
	const void *tail;

	n = fake_tail(act_conn, &tail);
	fake_set_tail(shadow, tail, n);
	fake_set_sink(act->nsr, NULL, NULL);
	fake_gone(act_conn, NSR_GONE_DEMOTED);
	fake_role(act->nsr, NSR_ROLE_STANDBY);
	fake_role(sby->nsr, NSR_ROLE_ACTIVE);
	fake_resume(shadow, r);
	turn(sby);
}

static void stop_pair(void)
{
	destroy_speaker(&act);
	destroy_speaker(&sby);
	close(far.fd);
}

/* What the far end was told, as it would be told apart by its own decoder. */
struct heard {
	struct rib routes;
	unsigned int updates, keepalives, opens, announced;
	struct bgp_error note;
};

static void far_listen(struct heard *h)
{
	static const struct attr_env env = { .as4 = true, .mp4 = true, .mp6 = true };
	static struct update_msg u;
	const uint8_t *msg, *nlri;
	struct bgp_error e;
	struct prefix p;
	size_t len, n;
	int pass;

	while ((msg = far_next(&len))) {
		h->updates += msg[18] == BGP_UPDATE;
		h->keepalives += msg[18] == BGP_KEEPALIVE;
		h->opens += msg[18] == BGP_OPEN;
		if (msg[18] == BGP_NOTIFICATION)
			notification_decode(msg, len, &h->note);
		if (msg[18] != BGP_UPDATE)
			continue;
		if (update_decode(msg, len, &env, &u, &e) || u.attr.why) {
			far.broken = true;
			continue;
		}
		for (pass = 0; pass < 4; pass++) {
			bool v6 = pass & 1, add = pass & 2;
			struct mp_routes *mp = add ? &u.attr.reach : &u.attr.unreach;

			nlri = v6 ? mp->nlri : add ? u.nlri : u.withdrawn;
			len = v6 ? mp->len : add ? u.nlri_len : u.withdrawn_len;
			for (; len; nlri += n, len -= n) {
				n = prefix_decode(v6 ? AFI_IPV6 : AFI_IPV4, nlri, len, &p);
				if (!add) {
					far.broken |= !rib_del(&h->routes, &p);
					continue;
				}
				h->announced++;
				rib_set(&h->routes, &p, v6 ? attrs_intern(mp->nh, mp->nhlen, &u.attr.tlvs) :
					attrs_intern(u.attr.next_hop.b, 4, &u.attr.tlvs));
			}
		}
	}
}

/* ---- tests ---- */

static void test_takeover_idle(void **state)
{
	static const struct nsr_resume r = { .size = sizeof(r) };
	struct heard before = { 0 }, after = { 0 };
	uint8_t msg[BGP_MSG_MAX];
	size_t len;

	(void)state;
	start_pair(networks);
	establish();
	far_route("10.77.0.0/16", 7);
	far_route("2001:db8:77::/48", 7);
	far_route("10.78.0.0/16", 8);
	far_route("10.77.0.0/16", 9);		/* implicit replacement */
	far_route("10.78.0.0/16", 0);
	len = make_route(msg, "10.79.0.0/16", 7);
	far_send(msg, len - 1);			/* the tail */
	turn(act);
	far_listen(&before);
	assert_int_equal(before.routes.count, 4);
	assert_int_equal(count_lines(act, " in "), 2);
	assert_int_equal(count_lines(act, "[65001 9]"), 1);
	assert_same_rib();
	takeover(&r);
	far_listen(&after);
	assert_false(far.broken);
	assert_int_equal(after.keepalives, 1);
	assert_int_equal(after.updates, 0);	/* it knows all that already */
	assert_int_equal(after.opens, 0);
	assert_false(far.eof);
	far_send(msg + len - 1, 1);
	turn(sby);
	assert_int_equal(count_lines(sby, " in "), 3);
	/* The networks in force are the old active's, until somebody says otherwise here. */
	bgp_reload(sby, make_config(sby->cfg->port, "network 10.2.0.0/16 { med = 1 }\n"));
	turn(sby);
	far_listen(&before);
	assert_int_equal(before.routes.count, 1);
	assert_int_equal(count_lines(sby, " out 10.2.0.0/16 via 10.0.0.1 origin igp path [65010] med 1"), 1);
	stop_pair();
	rib_clear(&before.routes);
}

/* The socket of the old active takes n bytes and not one more, for every n. How many went wrong? */
static size_t cut_at_every_byte(void)
{
	static const struct nsr_resume r = { .size = sizeof(r) };
	size_t n, total = 0, wrong = 0;

	for (n = 1; !total || n <= total; n++) {
		struct heard h = { 0 };

		act = make_speaker(networks);
		sby = make_speaker("");
		assert_true(act && sby);
		fake_set_sink(act->nsr, carry, NULL);
		shadow = NULL;
		fake_role(sby->nsr, NSR_ROLE_STANDBY);
		fake_role(act->nsr, NSR_ROLE_ACTIVE);
		fake_limit_send(act->nsr, total ? (ssize_t)n : -1);
		connect_far();
		add_shadow(NSR_MODE_ADOPT);
		fake_snapshot(act->nsr);
		turn(act);
		establish();
		if (!total) {		/* once without a limit, to know how long it is */
			far_read();
			total = far.have;
			assert_in_range(total, 200, 2000);
			n = 0;
		}
		if (!withheld)
			assert_same_rib();
		takeover(&r);
		far_listen(&h);
		if (h.opens != 1 || h.routes.count != 4 || h.announced != 4 || !h.keepalives ||
		    far.eof || far.broken || count_lines(sby, " out ") != 4)
			wrong++;
		stop_pair();
		rib_clear(&h.routes);
	}
	return wrong;
}

static void test_takeover_at_every_byte(void **state)
{
	(void)state;
	assert_int_equal(cut_at_every_byte(), 0);
}

/* The control: each kind of record is there because without it something breaks. */
static void test_takeover_without_a_record(void **state)
{
	static const char kinds[] = { STATE_REST, STATE_OUT, STATE_NETWORK, STATE_SESSION };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(kinds); i++) {
		withheld = (uint8_t)kinds[i];
		if (!cut_at_every_byte())
			fail_msg("nothing went wrong without '%c'", kinds[i]);
	}
	withheld = 0;
}

static void test_blocked_goes_on(void **state)
{
	struct heard h = { 0 };

	(void)state;
	start_pair(networks);
	fake_limit_send(act->nsr, 30);
	establish();
	far_listen(&h);
	assert_int_equal(h.routes.count, 0);
	fake_limit_send(act->nsr, 70);
	fake_writable(act_conn);
	turn(act);
	assert_same_rib();
	fake_limit_send(act->nsr, -1);
	fake_writable(act_conn);
	turn(act);
	far_listen(&h);
	assert_int_equal(h.routes.count, 4);
	assert_int_equal(h.announced, 4);
	assert_same_rib();
	stop_pair();
	rib_clear(&h.routes);
}

static void test_refresh_across_takeover(void **state)
{
	static const struct nsr_resume r = { .size = sizeof(r) };
	struct heard h = { 0 };
	uint8_t msg[BGP_MSG_MAX];

	(void)state;
	start_pair(networks);
	establish();
	far_listen(&h);
	assert_int_equal(h.announced, 4);
	far_send(msg, refresh_encode(AFI_IPV4, msg));
	turn(act);
	far_listen(&h);
	assert_int_equal(h.announced, 4 + 3);
	far_send(msg, refresh_encode(AFI_IPV4, msg));
	fake_limit_send(act->nsr, 10);
	turn(act);
	far_listen(&h);
	assert_int_equal(h.announced, 4 + 3);
	takeover(&r);
	far_listen(&h);
	assert_in_range(h.announced, 4 + 3 + 3, 4 + 3 + 4);	/* the one cut in two, perhaps again */
	assert_int_equal(h.routes.count, 4);
	stop_pair();
	rib_clear(&h.routes);
}

/* What this box cannot vouch for ends with RST, and without a byte: there is no place for one. */
static void gap(struct nsr_resume r, enum nsr_mode mode, bool survives)
{
	size_t before;

	r.size = sizeof(r);
	act = make_speaker(networks);
	sby = make_speaker("");
	fake_set_sink(act->nsr, carry, NULL);
	shadow = NULL;
	fake_role(sby->nsr, NSR_ROLE_STANDBY);
	fake_role(act->nsr, NSR_ROLE_ACTIVE);
	connect_far();
	add_shadow(mode);
	fake_snapshot(act->nsr);
	turn(act);
	establish();
	far_read();
	before = far.have;
	takeover(&r);
	far_read();
	if (survives) {
		assert_int_equal(far.have - before, BGP_HEADER_LEN);
		assert_false(far.eof);
	} else {
		assert_int_equal(far.have, before);
		assert_true(far.eof);
		assert_int_equal(fake_last_close(sby->nsr), NSR_RST);
	}
	stop_pair();
}

/* Shorter than the time given, by a quarter at most, and not always by the same. */
static void test_jitter(void **state)
{
	double least = 9, most = 0, t;
	int i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		t = jittered(3);
		least = t < least ? t : least;
		most = t > most ? t : most;
	}
	assert_true(least >= 2.25 && most <= 3);
	assert_true(most - least > 0.5);
}

static struct nsr_resume at(uint64_t pos, uint64_t known, uint64_t next)
{
	return (struct nsr_resume){ .snd_pos = pos, .snd_known = known, .snd_next = next };
}

static void test_gaps(void **state)
{
	(void)state;
	/* Where the peer is, what this box knows of, where nsr_send() goes on. */
	gap(at(100, 100, 100), NSR_MODE_ADOPT, true);
	gap(at(119, 100, 119), NSR_MODE_ADOPT, false);
	gap(at(81, 100, 81), NSR_MODE_ADOPT, false);
	/* A journal stands in; one that was not protected has none, whatever the mode. */
	gap(at(81, 100, 100), NSR_MODE_LOSSLESS, true);
	gap(at(81, 100, 81), NSR_MODE_LOSSLESS, false);
	gap(at(119, 100, 119), NSR_MODE_LOSSLESS, false);
	gap((struct nsr_resume){ .rcv_missing = 19 }, NSR_MODE_ADOPT, false);
	gap((struct nsr_resume){ .rcv_uncertain = 19 }, NSR_MODE_ADOPT, true);
}

static void test_late_standby(void **state)
{
	char prefix[PREFIX_STRLEN];
	int i;

	(void)state;
	start_pair(networks);
	establish();
	for (i = 0; i < 3000; i++) {
		snprintf(prefix, sizeof(prefix), "11.%d.%d.0/24", i / 256, i % 256);
		far_route(prefix, 7);
		if (i % 64 == 0)
			turn(act);
	}
	turn(act);
	fake_gone(shadow, NSR_GONE_RESYNC);
	destroy_speaker(&sby);
	sby = make_speaker("network 10.99.0.0/16 { }\n");	/* not in force, and to be forgotten */
	fake_role(sby->nsr, NSR_ROLE_STANDBY);
	add_shadow(NSR_MODE_ADOPT);
	fake_snapshot(act->nsr);
	/* Live changes while the snapshot is under way. */
	far_route("11.0.7.0/24", 0);
	far_route("11.11.9.0/24", 8);
	far_route("12.0.0.0/8", 9);
	for (i = 0; i < 40; i++)
		turn(act);
	assert_int_equal(fake_stats(act->nsr)->snapshots, 2);
	fake_synced(sby->nsr);
	assert_int_equal(count_lines(act, " in "), 3000);
	assert_same_rib();
	assert_int_equal(sby->networks.count, 4);
	stop_pair();
}

static void test_garbage_state(void **state)
{
	static const struct nsr_resume r = { .size = sizeof(r) };
	uint8_t buf[300];
	size_t before;
	int i, k;

	(void)state;
	start_pair(networks);
	establish();
	for (i = 0; i < 20000; i++) {
		int klen = (int)(lrand48() % 20), vlen = (int)(lrand48() % 250);

		for (k = 0; k < 300; k++)
			buf[k] = (uint8_t)(lrand48() % 3 ? lrand48() % 20 : lrand48());
		if (klen)
			buf[0] = (uint8_t)"SRINO"[lrand48() % 5];
		fake_state(sby->nsr, lrand48() % 2 ? shadow : NULL, buf, (size_t)klen,
			   lrand48() % 4 ? buf + klen : NULL, (size_t)vlen);
	}
	fake_synced(sby->nsr);
	free(rib_of(sby));
	far_read();
	before = far.have;
	takeover(&r);
	far_read();
	assert_int_equal(far.have, before);	/* not one byte made from garbage */
	assert_true(far.eof);
	stop_pair();
}

static void test_demoted_is_silent(void **state)
{
	size_t before;

	(void)state;
	start_pair(networks);
	establish();
	far_read();
	before = far.have;
	fake_gone(act_conn, NSR_GONE_DEMOTED);
	fake_role(act->nsr, NSR_ROLE_STANDBY);
	turn(act);
	far_read();
	assert_int_equal(far.have, before);
	assert_false(far.eof);			/* the shadow still holds it */
	assert_int_equal(fake_last_close(act->nsr), NSR_RST);
	assert_false(act->speaking);
	stop_pair();
}

static void test_leaving_called_off(void **state)
{
	static const struct nsr_resume r = { .size = sizeof(r), .planned = 1 };
	struct heard h = { 0 };
	uint8_t msg[BGP_MSG_MAX];
	size_t before, len;

	(void)state;
	start_pair(networks);
	establish();
	len = make_route(msg, "10.77.0.0/16", 7);
	far_send(msg, 20);
	turn(act);
	far_listen(&h);
	before = far.have;
	fake_role(act->nsr, NSR_ROLE_LEAVING);
	assert_int_equal(fake_stats(act->nsr)->left, 1);
	far_send(msg + 20, len - 20);
	turn(act);
	far_read();
	assert_int_equal(far.have, before);
	assert_int_equal(count_lines(act, " in "), 0);
	fake_role(act->nsr, NSR_ROLE_ACTIVE);
	fake_resume(act_conn, &r);
	turn(act);
	assert_int_equal(count_lines(act, " in "), 1);
	h.keepalives = 0;
	far_listen(&h);
	assert_int_equal(h.keepalives, 1);
	assert_int_equal(h.announced, 4);
	stop_pair();
	rib_clear(&h.routes);
}

static void assert_notified(uint8_t code, uint8_t sub)
{
	struct heard h = { 0 };

	turn(act);
	fake_gone(shadow, NSR_GONE_PEER);	/* as the active's kernel would have said */
	far_listen(&h);
	if (h.note.code != code || h.note.sub != sub)
		fail_msg("NOTIFICATION %u/%u, expected %u/%u", h.note.code, h.note.sub, code, sub);
	assert_true(far.eof);
	rib_clear(&h.routes);
	stop_pair();
}

static void test_notifications(void **state)
{
	uint8_t msg[BGP_MSG_MAX];

	(void)state;
	start_pair(networks);
	far_keepalive();
	assert_notified(ERR_FSM, FSM_OPENSENT);

	start_pair(networks);
	far_open(65001, 9);
	turn(act);
	far_route("10.0.0.0/8", 1);
	assert_notified(ERR_FSM, FSM_OPENCONFIRM);

	start_pair(networks);
	establish();
	far_open(65001, 9);
	assert_notified(ERR_FSM, FSM_ESTABLISHED);

	start_pair(networks);
	far_open(65002, 9);
	assert_notified(ERR_OPEN, OPEN_PEER_AS);

	start_pair(networks);
	far_open(65001, 2);
	assert_notified(ERR_OPEN, OPEN_HOLD_TIME);

	start_pair(networks);
	establish();
	far_send((const uint8_t *)"GET / HTTP/1.1\r\n\r\n", 18);
	assert_notified(ERR_HEADER, HDR_NOT_SYNC);

	start_pair(networks);
	establish();
	keepalive_encode(msg);
	put16(msg + 16, 18);
	far_send(msg, 19);
	assert_notified(ERR_HEADER, HDR_BAD_LENGTH);

	start_pair(networks);
	establish();
	bgp_shutdown(act);
	assert_notified(ERR_CEASE, CEASE_SHUTDOWN);

	start_pair(networks);
	far_open(65001, 3);
	turn(act);
	far_keepalive();
	turn(act);
	while (act->peers->sessions)		/* then says nothing any more */
		ev_run(act->loop, EVRUN_ONCE);
	assert_notified(ERR_HOLD, 0);
}

/* Both open at once: with the lower identifier here, the connection that the peer opened stays. */
static void test_collision(void **state)
{
	struct nsr_conn *first;
	struct heard h = { 0 };
	int first_fd;

	(void)state;
	start_pair(networks);
	far_open(65001, 9);
	turn(act);
	first = act_conn;
	first_fd = far.fd;
	((struct session *)nsr_conn_get_data(first))->active_open = true;	/* as if we had dialled it */
	connect_far();
	establish();
	far_listen(&h);
	assert_int_equal(h.note.code, 0);
	assert_int_equal(h.routes.count, 4);
	close(far.fd);
	far.fd = first_fd;
	far.have = far.at = 0;
	rib_clear(&h.routes);
	assert_notified(ERR_CEASE, CEASE_COLLISION);
}

static void test_established_stays_in_collision(void **state)
{
	int first_fd;
	struct heard h = { 0 };

	(void)state;
	start_pair(networks);
	establish();
	first_fd = far.fd;
	connect_far();
	far_open(65001, 9);
	turn(act);
	far_listen(&h);
	assert_int_equal(h.note.code, ERR_CEASE);
	assert_int_equal(h.note.sub, CEASE_COLLISION);
	close(far.fd);
	far.fd = first_fd;
	far.eof = false;
	far_read();
	assert_false(far.eof);
	stop_pair();
}

/* A far end that was reborn while its session is a shadow not yet resumed: the new one counts. */
static void test_shadow_yields_to_new_connection(void **state)
{
	struct bgp *old;

	(void)state;
	start_pair(networks);
	establish();
	old = act;
	fake_gone(act_conn, NSR_GONE_DEMOTED);
	fake_role(act->nsr, NSR_ROLE_STANDBY);
	fake_role(sby->nsr, NSR_ROLE_ACTIVE);
	close(far.fd);
	act = sby;
	connect_far();
	establish();
	assert_int_equal(count_lines(act, " out "), 4);
	assert_null(act->peers->sessions->next);
	act = old;
	stop_pair();
}

static void test_config_errors(void **state)
{
	static const char *const bad[] = {
		"neighbor 10.0.0.9 { }\n", "neighbor x { remote-as = 1 }\n",
		"neighbor 10.0.0.9 { remote-as = 0 }\n", "neighbor 10.0.0.9 { remote-as = 1 ttl = 256 }\n",
		"neighbor 10.0.0.9 { remote-as = 1 hold-time = 2 }\n",
		"neighbor " FAR_ADDR " { remote-as = 1 }\n", "network 10.0.0.1/8 { }\n",
		"network \"2001:db8::/32\" { }\n", "network6 10.0.0.0/8 { }\n", "nonsense = 1\n",
		"network 10.0.0.0/8 { communities = { \"1:2:3:4\" } }\n",
		"network 10.0.0.0/8 { communities = { \"65536:1\" } }\n", "port = 0\n",
		"neighbor \"fe80::1\" { remote-as = 1 local-address = 10.0.0.1 }\n",
	};
	struct config *cfg;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cfg = make_config(1790, bad[i]);
		if (cfg)
			fail_msg("accepted: %s", bad[i]);
	}
	cfg = make_config(1790, networks);
	assert_non_null(cfg);
	config_free(cfg);
}

/* A file of networks: what the configuration names itself keeps its attributes; what is wrong is refused. */
static void test_networks_file(void **state)
{
	static const char *const bad[] = { "10.5.0.1/16\n", "10.5.0.0/16 10.6.0.0/16\n", "10.5.0.0/33\n", "x" };
	char path[] = "/tmp/test_bgp_nets_XXXXXX", extra[512], line[200];
	const struct route *r;
	struct config *cfg;
	struct prefix p;
	size_t i;
	FILE *f;

	(void)state;
	close(mkstemp(path));
	snprintf(extra, sizeof(extra), "%snetworks-file = { \"%s\" }\n", networks, path);
	f = fopen(path, "w");
	fputs("# a comment\n\n 10.1.0.0/16\t# named above\n10.5.0.0/16\r\n2001:db8:5::/48\n10.5.0.0/16", f);
	fclose(f);
	cfg = make_config(1790, extra);
	assert_non_null(cfg);
	assert_int_equal(cfg->networks.count, 6);
	prefix_parse("10.1.0.0/16", &p);
	r = rib_find(&cfg->networks, &p);
	assert_true(r && r->attrs->len);
	prefix_parse("2001:db8:5::/48", &p);
	r = rib_find(&cfg->networks, &p);
	assert_true(r && !r->attrs->len);
	config_free(cfg);
	memset(line, 'a', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	for (i = 0; i <= sizeof(bad) / sizeof(bad[0]); i++) {
		f = fopen(path, "w");
		fputs(i < sizeof(bad) / sizeof(bad[0]) ? bad[i] : line, f);
		fclose(f);
		assert_null(make_config(1790, extra));
	}
	unlink(path);
	assert_null(make_config(1790, extra));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_takeover_idle), cmocka_unit_test(test_takeover_at_every_byte),
		cmocka_unit_test(test_takeover_without_a_record),
		cmocka_unit_test(test_blocked_goes_on), cmocka_unit_test(test_refresh_across_takeover),
		cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_jitter), cmocka_unit_test(test_late_standby),
		cmocka_unit_test(test_garbage_state), cmocka_unit_test(test_demoted_is_silent),
		cmocka_unit_test(test_leaving_called_off), cmocka_unit_test(test_notifications),
		cmocka_unit_test(test_collision), cmocka_unit_test(test_established_stays_in_collision),
		cmocka_unit_test(test_shadow_yields_to_new_connection),
		cmocka_unit_test(test_config_errors), cmocka_unit_test(test_networks_file),
	};

	if (!getenv("VERBOSE"))			/* what the speakers say is not the test's output */
		log_level = LOG_LVL_NONE;
	return cmocka_run_group_tests_name("bgp_session", tests, NULL, NULL);
}
