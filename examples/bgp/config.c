// SPDX-License-Identifier: GPL-2.0-only
#include <confuse.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "config.h"

#define NETWORK_COMMUNITIES	64

static void say(cfg_t *cfg, const char *fmt, va_list ap)
{
	if (cfg && cfg->filename)
		fprintf(stderr, "%s:%d: ", cfg->filename, cfg->line);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

static int in_range(cfg_t *cfg, cfg_opt_t *opt, long low, long high)
{
	long v = cfg_opt_getnint(opt, cfg_opt_size(opt) - 1);

	if (v >= low && v <= high)
		return 0;
	cfg_error(cfg, "%s: %ld is out of range, expected %ld to %ld", cfg_opt_name(opt), v, low, high);
	return -1;
}

static int check_as(cfg_t *cfg, cfg_opt_t *opt)
{
	return in_range(cfg, opt, 1, UINT32_MAX);
}

static int check_port(cfg_t *cfg, cfg_opt_t *opt)
{
	return in_range(cfg, opt, 1, UINT16_MAX);
}

static int check_ttl(cfg_t *cfg, cfg_opt_t *opt)
{
	return in_range(cfg, opt, 1, 255);
}

static int check_seconds(cfg_t *cfg, cfg_opt_t *opt)
{
	return in_range(cfg, opt, 0, 86400);
}

static int check_u32(cfg_t *cfg, cfg_opt_t *opt)
{
	return in_range(cfg, opt, 0, UINT32_MAX);
}

static int check_hold(cfg_t *cfg, cfg_opt_t *opt)
{
	long v = cfg_opt_getnint(opt, 0);

	if (v == 0 || (v >= 3 && v <= UINT16_MAX))
		return 0;
	cfg_error(cfg, "%s: %ld, expected 0 (none) or 3 to 65535 seconds", cfg_opt_name(opt), v);
	return -1;
}

static int check_addr(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *s = cfg_opt_getnstr(opt, cfg_opt_size(opt) - 1);
	struct addr a;

	if (s && addr_parse(s, &a) && !(a.len == 16 && a.b[0] == 0xfe && (a.b[1] & 0xc0) == 0x80))
		return 0;
	cfg_error(cfg, "%s: \"%s\" is not an address, expected IPv4 or IPv6 (not link-local)",
		  cfg_opt_name(opt), s ? s : "");
	return -1;
}

static int check_addr4(cfg_t *cfg, cfg_opt_t *opt)
{
	struct addr a;

	if (addr_parse(cfg_opt_getnstr(opt, 0), &a) && a.len == 4)
		return 0;
	cfg_error(cfg, "%s: expected an IPv4 address", cfg_opt_name(opt));
	return -1;
}

static int check_addr6(cfg_t *cfg, cfg_opt_t *opt)
{
	struct addr a;

	if (addr_parse(cfg_opt_getnstr(opt, 0), &a) && a.len == 16)
		return 0;
	cfg_error(cfg, "%s: expected an IPv6 address", cfg_opt_name(opt));
	return -1;
}

/* Called at the closing brace of each section, which is the line that a message names. */
static int check_neighbor(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *sec = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
	const char *title = cfg_title(sec), *local = cfg_getstr(sec, "local-address");
	struct addr a, l;

	if (!addr_parse(title, &a)) {
		cfg_error(cfg, "neighbor \"%s\": expected an IPv4 or IPv6 address", title);
		return -1;
	}
	if (!cfg_getint(sec, "remote-as")) {
		cfg_error(cfg, "neighbor %s: remote-as is missing", title);
		return -1;
	}
	if (local && addr_parse(local, &l) && l.len != a.len) {
		cfg_error(cfg, "neighbor %s: local-address is of the other family", title);
		return -1;
	}
	return 0;
}

/* 2: "65010:1", a community; 3: "65010:1:2", a large one; 0: neither. */
static int community_parse(const char *s, uint32_t part[3])
{
	int n;

	for (n = 0; n < 3; n++, s++) {
		unsigned long v;
		char *end;

		if (*s < '0' || *s > '9')
			return 0;
		errno = 0;
		v = strtoul(s, &end, 10);
		if (errno || v > UINT32_MAX)
			return 0;
		part[n] = (uint32_t)v;
		s = end;
		if (!*s)
			break;
		if (*s != ':')
			return 0;
	}
	if (n == 1)
		return part[0] <= UINT16_MAX && part[1] <= UINT16_MAX ? 2 : 0;
	return n == 2 ? 3 : 0;
}

static int check_communities(cfg_t *cfg, cfg_opt_t *opt)
{
	uint32_t part[3];
	unsigned int i;

	for (i = 0; i < cfg_opt_size(opt); i++) {
		if (community_parse(cfg_opt_getnstr(opt, i), part))
			continue;
		cfg_error(cfg, "communities: \"%s\", expected 65000:1 or 65000:1:2",
			  cfg_opt_getnstr(opt, i));
		return -1;
	}
	if (i <= NETWORK_COMMUNITIES)
		return 0;
	cfg_error(cfg, "communities: %u of them, expected at most %u", i, NETWORK_COMMUNITIES);
	return -1;
}

static int check_network(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *title = cfg_title(cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1));
	uint8_t afi = strcmp(cfg_opt_name(opt), "network6") ? AFI_IPV4 : AFI_IPV6;
	struct prefix p;

	if (prefix_parse(title, &p) && p.afi == afi)
		return 0;
	cfg_error(cfg, "%s \"%s\": expected an %s prefix without host bits, such as %s",
		  cfg_opt_name(opt), title, afi == AFI_IPV6 ? "IPv6" : "IPv4",
		  afi == AFI_IPV6 ? "2001:db8::/32" : "192.0.2.0/24");
	return -1;
}

