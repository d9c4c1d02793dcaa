// SPDX-License-Identifier: GPL-2.0-only
/* nsrd.conf: what is taken, and what each refusal names: the line, the thing, the words expected. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "config_parse.h"
#include "md5.h"
#include "nsrd.h"

static char said[4096];
static unsigned int reports;

static void report(const char *text)
{
	size_t n = strlen(said);

	snprintf(said + n, sizeof(said) - n, "%s\n", text);
	reports++;
}

static struct nsrd_config *load_text(const char *text)
{
	char path[] = "/tmp/test_config.XXXXXX";
	struct nsrd_config *c;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	said[0] = '\0';
	reports = 0;
	c = config_load(path, report);
	unlink(path);
	return c;
}

#define PEER	"peer {\n\tlocal = 10.9.0.1\n\taddress = 10.9.0.2\n}\n"
#define RULE	"\trule {\n\t\tlocal-port = 179\n\t}\n"
#define GROUP(lines)	"group edge {\n\tid = 1\n\tinterface = eth0\n\taddresses = { 192.0.2.1/24, 2001:db8::1/64 }\n" \
			lines "}\n"
#define FILE_OF(lines)	"node-id = 7\n" PEER GROUP(lines)

static void takes_all(void **state)
{
	struct nsrd_config *c = load_text(FILE_OF(
		"\tmac = macvlan\n\tmac-address = 02:00:5e:10:00:01\n\tauthority = none\n\tpriority = 9\n"
		"\tinterval = 50ms\n\tdrain = 10ms\n\tleave-timeout = 3s\n\tsettle = 30s\n\tsegment-life = 2s\n"
		"\tgap-bound = 60s\n\tprobe-rate = 500\n\tcommit-timeout = 3s\n\ton-standby-loss = hold\n"
		"\trule {\n\t\tlocal-address = 192.0.2.1\n\t\tlocal-port = 179\n\t\tremote = 198.51.100.0/24\n"
		"\t\tremote-port = 1790\n\t\tapplication = bgp\n\t\tuser = root\n\t\tmode = naive\n\t\tgap = report\n"
		"\t\tvrf = red\n\t}\n"
		"\trule {\n\t\tfamily = ipv6\n\t\tremote-port = 179\n\t}\n"));
	struct cfg_group *g;

	(void)state;
	assert_non_null(c);
	assert_int_equal(c->node_id, 7);
	assert_true(c->has_peer);
	assert_int_equal(((struct sockaddr_in *)&c->peer)->sin_port, htons(CONFIG_LINK_PORT));
	assert_int_equal(c->nr_groups, 1);
	g = config_group(c, 1);
	assert_non_null(g);
	assert_string_equal(g->name, "edge");
	assert_int_equal(g->mac, CFG_MAC_MACVLAN);
	assert_true(g->has_mac_addr);
	assert_int_equal(g->mac_addr[2], 0x5e);
	assert_int_equal(g->interval_ms, 50);
	assert_int_equal(g->leave_timeout_ms, 3000);
	assert_int_equal(g->probe_rate, 500);
	assert_int_equal(g->commit_timeout_ms, 3000);
	assert_true(g->hold);
	assert_int_equal(g->nr_addrs, 2);
	assert_int_equal(g->addrs[1].family, AF_INET6);
	assert_int_equal(g->addrs[1].prefix_len, 64);
	assert_int_equal(g->nr_rules, 2);
	assert_int_equal(g->rules[0].id, 1);
	assert_int_equal(g->rules[0].family, AF_INET);
	assert_int_equal(g->rules[0].raddr_len, 24);
	assert_int_equal(g->rules[0].lport, 179);
	assert_int_equal(g->rules[0].rport, 1790);
	assert_int_equal(g->rules[0].mode, TCP_NSR_MODE_NAIVE);
	assert_int_equal(g->rules[0].gap, TCP_NSR_GAP_REPORT);
	assert_int_equal(g->rules[0].user, 0);
	assert_string_equal(g->rules[0].vrf, "red");
	assert_int_equal(g->rules[1].family, AF_INET6);
	assert_int_equal(g->rules[1].mode, TCP_NSR_MODE_LOSSLESS);
	assert_int_equal(g->rules[1].gap, TCP_NSR_GAP_RESET);
	assert_int_equal(g->rules[1].user, (uid_t)-1);
	config_free(c);
}

/* The refusal is one report, and each word of it stands there. */
static void refuses(const char *text, const char *line, const char *what, const char *expected)
{
	char at[32];

	assert_null(load_text(text));
	snprintf(at, sizeof(at), ":%s: ", line);
	if (!strstr(said, at) || !strstr(said, what) || !strstr(said, expected) || reports != 1)
		fail_msg("\"%s\" does not say %s, \"%s\", \"%s\" in one line", said, line, what, expected);
}

