// SPDX-License-Identifier: GPL-2.0-only
/* nsr-bgpd: messages, attributes, tables and the replicated state, each by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "../../examples/bgp/message.h"
#include "../../examples/bgp/state.h"

static const struct attr_env as4_env = { .as4 = true, .mp4 = true, .mp6 = true };
static const struct attr_env as2_env = { .mp4 = true, .mp6 = true };
static const struct attr_env ibgp_env = { .as4 = true, .ibgp = true, .mp4 = true, .mp6 = true };

/* An UPDATE of the given parts. */
static size_t make_update(uint8_t *out, const char *withdrawn, size_t wlen, const char *attr, size_t alen,
			  const char *nlri, size_t nlen)
{
	uint8_t *p = out + BGP_HEADER_LEN;

	p = put_bytes(put16(p, (uint16_t)wlen), withdrawn, wlen);
	p = put_bytes(put16(p, (uint16_t)alen), attr, alen);
	p = put_bytes(p, nlri, nlen);
	memset(out, 0xff, 16);
	put16(out + 16, (uint16_t)(p - out));
	out[18] = BGP_UPDATE;
	return (size_t)(p - out);
}

#define ORIGIN_IGP	"\x40\x01\x01\x00"
#define PATH_65001	"\x40\x02\x06\x02\x01\x00\x00\xfd\xe9"
#define PATH2_65001	"\x40\x02\x04\x02\x01\xfd\xe9"
#define NEXT_HOP	"\x40\x03\x04\xc0\x00\x02\x01"
#define GOOD		ORIGIN_IGP PATH_65001 NEXT_HOP
#define NET10		"\x10\x0a\x01"
#define REACH6		"\x80\x0e\x1a\x00\x02\x01\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0" \
			"\x20\x20\x01\x0d\xb8"

struct update_case {
	const char *name;
	const struct attr_env *env;
	const char *attr;
	size_t len;
	int verdict;			/* -1 with code, sub: NOTIFICATION */
	uint8_t sub;
};

