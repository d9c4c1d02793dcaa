// SPDX-License-Identifier: GPL-2.0-only
/* The codec of the application socket: what it takes, what it refuses, and random bytes. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib_rig.h"

static uint64_t mem[NSR_APP_MSG_MAX / 8];
static struct nsr_wire w;
static const char *why;

static size_t hello(void)
{
	struct nsr_wire_buf b;

	nsr_wire_begin(&b, mem, sizeof(mem), NSR_APP_HELLO);
	nsr_wire_put_u16(&b, NSR_APP_A_SCHEMA_MAJOR, 1);
	nsr_wire_put_u16(&b, NSR_APP_A_SCHEMA_MINOR, 0);
	nsr_wire_put_str(&b, NSR_APP_A_GROUP, "edge");
	nsr_wire_put_str(&b, NSR_APP_A_APP, "bgp");
	return nsr_wire_end(&b, 1);
}

static void round_trip(void **state)
{
	size_t len = hello();

	(void)state;
	assert_int_equal(nsr_wire_decode(mem, len, &w, &why), 0);
	assert_int_equal(w.type, NSR_APP_HELLO);
	assert_int_equal(w.seq, 1);
	assert_int_equal(nsr_wire_u16(&w, NSR_APP_A_SCHEMA_MAJOR), 1);
	assert_string_equal(nsr_wire_str(&w, NSR_APP_A_GROUP), "edge");
	assert_false(nsr_wire_has(&w, NSR_APP_A_TERM));
	assert_int_equal(nsr_wire_u64(&w, NSR_APP_A_TERM), 0);
}

/* Every shorter prefix of a message is refused, whether its header knows or not. */
static void truncated(void **state)
{
	size_t len = hello(), n;

	(void)state;
	for (n = 0; n < len; n++) {
		hello();
		assert_int_not_equal(nsr_wire_decode(mem, n, &w, &why), 0);
		assert_non_null(why);
		if (n < sizeof(struct nlmsghdr))
			continue;
		((struct nlmsghdr *)mem)->nlmsg_len = n;
		assert_int_not_equal(nsr_wire_decode(mem, n, &w, &why), 0);
	}
}

static void refusals(void **state)
{
	struct nlmsghdr *nlh = (void *)mem;
	struct nsr_wire_buf b;
	size_t len = hello();

	(void)state;
	nlh->nlmsg_type = __NSR_APP_MSG_MAX;
	assert_int_equal(nsr_wire_decode(mem, len, &w, &why), -ENOMSG);
	nlh->nlmsg_type = NLMSG_ERROR;
	assert_int_equal(nsr_wire_decode(mem, len, &w, &why), -ENOMSG);
	assert_int_equal(nsr_wire_decode(mem, NSR_APP_MSG_MAX + 1, &w, &why), -EMSGSIZE);

	/* twice the same; a length that no u16 has; no NUL; an enumeration's unknown value */
	nsr_wire_begin(&b, mem, sizeof(mem), NSR_APP_TXN_ACK);
	nsr_wire_put_u64(&b, NSR_APP_A_TXN, 1);
	nsr_wire_put_u64(&b, NSR_APP_A_TXN, 2);
	assert_int_equal(nsr_wire_decode(mem, nsr_wire_end(&b, 1), &w, &why), -EBADMSG);
	nsr_wire_begin(&b, mem, sizeof(mem), NSR_APP_TXN_ACK);
	nsr_wire_put_u32(&b, NSR_APP_A_TXN, 1);
	assert_int_equal(nsr_wire_decode(mem, nsr_wire_end(&b, 1), &w, &why), -EBADMSG);
	nsr_wire_begin(&b, mem, sizeof(mem), NSR_APP_REFUSED);
	nsr_wire_put_u32(&b, NSR_APP_A_ERRNO, EACCES);
	nsr_wire_put_bytes(&b, NSR_APP_A_TEXT, "no end", 6);
	assert_int_equal(nsr_wire_decode(mem, nsr_wire_end(&b, 1), &w, &why), -EBADMSG);
	nsr_wire_begin(&b, mem, sizeof(mem), NSR_APP_ROLE);
	nsr_wire_put_u64(&b, NSR_APP_A_TERM, 1);
	nsr_wire_put_u8(&b, NSR_APP_A_ROLE, 4);
	assert_int_equal(nsr_wire_decode(mem, nsr_wire_end(&b, 1), &w, &why), -EBADMSG);
	/* missing */
	nsr_wire_begin(&b, mem, sizeof(mem), NSR_APP_DETACH);
	assert_int_equal(nsr_wire_decode(mem, nsr_wire_end(&b, 1), &w, &why), -EBADMSG);
	/* what a newer minor schema adds is skipped */
	nsr_wire_begin(&b, mem, sizeof(mem), NSR_APP_SYNCED);
	nsr_wire_put_u32(&b, NSR_APP_A_MAX + 7, 1);
	assert_int_equal(nsr_wire_decode(mem, nsr_wire_end(&b, 1), &w, &why), 0);
}