static void names_line_and_words(void **state)
{
	(void)state;
	refuses("node-id = 7\nfrob = 1\n" GROUP(RULE), "2", "frob", "node-id, state-dir, run-dir, peer, group");
	refuses(FILE_OF("\tmac = clone\n" RULE), "10", "mac \"clone\"", "none, replace, macvlan");
	refuses(FILE_OF("\tauthority = quorum\n" RULE), "10", "quorum", "none, fence, external");
	refuses(FILE_OF("\tauthority = fence\n" RULE), "10", "authority fence", "expected: none");
	refuses(FILE_OF("\tinterval = 100\n" RULE), "10", "interval \"100\"", "100ms or 2s");
	refuses(FILE_OF("\tinterval = 1ms\n" RULE), "14", "interval 1ms", "10ms to 60s");
	refuses(FILE_OF("\tinterval = 61s\n" RULE), "14", "interval 61s", "10ms to 60s");
	refuses(FILE_OF("\tsettle = 0s\n" RULE), "14", "settle 0s", "1ms to 3600s");
	refuses(FILE_OF("\tsegment-life = 601s\n" RULE), "14", "segment-life 601s", "1ms to 600s");
	refuses(FILE_OF("\tgap-bound = 0ms\n" RULE), "14", "gap-bound 0ms", "1ms to 3600s");
	refuses(FILE_OF("\tinterval = 10ms\n\tdrain = 71ms\n" RULE), "15", "drain 71ms", "at most 7 intervals");
	refuses(FILE_OF("\tpriority = 300\n" RULE), "10", "priority 300", "0 to 255");
	refuses(FILE_OF("\tpriority = high\n" RULE), "10", "priority", "whole number");
	refuses(FILE_OF("\tmac-address = 01:00:5e:00:00:01\n" RULE), "10", "01:00:5e", "02:00:5e:10:00:01");
	refuses(FILE_OF("\trule {\n\t\tmode = gainless\n"), "11", "gainless", "naive, adopt, lossless");
	refuses(FILE_OF("\ton-standby-loss = stop\n" RULE), "10", "stop", "degrade, hold");
	refuses(FILE_OF("\tcommit-timeout = 10ms\n" RULE), "14", "commit-timeout 10ms", "100ms to 3600s");
	refuses(FILE_OF("\trule {\n\t\tlocal-port = 70000\n\t}\n"), "11", "70000", "1 to 65535");
	refuses(FILE_OF("\trule {\n\t\tuser = nobody-at-all\n\t}\n"), "11", "nobody-at-all", "password database");
	refuses(FILE_OF("\trule {\n\t\tremote = 10.0.0.0/33\n\t}\n"), "11", "10.0.0.0/33", "192.0.2.1/24");
	refuses(FILE_OF("\trule {\n\t\tapplication = \"a b\"\n\t}\n"), "11", "a b", "A-Z a-z 0-9");
	refuses(FILE_OF("\trule {\n\t\tgap = ignore\n\t}\n"), "11", "ignore", "reset, report");
	refuses("node-id = 0\n" GROUP(RULE), "1", "node-id 0", "1 to");
	refuses("node-id = 1\nstate-dir = var\n" GROUP(RULE), "2", "var", "absolute path");
}

