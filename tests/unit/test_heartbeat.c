// SPDX-License-Identifier: GPL-2.0-only
/* Heartbeats: every member survives the way there; what is malformed or lacking is refused. */
#include <errno.h>
#include "heartbeat.h"
#include "frame.h"
#include "sync_rig.h"

static const struct nsr_heartbeat full = {
	.schema_major = 1, .schema_minor = 7, .group = 3, .node = 2, .instance = 0x1122334455667788,
	.seq = 99, .state = ROLE_READY, .in_step = 1, .warm = 1, .gates_open = 1, .reason = ROLE_WHY_LINK,
	.priority = -5, .term = { 12, 2 }, .data_term = { 11, 1 }, .offer = { 13, 1 }, .epoch = 4,
	.ts = 123456789, .echo = 987654321, .echo_instance = 0x99,
};

static const uint8_t mac[6] = { 2, 0, 0, 1, 2, 3 };

static int decode(const struct attr_buf *b, struct nsr_heartbeat *hb, uint8_t m[6], bool *has_mac)
{
	const char *why = NULL;
	int err = nsr_heartbeat_decode(b->data, b->len, hb, m, has_mac, &why);

	if (err)
		assert_non_null(why);
	return err;
}

static void there_and_back(void **unused)
{
	struct nsr_heartbeat hb;
	struct attr_buf b = { 0 };
	uint8_t m[6];
	bool has_mac;

	(void)unused;
	nsr_heartbeat_encode(&b, &full, mac);
	assert_false(b.failed);
	assert_int_equal(decode(&b, &hb, m, &has_mac), 0);
	assert_true(has_mac);
	assert_memory_equal(m, mac, 6);
	/* member by member through the encoder: padding has no value */
	assert_int_equal(hb.schema_minor, full.schema_minor);
	assert_int_equal(hb.group, full.group);
	assert_int_equal(hb.node, full.node);
	assert_true(hb.instance == full.instance && hb.seq == full.seq && hb.state == full.state);
	assert_true(hb.in_step && hb.warm && hb.gates_open);
	assert_int_equal(hb.reason, full.reason);
	assert_int_equal(hb.priority, -5);
	assert_int_equal(nsr_term_cmp(hb.term, full.term), 0);
	assert_int_equal(nsr_term_cmp(hb.data_term, full.data_term), 0);
	assert_int_equal(nsr_term_cmp(hb.offer, full.offer), 0);
	assert_int_equal(hb.epoch, 4);
	assert_true(hb.ts == full.ts && hb.echo == full.echo && hb.echo_instance == full.echo_instance);
	attr_buf_free(&b);
	nsr_heartbeat_encode(&b, &full, NULL);
	assert_int_equal(decode(&b, &hb, m, &has_mac), 0);
	assert_false(has_mac);
	attr_buf_free(&b);
}

static void a_state_that_nobody_knows_is_refused(void **unused)
{
	struct nsr_heartbeat odd = full, hb;
	struct attr_buf b = { 0 };
	uint8_t m[6];
	bool has_mac;

	(void)unused;
	odd.state = ROLE_STATES;
	nsr_heartbeat_encode(&b, &odd, NULL);
	assert_int_equal(decode(&b, &hb, m, &has_mac), -EBADMSG);
	attr_buf_free(&b);
}

/* Each attribute in turn left out, or one byte too long; what is not needed may be missing. */
static void lacking_and_misshapen(void **unused)
{
	struct attr_buf b = { 0 };
	const struct nlattr *attr;
	unsigned int needed = 0, nr = 0;

	(void)unused;
	nsr_heartbeat_encode(&b, &full, mac);
	mnl_attr_for_each_payload((const void *)b.data, b.len)
		nr++;
	for (unsigned int skip = 0; skip < nr; skip++) {
		struct attr_buf without = { 0 }, odd = { 0 };
		struct nsr_heartbeat hb;
		unsigned int i = 0;
		uint8_t m[6];
		bool has_mac;

		mnl_attr_for_each_payload((const void *)b.data, b.len) {
			uint8_t longer[64] = { 0 };

			memcpy(longer, attr_data(attr), attr_len(attr));
			if (i != skip)
				attr_put(&without, attr->nla_type, attr_data(attr), attr_len(attr));
			attr_put(&odd, attr->nla_type, longer, attr_len(attr) + (i == skip));
			i++;
		}
		needed += decode(&without, &hb, m, &has_mac) != 0;
		assert_int_equal(decode(&odd, &hb, m, &has_mac), -EBADMSG);
		attr_buf_free(&without);
		attr_buf_free(&odd);
	}
	assert_int_equal(needed, 5);	/* group, node, instance, sequence, state */
	attr_buf_free(&b);
}

static void newer_attributes_are_skipped(void **unused)
{
	struct nsr_heartbeat hb;
	struct attr_buf b = { 0 };
	uint8_t m[6];
	bool has_mac;

	(void)unused;
	attr_put_u64(&b, 5000, 1);
	nsr_heartbeat_encode(&b, &full, NULL);
	attr_put_str(&b, 5001, "of a newer version");
	assert_int_equal(decode(&b, &hb, m, &has_mac), 0);
	assert_int_equal(hb.group, 3);
	attr_buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(a_state_that_nobody_knows_is_refused),
		cmocka_unit_test(lacking_and_misshapen),
		cmocka_unit_test(newer_attributes_are_skipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
