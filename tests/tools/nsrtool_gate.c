// SPDX-License-Identifier: GPL-2.0-only
/*
 * nsrtool: keeps a connection's gate where an application's transactions would: at what the application
 * has consumed, as the size of its file tells, with the delay of a standby.
 *
 *	follow id=ID FILE LOG [lag MS] [step BYTES] [fin]
 *
 * Each movement is written to LOG before it is made: "SECONDS POSITION", so that a capture can be held
 * against it. step: the gate moves in whole steps only, as one at the ends of messages would; what is
 * left at the end (FILE.end exists) moves too. fin: one position more at the end.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "nsrtool.h"

#define RING 4096

static struct {
	uint64_t due, size;
} ring[RING];

static uint64_t file_size(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : st.st_size;
}

static bool has_ended(const char *path)
{
	char name[4096];

	snprintf(name, sizeof(name), "%s.end", path);
	return !access(name, F_OK);
}

static int move_gate(struct nl *nl, FILE *log, char *id, uint64_t to)
{
	struct nlmsghdr *nlh = nl_request(nl, TCP_NSR_CMD_CONN_SET, 0);
	char word[64], *words[] = { id, word };
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	fprintf(log, "%" PRIu64 ".%09ld %" PRIu64 "\n", (uint64_t)now.tv_sec, now.tv_nsec, to);
	fflush(log);
	snprintf(word, sizeof(word), "gate=%" PRIu64, to);
	if (conn_put_words(nlh, words, 2))
		return 2;
	return nl_do(nl, nlh, NULL, NULL, "follow");
}

int gate_cmd_follow(struct nl *nl, int argc, char **argv)
{
	uint64_t lag = 0, step = 1, size, seen = 0, at = 0, now, to;
	unsigned int head = 0, tail = 0;
	const char *value;
	bool fin = false, end;
	FILE *log;
	int i, ret;

	if (argc < 3)
		return 2;
	for (i = 3; i < argc; i++) {
		if ((value = word_value(argc, argv, &i, "lag")))
			lag = parse_number(value, UINT32_MAX, "lag") * 1000000;
		else if ((value = word_value(argc, argv, &i, "step")))
			step = parse_number(value, UINT32_MAX, "step");
		else if (!strcmp(argv[i], "fin"))
			fin = true;
		else
			return 2;
	}
	log = fopen(argv[2], "w");
	if (!log) {
		perror("nsrtool: follow");
		return 1;
	}
	for (;;) {
		end = has_ended(argv[1]);
		size = file_size(argv[1]);
		now = boot_ns();
		if (end)
			size += fin;
		else
			size -= size % step;
		if (size > seen && head - tail < RING) {
			ring[head % RING].due = now + lag;
			ring[head++ % RING].size = size;
			seen = size;
		}
		to = at;
		while (tail != head && ring[tail % RING].due <= now)
			to = ring[tail++ % RING].size;
		if (to > at) {
			ret = move_gate(nl, log, argv[0], to);
			if (ret)
				return ret;
			at = to;
		}
		if (end && tail == head && size == seen)
			return 0;
		poll(NULL, 0, 1);
	}
}