static void checks_meaning(void **state)
{
	(void)state;
	refuses("node-id = 7\n" GROUP("\ton-standby-loss = hold\n" RULE), "10", "without a peer", "degrade");
	refuses(FILE_OF("\trule {\n\t\tmode = adopt\n\t}\n"), "12", "every connection", "local-port or remote-port");
	refuses(FILE_OF("\trule {\n\t\tlocal-port = 1\n\t\tlocal-address = 192.0.2.9\n\t}\n"), "13", "192.0.2.9",
		"one of its addresses");
	refuses(FILE_OF("\trule {\n\t\tlocal-port = 1\n\t\tlocal-address = 192.0.2.1\n\t\tremote = 2001:db8::/32\n\t}\n"),
		"14", "different families", "one family");
	refuses(FILE_OF("\trule {\n\t\tlocal-port = 1\n\t\tfamily = ipv6\n\t\tremote = 10.0.0.0/8\n\t}\n"), "14",
		"contradicts", "one family");
	refuses("node-id = 1\n" "group e {\n\tid = 1\n\tinterface = eth0\n\taddresses = { 192.0.2.1/24 }\n"
		"\trule {\n\t\tlocal-port = 1\n\t\tfamily = ipv6\n\t}\n}\n", "9", "no address of family ipv6",
		"drop the rule");
	refuses(FILE_OF(""), "10", "incomplete", "rule");
	refuses("node-id = 1\ngroup e {\n\tid = 1\n" RULE "}\n", "7", "incomplete", "interface = NAME");
	refuses("node-id = 1\n" GROUP(RULE) "group core {\n\tid = 1\n\tinterface = eth0\n\taddresses = { 10.0.0.1/8 }\n"
		RULE "}\n", "17", "id 1 of group edge", "id of its own");
	refuses("node-id = 1\n" GROUP(RULE) GROUP(RULE), "10", "duplicate", "edge");
	refuses("peer {\n\tlocal = 10.9.0.1\n}\n" GROUP(RULE), "3", "address is missing", "address = ADDRESS");
	refuses("peer {\n\tlocal = 10.9.0.1\n\taddress = fd00::1\n}\n" GROUP(RULE), "4", "different families",
		"both IPv4 or both IPv6");
	refuses("peer {\n\tlocal = 10.9.0.1\n\taddress = 8.8.8.8\n}\n" GROUP(RULE), "4", "8.8.8.8", "insecure = yes");
	refuses(PEER GROUP(RULE), "13", "node-id is missing", "node-id = NUMBER");
	refuses("node-id = 1\n", "2", "no group", "group NAME");
	refuses("node-id = 1\ngroup e {\n\tid = 256\n\tinterface = eth0\n\taddresses = { 10.0.0.1/8 }\n\tmac = macvlan\n"
		RULE "}\n", "10", "above 255", "mac-address = MAC");
}

#define MD5(lines)	"\tmd5 {\n" lines "\t}\n"

/* Of several keys the one of the longest prefix. */
static void md5_keys(void **state)
{
	struct nsrd_config *c = load_text(FILE_OF(RULE MD5("\t\tremote = 198.51.0.0/15\n\t\tkey = wide\n")
						  MD5("\t\tremote = 198.51.100.7\n\t\tkey = \"of one\"\n")
						  MD5("\t\tremote = 2001:db8::/32\n\t\tkey = six\n")));
	static const struct {
		const char *addr, *key;
	} far[] = {
		{ "198.51.100.7", "of one" }, { "198.51.100.8", "wide" }, { "198.50.1.1", "wide" },
		{ "198.52.0.1", NULL }, { "2001:db8::9", "six" }, { "2001:db9::9", NULL },
	};
	struct nsr_store_conn conn = { .flags = TCP_NSR_CONN_F_MD5 };
	const struct cfg_md5 *k;

	(void)state;
	assert_non_null(c);
	assert_int_equal(c->groups[0].nr_md5, 3);
	for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		assert_true(parse_addr(far[i].addr, &conn.tuple.family, conn.tuple.raddr));
		k = md5_find(&c->groups[0], conn.tuple.family, conn.tuple.raddr);
		assert_int_equal(md5_lacks_key(&c->groups[0], &conn), !far[i].key);
		assert_int_equal(!k, !far[i].key);
		if (!k)
			continue;
		assert_int_equal(k->len, strlen(far[i].key));
		assert_memory_equal(k->key, far[i].key, k->len);
	}
	conn.flags = 0;
	assert_false(md5_lacks_key(&c->groups[0], &conn));
	config_free(c);
}