#define CASE(n, e, a, v, s)	{ n, e, a, sizeof(a) - 1, v, s }
static const struct update_case cases[] = {
	CASE("good", &as4_env, GOOD, VERDICT_OK, 0),
	CASE("good, two octets", &as2_env, ORIGIN_IGP PATH2_65001 NEXT_HOP, VERDICT_OK, 0),
	CASE("any order", &as4_env, NEXT_HOP PATH_65001 ORIGIN_IGP, VERDICT_OK, 0),
	CASE("no origin", &as4_env, PATH_65001 NEXT_HOP, VERDICT_WITHDRAW, 0),
	CASE("no path", &as4_env, ORIGIN_IGP NEXT_HOP, VERDICT_WITHDRAW, 0),
	CASE("no next hop", &as4_env, ORIGIN_IGP PATH_65001, VERDICT_WITHDRAW, 0),
	CASE("origin 3", &as4_env, "\x40\x01\x01\x03" PATH_65001 NEXT_HOP, VERDICT_WITHDRAW, 0),
	CASE("origin of two bytes", &as4_env, "\x40\x01\x02\0\0" PATH_65001 NEXT_HOP,
	     VERDICT_WITHDRAW, 0),
	CASE("origin optional", &as4_env, "\xc0\x01\x01\0" PATH_65001 NEXT_HOP, VERDICT_WITHDRAW, 0),
	CASE("path cut off", &as4_env, ORIGIN_IGP "\x40\x02\x05\x02\x01\0\0\xfd" NEXT_HOP,
	     VERDICT_WITHDRAW, 0),
	CASE("path with an unknown segment", &as4_env,
	     ORIGIN_IGP "\x40\x02\x06\x07\x01\0\0\xfd\xe9" NEXT_HOP, VERDICT_WITHDRAW, 0),
	CASE("path with an empty segment", &as4_env, ORIGIN_IGP "\x40\x02\x02\x02\0" NEXT_HOP,
	     VERDICT_WITHDRAW, 0),
	CASE("path with AS 0", &as4_env, ORIGIN_IGP "\x40\x02\x06\x02\x01\0\0\0\0" NEXT_HOP,
	     VERDICT_WITHDRAW, 0),
	CASE("next hop of three bytes", &as4_env, ORIGIN_IGP PATH_65001 "\x40\x03\x03\1\2\3",
	     VERDICT_WITHDRAW, 0),
	CASE("next hop multicast", &as4_env, ORIGIN_IGP PATH_65001 "\x40\x03\x04\xe0\0\0\x05",
	     VERDICT_WITHDRAW, 0),
	CASE("MED of three bytes", &as4_env, GOOD "\x80\x04\x03\0\0\0", VERDICT_WITHDRAW, 0),
	CASE("local-pref from outside is discarded", &as4_env, GOOD "\x40\x05\x03\0\0\0",
	     VERDICT_OK, 0),
	CASE("local-pref of three bytes from inside", &ibgp_env, GOOD "\x40\x05\x03\0\0\0",
	     VERDICT_WITHDRAW, 0),
	CASE("atomic aggregate with a byte is discarded", &as4_env, GOOD "\x40\x06\x01\0",
	     VERDICT_OK, 0),
	CASE("aggregator of six bytes is discarded", &as4_env, GOOD "\xc0\x07\x06\0\1\1\2\3\4",
	     VERDICT_OK, 0),
	CASE("communities of five bytes", &as4_env, GOOD "\xc0\x08\x05\0\0\0\0\0", VERDICT_WITHDRAW, 0),
	CASE("communities of none", &as4_env, GOOD "\xc0\x08\x00", VERDICT_WITHDRAW, 0),
	CASE("large communities of four", &as4_env, GOOD "\xc0\x20\x04\0\0\0\0", VERDICT_WITHDRAW, 0),
	CASE("unknown, optional", &as4_env, GOOD "\xc0\x63\x01\x01", VERDICT_OK, 0),
	CASE("unknown, well-known", &as4_env, GOOD "\x40\x63\x01\x01", -1, UPD_WELL_KNOWN),
	CASE("MED twice", &as4_env, GOOD "\x80\x04\x04\0\0\0\1\x80\x04\x04\0\0\0\2", VERDICT_OK, 0),
	CASE("MP_REACH twice", &as4_env, GOOD REACH6 REACH6, -1, UPD_ATTR_LIST),
	CASE("MP_REACH, next hop of 15", &as4_env,
	     GOOD "\x80\x0e\x14\x00\x02\x01\x0f" "123456789012345" "\0", -1, UPD_OPTIONAL),
	CASE("MP_REACH, prefix of 129 bits", &as4_env,
	     GOOD "\x80\x0e\x16\x00\x02\x01\x10" "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01" "\0\x81",
	     -1, UPD_OPTIONAL),
	CASE("MP_UNREACH cut off", &as4_env, GOOD "\x80\x0f\x02\0\x02", -1, UPD_OPTIONAL),
	CASE("multicast is ignored", &as4_env, GOOD "\x80\x0f\x03\0\x02\x02", VERDICT_OK, 0),
	CASE("runs past the end", &as4_env, GOOD "\x80\x04\x09\0\0\0\1", VERDICT_WITHDRAW, 0),
	CASE("a single byte", &as4_env, GOOD "\x80", VERDICT_WITHDRAW, 0),
};

static void test_update_verdicts(void **state)
{
	uint8_t msg[BGP_MSG_MAX];
	struct update_msg u;
	struct bgp_error e;
	size_t i, len;
	int ret;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct update_case *c = &cases[i];

		len = make_update(msg, NULL, 0, c->attr, c->len, NET10, 3);
		ret = update_decode(msg, len, c->env, &u, &e);
		if (c->verdict < 0 ? ret != -1 || e.code != ERR_UPDATE || e.sub != c->sub :
		    ret || u.attr.verdict != (enum verdict)c->verdict)
			fail_msg("%s: returned %d, verdict %d, %s", c->name, ret, u.attr.verdict,
				 u.attr.why ? u.attr.why : "no fault");
	}
}

