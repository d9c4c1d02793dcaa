// SPDX-License-Identifier: GPL-2.0-only
/*
 * The configuration file. libconfuse reads the words; validators complain at the line where a value
 * stands; what needs several values together is checked where its section ends.
 */
#include <arpa/inet.h>
#include <confuse.h>
#include <ctype.h>
#include <errno.h>
#include <net/ethernet.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config.h"
#include "config_parse.h"
#include "md5.h"
#include "nsrd.h"

/* libconfuse's callbacks carry no pointer of ours. */
static struct {
	void (*report)(const char *text);
	unsigned int errors;
} sink;

static void report_line(const char *file, int line, const char *fmt, va_list ap)
{
	char text[768];
	int n = snprintf(text, sizeof(text), "%s:%d: ", file ? file : "nsrd.conf", line);

	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	sink.errors++;
	sink.report(text);
}

static void complain(cfg_t *cfg, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void complain(cfg_t *cfg, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report_line(cfg->filename, cfg->line, fmt, ap);
	va_end(ap);
}

/* libconfuse's own complaints name what is wrong, but not what would be right. */
static void confuse_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	char text[512], words[320] = "";
	size_t n = 0;

	vsnprintf(text, sizeof(text), fmt, ap);
	if (!strncmp(fmt, "no such option", 14)) {
		for (const cfg_opt_t *o = cfg->opts; o && o->name; o++) {
			/* libconfuse's own last entry */
			if (!strncmp(o->name, "__", 2))
				continue;
			n += (size_t)snprintf(words + n, sizeof(words) - n, "%s%s", n ? ", " : "", o->name);
			if (n >= sizeof(words))
				break;
		}
		complain(cfg, "%s; expected one of: %s", text, words);
	} else if (!strncmp(fmt, "invalid boolean", 15)) {
		complain(cfg, "%s; expected yes or no", text);
	} else if (!strncmp(fmt, "invalid integer", 15)) {
		complain(cfg, "%s; expected a whole number", text);
	} else {
		complain(cfg, "%s", text);
	}
}

/* ---- validators of one value ---- */

/* the value just read */
static const char *last_str(cfg_opt_t *opt)
{
	return cfg_opt_getnstr(opt, cfg_opt_size(opt) - 1);
}

static int check_words(cfg_t *cfg, cfg_opt_t *opt, const char *const *words)
{
	char list[160] = "";
	size_t n = 0;

	if (parse_word(last_str(opt), words) >= 0)
		return 0;
	for (; *words; words++)
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", n ? ", " : "", *words);
	complain(cfg, "%s \"%s\" is unknown; expected one of: %s", opt->name, last_str(opt), list);
	return -1;
}

#define WORDS_CHECK(name, words)					\
static int check_##name(cfg_t *cfg, cfg_opt_t *opt)			\
{									\
	return check_words(cfg, opt, words);				\
}

static const char *const mac_words[] = { "none", "replace", "macvlan", NULL };
static const char *const authority_words[] = { "none", "fence", "external", NULL };
static const char *const mode_words[] = { "naive", "adopt", "lossless", NULL };
static const char *const gap_words[] = { "reset", "report", NULL };
static const char *const loss_words[] = { "degrade", "hold", NULL };
static const char *const family_words[] = { "any", "ipv4", "ipv6", NULL };

WORDS_CHECK(mac, mac_words)
WORDS_CHECK(gap, gap_words)
WORDS_CHECK(mode, mode_words)
WORDS_CHECK(loss, loss_words)
WORDS_CHECK(family, family_words)

static int check_authority(cfg_t *cfg, cfg_opt_t *opt)
{
	if (check_words(cfg, opt, authority_words))
		return -1;
	if (!strcmp(last_str(opt), "none"))
		return 0;
	complain(cfg, "authority %s is not supported by this version; expected: none", last_str(opt));
	return -1;
}

static int check_time(cfg_t *cfg, cfg_opt_t *opt)
{
	if (parse_time_ms(last_str(opt)) >= 0)
		return 0;
	complain(cfg, "%s \"%s\" is not a time; expected a number with its unit, as 100ms or 2s (at most 3600s)",
		 opt->name, last_str(opt));
	return -1;
}