static bool read_neighbor(struct config *cfg, cfg_t *sec, const char *path)
{
	struct neighbor_config *n = calloc(1, sizeof(*n)), **at = &cfg->neighbors;
	const char *local = cfg_getstr(sec, "local-address");
	char buf[ADDR_STRLEN];
	size_t i;

	if (!n)
		return false;
	addr_parse(cfg_title(sec), &n->address);
	n->remote_as = (uint32_t)cfg_getint(sec, "remote-as");
	n->passive = cfg_getbool(sec, "passive");
	n->hold = (uint16_t)cfg_getint(sec, "hold-time");
	n->port = (uint16_t)cfg_getint(sec, "port");
	n->ttl = (int)cfg_getint(sec, "ttl");
	if (!n->ttl)		/* an external neighbour is on the link unless the file says otherwise */
		n->ttl = n->remote_as == cfg->local_as ? 64 : 1;
	if (local)
		addr_parse(local, &n->local);
	for (i = 0; i < cfg->listens && !n->local.len; i++)
		if (cfg->listen[i].len == n->address.len)
			n->local = cfg->listen[i];
	for (; *at; at = &(*at)->next) {
		if (addr_equal(&(*at)->address, &n->address)) {
			fprintf(stderr, "%s: neighbor %s is there twice\n", path,
				addr_str(&n->address, buf));
			free(n);
			return false;
		}
	}
	*at = n;
	return true;
}

static bool read_network(struct config *cfg, cfg_t *sec)
{
	static struct tlvs t;
	uint8_t std[NETWORK_COMMUNITIES * 4], large[NETWORK_COMMUNITIES * 12], *s = std, *l = large;
	long med = cfg_getint(sec, "med");
	struct attrs *attrs;
	struct prefix p;
	unsigned int i;

	t.len = 0;
	if (med >= 0) {
		uint8_t buf[4];

		put32(buf, (uint32_t)med);
		tlv_add(&t, ATTR_F_OPTIONAL, ATTR_MED, buf, 4);
	}
	for (i = 0; i < cfg_size(sec, "communities"); i++) {
		uint32_t part[3];

		if (community_parse(cfg_getnstr(sec, "communities", i), part) == 2)
			s = put32(s, part[0] << 16 | part[1]);
		else
			l = put32(put32(put32(l, part[0]), part[1]), part[2]);
	}
	if (s != std)
		tlv_add(&t, ATTR_F_OPTIONAL | ATTR_F_TRANSITIVE, ATTR_COMMUNITIES, std,
			(size_t)(s - std));
	if (l != large)
		tlv_add(&t, ATTR_F_OPTIONAL | ATTR_F_TRANSITIVE, ATTR_LARGE_COMMUNITIES, large,
			(size_t)(l - large));
	prefix_parse(cfg_title(sec), &p);
	attrs = attrs_intern(NULL, 0, &t);
	return attrs && rib_set(&cfg->networks, &p, attrs) >= 0;
}

static char *copy(cfg_t *c, const char *name)
{
	const char *s = cfg_getstr(c, name);

	return s && *s ? strdup(s) : NULL;
}

static bool build(struct config *cfg, cfg_t *c, const char *path)
{
	unsigned int i;

	cfg->local_as = (uint32_t)cfg_getint(c, "local-as");
	if (!cfg->local_as || !cfg_getstr(c, "router-id") || !cfg_size(c, "listen")) {
		fprintf(stderr, "%s: %s is missing\n", path, !cfg->local_as ? "local-as" :
			cfg_getstr(c, "router-id") ? "listen" : "router-id");
		return false;
	}
	inet_pton(AF_INET, cfg_getstr(c, "router-id"), &cfg->router_id);
	cfg->router_id = ntohl(cfg->router_id);
	cfg->group = copy(c, "group");
	cfg->application = copy(c, "application");
	cfg->nsrd_socket = copy(c, "nsrd-socket");
	cfg->control_socket = copy(c, "control-socket");
	cfg->port = (uint16_t)cfg_getint(c, "port");
	cfg->connect_retry = (unsigned int)cfg_getint(c, "connect-retry");
	cfg->nsrd_wait = (unsigned int)cfg_getint(c, "nsrd-wait");
	if (cfg_getstr(c, "next-hop"))
		addr_parse(cfg_getstr(c, "next-hop"), &cfg->next_hop4);
	if (cfg_getstr(c, "next-hop6"))
		addr_parse(cfg_getstr(c, "next-hop6"), &cfg->next_hop6);
	if (cfg_size(c, "listen") > LISTEN_MAX) {
		fprintf(stderr, "%s: listen: more than %d addresses\n", path, LISTEN_MAX);
		return false;
	}
	for (i = 0; i < cfg_size(c, "listen"); i++)
		addr_parse(cfg_getnstr(c, "listen", i), &cfg->listen[cfg->listens++]);
	for (i = 0; i < cfg_size(c, "neighbor"); i++)
		if (!read_neighbor(cfg, cfg_getnsec(c, "neighbor", i), path))
			return false;
	for (i = 0; i < cfg_size(c, "network"); i++)
		if (!read_network(cfg, cfg_getnsec(c, "network", i)))
			return false;
	for (i = 0; i < cfg_size(c, "network6"); i++)
		if (!read_network(cfg, cfg_getnsec(c, "network6", i)))
			return false;
	for (i = 0; i < cfg_size(c, "networks-file"); i++)
		if (!networks_file_read(&cfg->networks, cfg_getnstr(c, "networks-file", i)))
			return false;
	return true;
}