static struct nsrd_config *load_key_file(const char *content, mode_t mode)
{
	char path[] = "/tmp/test_config.XXXXXX", text[600];
	int fd = mkstemp(path);
	struct nsrd_config *c;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	snprintf(text, sizeof(text), FILE_OF(RULE MD5("\t\tremote = 10.0.0.0/8\n\t\tkey-file = \"%s\"\n")), path);
	c = load_text(text);
	unlink(path);
	return c;
}

static void md5_key_file(void **state)
{
	struct nsrd_config *c = load_key_file("s3cret key\nanother line\n", 0600);

	(void)state;
	assert_non_null(c);
	assert_int_equal(c->groups[0].md5[0].len, 10);
	assert_memory_equal(c->groups[0].md5[0].key, "s3cret key", 10);
	config_free(c);
	assert_null(load_key_file("s3cret\n", 0640));
	assert_non_null(strstr(said, "mode 0600"));
	assert_null(load_key_file("\ns3cret\n", 0600));
	assert_non_null(strstr(said, "has 0 bytes"));
	assert_null(strstr(said, "s3cret"));
}

static void md5_refusals(void **state)
{
	char text[1024], key[82];

	(void)state;
	refuses(FILE_OF(RULE MD5("\t\tkey = x\n")), "15", "remote is missing", "remote = PREFIX");
	refuses(FILE_OF(RULE MD5("\t\tremote = 10.0.0.1\n")), "15", "no key", "key-file");
	refuses(FILE_OF(RULE MD5("\t\tremote = 10.0.0.1\n\t\tkey = x\n\t\tkey-file = \"/y\"\n")), "17", "two keys",
		"key-file");
	refuses(FILE_OF(RULE MD5("\t\tremote = 10.0.0.1\n\t\tkey-file = \"/nonexistent\"\n")), "16",
		"/nonexistent", "first line");
	memset(key, 'k', 81);
	key[81] = '\0';
	snprintf(text, sizeof(text), FILE_OF(RULE MD5("\t\tremote = 10.0.0.1\n\t\tkey = %s\n")), key);
	refuses(text, "16", "81 bytes", "1 to 80");
	assert_null(strstr(said, "kkk"));
}

static void insecure_is_the_operators_word(void **state)
{
	struct nsrd_config *c = load_text("node-id = 1\npeer {\n\tlocal = 8.8.8.7\n\taddress = 8.8.8.8\n"
					  "\tinsecure = yes\n}\n" GROUP(RULE));

	(void)state;
	assert_non_null(c);
	assert_true(c->insecure);
	config_free(c);
}

static void survives_rubbish(void **state)
{
	static const char whole[] = FILE_OF("\tmac = macvlan\n" RULE);
	char text[sizeof(whole)];
	struct nsrd_config *c;

	(void)state;
	/* Cut anywhere, and every character replaced once: an answer each time, never a crash. */
	for (size_t i = 0; i < sizeof(whole); i++) {
		memcpy(text, whole, sizeof(whole));
		text[i] = '\0';
		config_free(load_text(text));
		memcpy(text, whole, sizeof(whole));
		if (i < sizeof(whole) - 1)
			text[i] = "{}=\"\\\001"[i % 6];
		c = load_text(text);
		assert_true(c || reports);
		config_free(c);
	}
	said[0] = '\0';
	assert_null(config_load("/tmp", report));
	assert_non_null(strstr(said, "not a regular file"));
	assert_null(config_load("/nonexistent/nsrd.conf", report));
	assert_non_null(strstr(said, "-c FILE"));
}