static int check_name(cfg_t *cfg, cfg_opt_t *opt, const char *name)
{
	if (parse_name(name))
		return 0;
	complain(cfg, "%s \"%s\" is not a name; expected 1 to %d characters of A-Z a-z 0-9 _ . -", opt->name,
		 name, NSR_APP_NAME_MAX);
	return -1;
}

static int check_str_name(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_name(cfg, opt, last_str(opt));
}

static int check_ifname(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *s = last_str(opt);

	if (*s && strlen(s) < IF_NAMESIZE && !strpbrk(s, "/ \t"))
		return 0;
	complain(cfg, "%s \"%s\" is not the name of a network device; expected 1 to %d characters", opt->name, s,
		 IF_NAMESIZE - 1);
	return -1;
}

static int check_abs_path(cfg_t *cfg, cfg_opt_t *opt)
{
	if (last_str(opt)[0] == '/' && strlen(last_str(opt)) < 200)
		return 0;
	complain(cfg, "%s \"%s\" is not a directory; expected an absolute path", opt->name, last_str(opt));
	return -1;
}

static int check_mac_address(cfg_t *cfg, cfg_opt_t *opt)
{
	uint8_t mac[6];

	if (parse_mac(last_str(opt), mac))
		return 0;
	complain(cfg, "%s \"%s\" is not the address of one station; expected as 02:00:5e:10:00:01", opt->name,
		 last_str(opt));
	return -1;
}

static int check_host(cfg_t *cfg, cfg_opt_t *opt)
{
	uint8_t family, addr[16];

	if (parse_addr(last_str(opt), &family, addr))
		return 0;
	complain(cfg, "%s \"%s\" is not an IPv4 or IPv6 address; expected as 192.0.2.1 or 2001:db8::1", opt->name,
		 last_str(opt));
	return -1;
}

static int check_prefix(cfg_t *cfg, cfg_opt_t *opt)
{
	struct cfg_addr a;

	if (parse_prefix(last_str(opt), &a))
		return 0;
	complain(cfg, "%s \"%s\" is not an address with its prefix length; expected as 192.0.2.1/24 or "
		 "2001:db8::1/64", opt->name, last_str(opt));
	return -1;
}

static int check_user(cfg_t *cfg, cfg_opt_t *opt)
{
	if (getpwnam(last_str(opt)))
		return 0;
	complain(cfg, "user \"%s\" does not exist on this box; expected a name of the password database",
		 last_str(opt));
	return -1;
}

static int check_range(cfg_t *cfg, cfg_opt_t *opt, long min, long max)
{
	long v = cfg_opt_getnint(opt, cfg_opt_size(opt) - 1);

	if (v >= min && v <= max)
		return 0;
	complain(cfg, "%s %ld is out of range; expected %ld to %ld", opt->name, v, min, max);
	return -1;
}

static int check_id(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_range(cfg, opt, 1, 0x7fffffff);
}

static int check_port(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_range(cfg, opt, 1, 65535);
}

static int check_priority(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_range(cfg, opt, 0, 255);
}

static int check_rate(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_range(cfg, opt, 1, 10000000);
}

/* ---- validators of a section, at its closing brace ---- */

static cfg_t *last_sec(cfg_opt_t *opt)
{
	return cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
}

static int check_peer(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *sec = last_sec(opt);
	const char *words[] = { "address", "local" };
	uint8_t family[2], addr[16];

	(void)cfg;
	for (int i = 0; i < 2; i++) {
		const char *s = cfg_getstr(sec, words[i]);

		if (!s) {
			complain(sec, "peer: %s is missing; expected %s = ADDRESS", words[i], words[i]);
			return -1;
		}
		if (!parse_addr(s, &family[i], addr))
			return -1;
		if (!parse_is_private(family[i], addr) && !cfg_getbool(sec, "insecure")) {
			complain(sec, "peer: %s %s is not a private address, and the sync link is not encrypted; "
				 "expected an address of a private range, or insecure = yes", words[i], s);
			return -1;
		}
	}
	if (family[0] == family[1])
		return 0;
	complain(sec, "peer: address and local are of different families; expected both IPv4 or both IPv6");
	return -1;
}

