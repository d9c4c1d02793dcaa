// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's rules of a group become those of the configuration. One that the kernel refuses (its device is not
 * there yet, say) leaves the others as they are, is named once, and is tried again until it is taken or is gone
 * from the configuration.
 */
#include "config.h"
#include "group_priv.h"

#define RETRY_NS	5000000000ull

static void mark_rule(uint32_t rule, void *data)
{
	uint8_t *seen = data;

	if (rule <= TCP_NSR_MAX_RULES)
		seen[rule] = 1;
}

static void set_rule(struct group *g, const struct cfg_rule *r)
{
	struct group_priv *p = group_priv(g);
	bool was_refused = p->rule_refused[r->id];

	if (!kernel_rule_set(g->nsrd->kernel, g->cfg->id, r)) {
		p->rule_refused[r->id] = false;
		if (was_refused)
			log_notice("group %s: rule %u: taken now", g->cfg->name, r->id);
		return;
	}
	p->rule_refused[r->id] = true;
	p->rules_refused = true;
	if (!was_refused)
		log_err("group %s: rule %u is not in force, and is tried again: %s", g->cfg->name, r->id,
			kernel_error(g->nsrd->kernel));
}

void group_rules_set(struct group *g)
{
	uint8_t stray[TCP_NSR_MAX_RULES + 1] = { 0 };
	struct group_priv *p = group_priv(g);
	struct kernel *k = g->nsrd->kernel;

	p->rules_at = p->rules_tried = nsrd_now();
	p->rules_refused = false;
	kernel_rules_get(k, g->cfg->id, mark_rule, stray);
	for (size_t i = 0; i < g->cfg->nr_rules; i++) {
		stray[g->cfg->rules[i].id] = 0;
		set_rule(g, &g->cfg->rules[i]);
	}
	for (uint32_t id = 1; id <= TCP_NSR_MAX_RULES; id++)
		if (stray[id] && kernel_rule_del(k, g->cfg->id, id))
			log_err("group %s: rule %u is not of the configuration, and stays in force: %s", g->cfg->name, id,
				kernel_error(k));
}

void group_rules_turn(struct group *g, uint64_t now)
{
	struct group_priv *p = group_priv(g);

	if (!p->rules_refused || now - p->rules_tried < RETRY_NS)
		return;
	p->rules_tried = now;
	p->rules_refused = false;
	for (size_t i = 0; i < g->cfg->nr_rules; i++) {
		const struct cfg_rule *r = &g->cfg->rules[i];

		if (!p->rule_refused[r->id])
			continue;
		set_rule(g, r);
		if (!p->rule_refused[r->id])
			p->rules_at = now;
	}
}