static void test_update_lengths(void **state)
{
	uint8_t msg[BGP_MSG_MAX];
	struct update_msg u;
	struct bgp_error e;
	size_t len;

	(void)state;
	len = make_update(msg, NET10, 3, GOOD, sizeof(GOOD) - 1, NET10, 3);
	assert_int_equal(update_decode(msg, len, &as4_env, &u, &e), 0);
	assert_int_equal(u.withdrawn_len, 3);
	assert_int_equal(u.nlri_len, 3);
	put16(msg + 19, (uint16_t)(len - 22));
	assert_int_equal(update_decode(msg, len, &as4_env, &u, &e), -1);
	assert_int_equal(e.sub, UPD_ATTR_LIST);
	len = make_update(msg, NULL, 0, GOOD, sizeof(GOOD) - 1, "\x21\1\2\3\4\5", 6);
	assert_int_equal(update_decode(msg, len, &as4_env, &u, &e), -1);
	assert_int_equal(e.sub, UPD_NETWORK);
	/* Cut off, and nothing says which routes it was about. */
	len = make_update(msg, NULL, 0, "\x80\x0e\xff\0", 4, NULL, 0);
	assert_int_equal(update_decode(msg, len, &as4_env, &u, &e), -1);
	/* End-of-RIB: nothing at all. */
	len = make_update(msg, NULL, 0, NULL, 0, NULL, 0);
	assert_int_equal(update_decode(msg, len, &as4_env, &u, &e), 0);
	assert_null(u.attr.why);
}

static void assert_path(const char *attr, size_t len, const uint8_t *path, size_t path_len)
{
	uint8_t msg[BGP_MSG_MAX];
	struct update_msg u;
	const uint8_t *got;
	struct bgp_error e;
	struct attrs *a;

	len = make_update(msg, NULL, 0, attr, len, NET10, 3);
	assert_int_equal(update_decode(msg, len, &as2_env, &u, &e), 0);
	assert_int_equal(u.attr.verdict, VERDICT_OK);
	a = attrs_intern(u.attr.next_hop.b, 4, &u.attr.tlvs);
	got = attrs_find(a, ATTR_AS_PATH, &len);
	assert_non_null(got);
	assert_int_equal(len, path_len);
	assert_memory_equal(got, path, len);
	assert_null(attrs_find(a, ATTR_AS4_PATH, &len));
	attrs_put(a);
}

#define PATH_2(a)	assert_path(a, sizeof(a) - 1, want, sizeof(want) - 1)
#define AS4_WIDE	"\xc0\x11\x06\x02\x01\x00\x01\x00\x01"		/* 65537 */
static void test_as4_merge(void **state)
{
	(void)state;
	{	/* 65001 AS_TRANS, and AS4_PATH 65537 */
		static const uint8_t want[] = "\x02\x01\0\0\xfd\xe9\x02\x01\0\1\0\1";

		PATH_2(ORIGIN_IGP "\x40\x02\x06\x02\x02\xfd\xe9\x5b\xa0" NEXT_HOP AS4_WIDE);
	}
	{	/* AS4_PATH longer than AS_PATH: ignored */
		static const uint8_t want[] = "\x02\x01\0\0\xfd\xe9";

		PATH_2(ORIGIN_IGP PATH2_65001 NEXT_HOP
		       "\xc0\x11\x0a\x02\x02\x00\x01\x00\x01\x00\x01\x00\x02");
	}
	{	/* AGGREGATOR of an ordinary AS: AS4_PATH is older than the aggregate */
		static const uint8_t want[] = "\x02\x02\0\0\xfd\xe9\0\0\x5b\xa0";

		PATH_2(ORIGIN_IGP "\x40\x02\x06\x02\x02\xfd\xe9\x5b\xa0" NEXT_HOP
		       "\xc0\x07\x06\xfd\xe9\1\2\3\4" AS4_WIDE);
	}
	{	/* malformed AS4_PATH: ignored */
		static const uint8_t want[] = "\x02\x01\0\0\xfd\xe9";

		PATH_2(ORIGIN_IGP PATH2_65001 NEXT_HOP "\xc0\x11\x05\x02\x01\x00\x01\x00");
	}
}