static int rule_family(cfg_t *sec)
{
	static const uint8_t families[] = { 0, AF_INET, AF_INET6 };

	return families[parse_word(cfg_getstr(sec, "family"), family_words)];
}

static int check_rule(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *sec = last_sec(opt);
	const char *local = cfg_getstr(sec, "local-address"), *remote = cfg_getstr(sec, "remote");
	int family = rule_family(sec);
	struct cfg_addr r;
	uint8_t lf = 0, addr[16];

	(void)cfg;
	if (!cfg_getint(sec, "local-port") && !cfg_getint(sec, "remote-port")) {
		complain(sec, "rule: it would protect every connection; expected local-port or remote-port");
		return -1;
	}
	if (local && !parse_addr(local, &lf, addr))
		return -1;
	if (remote && !parse_prefix(remote, &r))
		return -1;
	if (local && remote && lf != r.family) {
		complain(sec, "rule: local-address and remote are of different families; expected one family");
		return -1;
	}
	if (family && ((local && lf != family) || (remote && r.family != family))) {
		complain(sec, "rule: family %s contradicts the addresses; expected one family",
			 cfg_getstr(sec, "family"));
		return -1;
	}
	return 0;
}

static int check_md5(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *sec = last_sec(opt);
	struct cfg_md5 key = { 0 };
	char text[400];
	int err;

	(void)cfg;
	if (!cfg_getstr(sec, "remote")) {
		complain(sec, "md5: remote is missing; expected remote = PREFIX, whom the key is for");
		return -1;
	}
	err = md5_read_key(cfg_getstr(sec, "key"), cfg_getstr(sec, "key-file"), &key, text, sizeof(text));
	explicit_bzero(&key, sizeof(key));
	if (err)
		complain(sec, "md5: %s", text);
	return err ? -1 : 0;
}

static bool group_has_family(cfg_t *sec, int family)
{
	struct cfg_addr a;

	for (unsigned int i = 0; i < cfg_size(sec, "addresses"); i++)
		if (parse_prefix(cfg_getnstr(sec, "addresses", i), &a) && a.family == family)
			return true;
	return false;
}

/* A rule for addresses that the group does not carry would protect nothing, silently. */
static int check_rule_of_group(cfg_t *sec, cfg_t *rule)
{
	const char *local = cfg_getstr(rule, "local-address");
	uint8_t lf, addr[16];
	struct cfg_addr a;
	int family = rule_family(rule);

	if (family && !group_has_family(sec, family)) {
		complain(rule, "rule: group %s has no address of family %s; add one to addresses, or drop the rule",
			 cfg_title(sec), cfg_getstr(rule, "family"));
		return -1;
	}
	if (!local || !parse_addr(local, &lf, addr))
		return 0;
	for (unsigned int i = 0; i < cfg_size(sec, "addresses"); i++)
		if (parse_prefix(cfg_getnstr(sec, "addresses", i), &a) && a.family == lf &&
		    !memcmp(a.addr, addr, lf == AF_INET ? 4 : 16))
			return 0;
	complain(rule, "rule: local-address %s is not one of group %s; expected one of its addresses", local,
		 cfg_title(sec));
	return -1;
}

/* What the kernel and the role machine would refuse later, when nsrd starts. */
static int check_bounds(cfg_t *sec)
{
	static const struct {
		const char *name;
		long min, max;		/* ms */
		const char *range;
	} bounds[] = {
		{ "interval", 10, 60000, "10ms to 60s" }, { "settle", 1, 3600000, "1ms to 3600s" },
		{ "segment-life", 1, 600000, "1ms to 600s" }, { "gap-bound", 1, 3600000, "1ms to 3600s" },
		{ "commit-timeout", 100, 3600000, "100ms to 3600s" },
	};
	long ms;

	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
		ms = parse_time_ms(cfg_getstr(sec, bounds[i].name));
		if (ms >= bounds[i].min && ms <= bounds[i].max)
			continue;
		complain(sec, "group %s: %s %s is out of range; expected %s", cfg_title(sec), bounds[i].name,
			 cfg_getstr(sec, bounds[i].name), bounds[i].range);
		return -1;
	}
	/* A whole claim has to fit into the ready lease, which is 15 intervals. */
	if (parse_time_ms(cfg_getstr(sec, "drain")) <= 7 * parse_time_ms(cfg_getstr(sec, "interval")))
		return 0;
	complain(sec, "group %s: drain %s is too long; expected at most 7 intervals", cfg_title(sec),
		 cfg_getstr(sec, "drain"));
	return -1;
}