static const struct {
	const char *option;
	cfg_validate_callback_t check;
} checks[] = {
	{ "local-as", check_as }, { "router-id", check_addr4 }, { "listen", check_addr },
	{ "port", check_port }, { "connect-retry", check_seconds }, { "nsrd-wait", check_seconds },
	{ "next-hop", check_addr4 }, { "next-hop6", check_addr6 }, { "neighbor", check_neighbor },
	{ "neighbor|remote-as", check_as }, { "neighbor|hold-time", check_hold },
	{ "neighbor|port", check_port }, { "neighbor|ttl", check_ttl },
	{ "neighbor|local-address", check_addr }, { "network", check_network },
	{ "network6", check_network }, { "network|communities", check_communities },
	{ "network6|communities", check_communities }, { "network|med", check_u32 },
	{ "network6|med", check_u32 },
};

struct config *config_read(const char *path)
{
	cfg_opt_t neighbor[] = {
		CFG_INT("remote-as", 0, CFGF_NONE), CFG_BOOL("passive", cfg_false, CFGF_NONE),
		CFG_INT("hold-time", 90, CFGF_NONE), CFG_INT("ttl", 0, CFGF_NONE),
		CFG_STR("local-address", NULL, CFGF_NONE), CFG_INT("port", BGP_PORT, CFGF_NONE),
		CFG_END()
	};
	cfg_opt_t network[] = {
		CFG_INT("med", -1, CFGF_NONE), CFG_STR_LIST("communities", NULL, CFGF_NONE), CFG_END()
	};
	const cfg_flag_t section = CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES;
	cfg_opt_t opts[] = {
		CFG_INT("local-as", 0, CFGF_NONE), CFG_STR("router-id", NULL, CFGF_NONE),
		CFG_STR("group", NULL, CFGF_NONE), CFG_STR("application", "bgpd", CFGF_NONE),
		CFG_STR("nsrd-socket", NULL, CFGF_NONE), CFG_STR("control-socket", NULL, CFGF_NONE),
		CFG_STR_LIST("listen", NULL, CFGF_NONE), CFG_INT("port", BGP_PORT, CFGF_NONE),
		CFG_INT("connect-retry", 5, CFGF_NONE), CFG_INT("nsrd-wait", 3, CFGF_NONE),
		CFG_STR("next-hop", NULL, CFGF_NONE), CFG_STR("next-hop6", NULL, CFGF_NONE),
		CFG_SEC("neighbor", neighbor, section), CFG_SEC("network", network, section),
		CFG_SEC("network6", network, section), CFG_STR_LIST("networks-file", NULL, CFGF_NONE),
		CFG_END()
	};
	struct config *cfg = calloc(1, sizeof(*cfg));
	cfg_t *c = cfg_init(opts, CFGF_NONE);
	bool ok = false;
	size_t i;

	if (!cfg || !c)
		goto out;
	cfg_set_error_function(c, say);
	for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		cfg_set_validate_func(c, checks[i].option, checks[i].check);
	switch (cfg_parse(c, path)) {
	case CFG_SUCCESS:
		ok = build(cfg, c, path);
		break;
	case CFG_FILE_ERROR:
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		break;
	}
out:
	if (c)
		cfg_free(c);
	if (!ok && cfg) {
		config_free(cfg);
		cfg = NULL;
	}
	return cfg;
}

void config_free(struct config *cfg)
{
	struct neighbor_config *n;

	while ((n = cfg->neighbors)) {
		cfg->neighbors = n->next;
		free(n);
	}
	rib_clear(&cfg->networks);
	free(cfg->group);
	free(cfg->application);
	free(cfg->nsrd_socket);
	free(cfg->control_socket);
	free(cfg);
}

const struct neighbor_config *config_neighbor(const struct config *cfg, const struct addr *a)
{
	const struct neighbor_config *n;

	for (n = cfg->neighbors; n && !addr_equal(&n->address, a); n = n->next)
		;
	return n;
}