static void test_framing(void **state)
{
	uint8_t msg[BGP_MSG_MAX];
	struct bgp_error e;
	size_t i;

	(void)state;
	assert_int_equal(keepalive_encode(msg), 19);
	for (i = 0; i < 19; i++)
		assert_int_equal(msg_length(msg, i, &e), 0);
	assert_int_equal(msg_length(msg, 19, &e), 19);
	put16(msg + 16, 20);
	assert_int_equal(msg_length(msg, 19, &e), -1);
	assert_int_equal(e.sub, HDR_BAD_LENGTH);
	put16(msg + 16, 4097);
	msg[18] = BGP_UPDATE;
	assert_int_equal(msg_length(msg, 19, &e), -1);
	assert_int_equal(e.sub, HDR_BAD_LENGTH);
	msg[18] = 6;
	assert_int_equal(msg_length(msg, 19, &e), -1);
	assert_int_equal(e.sub, HDR_BAD_TYPE);
	msg[3] = 0;
	assert_int_equal(msg_length(msg, 3, &e), 0);
	assert_int_equal(msg_length(msg, 4, &e), -1);
	assert_int_equal(e.sub, HDR_NOT_SYNC);
}

static void assert_open_refused(const uint8_t *msg, size_t len, int sub)
{
	struct open_msg o;
	struct bgp_error e;

	assert_int_equal(open_decode(msg, len, &o, &e), -1);
	assert_int_equal(e.code, ERR_OPEN);
	assert_int_equal(e.sub, sub);
}

static void test_open(void **state)
{
	struct open_msg in = { .as = 4200000001, .id = 0x0a000001, .hold = 9, .as4 = true,
			       .refresh = true, .mp6 = true }, out;
	static const uint8_t extended[] = "\x04\xfd\xe9\0\x5a\x0a\0\0\1\xff\xff\0\x09\x02\0\x06"
					  "\x41\x04\0\1\0\1";
	uint8_t msg[BGP_MSG_MAX];
	struct bgp_error e;
	size_t len;

	(void)state;
	len = open_encode(&in, msg);
	assert_int_equal(msg_length(msg, len, &e), len);
	assert_int_equal(get16(msg + 20), BGP_AS_TRANS);
	assert_int_equal(open_decode(msg, len, &out, &e), 0);
	assert_int_equal(out.as, in.as);
	assert_int_equal(out.id, in.id);
	assert_int_equal(out.hold, 9);
	assert_true(out.as4 && out.refresh && out.mp6 && !out.mp4);
	msg[19] = 3;
	assert_open_refused(msg, len, OPEN_VERSION);
	msg[19] = 4;
	put16(msg + 22, 2);
	assert_open_refused(msg, len, OPEN_HOLD_TIME);
	put16(msg + 22, 0);
	memset(msg + 24, 0, 4);
	assert_open_refused(msg, len, OPEN_BGP_ID);
	msg[29] = 1;		/* optional parameter 1: authentication, withdrawn long ago */
	assert_open_refused(msg, len, OPEN_PARAM);
	msg[29] = 2;
	msg[30]++;
	assert_open_refused(msg, len, 0);
	msg[28]++;
	assert_open_refused(msg, len, 0);
	/* Without capabilities: IPv4, AS from the fixed field. */
	in = (struct open_msg){ .as = 65001, .id = 1 };
	len = open_encode(&in, msg);
	assert_int_equal(open_decode(msg, len, &out, &e), 0);
	assert_true(out.mp4 && !out.mp6 && !out.as4);
	assert_int_equal(out.as, 65001);
	memcpy(msg + 19, extended, sizeof(extended) - 1);
	len = 19 + sizeof(extended) - 1;
	assert_int_equal(open_decode(msg, len, &out, &e), 0);
	assert_int_equal(out.as, 65537);
}

static struct attrs *some_attrs(uint8_t afi, uint32_t as)
{
	uint8_t path[] = { AS_SEQUENCE, 1, 0, 0, 0, 0 }, origin = 0, nh[16] = { 0x20, 1, [15] = 9 };
	static struct tlvs t;

	t.len = 0;
	put32(path + 2, as);
	tlv_add(&t, ATTR_F_TRANSITIVE, ATTR_AS_PATH, path, sizeof(path));
	tlv_add(&t, ATTR_F_TRANSITIVE, ATTR_ORIGIN, &origin, 1);
	return attrs_intern(nh, afi == AFI_IPV4 ? 4 : 16, &t);
}

