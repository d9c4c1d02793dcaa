// SPDX-License-Identifier: GPL-2.0-only
/*
 * role_print: prints the role machine from its table, for a reader: `role_print` as a Markdown table,
 * `role_print mermaid` as a diagram of the changes of state. Documentation/roles.md holds both;
 * `role_print check FILE` fails if the file's are not these.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "role_table.h"

static void states(FILE *out, uint32_t mask)
{
	const char *sep = "";
	unsigned int s;

	if (mask == (1u << ROLE_STATES) - 1) {
		fprintf(out, "any");
		return;
	}
	if (mask == (((1u << ROLE_STATES) - 1) & ~(1u << ROLE_ACTIVE | 1u << ROLE_LEAVE))) {
		fprintf(out, "any but ACTIVE, LEAVE");
		return;
	}
	for (s = 0; s < ROLE_STATES; s++)
		if (mask >> s & 1) {
			fprintf(out, "%s%s", sep, role_state_name(s));
			sep = ", ";
		}
}

static void table(FILE *out)
{
	unsigned int i, k;

	fprintf(out, "| state | event | if | does | next |\n| --- | --- | --- | --- | --- |\n");
	for (i = 0; i < role_nrows; i++) {
		const struct role_row *r = &role_rows[i];

		fprintf(out, "| ");
		states(out, r->states);
		fprintf(out, " | %s | %s | ", role_event_name(r->ev), r->when ? r->when->text : "");
		for (k = 0; k < ROLE_STEPS_MAX && r->steps[k]; k++)
			fprintf(out, "%s%s", k ? "; " : "", r->steps[k]->text);
		fprintf(out, " | %s |\n", r->next == ROLE_SAME ? "same" : role_state_name(r->next));
	}
}

static void mermaid(FILE *out)
{
	unsigned int from, to, i;

	fprintf(out, "```mermaid\nstateDiagram-v2\n    [*] --> INIT\n");
	for (from = 0; from < ROLE_STATES; from++)
		for (to = 0; to < ROLE_STATES; to++) {
			const char *sep = " : ";
			enum role_event last = ROLE_EVENTS;

			for (i = 0; i < role_nrows; i++) {
				const struct role_row *r = &role_rows[i];

				if (r->next != to || !(r->states >> from & 1) || from == to ||
				    r->ev == last)
					continue;
				if (*sep == ' ')
					fprintf(out, "    %s --> %s", role_state_name(from),
						role_state_name(to));
				fprintf(out, "%s%s", sep, role_event_name(last = r->ev));
				sep = "; ";
			}
			if (*sep != ' ')
				fprintf(out, "\n");
		}
	fprintf(out, "```\n");
}

static char *slurp(const char *path)
{
	FILE *in = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;

	if (!in || getdelim(&text, &size, 0, in) < 0)
		text = NULL;
	if (in)
		fclose(in);
	return text;
}

static int check(const char *path)
{
	char *text = slurp(path), *want = NULL;
	size_t len = 0;
	int bad, i;

	if (!text) {
		fprintf(stderr, "%s: cannot be read\n", path);
		return 1;
	}
	for (i = bad = 0; i < 2 && !bad; i++) {
		FILE *out = open_memstream(&want, &len);

		if (!out)
			return 1;
		if (i)
			mermaid(out);
		else
			table(out);
		fclose(out);
		bad = !strstr(text, want);
		free(want);
	}
	if (bad)
		fprintf(stderr, "%s: does not hold the table as it is in the code: put the output of "
			"role_print and `role_print mermaid` there\n", path);
	free(text);
	return bad;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "check"))
		return check(argv[2]);
	if (argc == 2 && !strcmp(argv[1], "mermaid"))
		mermaid(stdout);
	else if (argc == 1)
		table(stdout);
	else
		return 2;
	return 0;
}
