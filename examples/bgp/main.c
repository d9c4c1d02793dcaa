// SPDX-License-Identifier: GPL-2.0-only
/* nsr-bgpd: command line, signals, and the loop. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "bgp.h"

static const char usage[] =
	"usage: nsr-bgpd [-d] -c FILE                     run, in the foreground\n"
	"       nsr-bgpd --check -c FILE                  read the configuration, say what is wrong\n"
	"       nsr-bgpd --show rib|neighbors [--json] -s SOCKET\n"
	"       nsr-bgpd --refresh ADDRESS -s SOCKET      ask a neighbor for its routes again\n"
	"Signals: SIGHUP reads the configuration again, SIGTERM ends all sessions and the program.\n";

static void on_hup(struct ev_loop *loop, ev_signal *w, int events)
{
	struct bgp *bgp = w->data;
	struct config *cfg = config_read(bgp->config_path);

	(void)loop;
	(void)events;
	if (cfg)
		bgp_reload(bgp, cfg);
	else
		bgp_log(LOG_LVL_ERROR, "not reloaded: the old configuration stays in force");
}

static void on_term(struct ev_loop *loop, ev_signal *w, int events)
{
	(void)events;
	bgp_shutdown(w->data);
	ev_break(loop, EVBREAK_ALL);
}

static int run(const char *path)
{
	struct config *cfg = config_read(path);
	struct ev_loop *loop = EV_DEFAULT;
	ev_signal hup, term, intr;
	struct ctl *ctl = NULL;
	struct bgp *bgp;

	if (!cfg)
		return 1;
	srand48(time(NULL) ^ getpid());
	bgp = bgp_create(loop, cfg, path);
	if (!bgp)
		return 1;
	if (cfg->control_socket) {
		ctl = ctl_create(bgp, cfg->control_socket);
		if (!ctl) {
			bgp_destroy(bgp);
			return 1;
		}
	}
	ev_signal_init(&hup, on_hup, SIGHUP);
	ev_signal_init(&term, on_term, SIGTERM);
	ev_signal_init(&intr, on_term, SIGINT);
	hup.data = term.data = intr.data = bgp;
	ev_signal_start(loop, &hup);
	ev_signal_start(loop, &term);
	ev_signal_start(loop, &intr);
	signal(SIGPIPE, SIG_IGN);
	bgp_log(LOG_LVL_NOTICE, "AS %u, %zu networks", cfg->local_as, cfg->networks.count);
	ev_run(loop, 0);
	if (ctl)
		ctl_destroy(ctl);
	bgp_destroy(bgp);
	ev_default_destroy();
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' }, { "socket", required_argument, NULL, 's' },
		{ "show", required_argument, NULL, 'w' }, { "refresh", required_argument, NULL, 'r' },
		{ "json", no_argument, NULL, 'j' }, { "check", no_argument, NULL, 'k' },
		{ "debug", no_argument, NULL, 'd' }, { "help", no_argument, NULL, 'h' }, { 0 }
	};
	const char *config = NULL, *socket = NULL, *show = NULL, *refresh = NULL;
	bool json = false, check = false;
	struct config *cfg;
	char words[128];
	int c;

	while ((c = getopt_long(argc, argv, "c:s:djkh", options, NULL)) != -1) {
		switch (c) {
		case 'c': config = optarg; break;
		case 's': socket = optarg; break;
		case 'w': show = optarg; break;
		case 'r': refresh = optarg; break;
		case 'j': json = true; break;
		case 'k': check = true; break;
		case 'd': log_level = LOG_LVL_DEBUG; break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind == argc && (show || refresh) && socket && !config) {
		snprintf(words, sizeof(words), "%s %s%s", show ? "show" : "refresh",
			 show ? show : refresh, json ? " json" : "");
		return ctl_request(socket, words);
	}
	if (optind != argc || !config || show || refresh || socket || json) {
		fputs(usage, stderr);
		return 2;
	}
	if (!check)
		return run(config);
	cfg = config_read(config);
	if (!cfg)
		return 1;
	config_free(cfg);
	return 0;
}