static int check_group(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *sec = last_sec(opt), *other;
	const char *missing = NULL;

	if (check_name(sec, opt, cfg_title(sec)))
		return -1;
	if (!cfg_getint(sec, "id"))
		missing = "id = NUMBER (the same on both boxes)";
	else if (!cfg_getstr(sec, "interface"))
		missing = "interface = NAME";
	else if (!cfg_size(sec, "addresses"))
		missing = "addresses = { \"ADDRESS/LENGTH\", ... }";
	else if (!cfg_size(sec, "rule"))
		missing = "at least one rule { ... }";
	if (missing) {
		complain(sec, "group %s is incomplete; expected %s", cfg_title(sec), missing);
		return -1;
	}
	if (cfg_size(sec, "addresses") > TCP_NSR_MAX_ADDRS || cfg_size(sec, "rule") > TCP_NSR_MAX_RULES) {
		complain(sec, "group %s is too large; expected at most %d addresses and %d rules", cfg_title(sec),
			 TCP_NSR_MAX_ADDRS, TCP_NSR_MAX_RULES);
		return -1;
	}
	if (check_bounds(sec))
		return -1;
	if (!strcmp(cfg_getstr(sec, "mac"), "macvlan") && cfg_getint(sec, "id") > 255 &&
	    !cfg_getstr(sec, "mac-address")) {
		complain(sec, "group %s: no virtual MAC follows from an id above 255; expected mac-address = MAC",
			 cfg_title(sec));
		return -1;
	}
	for (unsigned int i = 0; i + 1 < cfg_size(cfg, "group"); i++) {
		other = cfg_getnsec(cfg, "group", i);
		if (cfg_getint(other, "id") == cfg_getint(sec, "id")) {
			complain(sec, "group %s has the id %ld of group %s; expected an id of its own",
				 cfg_title(sec), cfg_getint(sec, "id"), cfg_title(other));
			return -1;
		}
	}
	for (unsigned int i = 0; i < cfg_size(sec, "rule"); i++)
		if (check_rule_of_group(sec, cfg_getnsec(sec, "rule", i)))
			return -1;
	return 0;
}

/* ---- words to structures; everything is valid by now ---- */

static void fill_sockaddr(struct sockaddr_storage *ss, const char *addr, uint16_t port)
{
	uint8_t family, raw[16];

	parse_addr(addr, &family, raw);
	memset(ss, 0, sizeof(*ss));
	ss->ss_family = family;
	if (family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)ss;

		in->sin_port = htons(port);
		memcpy(&in->sin_addr, raw, 4);
	} else {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

		in6->sin6_port = htons(port);
		memcpy(&in6->sin6_addr, raw, 16);
	}
}

static void fill_rule(struct cfg_rule *r, cfg_t *sec, uint32_t id)
{
	const char *s;
	struct cfg_addr a;

	r->id = id;
	r->family = (uint8_t)rule_family(sec);
	r->mode = (uint8_t)parse_word(cfg_getstr(sec, "mode"), mode_words);
	r->gap = strcmp(cfg_getstr(sec, "gap"), "report") ? TCP_NSR_GAP_RESET : TCP_NSR_GAP_REPORT;
	r->lport = (uint16_t)cfg_getint(sec, "local-port");
	r->rport = (uint16_t)cfg_getint(sec, "remote-port");
	s = cfg_getstr(sec, "local-address");
	if (s) {
		r->has_laddr = true;
		parse_addr(s, &r->family, r->laddr);
	}
	s = cfg_getstr(sec, "remote");
	if (s) {
		parse_prefix(s, &a);
		r->has_raddr = true;
		r->family = a.family;
		memcpy(r->raddr, a.addr, sizeof(r->raddr));
		r->raddr_len = a.prefix_len;
	}
	s = cfg_getstr(sec, "vrf");
	snprintf(r->vrf, sizeof(r->vrf), "%s", s ? s : "");
	s = cfg_getstr(sec, "application");
	snprintf(r->application, sizeof(r->application), "%s", s ? s : "");
	s = cfg_getstr(sec, "user");
	r->user = s ? getpwnam(s)->pw_uid : (uid_t)-1;
}

