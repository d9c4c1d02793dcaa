/* SPDX-License-Identifier: GPL-2.0-only */
/* The configuration file, read and checked. nsr-bgpd(8) describes its statements. */
#ifndef BGP_CONFIG_H
#define BGP_CONFIG_H
#include "rib.h"

#define LISTEN_MAX	16

struct neighbor_config {
	struct neighbor_config *next;
	struct addr address, local;	/* local: none = the listen address of the same family */
	uint32_t remote_as;
	bool passive;			/* never dial */
	uint16_t hold, port;
	int ttl;
};

struct config {
	uint32_t local_as, router_id;
	char *group, *application, *nsrd_socket, *control_socket;
	struct addr listen[LISTEN_MAX];
	size_t listens;
	uint16_t port;
	unsigned int connect_retry, nsrd_wait;		/* seconds */
	struct addr next_hop4, next_hop6;
	struct neighbor_config *neighbors;
	struct rib networks;				/* attribute sets without a next hop */
};

/* NULL after saying why on stderr, as file:line: what is wrong, what was expected. */
struct config *config_read(const char *path);
void config_free(struct config *cfg);
/* networks_file.c: adds what the file names and networks does not have yet. False after saying why on
 * stderr, with the line. */
bool networks_file_read(struct rib *networks, const char *path);
const struct neighbor_config *config_neighbor(const struct config *cfg, const struct addr *a);

#endif