static void reload_refuses_what_cannot_change(void **state)
{
	static const struct {
		const char *text;
		unsigned int obstacles;
	} fresh[] = {
		{ FILE_OF(RULE), 0 },
		{ FILE_OF("\tleave-timeout = 1s\n" RULE RULE), 0 },
		{ FILE_OF("\tinterval = 50ms\n" RULE), 1 },
		{ FILE_OF("\tpriority = 1\n" RULE), 1 },
		{ FILE_OF("\tmac = macvlan\n" RULE), 1 },
		{ "node-id = 8\n" PEER GROUP(RULE), 1 },
		{ "node-id = 7\n" GROUP(RULE), 1 },
		{ "node-id = 7\n" PEER "group core {\n\tid = 2\n\tinterface = eth0\n\taddresses = { 10.0.0.1/8 }\n" RULE
		  "}\n", 2 },
	};
	struct nsrd_config *now = load_text(FILE_OF(RULE)), *c;

	(void)state;
	assert_non_null(now);
	for (size_t i = 0; i < sizeof(fresh) / sizeof(fresh[0]); i++) {
		c = load_text(fresh[i].text);
		assert_non_null(c);
		said[0] = '\0';
		assert_int_equal(config_reload_refusal(now, c, report), fresh[i].obstacles);
		assert_true(!fresh[i].obstacles || strstr(said, "restart nsrd"));
		config_free(c);
	}
	config_free(now);
}

static void private_addresses(void **state)
{
	static const struct {
		const char *addr;
		bool is_private;
	} list[] = {
		{ "10.255.0.1", true }, { "11.0.0.1", false }, { "172.16.0.1", true }, { "172.32.0.1", false },
		{ "192.168.9.9", true }, { "192.169.0.1", false }, { "127.0.0.1", true }, { "169.254.1.1", true },
		{ "fd00::1", true }, { "fe80::1", true }, { "::1", true }, { "2001:db8::1", false },
		{ "fec0::1", false },
	};
	uint8_t family, addr[16];

	(void)state;
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		assert_true(parse_addr(list[i].addr, &family, addr));
		assert_int_equal(parse_is_private(family, addr), list[i].is_private);
	}
}

static void times(void **state)
{
	(void)state;
	assert_int_equal(parse_time_ms("100ms"), 100);
	assert_int_equal(parse_time_ms("0ms"), 0);
	assert_int_equal(parse_time_ms("2s"), 2000);
	assert_int_equal(parse_time_ms("3600s"), 3600000);
	assert_int_equal(parse_time_ms("3601s"), -1);
	assert_int_equal(parse_time_ms("-1ms"), -1);
	assert_int_equal(parse_time_ms("1"), -1);
	assert_int_equal(parse_time_ms("1m"), -1);
	assert_int_equal(parse_time_ms("99999999999999999999ms"), -1);
	assert_int_equal(parse_time_ms(""), -1);
}

static void numbers_are_strict(void **state)
{
	static const char *const bad[] = { "", " 5", "+5", "-5", "5 ", "5x", "0x10", "1e3", "4", "1001",
					   "18446744073709551621", "99999999999999999999999" };
	struct cfg_addr a;
	unsigned long v = 0;

	(void)state;
	assert_true(parse_number("5", 5, 1000, &v));
	assert_int_equal(v, 5);
	assert_true(parse_number("1000", 5, 1000, &v));
	assert_int_equal(v, 1000);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse_number(bad[i], 5, 1000, &v))
			fail_msg("\"%s\" was taken for %lu", bad[i], v);
	assert_int_equal(v, 1000);
	/* longer than any address: not cut off where it would fit */
	assert_true(parse_prefix("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128", &a));
	assert_false(parse_prefix("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2559/128", &a));
	assert_false(parse_prefix("10.0.0.0/", &a));
	assert_false(parse_prefix("10.0.0.0/18446744073709551624", &a));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_strict), cmocka_unit_test(takes_all), cmocka_unit_test(names_line_and_words), cmocka_unit_test(checks_meaning),
		cmocka_unit_test(insecure_is_the_operators_word), cmocka_unit_test(survives_rubbish),
		cmocka_unit_test(reload_refuses_what_cannot_change), cmocka_unit_test(private_addresses),
		cmocka_unit_test(times), cmocka_unit_test(md5_keys), cmocka_unit_test(md5_key_file),
		cmocka_unit_test(md5_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