static unsigned int get_ms(cfg_t *sec, const char *name)
{
	return (unsigned int)parse_time_ms(cfg_getstr(sec, name));
}

static int fill_md5(struct cfg_group *g, cfg_t *sec)
{
	char text[400];

	g->nr_md5 = cfg_size(sec, "md5");
	g->md5 = calloc(g->nr_md5, sizeof(*g->md5));
	if (!g->md5 && g->nr_md5) {
		g->nr_md5 = 0;
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < g->nr_md5; i++) {
		cfg_t *md5 = cfg_getnsec(sec, "md5", i);

		parse_prefix(cfg_getstr(md5, "remote"), &g->md5[i].remote);
		/* A file may have changed since it was checked. */
		if (md5_read_key(cfg_getstr(md5, "key"), cfg_getstr(md5, "key-file"), &g->md5[i], text,
				 sizeof(text))) {
			complain(md5, "md5: %s", text);
			return -EINVAL;
		}
	}
	return 0;
}

static int fill_group(struct cfg_group *g, cfg_t *sec)
{
	g->id = (uint32_t)cfg_getint(sec, "id");
	snprintf(g->name, sizeof(g->name), "%s", cfg_title(sec));
	snprintf(g->interface, sizeof(g->interface), "%s", cfg_getstr(sec, "interface"));
	g->mac = (enum cfg_mac)parse_word(cfg_getstr(sec, "mac"), mac_words);
	if (cfg_getstr(sec, "mac-address"))
		g->has_mac_addr = parse_mac(cfg_getstr(sec, "mac-address"), g->mac_addr);
	g->priority = (unsigned int)cfg_getint(sec, "priority");
	g->interval_ms = get_ms(sec, "interval");
	g->drain_ms = get_ms(sec, "drain");
	g->leave_timeout_ms = get_ms(sec, "leave-timeout");
	g->settle_ms = get_ms(sec, "settle");
	g->segment_life_ms = get_ms(sec, "segment-life");
	g->gap_bound_ms = get_ms(sec, "gap-bound");
	g->probe_rate = (unsigned int)cfg_getint(sec, "probe-rate");
	g->commit_timeout_ms = get_ms(sec, "commit-timeout");
	g->hold = !strcmp(cfg_getstr(sec, "on-standby-loss"), "hold");
	g->nr_addrs = cfg_size(sec, "addresses");
	g->addrs = calloc(g->nr_addrs, sizeof(*g->addrs));
	g->nr_rules = cfg_size(sec, "rule");
	g->rules = calloc(g->nr_rules, sizeof(*g->rules));
	if (!g->addrs || !g->rules)
		return -ENOMEM;
	for (unsigned int i = 0; i < g->nr_addrs; i++)
		parse_prefix(cfg_getnstr(sec, "addresses", i), &g->addrs[i]);
	for (unsigned int i = 0; i < g->nr_rules; i++)
		fill_rule(&g->rules[i], cfg_getnsec(sec, "rule", i), i + 1);
	return fill_md5(g, sec);
}

