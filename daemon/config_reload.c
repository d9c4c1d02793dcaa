// SPDX-License-Identifier: GPL-2.0-only
/* What may change while sessions live, and what may not. */
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "nsrd.h"

#define RESTART	"restart nsrd for it, the standby first; sessions stay"

struct cfg_group *config_group(const struct nsrd_config *c, unsigned int id)
{
	for (size_t i = 0; i < c->nr_groups; i++)
		if (c->groups[i].id == id)
			return &c->groups[i];
	return NULL;
}

static unsigned int refuse(void (*report)(const char *text), const char *where, const char *what, const char *remedy)
{
	char text[320];

	snprintf(text, sizeof(text), "%s: %s cannot change while nsrd runs: %s", where, what, remedy);
	report(text);
	return 1;
}

static unsigned int compare_group(const struct cfg_group *a, const struct cfg_group *b,
				  void (*report)(const char *text))
{
	char where[NSR_APP_NAME_MAX + 16];
	unsigned int n = 0;

	snprintf(where, sizeof(where), "group %s", a->name);
	if (strcmp(a->name, b->name))
		n += refuse(report, where, "the name", "applications are attached by it; " RESTART);
	if (strcmp(a->interface, b->interface))
		n += refuse(report, where, "interface", RESTART);
	if (a->mac != b->mac || a->has_mac_addr != b->has_mac_addr || memcmp(a->mac_addr, b->mac_addr, 6))
		n += refuse(report, where, "mac or mac-address", "the far ends know it; " RESTART);
	if (a->nr_addrs != b->nr_addrs || memcmp(a->addrs, b->addrs, a->nr_addrs * sizeof(*a->addrs)))
		n += refuse(report, where, "addresses", RESTART);
	if (a->hold != b->hold)
		n += refuse(report, where, "on-standby-loss", RESTART);
	if (a->interval_ms != b->interval_ms)
		n += refuse(report, where, "interval", "the leases on both boxes follow from it; " RESTART);
	if (a->priority != b->priority || a->drain_ms != b->drain_ms)
		n += refuse(report, where, "priority or drain", RESTART);
	return n;
}

unsigned int config_reload_refusal(const struct nsrd_config *now, const struct nsrd_config *fresh,
				   void (*report)(const char *text))
{
	unsigned int n = 0;

	if (now->node_id != fresh->node_id)
		n += refuse(report, "nsrd.conf", "node-id", RESTART);
	if (strcmp(now->state_dir, fresh->state_dir) || strcmp(now->run_dir, fresh->run_dir))
		n += refuse(report, "nsrd.conf", "state-dir or run-dir", RESTART);
	if (now->has_peer != fresh->has_peer || memcmp(&now->local, &fresh->local, sizeof(now->local)) ||
	    memcmp(&now->peer, &fresh->peer, sizeof(now->peer)))
		n += refuse(report, "nsrd.conf", "peer", RESTART);
	for (size_t i = 0; i < now->nr_groups; i++) {
		const struct cfg_group *g = config_group(fresh, now->groups[i].id);

		if (g)
			n += compare_group(&now->groups[i], g, report);
		else
			n += refuse(report, now->groups[i].name, "the set of groups",
				    "nsrctl flush, then " RESTART);
	}
	for (size_t i = 0; i < fresh->nr_groups; i++)
		if (!config_group(now, fresh->groups[i].id))
			n += refuse(report, fresh->groups[i].name, "the set of groups", RESTART);
	return n;
}
