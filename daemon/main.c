// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "config_parse.h"
#include "control.h"
#include "group.h"
#include "kernel.h"
#include "nsrd.h"

/* Bytes. The kernel doubles what it is asked for, in an int. */
#define EVENT_BUFFER_MIN	1024
#define EVENT_BUFFER_MAX	(1 << 30)

struct options {
	const char *file;
	bool check, syslog;
	int level, event_buffer;
};

static struct nsrd self = { .groups = LIST_INIT(self.groups) };
static struct options opts = { .file = CONFIG_DEFAULT_FILE, .level = LOG_INFO };

uint64_t nsrd_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

struct group *nsrd_group_find(struct nsrd *n, uint32_t id)
{
	struct group *g;

	list_for_each(g, &n->groups, node)
		if (g->cfg->id == id)
			return g;
	return NULL;
}

struct group *nsrd_group_find_name(struct nsrd *n, const char *name)
{
	struct group *g;

	list_for_each(g, &n->groups, node)
		if (!strcmp(g->cfg->name, name))
			return g;
	return NULL;
}

static void usage(FILE *f)
{
	fprintf(f, "usage: nsrd [-c FILE] [-l LEVEL] [-s]\n"
		"       nsrd --check-config [-c FILE]\n"
		"  -c, --config FILE        configuration (default %s)\n"
		"      --check-config       only check it; exit status 0 or 1\n"
		"  -l, --log LEVEL          err, warning, notice, info (default), debug\n"
		"  -s, --syslog             log to syslog rather than to stderr\n"
		"      --event-buffer BYTES receive buffer for kernel events (for tests; it grows by itself)\n"
		"  -h, --help\n", CONFIG_DEFAULT_FILE);
}

/* 0: go on; else the exit status + 1 */
static int parse_options(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "config", required_argument, NULL, 'c' }, { "check-config", no_argument, NULL, 'C' },
		{ "log", required_argument, NULL, 'l' }, { "syslog", no_argument, NULL, 's' },
		{ "event-buffer", required_argument, NULL, 'b' }, { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	unsigned long v;
	int c;

	while ((c = getopt_long(argc, argv, "c:l:sh", longopts, NULL)) != -1) {
		switch (c) {
		case 'c':
			opts.file = optarg;
			break;
		case 'C':
			opts.check = true;
			break;
		case 'l':
			opts.level = log_level_parse(optarg);
			if (opts.level < 0) {
				fprintf(stderr, "nsrd: level \"%s\" is unknown; expected one of: err, warning, "
					"notice, info, debug\n", optarg);
				return 3;
			}
			break;
		case 's':
			opts.syslog = true;
			break;
		case 'b':
			if (!parse_number(optarg, EVENT_BUFFER_MIN, EVENT_BUFFER_MAX, &v)) {
				fprintf(stderr, "nsrd: event-buffer \"%s\" is not a size; expected %d to %d (bytes)\n",
					optarg, EVENT_BUFFER_MIN, EVENT_BUFFER_MAX);
				return 3;
			}
			opts.event_buffer = (int)v;
			break;
		case 'h':
			usage(stdout);
			return 1;
		default:
			usage(stderr);
			return 3;
		}
	}
	if (optind == argc)
		return 0;
	fprintf(stderr, "nsrd: \"%s\" is not expected\n", argv[optind]);
	usage(stderr);
	return 3;
}

static void report_stderr(const char *text)
{
	fprintf(stderr, "nsrd: %s\n", text);
}

static void report_log(const char *text)
{
	log_err("%s", text);
}

static int make_dir(const char *path, mode_t mode)
{
	if (!mkdir(path, mode) || errno == EEXIST)
		return 0;
	log_err("%s: %s: create it, or name another directory in the configuration", path, strerror(errno));
	return -errno;
}

/* ---- signals ---- */

static void on_stop(struct ev_loop *loop, ev_signal *w, int revents)
{
	struct group *g;

	(void)revents;
	log_notice("stopping (signal %d)", w->signum);
	list_for_each(g, &self.groups, node)
		group_stop(g);
	ev_break(loop, EVBREAK_ALL);
}

static void on_reload(struct ev_loop *loop, ev_signal *w, int revents)
{
	struct nsrd_config *fresh = config_load(opts.file, report_log);
	struct group *g;

	(void)loop;
	(void)w;
	(void)revents;
	if (!fresh || config_reload_refusal(self.cfg, fresh, report_log)) {
		log_err("%s: not taken; everything stays as it was", opts.file);
		config_free(fresh);
		return;
	}
	list_for_each(g, &self.groups, node)
		group_reload(g, config_group(fresh, g->cfg->id));
	config_free(fresh);
	log_notice("%s: taken", opts.file);
}