static void families(void **state)
{
	static const uint8_t addr[16] = { 1 };
	static const struct { uint8_t family; size_t len; int want; } c[] = {
		{ AF_INET, 4, 0 }, { AF_INET6, 16, 0 }, { AF_INET, 16, -EBADMSG },
		{ AF_INET6, 4, -EBADMSG }, { 1, 4, -EBADMSG },
	};
	struct nsr_wire_buf b;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		nsr_wire_begin(&b, mem, sizeof(mem), NSR_APP_CONN_ADDED);
		nsr_wire_put_u64(&b, NSR_APP_A_CONN_ID, 1);
		nsr_wire_put_u8(&b, NSR_APP_A_FAMILY, c[i].family);
		nsr_wire_put_bytes(&b, NSR_APP_A_LADDR, addr, c[i].len);
		nsr_wire_put_bytes(&b, NSR_APP_A_RADDR, addr, c[i].len);
		nsr_wire_put_u16(&b, NSR_APP_A_LPORT, 1);
		nsr_wire_put_u16(&b, NSR_APP_A_RPORT, 1);
		assert_int_equal(nsr_wire_decode(mem, nsr_wire_end(&b, 1), &w, &why), c[i].want);
	}
}

static void ops(void **state)
{
	static uint8_t big[NSR_APP_CHUNK_MAX + 10], got[sizeof(big)];
	struct nsr_wire_buf b;
	struct nsr_wire_op op;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(big); i++)
		big[i] = i * 7;
	nsr_wire_begin(&b, mem, sizeof(mem), NSR_APP_TXN);
	nsr_wire_op_begin(&b, NSR_APP_OP_PUT, 0, 9);
	nsr_wire_put_bytes(&b, NSR_APP_A_KEY, "k", 1);
	nsr_wire_put_bytes(&b, NSR_APP_A_VALUE, big, sizeof(big));
	nsr_wire_op_end(&b);
	assert_int_equal(nsr_wire_decode(mem, nsr_wire_end(&b, 1), &w, &why), 0);
	assert_int_equal(nsr_wire_op_decode(w.a[NSR_APP_A_OP], &op, &why), 0);
	assert_int_equal(op.kind, NSR_APP_OP_PUT);
	assert_int_equal(op.handle, 9);
	assert_int_equal(op.value_len, sizeof(big));
	nsr_wire_op_bytes(&op, NSR_APP_A_VALUE, got);
	assert_memory_equal(got, big, sizeof(big));

	/* what a PUT, a CONN cannot be without */
	nsr_wire_begin(&b, mem, sizeof(mem), NSR_APP_TXN);
	nsr_wire_op_begin(&b, NSR_APP_OP_PUT, 1, 0);
	nsr_wire_op_end(&b);
	nsr_wire_op_begin(&b, NSR_APP_OP_CONN, 0, 0);
	nsr_wire_op_end(&b);
	nsr_wire_op_begin(&b, 77, 1, 0);
	nsr_wire_op_end(&b);
	assert_int_equal(nsr_wire_decode(mem, nsr_wire_end(&b, 1), &w, &why), 0);
	for (i = 0; i < 3; i++) {
		const struct nlattr *a = w.a[NSR_APP_A_OP];
		size_t n = i;

		while (n--)
			a = mnl_attr_next(a);
		assert_int_equal(nsr_wire_op_decode(a, &op, &why), -EBADMSG);
	}
}