/* What the builder makes, the decoder reads: each family, both widths, up to a full message. */
static void roundtrip(uint8_t afi, bool as4, bool withdraw)
{
	struct attrs *a = withdraw ? NULL : some_attrs(afi, 4200000001), *back;
	const struct attr_env *env = as4 ? &as4_env : &as2_env;
	struct prefix p = { .afi = afi, .plen = 24, .b = { 11 } }, got;
	struct update_builder b;
	uint8_t msg[BGP_MSG_MAX];
	const uint8_t *nlri;
	struct update_msg u;
	struct bgp_error e;
	unsigned int n = 0;
	size_t len, left;

	assert_true(update_begin(&b, a, afi, as4));
	for (;; n++) {
		p.b[1] = (uint8_t)(n >> 8);
		p.b[2] = (uint8_t)n;
		if (!update_add(&b, &p))
			break;
	}
	len = update_end(&b, msg);
	assert_in_range(len, BGP_MSG_MAX - 17, BGP_MSG_MAX);
	assert_int_equal(msg_length(msg, len, &e), len);
	assert_int_equal(update_decode(msg, len, env, &u, &e), 0);
	assert_null(u.attr.why);
	if (afi == AFI_IPV6)
		nlri = a ? u.attr.reach.nlri : u.attr.unreach.nlri;
	else
		nlri = a ? u.nlri : u.withdrawn;
	if (afi == AFI_IPV6)
		left = a ? u.attr.reach.len : u.attr.unreach.len;
	else
		left = a ? u.nlri_len : u.withdrawn_len;
	for (; left; n--) {
		size_t step = prefix_decode(afi, nlri, left, &got);

		assert_int_not_equal(step, 0);
		nlri += step;
		left -= step;
	}
	assert_int_equal(n, 0);
	if (!a)
		return;
	back = afi == AFI_IPV6 ? attrs_intern(u.attr.reach.nh, u.attr.reach.nhlen, &u.attr.tlvs) :
		attrs_intern(u.attr.next_hop.b, u.attr.next_hop.len, &u.attr.tlvs);
	assert_ptr_equal(back, a);
	attrs_put(back);
	attrs_put(a);
}

static void test_update_roundtrip(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 8; i++)
		roundtrip(i & 1 ? AFI_IPV6 : AFI_IPV4, i & 2, i & 4);
}

static void test_prefix(void **state)
{
	char buf[PREFIX_STRLEN];
	struct prefix p;

	(void)state;
	assert_true(prefix_parse("10.1.0.0/16", &p));
	assert_string_equal(prefix_str(&p, buf), "10.1.0.0/16");
	assert_true(prefix_parse("0.0.0.0/0", &p));
	assert_true(prefix_parse("2001:db8::/32", &p));
	assert_string_equal(prefix_str(&p, buf), "2001:db8::/32");
	assert_false(prefix_parse("10.1.0.1/16", &p));
	assert_false(prefix_parse("10.1.0.0/33", &p));
	assert_false(prefix_parse("10.1.0.0/-1", &p));
	assert_false(prefix_parse("10.1.0.0/", &p));
	assert_false(prefix_parse("10.1.0.0", &p));
	assert_false(prefix_parse("2001:db8::/129", &p));
}

static void test_rib_walk_survives_change(void **state)
{
	struct attrs *a = some_attrs(AFI_IPV4, 1);
	struct rib rib = { 0 };
	struct prefix p = { .afi = AFI_IPV4, .plen = 32 };
	struct rib_iter it = { 0 };
	struct route *r, **sorted;
	unsigned int i, met = 0;

	(void)state;
	for (i = 0; i < 1000; i++) {
		put32(p.b, i * 2654435761u);
		assert_int_equal(rib_set(&rib, &p, attrs_get(a)), 1);
		assert_int_equal(rib_set(&rib, &p, attrs_get(a)), 0);
	}
	sorted = rib_sorted(&rib);
	for (i = 1; i < 1000; i++)
		assert_true(prefix_cmp(&sorted[i - 1]->prefix, &sorted[i]->prefix) < 0);
	free(sorted);
	/* Delete what was met, and what comes next; the walk meets the rest once. */
	rib_start(&rib, &it);
	while ((r = rib_next(&rib, &it))) {
		met++;
		p = r->prefix;
		assert_true(rib_del(&rib, &p));
		assert_null(rib_find(&rib, &p));
		if (it.at)
			assert_true(rib_del(&rib, &it.at->prefix));
	}
	assert_int_equal(met, 500);
	assert_int_equal(rib.count, 0);
	assert_null(rib.iters);
	rib_clear(&rib);
	attrs_put(a);
}