static int fill(struct nsrd_config *c, cfg_t *cfg)
{
	c->node_id = (uint32_t)cfg_getint(cfg, "node-id");
	snprintf(c->state_dir, sizeof(c->state_dir), "%s", cfg_getstr(cfg, "state-dir"));
	snprintf(c->run_dir, sizeof(c->run_dir), "%s", cfg_getstr(cfg, "run-dir"));
	if (cfg_size(cfg, "peer")) {
		cfg_t *peer = cfg_getnsec(cfg, "peer", 0);
		uint16_t port = (uint16_t)cfg_getint(peer, "port");

		c->has_peer = true;
		c->insecure = cfg_getbool(peer, "insecure");
		fill_sockaddr(&c->local, cfg_getstr(peer, "local"), port);
		fill_sockaddr(&c->peer, cfg_getstr(peer, "address"), port);
	}
	c->nr_groups = cfg_size(cfg, "group");
	c->groups = calloc(c->nr_groups, sizeof(*c->groups));
	if (!c->groups)
		return -ENOMEM;
	for (unsigned int i = 0; i < c->nr_groups; i++) {
		int err = fill_group(&c->groups[i], cfg_getnsec(cfg, "group", i));

		if (err)
			return err;
	}
	return 0;
}

/* What the file as a whole lacks; by now every section in it is whole. */
static void check_file(cfg_t *cfg)
{
	if (!cfg_getint(cfg, "node-id"))
		complain(cfg, "node-id is missing; expected node-id = NUMBER, another one on each box");
	for (unsigned int i = 0; !cfg_size(cfg, "peer") && i < cfg_size(cfg, "group"); i++) {
		cfg_t *sec = cfg_getnsec(cfg, "group", i);

		if (!strcmp(cfg_getstr(sec, "on-standby-loss"), "hold"))
			complain(sec, "group %s: on-standby-loss hold without a peer would stop its streams for ever; "
				 "expected a peer { ... } section, or degrade", cfg_title(sec));
	}
	if (!cfg_size(cfg, "group"))
		complain(cfg, "no group is configured; expected group NAME { ... }");
}

static cfg_t *create_parser(void)
{
	static cfg_opt_t rule_opts[] = {
		CFG_STR("local-address", NULL, CFGF_NODEFAULT), CFG_INT("local-port", 0, CFGF_NONE),
		CFG_STR("remote", NULL, CFGF_NODEFAULT), CFG_INT("remote-port", 0, CFGF_NONE),
		CFG_STR("family", "any", CFGF_NONE), CFG_STR("vrf", NULL, CFGF_NODEFAULT),
		CFG_STR("application", NULL, CFGF_NODEFAULT), CFG_STR("user", NULL, CFGF_NODEFAULT),
		CFG_STR("mode", "lossless", CFGF_NONE), CFG_STR("gap", "reset", CFGF_NONE), CFG_END()
	};
	static cfg_opt_t md5_opts[] = {
		CFG_STR("remote", NULL, CFGF_NODEFAULT), CFG_STR("key", NULL, CFGF_NODEFAULT),
		CFG_STR("key-file", NULL, CFGF_NODEFAULT), CFG_END()
	};
	static cfg_opt_t group_opts[] = {
		CFG_INT("id", 0, CFGF_NONE), CFG_STR("interface", NULL, CFGF_NODEFAULT),
		CFG_STR_LIST("addresses", NULL, CFGF_NODEFAULT), CFG_STR("mac", "replace", CFGF_NONE),
		CFG_STR("mac-address", NULL, CFGF_NODEFAULT), CFG_STR("authority", "none", CFGF_NONE),
		CFG_INT("priority", 100, CFGF_NONE), CFG_STR("interval", "100ms", CFGF_NONE),
		CFG_STR("drain", "20ms", CFGF_NONE), CFG_STR("leave-timeout", "10s", CFGF_NONE),
		CFG_STR("settle", "60s", CFGF_NONE), CFG_STR("segment-life", "5s", CFGF_NONE),
		CFG_STR("gap-bound", "120s", CFGF_NONE), CFG_INT("probe-rate", 20000, CFGF_NONE),
		CFG_STR("commit-timeout", "2s", CFGF_NONE), CFG_STR("on-standby-loss", "degrade", CFGF_NONE),
		CFG_SEC("rule", rule_opts, CFGF_MULTI), CFG_SEC("md5", md5_opts, CFGF_MULTI), CFG_END()
	};
	static cfg_opt_t peer_opts[] = {
		CFG_STR("address", NULL, CFGF_NODEFAULT), CFG_STR("local", NULL, CFGF_NODEFAULT),
		CFG_INT("port", CONFIG_LINK_PORT, CFGF_NONE), CFG_BOOL("insecure", cfg_false, CFGF_NONE), CFG_END()
	};
	static cfg_opt_t opts[] = {
		CFG_INT("node-id", 0, CFGF_NONE), CFG_STR("state-dir", "/var/lib/nsrd", CFGF_NONE),
		CFG_STR("run-dir", "/run/nsrd", CFGF_NONE),
		CFG_SEC("peer", peer_opts, CFGF_NODEFAULT),
		CFG_SEC("group", group_opts, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES), CFG_END()
	};
	static const struct {
		const char *path;
		cfg_validate_callback_t check;
	} checks[] = {
		{ "node-id", check_id }, { "state-dir", check_abs_path }, { "run-dir", check_abs_path },
		{ "peer", check_peer }, { "peer|address", check_host }, { "peer|local", check_host },
		{ "peer|port", check_port },
		{ "group", check_group }, { "group|id", check_id }, { "group|interface", check_ifname },
		{ "group|addresses", check_prefix }, { "group|mac", check_mac },
		{ "group|mac-address", check_mac_address }, { "group|authority", check_authority },
		{ "group|priority", check_priority }, { "group|interval", check_time },
		{ "group|drain", check_time }, { "group|leave-timeout", check_time },
		{ "group|settle", check_time }, { "group|segment-life", check_time },
		{ "group|gap-bound", check_time }, { "group|probe-rate", check_rate },
		{ "group|commit-timeout", check_time }, { "group|on-standby-loss", check_loss },
		{ "group|rule", check_rule }, { "group|rule|local-address", check_host },
		{ "group|rule|local-port", check_port }, { "group|rule|remote", check_prefix },
		{ "group|rule|remote-port", check_port }, { "group|rule|family", check_family },
		{ "group|rule|vrf", check_ifname }, { "group|rule|application", check_str_name },
		{ "group|rule|user", check_user }, { "group|rule|mode", check_mode },
		{ "group|rule|gap", check_gap },
		{ "group|md5", check_md5 }, { "group|md5|remote", check_prefix },
	};
	cfg_t *cfg = cfg_init(opts, CFGF_NONE);

	if (!cfg)
		return NULL;
	cfg_set_error_function(cfg, confuse_error);
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		cfg_set_validate_func(cfg, checks[i].path, checks[i].check);
	return cfg;
}