/* An OP of 64 KiB would wrap its length; a message that is full says so. */
static void too_large(void **state)
{
	static uint8_t big[70000];
	struct nsr_wire_buf b;

	(void)state;
	nsr_wire_begin(&b, mem, sizeof(mem), NSR_APP_TXN);
	nsr_wire_op_begin(&b, NSR_APP_OP_PUT, 1, 0);
	nsr_wire_put_bytes(&b, NSR_APP_A_KEY, "k", 1);
	nsr_wire_put_bytes(&b, NSR_APP_A_VALUE, big, sizeof(big));
	nsr_wire_op_end(&b);
	assert_int_equal(nsr_wire_end(&b, 1), 0);

	nsr_wire_begin(&b, mem, 64, NSR_APP_TXN);
	nsr_wire_op_begin(&b, NSR_APP_OP_CONN, 1, 0);
	nsr_wire_put_bytes(&b, NSR_APP_A_DATA, big, 100);
	nsr_wire_op_end(&b);
	assert_int_equal(nsr_wire_end(&b, 1), 0);
}

/* A value of OPs whose attributes overrun the OP, but not the message. */
static void nested_overrun(void **state)
{
	struct nsr_wire_buf b;
	struct nsr_wire_op op;
	struct nlattr *in;

	(void)state;
	nsr_wire_begin(&b, mem, sizeof(mem), NSR_APP_TXN);
	nsr_wire_op_begin(&b, NSR_APP_OP_DEL, 1, 0);
	nsr_wire_put_bytes(&b, NSR_APP_A_KEY, "key", 3);
	nsr_wire_op_end(&b);
	nsr_wire_put_u64(&b, NSR_APP_A_TXN, 1);
	assert_int_equal(nsr_wire_decode(mem, nsr_wire_end(&b, 1), &w, &why), 0);
	in = mnl_attr_get_payload(w.a[NSR_APP_A_OP]);
	in = mnl_attr_next(mnl_attr_next(in));		/* KEY */
	in->nla_len = 20;
	assert_int_equal(nsr_wire_op_decode(w.a[NSR_APP_A_OP], &op, &why), -EBADMSG);
}

static void names(void **state)
{
	char longest[NSR_APP_NAME_MAX + 2];

	(void)state;
	memset(longest, 'x', sizeof(longest));
	longest[NSR_APP_NAME_MAX] = '\0';
	assert_true(nsr_wire_name_ok(longest));
	longest[NSR_APP_NAME_MAX] = 'x';
	longest[NSR_APP_NAME_MAX + 1] = '\0';
	assert_false(nsr_wire_name_ok(longest));
	assert_true(nsr_wire_name_ok("Edge-1_a.b"));
	assert_false(nsr_wire_name_ok(""));
	assert_false(nsr_wire_name_ok("a b"));
	assert_false(nsr_wire_name_ok("../x"));
}

/* Bytes flipped in valid messages, and pure noise: no read outside (ASan), and what is taken can be read. */
static void noise(void **state)
{
	const char *env = getenv("SEED");
	unsigned int seed = env ? strtoul(env, NULL, 0) : (unsigned int)time(NULL), i, n, k;
	uint64_t taken = 0;

	(void)state;
	print_message("# seed %u\n", seed);
	srandom(seed);
	for (i = 0; i < 20000; i++) {
		size_t len = hello();
		uint8_t *copy = malloc(len);

		memcpy(copy, mem, len);
		for (n = random() % 6; n; n--)
			copy[random() % len] = random();
		if (i % 3 == 0)
			((struct nlmsghdr *)copy)->nlmsg_len = len;
		if (i % 5 == 0)
			((struct nlmsghdr *)copy)->nlmsg_type = NSR_APP_HELLO +
				random() % (__NSR_APP_MSG_MAX - NSR_APP_HELLO);
		if (!nsr_wire_decode(copy, len, &w, &why)) {
			taken++;
			for (k = 0; k <= NSR_APP_A_MAX; k++)
				if (w.a[k])
					assert_true(mnl_attr_get_payload_len(w.a[k]) <= len);
		}
		free(copy);
	}
	assert_true(taken > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip), cmocka_unit_test(truncated), cmocka_unit_test(refusals),
		cmocka_unit_test(families), cmocka_unit_test(ops), cmocka_unit_test(too_large),
		cmocka_unit_test(nested_overrun), cmocka_unit_test(names), cmocka_unit_test(noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