static void test_state_roundtrip(void **state)
{
	struct session_params in = {
		.state = SESSION_ESTABLISHED, .as4 = true, .mp6 = true, .resend6 = true, .local_as = 1,
		.peer_as = 4200000001, .local_id = 2, .peer_id = 3, .hold = 9, .since = 1ull << 33,
	}, out = { 0 };
	struct attrs *a = some_attrs(AFI_IPV6, 7), *b;
	uint8_t val[STATE_VALUE_MAX], key[STATE_KEY_MAX];
	struct prefix p, q;
	size_t len, i;

	(void)state;
	len = state_session_encode(&in, val);
	assert_true(state_session_decode(val, len, &out));
	assert_int_equal(out.since, in.since);
	assert_int_equal(out.peer_as, in.peer_as);
	assert_true(out.as4 && out.mp6 && out.resend6 && !out.mp4 && !out.refresh && !out.resend4);
	for (i = 0; i < len; i++)
		assert_false(state_session_decode(val, i, &out));
	val[0]++;
	assert_false(state_session_decode(val, len, &out));

	len = state_attrs_encode(a, val);
	b = state_attrs_decode(val, len);
	assert_ptr_equal(a, b);
	attrs_put(b);
	for (i = 0; i < len; i++) {
		b = state_attrs_decode(val, i);		/* a cut at the edge of a TLV is a valid set */
		assert_ptr_not_equal(a, b);
		attrs_put(b);
	}
	attrs_put(a);

	assert_true(prefix_parse("2001:db8:8000::/33", &p));
	len = state_key(STATE_IN, &p, key);
	assert_int_equal(state_key_decode(key, len, &q), STATE_IN);
	assert_int_equal(prefix_cmp(&p, &q), 0);
	assert_int_equal(state_key_decode(key, len - 1, &q), STATE_BAD);
	key[len - 1] |= 1;
	assert_int_equal(state_key_decode(key, len, &q), STATE_BAD);
}

/*
 * Fuzzing with fixed seeds: real messages, with bytes changed, cut, doubled. Nothing is asserted of
 * the verdict, but that what is accepted can be stored, replicated, printed and sent again; the
 * sanitizers watch the rest.
 */
static uint32_t rng;

static uint32_t rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 17;
	rng ^= rng << 5;
	return rng;
}

static void use_set(const uint8_t *nh, size_t nhlen, const struct tlvs *t, uint8_t afi)
{
	struct attrs *a = attrs_intern(nh, nhlen, t), *b;
	uint8_t val[STATE_VALUE_MAX], wire[BGP_MSG_MAX];
	size_t len = state_attrs_encode(a, val);

	b = state_attrs_decode(val, len);
	if (a != b)
		fail_msg("what was parsed cannot be decoded after replication");
	attrs_wire(a, afi, rnd() & 1, wire, sizeof(wire));
	attrs_put(a);
	attrs_put(b);
	val[rnd() % len] ^= (uint8_t)rnd();
	attrs_put(state_attrs_decode(val, rnd() % 4 ? len : rnd() % (len + 1)));
}

static void fuzz_one(const uint8_t *msg, size_t len)
{
	static struct update_msg u;
	struct open_msg o;
	struct bgp_error e;
	char name[80];
	int n = msg_length(msg, len, &e);

	if (n < 0)
		bgp_error_name(e.code, e.sub, name, sizeof(name));
	if (n <= 0)
		return;
	switch (msg[18]) {
	case BGP_OPEN:
		open_decode(msg, (size_t)n, &o, &e);
		break;
	case BGP_NOTIFICATION:
		notification_decode(msg, (size_t)n, &e);
		bgp_error_name(e.code, e.sub, name, sizeof(name));
		break;
	case BGP_ROUTE_REFRESH:
		refresh_decode(msg, (size_t)n);
		break;
	case BGP_UPDATE:
		if (update_decode(msg, (size_t)n, rnd() % 3 ? rnd() & 1 ? &as4_env : &ibgp_env : &as2_env,
				  &u, &e) || u.attr.verdict != VERDICT_OK)
			break;
		if (u.nlri_len)
			use_set(u.attr.next_hop.b, u.attr.next_hop.len, &u.attr.tlvs, AFI_IPV4);
		if (u.attr.reach.afi)
			use_set(u.attr.reach.nh, u.attr.reach.nhlen, &u.attr.tlvs, AFI_IPV6);
	}
}