struct nsrd_config *config_load(const char *path, void (*report)(const char *text))
{
	struct nsrd_config *c = NULL;
	struct stat st;
	char text[512];
	cfg_t *cfg;
	int err;

	sink.report = report;
	sink.errors = 0;
	cfg = create_parser();
	if (!cfg) {
		report("out of memory");
		return NULL;
	}
	/* libconfuse's scanner ends the process when it cannot read, as of a directory. */
	err = stat(path, &st) ? errno : S_ISREG(st.st_mode) ? 0 : EINVAL;
	if (err) {
		snprintf(text, sizeof(text), "%s: %s; name the file with -c FILE", path,
			 err == EINVAL ? "not a regular file" : strerror(err));
		report(text);
		goto out;
	}
	err = cfg_parse(cfg, path);
	if (err == CFG_FILE_ERROR) {
		snprintf(text, sizeof(text), "%s: %s; name the file with -c FILE", path, strerror(errno));
		report(text);
		goto out;
	}
	if (err == CFG_SUCCESS)
		check_file(cfg);
	if (err != CFG_SUCCESS || sink.errors) {
		if (!sink.errors) {
			snprintf(text, sizeof(text), "%s:%d: syntax error", path, cfg->line);
			report(text);
		}
		goto out;
	}
	c = calloc(1, sizeof(*c));
	if (c && fill(c, cfg)) {
		config_free(c);
		c = NULL;
		if (!sink.errors)
			report("out of memory");
	}
out:
	cfg_free(cfg);
	return c;
}

void config_free(struct nsrd_config *c)
{
	if (!c)
		return;
	for (size_t i = 0; c->groups && i < c->nr_groups; i++) {
		free(c->groups[i].addrs);
		free(c->groups[i].rules);
		md5_free(c->groups[i].md5, c->groups[i].nr_md5);
	}
	free(c->groups);
	free(c);
}