/* ---- life ---- */

/* The same for every nsrd of this boot of the machine. */
static uint64_t read_boot_id(void)
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");
	unsigned long a = 0, b = 0;

	if (f) {
		if (fscanf(f, "%8lx-%4lx", &a, &b) != 2)
			a = 0;
		fclose(f);
	}
	return (uint64_t)a << 16 | b;
}

#define STRAYS_MAX	1024	/* more are taken out at the next start */

/*
 * A group that an earlier configuration had and this one has not: its rules would go on protecting connections of
 * which nobody keeps a copy. What it held while this box was active are ordinary connections from now on.
 */
static void remove_stray_groups(void)
{
	uint32_t ids[STRAYS_MAX], fresh;
	int nr = kernel_groups_get(self.kernel, ids, STRAYS_MAX), err;
	struct kernel_group kg;

	for (int i = 0; i < nr; i++) {
		if (config_group(self.cfg, ids[i]) || kernel_group_get(self.kernel, ids[i], &kg))
			continue;
		/* ORDER: sockets of a reign that is over end silently: as ordinary ones they would speak again. */
		err = kg.active ? 0 : kernel_mute(self.kernel, ids[i], true, &fresh);
		if (!err)
			err = kernel_group_del(self.kernel, ids[i], true);
		if (err)
			log_err("group %u is not in %s and stays in the kernel: %s", ids[i], opts.file,
				kernel_error(self.kernel));
		else
			log_notice("group %u is not in %s any more: taken out of the kernel, its connections are ordinary ones",
				   ids[i], opts.file);
	}
}

static int create_all(struct control **control)
{
	self.kernel = kernel_create(&self);
	if (!self.kernel)
		return -1;
	if (opts.event_buffer > 0)
		kernel_set_event_buffer(self.kernel, opts.event_buffer);
	self.apps = app_server_create(&self);
	if (!self.apps)
		return -1;
	remove_stray_groups();
	for (size_t i = 0; i < self.cfg->nr_groups; i++)
		if (!group_create(&self, &self.cfg->groups[i]))
			return -1;
	if (self.cfg->has_peer) {
		self.link = link_create(&self);
		if (!self.link)
			return -1;
	}
	*control = control_create(&self);
	return *control ? 0 : -1;
}

static void destroy_all(struct control *control)
{
	struct group *g, *next;

	control_destroy(control);
	if (self.link)
		link_destroy(self.link);
	self.link = NULL;
	if (self.apps)
		app_server_destroy(self.apps);
	self.apps = NULL;
	list_for_each_safe(g, next, &self.groups, node)
		group_destroy(g);
	kernel_destroy(self.kernel);
	config_free(self.cfg);
}

static int run(void)
{
	struct control *control = NULL;
	ev_signal term, intr, hup;
	int err;

	self.loop = ev_default_loop(0);
	if (!self.loop || getrandom(&self.instance_id, sizeof(self.instance_id), 0) < 0) {
		log_err("no event loop, or no random numbers");
		return 1;
	}
	self.instance_id |= 1;
	self.boot_id = read_boot_id();
	if (make_dir(self.cfg->state_dir, 0700) || make_dir(self.cfg->run_dir, 0755))
		return 1;
	signal(SIGPIPE, SIG_IGN);
	err = create_all(&control);
	if (!err) {
		ev_signal_init(&term, on_stop, SIGTERM);
		ev_signal_init(&intr, on_stop, SIGINT);
		ev_signal_init(&hup, on_reload, SIGHUP);
		ev_signal_start(self.loop, &term);
		ev_signal_start(self.loop, &intr);
		ev_signal_start(self.loop, &hup);
		log_notice("node %u, %zu group%s: running", self.cfg->node_id, self.cfg->nr_groups,
			   self.cfg->nr_groups == 1 ? "" : "s");
		ev_run(self.loop, 0);
		ev_signal_stop(self.loop, &term);
		ev_signal_stop(self.loop, &intr);
		ev_signal_stop(self.loop, &hup);
	}
	destroy_all(control);
	ev_loop_destroy(self.loop);
	return err ? 1 : 0;
}

int main(int argc, char **argv)
{
	int status = parse_options(argc, argv);

	if (status)
		return status - 1;
	self.cfg = config_load(opts.file, report_stderr);
	if (!self.cfg)
		return 1;
	if (opts.check) {
		printf("%s: good\n", opts.file);
		config_free(self.cfg);
		return 0;
	}
	log_open("nsrd", opts.syslog, opts.level);
	return run();
}