static size_t fuzz_seed(uint8_t *msg)
{
	static const char attrs[] = GOOD "\x80\x04\x04\0\0\0\1" "\xc0\x08\x08\xfd\xe9\0\1\xfd\xe9\0\2"
		"\xc0\x20\x0c\0\0\0\1\0\0\0\2\0\0\0\3" "\xd0\x63\0\3abc" REACH6;
	static const char old[] = ORIGIN_IGP "\x40\x02\x0a\x02\x02\xfd\xe9\x5b\xa0\x01\x01\xfd\xea" NEXT_HOP
		"\xc0\x07\x06\x5b\xa0\1\2\3\4\xc0\x12\x08\0\1\0\1\1\2\3\4" AS4_WIDE;
	static const struct open_msg o = { .as = 70000, .id = 1, .hold = 90, .as4 = true,
					   .refresh = true, .mp4 = true, .mp6 = true };

	switch (rnd() % 6) {
	case 0: return open_encode(&o, msg);
	case 1: return refresh_encode(AFI_IPV6, msg);
	case 2: return make_update(msg, NET10, 3, old, sizeof(old) - 1, NET10 "\x18\x0a\x02\x03", 7);
	case 3: return make_update(msg, NET10, 3, "\x80\x0f\x06\0\x02\x01\x10\x20\x01", 9, NULL, 0);
	default: return make_update(msg, NULL, 0, attrs, sizeof(attrs) - 1, NET10, 3);
	}
}

static void test_fuzz(void **state)
{
	static uint8_t msg[2 * BGP_MSG_MAX];
	unsigned int i, k;
	uint32_t seed;

	(void)state;
	for (seed = 1; seed <= 4; seed++) {
		rng = seed * 2654435761u;
		for (i = 0; i < 20000; i++) {
			size_t len = fuzz_seed(msg), fixed = rnd() % 8 ? BGP_HEADER_LEN : 0;

			for (k = rnd() % 6; k--;)
				msg[fixed + rnd() % (len - fixed)] = (uint8_t)(rnd() % 3 ? rnd() : 0xff);
			if (rnd() % 8 == 0) {		/* a piece doubled: attributes twice, and so on */
				size_t at = BGP_HEADER_LEN + rnd() % (len - BGP_HEADER_LEN);

				memmove(msg + len, msg + at, len - at);
				len += len - at;
				put16(msg + 16, (uint16_t)len);
			} else if (rnd() % 8 == 0) {
				len = BGP_HEADER_LEN + rnd() % (len - BGP_HEADER_LEN + 1);
				put16(msg + 16, (uint16_t)len);
			}
			fuzz_one(msg, len);
		}
	}
}

static void test_fuzz_state(void **state)
{
	uint8_t buf[128];
	struct session_params s;
	struct prefix p;
	const uint8_t *rest;
	unsigned int i, k;
	size_t n;

	(void)state;
	rng = 4711;
	for (i = 0; i < 100000; i++) {
		size_t len = rnd() % sizeof(buf);

		for (k = 0; k < len; k++)
			buf[k] = (uint8_t)(rnd() % 4 ? rnd() % 20 : rnd());
		if (len)
			buf[0] = "SRINO\1\1\1"[rnd() % 8];
		state_key_decode(buf, len, &p);
		state_session_decode(buf, len, &s);
		state_rest_decode(buf, len, &rest, &n);
		attrs_put(state_attrs_decode(buf, len));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_framing), cmocka_unit_test(test_open),
		cmocka_unit_test(test_update_verdicts), cmocka_unit_test(test_update_lengths),
		cmocka_unit_test(test_as4_merge), cmocka_unit_test(test_update_roundtrip),
		cmocka_unit_test(test_prefix), cmocka_unit_test(test_rib_walk_survives_change),
		cmocka_unit_test(test_state_roundtrip), cmocka_unit_test(test_fuzz),
		cmocka_unit_test(test_fuzz_state),
	};

	return cmocka_run_group_tests_name("bgp_codec", tests, NULL, NULL);
}
