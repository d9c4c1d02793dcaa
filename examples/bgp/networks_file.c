// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file of networks, one prefix a line: for tables of a size that a configuration file is no place for.
 * What stands in the configuration itself comes first and keeps its attributes.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "config.h"

#define LINE_MAX_LEN	128

/* The line's first word, without comment; NULL: nothing there. */
static char *first_word(char *line, char **rest)
{
	char *word;

	line[strcspn(line, "#\r\n")] = '\0';
	word = line + strspn(line, " \t");
	*rest = word + strcspn(word, " \t");
	if (**rest)
		*(*rest)++ = '\0';
	*rest += strspn(*rest, " \t");
	return *word ? word : NULL;
}

static bool complain(const char *path, unsigned int line, const char *text, const char *what)
{
	fprintf(stderr, "%s:%u: %s%s%s%s\n", path, line, text ? "\"" : "", text ? text : "", text ? "\": " : "", what);
	return false;
}

static bool read_line(struct rib *networks, const char *path, unsigned int number, char *line)
{
	static const struct tlvs none;
	struct attrs *attrs;
	struct prefix p;
	char *word, *rest;

	if (strlen(line) == LINE_MAX_LEN - 1 && line[LINE_MAX_LEN - 2] != '\n')
		return complain(path, number, NULL, "the line is too long, expected one prefix");
	word = first_word(line, &rest);
	if (!word)
		return true;
	if (*rest)
		return complain(path, number, rest, "expected one prefix a line and nothing behind it");
	if (!prefix_parse(word, &p))
		return complain(path, number, word,
				"expected a prefix without host bits, such as 192.0.2.0/24 or 2001:db8::/32");
	if (rib_find(networks, &p))
		return true;
	attrs = attrs_intern(NULL, 0, &none);
	if (!attrs || rib_set(networks, &p, attrs) < 0)
		return complain(path, number, NULL, "no memory");
	return true;
}

bool networks_file_read(struct rib *networks, const char *path)
{
	FILE *f = fopen(path, "re");
	char line[LINE_MAX_LEN];
	unsigned int number = 0;
	bool ok = true;

	if (!f) {
		fprintf(stderr, "networks-file %s: %s\n", path, strerror(errno));
		return false;
	}
	while (ok && fgets(line, sizeof(line), f))
		ok = read_line(networks, path, ++number, line);
	if (ok && ferror(f)) {
		fprintf(stderr, "networks-file %s: %s\n", path, strerror(errno));
		ok = false;
	}
	fclose(f);
	return ok;
}
