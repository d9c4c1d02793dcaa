/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * nsrd.conf -> struct nsrd_config. Every complaint is one line: FILE:LINE: what is wrong; expected WORDS.
 */
#ifndef NSRD_CONFIG_H
#define NSRD_CONFIG_H

struct nsrd_config;
struct cfg_group;
struct cfg_rule;

#define CONFIG_DEFAULT_FILE	"/etc/nsrd.conf"
#define CONFIG_LINK_PORT	4179

/**
 * config_load - read and check a configuration file
 * @path: the file
 * @report: called with each complaint, whole, without newline
 *
 * Return: the configuration, the caller's, to be freed with config_free(); NULL after at least one report.
 */
struct nsrd_config *config_load(const char *path, void (*report)(const char *text));
void config_free(struct nsrd_config *c);

/**
 * config_reload_refusal - may @fresh replace @now without disturbing a session?
 *
 * Rules, md5 keys, leave-timeout, settle, segment-life, gap-bound, probe-rate and commit-timeout can change while sessions
 * live; everything else cannot. Reports every obstacle with the remedy.
 *
 * Return: number of obstacles.
 */
unsigned int config_reload_refusal(const struct nsrd_config *now, const struct nsrd_config *fresh,
				   void (*report)(const char *text));

/* the group of that id, or NULL */
struct cfg_group *config_group(const struct nsrd_config *c, unsigned int id);

#endif
